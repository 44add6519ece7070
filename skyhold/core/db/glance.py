# SPDX-License-Identifier: Apache-2.0
"""Constant statements that PostgreSQL hears all the time, said by the driver itself over a connection of their own.

Ordinary ones are engine.py's, and whoever comes here falls back on them. The one thing to know first: who glances gets
what was read after asking, never before; those who ask while it is being read share the next reading.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from skyhold.core.db import vanished

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine


class DirectFailed(Exception):
    """It was refused, or the connection is no more; the next time makes another."""


class Direct:
    """`statement` has no parameters to be filled in. One at a time may say it."""

    def __init__(self, engine: AsyncEngine, statement: sa.ClauseElement) -> None:
        compiled = statement.compile(dialect=engine.dialect, compile_kwargs={"literal_binds": True})
        self._text = str(compiled)
        self._engine = engine
        self._conn: Any = None

    async def value(self) -> Any:
        """That of its first row's first column; None without a row. Raises DirectFailed."""
        return await self._say("fetchval")

    async def matched(self) -> int:
        """How many rows it changed. Raises DirectFailed: it may be done or not."""
        told = await self._say("execute")
        return int(told.rsplit(" ", 1)[1])

    async def _say(self, how: str) -> Any:
        import asyncpg

        try:
            if self._conn is None:
                _, options = self._engine.dialect.create_connect_args(self._engine.url)
                self._conn = await asyncpg.connect(**options, timeout=vanished.CONNECT_S)
                vanished.watch(self._conn)
            return await getattr(self._conn, how)(self._text)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
            self.drop()
            raise DirectFailed from error
        except BaseException:
            # Cancelled in the midst of it: what comes next over this connection may be this one's answer.
            self.drop()
            raise

    def drop(self) -> None:
        conn, self._conn = self._conn, None
        if conn is not None:
            conn.terminate()


class Glance:
    """Of a statement with one row and column, or none."""

    def __init__(self, direct: Direct) -> None:
        self._direct = direct
        self._lock = asyncio.Lock()
        self._begun = self._ended = 0
        self._value: Any = None

    async def look(self) -> Any:
        """Raises DirectFailed."""
        asked = self._begun
        async with self._lock:
            if self._ended <= asked:
                self._begun += 1
                self._value = await self._direct.value()
                self._ended = self._begun
            return self._value

    def drop(self) -> None:
        self._direct.drop()


class Change:
    """Of a statement that changes rows, and may be done twice."""

    def __init__(self, direct: Direct) -> None:
        self._direct = direct
        self._lock = asyncio.Lock()

    async def make(self) -> int:
        """How many rows it matched. Raises DirectFailed."""
        async with self._lock:
            return await self._direct.matched()

    def drop(self) -> None:
        self._direct.drop()
