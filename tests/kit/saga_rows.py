# SPDX-License-Identifier: Apache-2.0
"""Sagas that wait: rows as a service would have written them, which come to nothing when somebody lets them run.

For kits that need something to show, retry or abort; real ones are set going by tests/sagas/scenarios.py.
"""

from __future__ import annotations

from skyhold.compute.sagas.ports import DetachPort, PortKept
from skyhold.core.app import Core
from skyhold.core.context import Context, internal
from skyhold.core.db.tx import Tx
from skyhold.core.saga import rows

HOUR_US = 3_600_000_000


async def waiting_saga(core: Core) -> str:
    """Its id. The port, the server and the host that it is about are not there, so its end changes nothing."""
    id: str = await internal(core).write(waiting)
    return id


def waiting(tx: Tx, ctx: Context) -> str:
    subject = ctx.new_id()
    kept = PortKept(server_id=ctx.new_id(), host_id="nowhere")
    row = rows.fresh(tx, ctx, DetachPort, subject, subject, kept, None) | {
        "due_at": tx.now + HOUR_US, "deadline_at": tx.now + 2 * HOUR_US,
    }
    tx.execute(rows.INSERT, row)
    return str(row["id"])
