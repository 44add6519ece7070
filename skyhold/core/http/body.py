# SPDX-License-Identifier: Apache-2.0
"""Reading request bodies within bounds: JSON wholly, everything else as a stream of chunks.

What a JSON body must look like is the shape's business (core/shapes.py). Nothing here trusts
Content-Length: bytes are counted as they come.
"""

from __future__ import annotations

import asyncio
import itertools
import mmap
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator
from typing import Any

import falcon.asgi
import orjson

from skyhold.core import errors
from skyhold.core.blobs.base import Piece
from skyhold.core.http.routes import Stream
from skyhold.core.settings.sections import Http

JSON_MEDIA = ("application/json",)
CHUNK_BYTES = 1024 * 1024
DEEPEST = 64
"""No API asks for a tenth of it. What is deeper could be stored and later not be written out again: the
serialiser's own bound is higher for reading than for writing."""
CONNECTED = "skyhold.connected"
"""Where core/http/server.py puts into a request's scope whether its client is still there."""
LONG_BODY = "skyhold.long_body"
"""Where it puts how to read a long body past the parser (core/http/long_body.py)."""
WELCOME = "skyhold.welcome"
"""The same, and whether the server isn't stopping: an answer without an end must not hold it up."""


async def read_json(req: falcon.asgi.Request, bounds: Http, media: tuple[str, ...] = JSON_MEDIA) -> Any:
    """The parsed body; Invalid when it isn't JSON, TooLarge, TooSlow or UnsupportedMedia."""
    check_media(req, media)
    raw = await read_bounded(req, bounds.body_limit_bytes, bounds.slow_client_timeout_s)
    if not raw:
        raise errors.Invalid("The request needs a JSON body, and has none.", reason="no_body")
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise errors.Invalid(f"Malformed request body: {error}.", reason="malformed_json") from None
    if raw.count(b"[") + raw.count(b"{") > DEEPEST and nested_beyond(body, DEEPEST):
        raise errors.Invalid(f"The body is nested deeper than {DEEPEST} levels.", reason="too_deep")
    return body


def nested_beyond(body: Any, levels: int) -> bool:
    """Whether lists and objects stand in each other deeper than that; level by level, so that no depth
    of theirs is one of ours."""
    level = [body]
    for _ in range(levels):
        level = [inner for value in level for inner in parts_of(value) if isinstance(inner, dict | list)]
        if not level:
            return False
    return True


def parts_of(value: Any) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()


def check_media(req: falcon.asgi.Request, media: tuple[str, ...]) -> None:
    given = (req.content_type or media[0]).partition(";")[0].strip().lower()
    if given not in media:
        raise errors.UnsupportedMedia(f"Unsupported Content-Type {given[:80]}; send {' or '.join(media)}.")


async def read_bounded(req: falcon.asgi.Request, limit_bytes: int, timeout_s: float) -> bytes:
    """The whole body, in time."""
    if (req.content_length or 0) > limit_bytes:
        raise too_large(limit_bytes)
    watched = req.stream._receive = Watched(req.stream._receive)
    try:
        async with asyncio.timeout(timeout_s):
            raw = await counted(req, limit_bytes)
    except TimeoutError:
        raise too_slow(timeout_s) from None
    if watched.gone:
        raise client_gone()
    return raw


async def counted(req: falcon.asgi.Request, limit_bytes: int) -> bytes:
    parts, total = [], 0
    async for chunk in req.stream:
        total += len(chunk)
        if total > limit_bytes:
            raise too_large(limit_bytes)
        parts.append(chunk)
    return b"".join(parts)


def too_slow(timeout_s: float) -> errors.TooSlow:
    return errors.TooSlow(f"The request's body did not arrive within {timeout_s:g} seconds.")


def client_gone() -> errors.Invalid:
    return errors.Invalid("The client went away before its request was complete.", reason="client_gone")


def too_large(limit_bytes: int) -> errors.TooLarge:
    return errors.TooLarge(f"Request body too large: more than {limit_bytes} bytes.", limit_bytes=limit_bytes)


class ClientGone(Exception):
    """Nobody is left to answer; core/http/mount.py ends the request with it."""


class Watched:
    """An ASGI `receive` that remembers a disconnect: Falcon's stream ends in silence either way, and a
    chunked body has no length by which a missing end would show."""

    def __init__(self, receive: Any, stall_s: float | None = None, all_of_it: bool = False) -> None:
        self._receive, self._stall_s = receive, stall_s
        self._ends = asyncio.get_running_loop().time() + (stall_s or 0) if all_of_it else None
        self.gone = False

    async def __call__(self) -> Any:
        try:
            async with asyncio.timeout(self._stall_s), asyncio.timeout_at(self._ends):
                event = await self._receive()
        except TimeoutError:
            raise too_slow(self._stall_s or 0) from None
        self.gone |= event["type"] == "http.disconnect"
        return event


def stream_of(req: falcon.asgi.Request, stall_s: float, all_of_it: bool = False) -> Stream:
    """The body in pieces; raises TooSlow when nothing comes for `stall_s` seconds, or not `all_of_it` in them."""
    return Stream(
        chunks=batched(req, stall_s, all_of_it), length=req.content_length, content_type=req.content_type or "",
        headers=req.headers,
    )


async def batched(req: falcon.asgi.Request, stall_s: float, all_of_it: bool) -> AsyncIterator[Piece]:
    """Pieces of 1 MiB, the last one shorter: the socket's are small, and each costs a hop to a thread. They are lent,
    as routes.py says of a Stream.

    Raises TooSlow, and Invalid (reason client_gone) when the client went away before the end.
    """
    watched = req.stream._receive = Watched(req.stream._receive, stall_s, all_of_it)
    chunks = whole(req.stream, watched)
    first = await anext(chunks, b"")
    # Past the parser comes only what somebody sends who has shown a token: it has its time anew with each byte.
    long_body = None if all_of_it else req.scope.get(LONG_BODY, nothing)(first)
    async for piece in gathered(first, chunks) if long_body is None else long_body.pieces(stall_s):
        yield piece


def nothing(first: bytes) -> None:
    """What a scope has in the place of a long body that isn't from our server."""


async def whole(chunks: AsyncIterable[bytes], watched: Watched) -> AsyncIterator[bytes]:
    async for chunk in chunks:
        yield chunk
    if watched.gone:
        raise client_gone()


async def gathered(first: bytes, chunks: AsyncIterator[bytes]) -> AsyncIterator[Piece]:
    """What fits in one piece is joined. What doesn't is copied into two buffers in turn."""
    parts, size = [first], len(first)
    async for chunk in chunks:
        parts.append(chunk)
        size += len(chunk)
        if size > CHUNK_BYTES:
            break
    start = b"".join(parts)
    if size > CHUNK_BYTES:
        async for piece in in_buffers(start, chunks):
            yield piece
    elif start:
        yield start


async def in_buffers(start: bytes, chunks: AsyncIterator[bytes]) -> AsyncIterator[memoryview]:
    buffers = two_buffers()
    buffer, filled = next(buffers), 0
    chunk: bytes | None = start
    while chunk is not None:
        left = memoryview(chunk)
        while left:
            count = min(len(left), CHUNK_BYTES - filled)
            buffer[filled:filled + count] = left[:count]
            left, filled = left[count:], filled + count
            if filled == CHUNK_BYTES:
                yield buffer
                buffer, filled = next(buffers), 0
        chunk = await anext(chunks, None)
    if filled:
        yield buffer[:filled]


def two_buffers() -> Iterator[memoryview]:
    """Of 1 MiB each, in turn without end. They begin at a page: files want that, written past the page cache."""
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
    return itertools.cycle([memoryview(mmap.mmap(-1, CHUNK_BYTES, flags=flags)) for _ in range(2)])


async def while_connected(
    chunks: AsyncIterator[bytes], connected: Callable[[], bool], welcome: Callable[[], bool]
) -> AsyncIterator[bytes]:
    """The server swallows what is sent to a client that is gone: a long answer stops by raising ClientGone. One that
    has no end of its own ends in good order when its client isn't welcome any more, for the server is stopping."""
    try:
        async for chunk in chunks:
            yield chunk
            if not connected():
                raise ClientGone
            if not welcome():
                return
    finally:
        close = getattr(chunks, "aclose", None)
        if close is not None:
            await close()
