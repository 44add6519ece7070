# SPDX-License-Identifier: Apache-2.0
"""A service with a route of each kind, whoever may call it, and bytes sent to it as they are.

What is asked of it is in the tests beside this file; conftest.py starts it.
"""

from __future__ import annotations

import asyncio
import hashlib
import socket
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from skyhold.core import errors
from skyhold.core.app import Core
from skyhold.core.blobs.base import Piece
from skyhold.core.blobs.file import FileStore, FileWriter
from skyhold.core.blobs.flow import pump
from skyhold.core.context import Context, Credentials
from skyhold.core.db.tx import Tx
from skyhold.core.http.routes import PUBLIC, Head, Reply, Routes, Stream
from skyhold.core.http.server import make_server
from skyhold.core.policy.rules import Rule
from skyhold.core.service import Service
from skyhold.core.shapes import Shape, field

SEE = Rule("toy:see", "role:reader", scope=("project",))
CHANGE = Rule("toy:change", "role:member", scope=("project",))
SECRET = "what-the-database-is-opened-with"
MIB = 1024 * 1024

routes = Routes()


class Want(Shape):
    name: str = field(min=1, max=20)


class Query(Shape, extra="ignore"):
    tag: list[str] = field(default_factory=list)
    name: str | None = field(default=None)


@routes.get("/v1", policy=PUBLIC)
async def discover(ctx: Context) -> Any:
    return {"version": "v1"}


@routes.get("/v1/things/{thing_id}", policy=SEE, query=Query)
async def show(ctx: Context, thing_id: str, query: Query) -> Any:
    return {
        "id": thing_id,
        "tags": query.tag,
        "name": query.name,
        "user": ctx.user_id,
        "roles": sorted(ctx.creds.roles),
        "project": ctx.project_id,
        "asked": ctx.global_request_id,
    }


@routes.head("/v1/things/{thing_id}", policy=SEE)
async def head(ctx: Context, thing_id: str) -> Reply:
    return Reply(headers={"X-Thing": "yes"})


@routes.post("/v1/things", policy=CHANGE, body=Want, status=201)
async def create(ctx: Context, want: Want) -> Any:
    return {"name": want.name, "dry": ctx.dry_run}


@routes.post("/v1/open", policy=PUBLIC, body=Want)
async def open_door(ctx: Context, want: Want) -> Any:
    return {"name": want.name}


@routes.get("/v1/broken", policy=SEE)
async def broken(ctx: Context) -> Any:
    raise RuntimeError(SECRET)


@routes.get("/v1/broken_in_transaction", policy=SEE)
async def broken_in_transaction(ctx: Context) -> Any:
    def fail(tx: Tx, ctx: Context) -> None:
        raise KeyError(SECRET)

    return await ctx.write(fail)


@routes.get("/v1/unprintable", policy=SEE)
async def unprintable(ctx: Context) -> Any:
    return {"it": object()}


@routes.get("/v1/slow", policy=SEE)
async def slow(ctx: Context) -> Any:
    slow_ones.append(ctx.request_id)
    await asyncio.sleep(0.3)
    return {"slept": True}


slow_ones: list[str] = []
"""Requests that began to be answered slowly."""
received: list[Any] = []
digests: list[str] = []
"""Of the uploads that were whole."""


@routes.put("/v1/upload", policy=CHANGE, stream=True, status=204)
async def upload(ctx: Context, stream: Stream) -> None:
    size, digest = 0, hashlib.sha256()
    try:
        async for chunk in stream.chunks:
            assert len(chunk) <= 2 * MIB
            size += len(chunk)
            digest.update(chunk)
    except errors.Error as error:
        received.append(error.reason)
        raise
    received.append(size)
    digests.append(digest.hexdigest())


@routes.put("/v1/refused", policy=CHANGE, stream=True, status=204)
async def refuse(ctx: Context, stream: Stream) -> None:
    """After two pieces."""
    await anext(stream.chunks)
    await anext(stream.chunks)
    raise errors.Conflict("Enough of it.")


STORE = FileStore(Path("nowhere"))
"""A test has its own."""
POOL = ThreadPoolExecutor(1)


class Slow:
    """A sink that takes its time with each piece, and only then writes it."""

    def __init__(self, writer: FileWriter) -> None:
        self.writer, self.size_bytes = writer, 0

    def take(self, chunk: Piece) -> None:
        time.sleep(0.02)
        self.writer.write(chunk)
        self.size_bytes += len(chunk)


@routes.put("/v1/kept", policy=CHANGE, stream=True, status=204)
async def keep(ctx: Context, stream: Stream) -> None:
    writer = STORE.create("a/b")
    await pump(Slow(writer), stream.chunks, stream.length, POOL)
    writer.commit()


@routes.get("/v1/guests", policy=SEE, guests=True, head=True)
async def guests(ctx: Context, head: Head) -> Any:
    return {"user": ctx.user_id, "method": head.method, "path": head.path.decode(), "queries": list(head.queries),
            "word": head.headers.get("x-word")}


@routes.head("/v1/guests", policy=SEE, guests=True, head=True)
async def guests_head(ctx: Context, head: Head) -> Reply:
    return Reply(length=12345)


@routes.post("/v1/form", policy=PUBLIC, stream=True)
async def form(ctx: Context, stream: Stream) -> Any:
    return {"bytes": sum([len(chunk) async for chunk in stream.chunks])}


@routes.get("/v1/download/{size_mib}", policy=SEE)
async def download(ctx: Context, size_mib: str) -> Reply:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(int(size_mib)):
            yield b"x" * MIB

    return Reply(chunks(), length=int(size_mib) * MIB, content_type="application/octet-stream")


@routes.action("/v1/things/{thing_id}/action", "stop", policy=CHANGE, status=202)
async def stop(ctx: Context, thing_id: str) -> None:
    received.append("stop")


@routes.action("/v1/things/{thing_id}/action", "rename", policy=CHANGE, body=Want, status=200)
async def rename(ctx: Context, thing_id: str, want: Want) -> Any:
    return {"name": want.name}


TOY = Service(name="toy", type="toy", prefix="/toy", port=1, routes=[routes], rules=[SEE, CHANGE])
OTHER = Service(
    name="other", type="other", prefix="/other", port=2, strip_slash=False, routes=[routes], rules=[SEE, CHANGE]
)


class Doorman:
    async def authenticate(self, token: str) -> Credentials:
        if not token.startswith("good"):
            raise errors.Unauthorized("The token is not valid.")
        return Credentials(
            user_id="u1",
            project_id="p1",
            scope="project",
            roles=frozenset(token.split(":")[1:]),
            token=token,
            access_rules=(("toy", "GET", "/v1/things/*"),) if token.endswith(":limited") else None,
        )


GOOD = {"X-Auth-Token": "good:member:reader"}
TIMEOUT_S = 0.4


@asynccontextmanager
async def listening(core: Core, keep_alive_s: float = 75) -> AsyncIterator[int]:
    sock = socket.create_server(("127.0.0.1", 0))
    server = make_server(core, core.asgi)
    server.config.timeout_keep_alive = keep_alive_s  # type: ignore[assignment]
    task = asyncio.create_task(server.serve(sockets=[sock]))
    while not server.started:
        await asyncio.sleep(0.005)
    yield sock.getsockname()[1]
    server.should_exit = True
    await task


async def raw(port: int, *parts: bytes, pause_s: float = 0.0) -> bytes:
    """Send bytes as they are; everything that comes back until the server closes or falls silent."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    sending = asyncio.create_task(send_all(writer, parts, pause_s))
    got = b""
    try:
        async with asyncio.timeout(TIMEOUT_S * 4):
            while chunk := await reader.read(65536):
                got += chunk
    except (TimeoutError, ConnectionError):
        pass
    sending.cancel()
    writer.close()
    return got


async def send_all(writer: asyncio.StreamWriter, parts: tuple[bytes, ...], pause_s: float) -> None:
    with suppress(ConnectionError):
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(pause_s)
