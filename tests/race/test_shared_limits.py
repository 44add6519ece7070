# SPDX-License-Identifier: Apache-2.0
"""Projects that share their domain's limit, taking at once: together they never have more than it.

What limits are is told in tests/story/identity/test_limits.py; races over one project's quota are
test_scarce.py.
"""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from skyhold.core import context, errors
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.quota import Quota
from skyhold.identity import facade
from tests.race.duel import Ground, name
from tests.race.operations.identity import V3, a_domain, a_project, a_service

PROJECTS, LIMIT = 6, 7


async def test_projects_of_a_domain_never_have_more_than_it_together(ground: Ground) -> None:
    service, domain = await a_service(ground), await a_domain(ground)
    projects = [await a_project(ground, domain_id=domain["id"]) for _ in range(PROJECTS)]
    what: dict[str, Any] = {"service_id": service["id"], "resource_name": "things"}
    body: dict[str, Any] = {"registered_limits": [{**what, "default_limit": 100}]}
    await ground.admin.post(f"{V3}/registered_limits", body, status=201)
    body = {"limits": [{**what, "resource_limit": LIMIT, "domain_id": domain["id"]}]}
    await ground.admin.post(f"{V3}/limits", body, status=201)
    core = ground.cloud.core
    before, kept = core.settings, core.limits
    strict = msgspec.structs.replace(before.identity, limit_model="strict_two_level")
    core.settings = msgspec.structs.replace(before, identity=strict)
    core.limits = facade.limits(core)
    quota = Quota(name("toy"), unified=service["type"], things=-1)

    def take(tx: Tx, ctx: Context, project_id: str) -> None:
        quota.take(tx, project_id, things=2)

    def give_back(tx: Tx, ctx: Context) -> None:
        for project in projects:
            quota.give(tx, project["id"], things=quota.usage(tx, project["id"])["things"])

    ctx = context.internal(core)
    try:
        ends = await asyncio.gather(*(ctx.write(take, each["id"]) for each in projects), return_exceptions=True)
        refused = [end for end in ends if end is not None]
        assert all(isinstance(end, errors.OverQuota) for end in refused), refused
        assert len(ends) - len(refused) == LIMIT // 2
    finally:
        core.settings, core.limits = before, kept
        await ctx.write(give_back)
