# SPDX-License-Identifier: Apache-2.0
"""Every line to a PostgreSQL on another machine is watched by the system: nobody waits for one that vanished for ever.

The other machine is this one's loopback, for the server of these tests listens on a socket of its own machine only.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import pytest
import sqlalchemy as sa

from skyhold.core.app import Core
from skyhold.core.context import internal
from skyhold.core.db import vanished
from skyhold.core.db.engine import ServerDatabase
from tests.kit.databases import Servers

pytestmark = pytest.mark.database
ONE = sa.select(sa.literal(1))


@pytest.fixture
def database_url(servers: Servers) -> str:
    return servers.fresh("postgresql")


@pytest.fixture
async def far(core: Core) -> AsyncIterator[ServerDatabase]:
    """The same database by way of TCP."""
    url = sa.make_url(core.settings.database_url)
    path = f"{url.query['host']}/.s.PGSQL.5432"

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_unix_connection(path)
        await asyncio.gather(copied(reader, back), copied(there, writer))

    server = await asyncio.start_server(pass_on, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    far = ServerDatabase(f"postgresql+asyncpg://{url.username}@127.0.0.1:{port}/{url.database}?ssl=disable", 2, 0)
    yield far
    await far.close()
    server.close()


async def copied(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while piece := await reader.read(65536):
            writer.write(piece)
    writer.close()


def limits(conn: Any) -> list[int]:
    wire = conn._transport.get_extra_info("socket")
    names = (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT, socket.TCP_USER_TIMEOUT)
    return [wire.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE),
            *(wire.getsockopt(socket.IPPROTO_TCP, name) for name in names)]


WATCHED = [1, vanished.SILENT_S, vanished.ASK_AGAIN_S, vanished.ASKED_TIMES, vanished.UNHEARD_MS]


async def test_connections_of_the_pool_are_watched(core: Core, far: ServerDatabase) -> None:
    ctx = internal(core)
    for run in (far.read, far.write):
        assert await run(ctx, lambda tx, ctx: limits(tx.conn.connection.driver_connection)) == WATCHED


async def test_a_glances_own_connection_is_watched(core: Core, far: ServerDatabase) -> None:
    assert await far.glance(internal(core), ONE) == 1
    [glance] = far._glances.values()
    assert limits(glance._direct._conn) == WATCHED


async def test_on_the_same_machine_there_is_nothing_to_watch(core: Core) -> None:
    assert await core.db.glance(internal(core), ONE) == 1
