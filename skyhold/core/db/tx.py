# SPDX-License-Identifier: Apache-2.0
"""One transaction, as an operation sees it.

Opening and committing is the engine's business (core/db/engine.py). Whatever must happen after
the commit (ringing a bell) is handed to `after_commit` and is dropped with a rollback.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
import structlog
from sqlalchemy.dialects.postgresql import insert as postgresql_insert

from skyhold.core import metrics
from skyhold.core.db.clock import ASK

if TYPE_CHECKING:
    from skyhold.core.context import Context

log = structlog.get_logger("database")

STALE_S = 1.0
"""Well below the limits of core/db/engine.py."""
PING = sa.text("SELECT 1")

Columns = tuple[Any, ...]
Row = sa.Row[*Columns]
"""One row of whatever columns: `row.name`, or unpacked."""
Params = Mapping[str, Any] | Sequence[Mapping[str, Any]] | None
Proof = tuple[sa.Executable, Mapping[str, Any]]
"""An INSERT and its values, primary key included."""


class LookAgain(Exception):
    """The operation counted on what nearly always holds, to save round trips, and it does not hold now: everything is
    rolled back, and the operation is done again in a transaction that is `careful`."""


class Tx:
    """`ctx` is whoever the transaction runs for; `queries` counts the statements.

    In one that is not `careful`, the first try on a database server, an operation may count on the ordinary and raise
    LookAgain where it meets something else. Such a one is `spoilt` once something failed that should go back alone: it
    has no savepoint to go back to, so it may end with a refusal, but neither ask the database anything more nor commit.
    """

    __slots__ = (
        "_after", "_asked_s", "careful", "conn", "ctx", "dialect", "now", "proof", "queries", "spoilt", "writing",
    )

    def __init__(self, conn: sa.Connection, ctx: Context, *, writing: bool, careful: bool = True) -> None:
        self.conn = conn
        self.ctx = ctx
        self.dialect = conn.dialect.name
        self.now = ctx.now
        self.writing = writing
        self.careful = careful
        self.spoilt = False
        self.queries = 0
        self.proof: Proof | None = None
        self._after: list[Callable[[], None]] = []
        self._asked_s = time.monotonic()

    def execute(self, statement: sa.Executable, params: Params = None) -> sa.CursorResult[*Columns]:
        self.refuse_spoilt()
        self.queries += 1
        metrics.QUERIES.inc()
        # Before, not after: an answer may lie here for long before a process that stood still reads it.
        self._asked_s = time.monotonic()
        return self.conn.execute(statement, params)

    def all(self, statement: sa.Executable, params: Params = None) -> Sequence[Row]:
        return self.execute(statement, params).all()

    def first(self, statement: sa.Executable, params: Params = None) -> Row | None:
        return self.execute(statement, params).first()

    def scalar(self, statement: sa.Executable, params: Params = None) -> Any:
        return self.execute(statement, params).scalar()

    def changed(self, statement: sa.Executable, params: Params = None) -> int:
        """How many rows an UPDATE or DELETE matched: the answer of a compare-and-swap."""
        return self.execute(statement, params).rowcount

    def add(self, table: sa.Table, values: Mapping[str, Any]) -> bool:
        """Insert a row, unless one with a key of it is there, or what it refers to is not: False then, and the
        transaction goes on.

        On PostgreSQL, where an error ends the transaction, a key that is there is no error, which saves a savepoint's
        two round trips. That what it refers to is gone is one; then the operation is done again, carefully.
        """
        if self.dialect == "postgresql" and not self.careful:
            return self.changed(unless_there(table), values) == 1
        try:
            if self.dialect != "postgresql":
                self.execute(table.insert(), values)
                return True
            with self.nested():
                self.execute(table.insert(), values)
        except sa.exc.IntegrityError:
            return False
        return True

    @contextmanager
    def nested(self) -> Iterator[None]:
        """What fails in here goes back alone, and leaves the transaction usable: by a savepoint, whose two round trips
        are saved as long as nothing fails. Where it fails and the operation ends with a refusal right away, as when a
        name is taken, that is the answer: all goes back anyhow."""
        if not self.careful:
            try:
                yield
            except Exception:
                self.spoilt = True
                raise
            return
        before, first = self.proof, None
        try:
            with self.conn.begin_nested():
                try:
                    yield
                except sa.exc.DBAPIError as error:
                    first = error
                    raise
        except BaseException as error:
            self.proof = before
            if first is not None and error is not first:
                # A deadlock on MariaDB has ended the whole transaction, and there is no savepoint to go back to.
                raise first from None
            raise

    def refuse_spoilt(self) -> None:
        """Raises LookAgain: what failed would have to be undone first."""
        if self.spoilt:
            raise LookAgain

    def clock(self) -> int:
        """The database's own time, in microseconds (core/db/clock.py)."""
        return self.now if self.dialect == "sqlite" else int(self.scalar(ASK, {"now": self.now}))

    def look_alive(self) -> None:
        """Before the commit: a server that was kept waiting may have ended the transaction. Told by a statement, that
        is a reason to do it again; told by COMMIT, nobody can know."""
        if time.monotonic() - self._asked_s > STALE_S:
            self.conn.execute(PING)

    def proven_by(self, row: Proof) -> None:
        """`row` was inserted here and stays once this is committed. Where a connection breaks during COMMIT,
        inserting it again tells what became of it: a duplicate was committed."""
        self.proof = row

    def after_commit(self, call: Callable[[], None]) -> None:
        self._after.append(call)

    def take_after(self) -> list[Callable[[], None]]:
        calls, self._after = self._after, []
        return calls


@cache
def unless_there(table: sa.Table) -> sa.Executable:
    """`inline`: nobody asks for the number it may get."""
    return postgresql_insert(table).on_conflict_do_nothing().inline()


def run_after(calls: list[Callable[[], None]]) -> None:
    """What was handed to `after_commit`: one that fails must not make the commit look undone."""
    for call in calls:
        try:
            call()
        except Exception:
            log.exception("a call after the commit failed")
