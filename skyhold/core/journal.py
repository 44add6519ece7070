# SPDX-License-Identifier: Apache-2.0
"""The one log: a row for every write, in the write's own transaction.

Readers (events, notifications, audit, metering) follow `position`, which a sequencer gives to
committed rows; on SQLite, with its single writer, a row gets it as it is written. `News` rings when
there is more to read. Objects, messages, samples and heartbeats never enter.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from skyhold.core import context
from skyhold.core.tables import JOURNAL, LEASES

if TYPE_CHECKING:
    from skyhold.core.app import Core
    from skyhold.core.context import Context
    from skyhold.core.db.tx import Tx

BATCH = 1000
INSERT = JOURNAL.insert()
LAST = sa.select(sa.func.coalesce(sa.func.max(JOURNAL.c.position), 0))
INSERT_NUMBERED = JOURNAL.insert().values(position=LAST.scalar_subquery() + 1)
SEQUENCER = "core.journal_sequence"
TURN = sa.select(LEASES.c.name).where(LEASES.c.name == SEQUENCER).with_for_update()
NUMBER = (
    JOURNAL.update()
    .where(JOURNAL.c.id == sa.bindparam("row"))
    .values(position=sa.bindparam("at_position"))
)


def record(tx: Tx, action: str, row: Any, *, project_id: str | None = None) -> None:
    """Write down that `action` (`server.create.start`) left the resource as `row`."""
    store = row.store
    owner = project_id or getattr(row, "project_id", None) or tx.ctx.project_id
    values = {
        "at": tx.now,
        "request_id": tx.ctx.request_id,
        "actor": tx.ctx.user_id,
        "project_id": owner or "",
        "service": store.service,
        "kind": store.kind,
        "resource_id": str(getattr(row, store.key)),
        "action": action,
        "state": jsonable(store.public(row)),
    }
    if tx.dialect == "sqlite":
        tx.execute(INSERT_NUMBERED, values)
    else:
        number = tx.execute(INSERT, values).inserted_primary_key
        tx.proven_by((INSERT, {"id": number and number[0], **values}))
    tx.after_commit(tx.ctx.core.recorded)


def jsonable(state: dict[str, Any]) -> dict[str, Any]:
    """Bytes have no place in JSON and large ones none in a log."""
    return {name: f"<{len(v)} bytes>" if isinstance(v, bytes) else v for name, v in state.items()}


def sequence(tx: Tx, ctx: Context, batch: int = BATCH) -> int:
    """Number committed rows that have no position yet; the sequencer loop's one step.

    Returns how many. Every process may run it: they take turns, so positions follow one another.
    """
    waiting = sa.select(JOURNAL.c.id).where(JOURNAL.c.position.is_(None)).order_by("id").limit(batch)
    if tx.first(waiting.limit(1)) is None:
        return 0
    if tx.dialect != "sqlite":
        take_turn(tx)
    rows = tx.all(waiting)
    if rows:
        last = tx.scalar(LAST)
        tx.execute(NUMBER, [{"row": row.id, "at_position": last + i} for i, row in enumerate(rows, 1)])
    return len(rows)


def take_turn(tx: Tx) -> None:
    """Held until the commit: only then may another count from the last position."""
    if tx.first(TURN) is not None:
        return
    try:
        with tx.nested():
            tx.execute(LEASES.insert(), {"name": SEQUENCER, "holder": "", "until": 0})
    except sa.exc.IntegrityError:
        tx.first(TURN)


def forget(tx: Tx, ctx: Context, before_us: int) -> int:
    """Drop rows older than the retention; what has no position yet was never shown to a reader.

    The last position stays, for the next one is counted from it.
    """
    last = tx.scalar(LAST)
    return tx.changed(JOURNAL.delete().where(JOURNAL.c.at < before_us, JOURNAL.c.position < last))


async def catch_up(core: Core) -> None:
    """Afterwards what was committed before has its position: for readers that look for their own writes."""
    ctx = context.internal(core)
    while core.db.name != "sqlite" and await ctx.read(some_wait):
        await ctx.write(sequence)


def some_wait(tx: Tx, ctx: Context) -> bool:
    return tx.first(sa.select(JOURNAL.c.id).where(JOURNAL.c.position.is_(None)).limit(1)) is not None


def last_position(tx: Tx, ctx: Context) -> int:
    """The position of the newest row that readers can see; 0 when there is none."""
    return int(tx.scalar(LAST))


class News:
    """Wakes this process's readers when rows got positions. A bell only: what is new they read."""

    def __init__(self) -> None:
        self._bells: set[asyncio.Event] = set()
        self._calls: list[Callable[[], object]] = []

    def ring(self) -> None:
        for bell in self._bells:
            bell.set()
        for call in self._calls:
            call()

    def wake(self, call: Callable[[], object]) -> None:
        """Make that call with each ring, for as long as the program runs."""
        self._calls.append(call)

    @contextmanager
    def heard(self) -> Iterator[asyncio.Event]:
        """An event that is set with each ring; the reader clears it before it reads."""
        bell = asyncio.Event()
        self._bells.add(bell)
        try:
            yield bell
        finally:
            self._bells.discard(bell)
