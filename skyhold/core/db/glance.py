# SPDX-License-Identifier: Apache-2.0
"""One value that every request asks PostgreSQL for, read by the driver itself over a connection of its own.

Ordinary reads are engine.py's, and whoever glances falls back on them. The one thing to know first: who asks gets what
was read after asking, never before; those who ask while it is being read share the next reading.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine


class GlanceFailed(Exception):
    """The connection is no more; the next glance makes another."""


class Glance:
    """`statement` has no parameters to be filled in, and one row and column or none."""

    def __init__(self, engine: AsyncEngine, statement: sa.Select[Any]) -> None:
        compiled = statement.compile(dialect=engine.dialect, compile_kwargs={"literal_binds": True})
        self._text = str(compiled)
        self._engine = engine
        self._lock = asyncio.Lock()
        self._begun = self._ended = 0
        self._value: Any = None
        self._conn: Any = None

    async def look(self) -> Any:
        """Raises GlanceFailed."""
        asked = self._begun
        async with self._lock:
            if self._ended <= asked:
                self._begun += 1
                self._value = await self._read()
                self._ended = self._begun
            return self._value

    async def _read(self) -> Any:
        import asyncpg

        try:
            if self._conn is None:
                _, options = self._engine.dialect.create_connect_args(self._engine.url)
                self._conn = await asyncpg.connect(**options)
            return await self._conn.fetchval(self._text)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
            self.drop()
            raise GlanceFailed from error
        except BaseException:
            # Cancelled in the midst of it: what comes next over this connection may be this one's answer.
            self.drop()
            raise

    def drop(self) -> None:
        conn, self._conn = self._conn, None
        if conn is not None:
            conn.terminate()
