# SPDX-License-Identifier: Apache-2.0
"""A control plane in a process of its own, that makes events and delivers them until it is killed.

Who kills it is test_webhooks.py. Arguments: the state directory, the receiver's URL and how many events
there shall be in the end; a later run goes on counting where the one before it got to.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from skyhold.core import context
from skyhold.core.app import Core
from skyhold.core.context import Credentials
from skyhold.core.settings.sections import Identity, Outbound
from skyhold.core.settings.whole import Settings
from skyhold.events import webhooks
from skyhold.events.reading import Wanted
from skyhold.events.service import SERVICE as EVENTS
from skyhold.events.webhooks import WebhookCreate, WebhookQuery, WebhookUpdate
from skyhold.identity import facade
from skyhold.identity.service import SERVICE as IDENTITY
from skyhold.identity.tables import PROJECTS
from tests.story.events.receiver import SECRET


async def main(home: Path, url: str, total: int) -> None:
    cheap = Identity(password_time_cost=1, password_memory_kib=8)
    core = Core(Settings(home=home, identity=cheap, outbound=Outbound(allow=["127.0.0.1/32"])), [IDENTITY, EVENTS])
    core.authenticator = facade.authenticator(core)
    core.limits = facade.limits(core)
    await core.start()
    await facade.bootstrap(core, password="the-admin-password")
    project = await context.internal(core).read(
        lambda tx, ctx: tx.scalar(PROJECTS.select().with_only_columns(PROJECTS.c.id).where(PROJECTS.c.name == "admin"))
    )
    member = Credentials(project_id=project, user_id="u", scope="project", roles=frozenset({"member", "reader"}))
    ctx = context.Context(core, member, rule=webhooks.policy.WEBHOOKS_UPDATE)
    counter = await prepared(ctx, url)
    for count in range(int(counter.name) + 1, total + 1):
        await ctx.write(webhooks.change, counter.id, WebhookUpdate(name=str(count)))
        await asyncio.sleep(0.002)
    await asyncio.sleep(3600)


async def prepared(ctx: context.Context, url: str) -> webhooks.Webhook:
    """A webhook that is sent to, and one that only has a name that counts; returns the latter."""
    rows = await ctx.read(webhooks.page, WebhookQuery())
    if not rows:
        quiet = WebhookCreate(name="0", url=url, secret=SECRET, enabled=False)
        await ctx.write(webhooks.insert, quiet)
        wanted = Wanted(actions=["webhook.update"])
        await ctx.write(webhooks.insert, WebhookCreate(name="sent to", url=url, secret=SECRET, wanted=wanted))
        rows = await ctx.read(webhooks.page, WebhookQuery())
    return next(row for row in rows if not row.enabled)


asyncio.run(main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
