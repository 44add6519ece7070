# SPDX-License-Identifier: Apache-2.0
"""The metadata service's connections: whom it answers, on which sockets, and within which limits.

The network engine opens the sockets, inside its namespaces, and says who is behind an address; the pages
are in pages.py. A server is known by the port its packets came through, and no header is ever asked.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from skyhold.compute.drivers.base import InstanceMetadata
from skyhold.host.metadata import session
from skyhold.host.metadata.pages import ServerPages
from skyhold.host.metadata.wire import MAX_HEAD_BYTES, Page, Refused, Request, problem, read, render

Who = Callable[[str], str | None]
_CONNECTIONS_PER_PEER = 16
_CONNECTIONS = 512
_TIMEOUT_S = 5.0


@dataclass
class Stats:
    """Counted since the service was made."""

    connections: int = 0
    requests: int = 0
    strangers: int = 0
    refused: int = 0
    limited: int = 0
    timeouts: int = 0


@dataclass(eq=False)
class _Door:
    """One listening socket and its open connections."""

    who: Who
    listener: asyncio.Server | None = None
    talks: set[asyncio.Task[None]] = field(default_factory=set)
    per_peer: Counter[str] = field(default_factory=Counter)


class MetadataServer:
    """Holds what each server may read and serves it on any number of doors; nothing is stored on disk, so
    the agent sets every server's metadata again after a restart.

    `on_password(server_id, text)` hears the password a guest posts, which it can do once.
    """

    def __init__(
        self, on_password: Callable[[str, str], None] | None = None, *, timeout_s: float = _TIMEOUT_S
    ) -> None:
        self.stats = Stats()
        self._on_password = on_password or (lambda _server_id, _text: None)
        self._timeout_s = timeout_s
        self._servers: dict[str, ServerPages] = {}
        self._doors: dict[str, _Door] = {}
        self._sessions = session.Sessions()

    def on_password(self, hear: Callable[[str, str], None]) -> None:
        """From now on `hear(server_id, text)` is told what guests post."""
        self._on_password = hear

    def set(self, server_id: str, metadata: InstanceMetadata, password: str | None = None) -> None:
        """Serve `metadata` to this server from now on. `password` restores one posted earlier; without
        it, what was posted to this process stays."""
        if password is None:
            before = self._servers.get(server_id)
            password = before.password if before else ""
        self._servers[server_id] = ServerPages(
            metadata, password, lambda text: self._on_password(server_id, text)
        )

    def forget(self, server_id: str) -> None:
        self._servers.pop(server_id, None)

    async def open(self, key: str, sock: socket.socket, who: Who) -> None:
        """Serve on `sock`, bound and listening, and own it; a door with this key is replaced.

        `who` gives the server behind a peer's address (IPv6 without its zone), or None for a stranger.
        """
        await self.close(key)
        door = _Door(who)

        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            talk = asyncio.get_running_loop().create_task(self._talk(door, reader, writer))
            door.talks.add(talk)
            talk.add_done_callback(door.talks.discard)
            # A task that is cancelled before its first step does nothing at its end either.
            talk.add_done_callback(lambda _: writer.close())

        sock.setblocking(False)
        door.listener = await asyncio.start_server(accept, sock=sock, limit=MAX_HEAD_BYTES)
        self._doors[key] = door

    async def close(self, key: str) -> None:
        """Stop serving, close the socket and drop its connections; unknown keys are ignored."""
        door = self._doors.pop(key, None)
        if door is None:
            return
        if door.listener is not None:
            door.listener.close()
        talks = list(door.talks)
        for talk in talks:
            talk.cancel()
        await asyncio.gather(*talks, return_exceptions=True)

    async def close_all(self) -> None:
        for key in list(self._doors):
            await self.close(key)

    async def _talk(self, door: _Door, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = _address(writer)
        self.stats.connections += 1
        # Strangers share one allowance: addresses cost a guest nothing when port security is off.
        payer = peer if door.who(peer) else ""
        if self._connections() > _CONNECTIONS or door.per_peer[payer] >= _CONNECTIONS_PER_PEER:
            self.stats.limited += 1
            writer.transport.abort()
            return
        door.per_peer[payer] += 1
        # Nothing may wait in our memory: a reply is sent before the next request is read.
        writer.transport.set_write_buffer_limits(high=0)
        try:
            await self._converse(door.who, peer, reader, writer)
        except (OSError, TimeoutError):
            writer.transport.abort()
        finally:
            door.per_peer[payer] -= 1
            if not door.per_peer[payer]:
                del door.per_peer[payer]

    def _connections(self) -> int:
        return sum(len(door.talks) for door in self._doors.values())

    async def _converse(
        self, who: Who, peer: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        keep_alive = True
        while keep_alive:
            try:
                async with asyncio.timeout(self._timeout_s):
                    request = await read(reader)
            except Refused as refused:
                self.stats.refused += 1
                await self._send(writer, render(problem(refused.status), keep_alive=False))
                return
            except TimeoutError:
                self.stats.timeouts += 1
                return
            if request is None:
                return
            keep_alive = request.keep_alive
            page = self._answer(who(peer), request)
            await self._send(writer, render(page, keep_alive=keep_alive, with_body=request.method != "HEAD"))

    async def _send(self, writer: asyncio.StreamWriter, content: bytes) -> None:
        writer.write(content)
        async with asyncio.timeout(self._timeout_s):
            await writer.drain()

    def _answer(self, server_id: str | None, request: Request) -> Page:
        self.stats.requests += 1
        if server_id is None:
            self.stats.strangers += 1
            return problem(404)
        pages = self._servers.get(server_id)
        if pages is None:
            # The agent has just started and is being told; guests retry on 503.
            return problem(503)._replace(more=(("Retry-After", "1"),))
        now_s = asyncio.get_running_loop().time()
        if request.path == session.PATH:
            return self._sessions.grant(request, server_id, now_s)
        if self._sessions.refuses(request, server_id, now_s):
            return problem(401)
        return pages.answer(request)


def _address(writer: asyncio.StreamWriter) -> str:
    name = writer.get_extra_info("peername")
    with contextlib.suppress(TypeError, IndexError):
        return str(name[0]).partition("%")[0]
    return ""
