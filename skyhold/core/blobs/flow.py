# SPDX-License-Identifier: Apache-2.0
"""How content passes between a socket and a blob: in pieces, in threads, in constant memory.

What is done with each piece is its sink's (an image's intake, an object's); where blobs are kept is file.py and the
services' drivers. Hashing and the disk let go of the interpreter, so several streams pass at once.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Final, ParamSpec, Protocol, TypeVar

from skyhold.core import errors
from skyhold.core.blobs.base import Reader

P = ParamSpec("P")
T = TypeVar("T")

NICENESS: Final = 10
LEAST_PRIORITY: Final = 19
READ_BYTES: Final = 256 * 1024
SILENT_S: Final = 120.0
"""A client that sends nothing for so long is given up."""


def give_way() -> None:
    """Hashing takes whole cores: whoever waits for an answer goes first. On Linux each thread has its priority."""
    with suppress(OSError):
        own = os.getpriority(os.PRIO_PROCESS, 0)
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), min(LEAST_PRIORITY, own + NICENESS))


def in_pool(pool: ThreadPoolExecutor, call: Callable[P, T], *args: P.args, **kw: P.kwargs) -> asyncio.Future[T]:
    """Under way at once; a future and no coroutine, for a task around each piece would cost more than the hand-over."""
    return asyncio.get_running_loop().run_in_executor(pool, partial(call, *args, **kw))


async def finished(work: asyncio.Future[T]) -> T:
    """What the thread answers. A caller that is cancelled waits for the thread too: whoever closes the reader or writer
    under its hands would have it work on another file, for the numbers of closed files are given out again."""
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        await asyncio.wait([work])
        raise


class Sink(Protocol):
    size_bytes: int

    def take(self, chunk: bytes) -> None: ...


async def pump(
    sink: Sink, chunks: AsyncIterator[bytes], length: int | None, pool: ThreadPoolExecutor
) -> None:
    """Chunks to a thread; the next one is awaited while one is worked on. Raises Invalid when they end too early."""
    pieces = aiter(chunks)
    working: asyncio.Future[None] | None = None
    try:
        while (chunk := await next_chunk(pieces)) is not None:
            if working is not None:
                await finished(working)
            working = in_pool(pool, sink.take, chunk)
        if working is not None:
            await finished(working)
    finally:
        if working is not None and not working.done():
            await asyncio.wait([working])
    if length is not None and sink.size_bytes != length:
        raise errors.Invalid(
            f"The upload broke off: {sink.size_bytes} of {length} bytes came.", reason="client_gone"
        )


async def next_chunk(chunks: AsyncIterator[bytes]) -> bytes | None:
    try:
        async with asyncio.timeout(SILENT_S):
            return await anext(chunks, None)
    except TimeoutError:
        raise errors.Invalid(f"The client sent nothing for {SILENT_S:.0f} seconds.", reason="client_silent") from None


async def pieces_of(reader: Reader, start: int, end: int, pool: ThreadPoolExecutor) -> AsyncIterator[bytes | bytearray]:
    """What is in memory is read at once; only what waits for the disk goes to a thread. The reader stays open."""
    while start < end:
        length = min(READ_BYTES, end - start)
        piece = reader.ready(start, length) or await finished(in_pool(pool, reader.read, start, length))
        if not piece:
            # The promised length can't be kept: breaking off tells the client.
            raise OSError("the content of a blob ended early")
        start += len(piece)
        yield piece
        # A client as fast as the page cache would keep the event loop to itself.
        await asyncio.sleep(0)
