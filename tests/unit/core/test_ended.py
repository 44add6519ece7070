# SPDX-License-Identifier: Apache-2.0
"""A session that PostgreSQL has just ended, at the very moment when the driver has heard that and not yet hung up.

That moment is when a process wakes that stood still. Connections that broke at other moments are test_lost.py's.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.util import await_only

from skyhold.core.app import Core
from skyhold.core.context import Context, internal
from skyhold.core.db import tx as tx_module
from skyhold.core.db.engine import open_database
from tests.kit.databases import Servers, make_tables
from tests.unit.core.counters import COUNTERS, add, put, value

pytestmark = pytest.mark.database
END = sa.text("SELECT pg_terminate_backend(:pid, 60000)")


@pytest.fixture
def database_url(servers: Servers) -> str:
    return servers.fresh("postgresql")


@pytest.fixture
async def counters(core: Core) -> Core:
    await make_tables(core, COUNTERS)
    await internal(core).write(put, "a")
    return core


def wake_ended(core: Core, tx: Any) -> None:
    """The session is ended while nothing of this process goes on; then its loop hears the first word of it."""
    pid = tx.conn.connection.driver_connection.get_server_pid()

    async def end() -> None:
        db = await open_database(core.settings.database_url)
        await db.read(internal(core), lambda tx, ctx: tx.scalar(END, {"pid": pid}))
        await db.close()

    other = threading.Thread(target=lambda: asyncio.run(end()))
    other.start()
    other.join()
    # A turn of the loop finds that there is something to read, the next one reads it, and only a third the end.
    await_only(asyncio.sleep(0))
    await_only(asyncio.sleep(0))


def before_a_statement(core: Core, tx: Any) -> None:
    wake_ended(core, tx)
    add(tx, tx.ctx, "a", 10)


def before_the_commit(core: Core, tx: Any) -> None:
    add(tx, tx.ctx, "a", 10)
    wake_ended(core, tx)


@pytest.mark.parametrize("work", [before_a_statement, before_the_commit])
async def test_a_write_is_done_again(
    counters: Core, work: Callable[[Core, Any], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Standing still takes long enough to be noticed; here it took no time.
    monkeypatch.setattr(tx_module, "STALE_S", -1.0)
    tries: list[int] = []

    def write(tx: Any, ctx: Context) -> None:
        tries.append(1)
        if len(tries) > 1:
            add(tx, ctx, "a", 10)
        else:
            work(counters, tx)

    await internal(counters).write(write)
    assert len(tries) == 2
    assert await internal(counters).read(value, "a") == 10


async def test_a_read_is_done_again(counters: Core) -> None:
    tries: list[int] = []

    def read(tx: Any, ctx: Context) -> Any:
        tries.append(1)
        if len(tries) == 1:
            wake_ended(counters, tx)
        return value(tx, ctx, "a")

    assert await internal(counters).read(read) == 0
    assert len(tries) == 2
