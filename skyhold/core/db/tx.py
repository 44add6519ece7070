# SPDX-License-Identifier: Apache-2.0
"""One transaction, as an operation sees it.

Opening and committing is the engine's business (core/db/engine.py). Whatever must happen after
the commit (ringing a bell) is handed to `after_commit` and is dropped with a rollback.
"""

from __future__ import annotations

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

Params = Mapping[str, Any] | Sequence[Mapping[str, Any]] | None


class Tx:
    """`ctx` is whoever the transaction runs for; `queries` counts the statements."""

    __slots__ = ("_after", "conn", "ctx", "dialect", "now", "queries", "writing")

    def __init__(self, conn: sa.Connection, ctx: Context, *, writing: bool) -> None:
        self.conn = conn
        self.ctx = ctx
        self.dialect = conn.dialect.name
        self.now = ctx.now
        self.writing = writing
        self.queries = 0
        self._after: list[Callable[[], None]] = []

    def execute(self, statement: sa.Executable, params: Params = None) -> sa.CursorResult[Any]:
        self.queries += 1
        metrics.QUERIES.inc()
        return self.conn.execute(statement, params)

    def all(self, statement: sa.Executable, params: Params = None) -> Sequence[sa.Row[Any]]:
        return self.execute(statement, params).all()

    def first(self, statement: sa.Executable, params: Params = None) -> sa.Row[Any] | None:
        return self.execute(statement, params).first()

    def scalar(self, statement: sa.Executable, params: Params = None) -> Any:
        return self.execute(statement, params).scalar()

    def changed(self, statement: sa.Executable, params: Params = None) -> int:
        """How many rows an UPDATE or DELETE matched: the answer of a compare-and-swap."""
        return self.execute(statement, params).rowcount

    @contextmanager
    def nested(self) -> Iterator[None]:
        """A savepoint: an IntegrityError inside leaves the transaction usable."""
        with self.conn.begin_nested():
            yield

    def clock(self) -> int:
        """The database's own time, in microseconds: what processes on several machines agree on."""
        statement = CLOCKS.get(self.dialect)
        return self.now if statement is None else int(self.scalar(statement))

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
