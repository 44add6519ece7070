# SPDX-License-Identifier: Apache-2.0
"""How old what we say of a directory's users may be: it is asked again before it is shown, and now and then.

Writing down what it says is reflecting.py. Whoever lists a domain waits for its directory when nobody did
within `identity.directory_fresh_s`; whoever lists all domains waits for none.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import sqlalchemy as sa
import structlog

from skyhold.core import errors
from skyhold.core.context import Context, internal
from skyhold.core.store import Store
from skyhold.identity.directories import reflecting
from skyhold.identity.directories.known import Connected, directories, of_domain
from skyhold.identity.tables import ID_MAPPINGS

if TYPE_CHECKING:
    from skyhold.core.db.tx import Tx

log = structlog.get_logger("directory")
M = ID_MAPPINGS.c


async def freshen(ctx: Context, domain_id: str | None) -> None:
    """Nothing for a domain without a directory. Raises Unavailable."""
    connected = await of_domain(ctx, domain_id)
    if connected is not None:
        await take_over(ctx, connected, ctx.core.settings.identity.directory_fresh_s)


async def freshen_asked(ctx: Context, kind: str, asked: str | None) -> None:
    """Before a list of users or groups: of the domain asked for, else of the one that the token is for.

    Whoever may not list it must not learn either that it has a directory, and how that does.
    """
    domain_id = asked or ctx.creds.domain_id
    if domain_id and ctx.rule is not None and ctx.allows(ctx.rule, {f"target.{kind}.domain_id": domain_id}):
        await freshen(ctx, domain_id)


async def freshen_one(ctx: Context, store: Store, id: str) -> None:
    """The user or group with this id, as its directory says now. Raises Unavailable, and NotFound as
    `store` does: only who may see it makes its directory be asked."""
    if not await directories(ctx.core).all(ctx):
        return
    known = await ctx.read(entry, id)
    connected = None if known is None else await of_domain(ctx, known[0])
    if connected is None or known is None:
        return
    await ctx.read(store.get, id)
    domain_id, kind, local_id = known
    if kind == "group" or is_fresh(connected, ctx.core.settings.identity.directory_fresh_s):
        await freshen(ctx, domain_id)
        return
    person = await connected.ask(connected.directory.person(local_id=local_id))
    inner = internal(ctx.core, ctx.request_id)
    if person is None:
        await inner.write(reflecting.lose, [id])
    else:
        await inner.write(reflecting.people, domain_id, [person])


def entry(tx: Tx, ctx: Context, id: str) -> tuple[str, str, str] | None:
    """(domain, kind, local id) of what is from a directory."""
    row = tx.first(sa.select(M.domain_id, M.kind, M.local_id).where(M.id == id))
    return None if row is None else (row.domain_id, row.kind, row.local_id)


def is_fresh(connected: Connected, age_s: float) -> bool:
    return connected.reflected_s is not None and time.monotonic() - connected.reflected_s < age_s


async def take_over(ctx: Context, connected: Connected, age_s: float) -> None:
    """Everything the directory says, unless that was done within `age_s`; one at a time in this process."""
    if is_fresh(connected, age_s):
        return
    async with connected.turn:
        if is_fresh(connected, age_s):
            return
        asked_s = time.monotonic()
        persons, teams = await connected.ask(connected.directory.everything())
        await reflecting.everything(internal(ctx.core, ctx.request_id), connected.domain_id, persons, teams)
        connected.reflected_s = asked_s


async def run(ctx: Context) -> None:
    """Keeps true: who is gone from a directory, or disabled there, is so here within a few minutes."""
    known = await directories(ctx.core).all(ctx)
    for gone in reflecting.batches(await ctx.read(reflecting.strays, list(known))):
        await ctx.write(reflecting.lose, gone)
    for connected in list(known.values()):
        try:
            await take_over(ctx, connected, ctx.core.settings.identity.directory_refresh_s)
        except errors.Unavailable:
            # Told in the log where it was found; the others have their turn.
            continue
