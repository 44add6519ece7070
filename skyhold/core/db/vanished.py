# SPDX-License-Identifier: Apache-2.0
"""Keeps true, on PostgreSQL: a server whose machine or network is suddenly no more is noticed within a minute.

One that ends in order, or whose process is killed, says so itself: what is done then is engine.py's. The one thing to
know first: without these limits a question that was sent is waited for without end, for asyncpg asks the system for
none, and nothing ever comes that would say that nobody answers. asyncmy has the system look after its lines by itself.
"""

from __future__ import annotations

import socket
from typing import Any

SILENT_S = 10
"""After so long without a word from the other machine it is asked whether it is there."""
ASK_AGAIN_S = 5
ASKED_TIMES = 4
UNHEARD_MS = 30_000
"""For what was sent and whose receipt isn't acknowledged. A server that thinks for long acknowledges at once."""
CONNECT_S = 15.0
"""For a new connection; after that the user is told that the database doesn't answer."""


def notice(conn: Any, record: Any = None) -> None:
    """Each new connection of SQLAlchemy's, as its event hands it over."""
    watch(conn.driver_connection)


def watch(conn: Any) -> None:
    """A connection of asyncpg's own; one on the same machine needs nothing."""
    wire = conn._transport.get_extra_info("socket")
    if wire is None or wire.family == socket.AF_UNIX:
        return
    wire.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, SILENT_S)
    wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, ASK_AGAIN_S)
    wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, ASKED_TIMES)
    wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNHEARD_MS)
