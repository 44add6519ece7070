# SPDX-License-Identifier: Apache-2.0
"""The one log: a row for every write, in the write's own transaction.

Readers (events, notifications, audit, metering) follow `position`, which a leased sequencer
gives to committed rows; on SQLite, with its single writer, the row's number already is the
commit order. Objects, messages, samples and heartbeats never enter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from skyhold.core.tables import JOURNAL

if TYPE_CHECKING:
    from skyhold.core.context import Context
    from skyhold.core.db.tx import Tx

BATCH = 1000
INSERT = JOURNAL.insert()
LAST = sa.select(sa.func.coalesce(sa.func.max(JOURNAL.c.position), 0))
NUMBER = (
    JOURNAL.update()
    .where(JOURNAL.c.id == sa.bindparam("row"))
    .values(position=sa.bindparam("at_position"))
)


def record(tx: Tx, action: str, row: Any, *, project_id: str | None = None) -> None:
    """Write down that `action` (`server.create.start`) left the resource as `row`."""
    store = row.store
    owner = project_id or getattr(row, "project_id", None) or tx.ctx.project_id
    tx.execute(INSERT, {
        "at": tx.now,
        "request_id": tx.ctx.request_id,
        "actor": tx.ctx.user_id,
        "project_id": owner or "",
        "service": store.service,
        "kind": store.kind,
        "resource_id": str(getattr(row, store.key)),
        "action": action,
        "state": jsonable(store.public(row)),
    })


def jsonable(state: dict[str, Any]) -> dict[str, Any]:
    """Bytes have no place in JSON and large ones none in a log."""
    return {name: f"<{len(v)} bytes>" if isinstance(v, bytes) else v for name, v in state.items()}


def sequence(tx: Tx, ctx: Context, batch: int = BATCH) -> int:
    """Number committed rows that have no position yet; the sequencer loop's one step.

    Returns how many. Run by one process at a time (a lease), so positions follow one another.
    """
    if tx.dialect == "sqlite":
        statement = JOURNAL.update().where(JOURNAL.c.position.is_(None)).values(position=JOURNAL.c.id)
        return tx.changed(statement)
    waiting = tx.all(sa.select(JOURNAL.c.id).where(JOURNAL.c.position.is_(None)).order_by("id").limit(batch))
    if not waiting:
        return 0
    last = tx.scalar(LAST)
    tx.execute(NUMBER, [{"row": row.id, "at_position": last + i} for i, row in enumerate(waiting, 1)])
    return len(waiting)


def forget(tx: Tx, ctx: Context, before_us: int) -> int:
    """Drop rows older than the retention; what has no position yet was never shown to a reader.

    The last position stays, for the next one is counted from it.
    """
    last = tx.scalar(LAST)
    return tx.changed(JOURNAL.delete().where(JOURNAL.c.at < before_us, JOURNAL.c.position < last))
