# SPDX-License-Identifier: Apache-2.0
"""One transaction, as an operation sees it.

Opening and committing is the engine's business (core/db/engine.py). Whatever must happen after
the commit (ringing a bell) is handed to `after_commit` and is dropped with a rollback.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
import structlog

from skyhold.core import metrics

if TYPE_CHECKING:
    from skyhold.core.context import Context

log = structlog.get_logger("database")

CLOCKS = {
    "postgresql": sa.text("SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS bigint)"),
    "mariadb": sa.text("SELECT CAST(unix_timestamp(sysdate(6)) * 1000000 AS signed)"),
}
"""SQLite has one process on one machine, whose clock will do."""

STALE_S = 1.0
"""Well below the limits of core/db/engine.py."""
PING = sa.text("SELECT 1")

Columns = tuple[Any, ...]
Row = sa.Row[*Columns]
"""One row of whatever columns: `row.name`, or unpacked."""
Params = Mapping[str, Any] | Sequence[Mapping[str, Any]] | None
Proof = tuple[sa.Executable, Mapping[str, Any]]
"""An INSERT and its values, primary key included."""


class Tx:
    """`ctx` is whoever the transaction runs for; `queries` counts the statements."""

    __slots__ = ("_after", "_asked_s", "conn", "ctx", "dialect", "now", "proof", "queries", "writing")

    def __init__(self, conn: sa.Connection, ctx: Context, *, writing: bool) -> None:
        self.conn = conn
        self.ctx = ctx
        self.dialect = conn.dialect.name
        self.now = ctx.now
        self.writing = writing
        self.queries = 0
        self.proof: Proof | None = None
        self._after: list[Callable[[], None]] = []
        self._asked_s = time.monotonic()

    def execute(self, statement: sa.Executable, params: Params = None) -> sa.CursorResult[*Columns]:
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

    @contextmanager
    def nested(self) -> Iterator[None]:
        """A savepoint: an IntegrityError inside leaves the transaction usable."""
        before = self.proof
        try:
            with self.conn.begin_nested():
                yield
        except BaseException:
            self.proof = before
            raise

    def clock(self) -> int:
        """The database's own time, in microseconds: what processes on several machines agree on."""
        statement = CLOCKS.get(self.dialect)
        return self.now if statement is None else int(self.scalar(statement))

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


def run_after(calls: list[Callable[[], None]]) -> None:
    """What was handed to `after_commit`: one that fails must not make the commit look undone."""
    for call in calls:
        try:
            call()
        except Exception:
            log.exception("a call after the commit failed")
