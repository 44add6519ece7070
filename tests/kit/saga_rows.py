# SPDX-License-Identifier: Apache-2.0
"""Sagas that wait or are over: rows as a service would have written them, which come to nothing when let run.

For kits that need something to show, retry or abort; real ones are set going by tests/sagas/scenarios.py. While one
waits its cloud is never idle.
"""

from __future__ import annotations

from skyhold.compute.sagas.ports import DetachPort, PortKept
from skyhold.core.app import Core
from skyhold.core.context import Context, internal
from skyhold.core.db.tx import Tx
from skyhold.core.saga import rows
from skyhold.core.tables import SAGAS

HOUR_US = 3_600_000_000


async def waiting_saga(core: Core) -> str:
    """Its id. The port, the server and the host that it is about are not there, so its end changes nothing."""
    id: str = await internal(core).write(waiting)
    return id


async def ended_saga(core: Core) -> str:
    id: str = await internal(core).write(ended)
    return id


async def forget_sagas(core: Core, ids: list[str]) -> None:
    await internal(core).write(lambda tx, ctx: tx.execute(SAGAS.delete().where(SAGAS.c.id.in_(ids))))


def ended(tx: Tx, ctx: Context) -> str:
    over = {"state": "ended", "step": "", "due_at": None, "ended_at": tx.now, "lock_name": None}
    id = waiting(tx, ctx)
    tx.execute(SAGAS.update().where(SAGAS.c.id == id).values(over))
    return id


def waiting(tx: Tx, ctx: Context) -> str:
    subject = ctx.new_id()
    kept = PortKept(server_id=ctx.new_id(), host_id="nowhere")
    row = rows.fresh(tx, ctx, DetachPort, subject, subject, kept, None) | {
        "due_at": tx.now + HOUR_US, "deadline_at": tx.now + 2 * HOUR_US,
    }
    tx.execute(rows.INSERT, row)
    return str(row["id"])
