# SPDX-License-Identifier: Apache-2.0
"""Keeps true: what was deleted while its host was away is gone from that host.

What is noted is in `volume_remains` (sagas/asking.py). A file that no row ever named is left alone, for it may be
another database's: only an audit tells of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
import structlog

from skyhold.core.bus import Failed, HostUnreachable, StaleFence, Working
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.loops import Loop
from skyhold.core.saga import rows
from skyhold.volume.pools import OUR_LOOP
from skyhold.volume.sagas.asking import removal, what_remains
from skyhold.volume.tables import REMAINS

log = structlog.get_logger("volume")

EVERY_S = 60.0
AT_ONCE = 100


async def run(ctx: Context) -> None:
    here, after = [hello.host_id for hello in ctx.core.bus.hosts()], ""
    while found := await ctx.read(waiting, here, after):
        busy = await ctx.read(rows.live_subjects)
        for row in found:
            if what_remains(row) not in busy:
                await remove(ctx, row)
        after = found[-1].id


def waiting(tx: Tx, ctx: Context, hosts: Sequence[str], after: str) -> list[Any]:
    """The next ones on these hosts: one that can't be removed, or whose host never comes back, stops no other."""
    there = REMAINS.c.host_id.in_(hosts) & (REMAINS.c.id > after)
    return list(tx.all(sa.select(REMAINS).where(there).order_by(REMAINS.c.id).limit(AT_ONCE)))


async def remove(ctx: Context, row: Any) -> None:
    id = what_remains(row)
    verb, wish = removal(row.kind, id)
    try:
        answer = await ctx.core.bus.call(row.host_id, verb, wish, request_id=ctx.request_id)
    except (HostUnreachable, StaleFence):
        return
    if isinstance(answer, Failed):
        log.warning("what was deleted is still on its host", kind=row.kind, id=id, reason=answer.text)
    elif not isinstance(answer, Working):
        await ctx.write(forget, row.id)


def forget(tx: Tx, ctx: Context, id: str) -> None:
    tx.execute(REMAINS.delete().where(REMAINS.c.id == id))


LOOP = Loop(OUR_LOOP, EVERY_S, run)
