# SPDX-License-Identifier: Apache-2.0
"""A session that began a statement and never sends the rest of it holds its rows for seconds, not for ever.

The session is a socket that speaks PostgreSQL's protocol: a driver would not stop in the midst of a statement. Other
ways to lose a connection are test_db.py's.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from skyhold.core.app import Core, own_loops
from skyhold.core.db import stalled
from skyhold.core.loops import take_lease
from tests.kit.databases import Servers, caller
from tests.kit.patience import PATIENCE_S

pytestmark = pytest.mark.database


def message(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!i", len(body) + 4) + body


class Session:
    """A user's session of PostgreSQL, message by message (protocol 3.0)."""

    def __init__(self, url: sa.URL) -> None:
        self.wire = socket.socket(socket.AF_UNIX)
        self.wire.settimeout(PATIENCE_S)
        self.wire.connect(f"{url.query['host']}/.s.PGSQL.5432")
        words = f"user\0{url.username}\0database\0{url.database}\0\0".encode()
        self.wire.sendall(message(b"", struct.pack("!i", 3 << 16) + words))
        self.until_ready()

    def until_ready(self) -> None:
        heard = b""
        while not heard.endswith((b"Z\0\0\0\5I", b"Z\0\0\0\5T")):
            heard += self.wire.recv(4096)

    def run(self, statement: str) -> None:
        self.wire.sendall(message(b"Q", statement.encode() + b"\0"))
        self.until_ready()

    def begin_statement(self, statement: str) -> None:
        """Parse and Flush; whoever is paused here never sends Bind, Execute and Sync."""
        self.wire.sendall(message(b"P", b"\0" + statement.encode() + b"\0\0\0") + message(b"H", b""))
        assert self.wire.recv(5) == b"1\0\0\0\4", "the statement was parsed"

    def is_over(self) -> bool:
        return b"57P01" in self.wire.recv(4096)


@pytest.fixture
def database_url(servers: Servers) -> str:
    return servers.fresh("postgresql")


@pytest.fixture
def session(core: Core) -> Iterator[Session]:
    made = Session(sa.make_url(core.settings.database_url))
    yield made
    made.wire.close()


async def test_who_stops_in_the_midst_of_a_statement_is_ended_and_its_rows_are_free(
    core: Core, session: Session
) -> None:
    ctx = caller(core)
    await ctx.write(take_lease, "held", "another", 1)
    session.run("BEGIN")
    session.run("UPDATE core_leases SET holder = 'paused'")
    session.begin_statement("SELECT 1")
    assert await ctx.read(stalled.end_stalled, 60) == 0, "it may only be slow"
    assert await ctx.read(stalled.end_stalled, 0) == 1
    assert session.is_over()
    assert await ctx.write(take_lease, "held", "awake", 1) is not None, "what the paused one did is undone"


async def test_who_is_idle_or_works_is_let_alone(core: Core, session: Session) -> None:
    session.run("SELECT 1")
    session.wire.sendall(message(b"Q", b"SELECT pg_sleep(0.2)\0"))
    assert await caller(core).read(stalled.end_stalled, 0) == 0
    session.until_ready()


async def test_every_process_looks_for_them(core: Core) -> None:
    [loop] = [loop for loop in own_loops(core.settings) if loop.name == "core.db_stalled"]
    assert not loop.leased, "whoever has the lease may be the one that is paused"
