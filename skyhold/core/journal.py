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
from skyhold.core.tables import JOURNAL

if TYPE_CHECKING:
    from skyhold.core.app import Core
    from skyhold.core.context import Context
    from skyhold.core.db.tx import Tx

BATCH = 1000
INSERT = JOURNAL.insert()
LAST = sa.select(sa.func.coalesce(sa.func.max(JOURNAL.c.position), 0))
INSERT_NUMBERED = JOURNAL.insert().values(position=LAST.scalar_subquery() + 1)
SEQUENCER = "core.journal_sequence"
NEWS = "news"
"""Said to the other control processes when rows got their positions."""
WAITING = JOURNAL.c.position.is_(None)
NEXT = (
    sa.select(
        JOURNAL.c.id, (LAST.scalar_subquery() + sa.func.row_number().over(order_by=JOURNAL.c.id)).label("position")
    )
    .where(WAITING)
    .order_by(JOURNAL.c.id)
    .limit(BATCH)
    .subquery("waiting")
)
NUMBER = JOURNAL.update().where(JOURNAL.c.id == NEXT.c.id, WAITING).values(position=NEXT.c.position)
"""One statement, which any number of processes may say at once: who comes second waits for the rows of the first, and
then leaves them alone, for they have a position by now. Had it seen fewer rows than the first one numbered, it would
give a position that is taken: the unique key refuses the whole statement, and it is said again."""


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


async def sequence(ctx: Context) -> int:
    """Number committed rows that have no position yet, a batch of them, and tell readers: the loop's one step.
    How many."""
    numbered = await ctx.change(NUMBER)
    if numbered:
        ctx.core.news.ring()
        ctx.core.siblings.tell(NEWS)
    return numbered


def forget(tx: Tx, ctx: Context, before_us: int) -> int:
    """Drop rows older than the retention; what has no position yet was never shown to a reader.

    The last position stays, for the next one is counted from it.
    """
    last = tx.scalar(LAST)
    return tx.changed(JOURNAL.delete().where(JOURNAL.c.at < before_us, JOURNAL.c.position < last))


async def catch_up(core: Core) -> None:
    """Afterwards what was committed before has its position: for readers that look for their own writes."""
    ctx = context.internal(core)
    while core.db.name != "sqlite" and await sequence(ctx):
        pass


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
