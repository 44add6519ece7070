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
from typing import Any, Final, ParamSpec, Protocol, TypeVar

from skyhold.core import errors
from skyhold.core.blobs.base import Piece, Reader, Writer

P = ParamSpec("P")
T = TypeVar("T")
W = TypeVar("W", bound=Writer)

NICENESS: Final = 10
LEAST_PRIORITY: Final = 19
READ_BYTES: Final = 256 * 1024


def give_way() -> None:
    """Hashing takes whole cores: whoever waits for an answer goes first. On Linux each thread has its priority."""
    with suppress(OSError):
        own = os.getpriority(os.PRIO_PROCESS, 0)
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), min(LEAST_PRIORITY, own + NICENESS))


def in_pool(pool: ThreadPoolExecutor, call: Callable[P, T], *args: P.args, **kw: P.kwargs) -> asyncio.Future[T]:
    """Under way at once; a future and no coroutine, for a task around each piece would cost more than the hand-over.
    The executor's own futures aren't chained to it for the same reason: so cancelling it calls nothing off."""
    loop = asyncio.get_running_loop()
    work: asyncio.Future[T] = loop.create_future()
    pool.submit(carry_out, loop, work, partial(call, *args, **kw))
    return work


def carry_out(loop: asyncio.AbstractEventLoop, work: asyncio.Future[T], call: Callable[[], T]) -> None:
    settle: Callable[[], None]
    try:
        settle = partial(work.set_result, call())
    except StopIteration as stop:
        # A future refuses it, and whoever waits would wait for ever.
        settle = partial(work.set_exception, RuntimeError(repr(stop)))
    except BaseException as error:
        settle = partial(work.set_exception, error)
    # A loop that was closed meanwhile has nobody left to tell.
    with suppress(RuntimeError):
        loop.call_soon_threadsafe(settled, work, settle)


def settled(work: asyncio.Future[T], settle: Callable[[], None]) -> None:
    if not work.cancelled():
        settle()


async def finished(work: asyncio.Future[T]) -> T:
    """What the thread answers. A caller that is cancelled waits for the thread too: whoever closes the reader or writer
    under its hands would have it work on another file, for the numbers of closed files are given out again."""
    if work.done():
        return work.result()
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        await outlast(work)
        raise


async def outlast(work: asyncio.Future[Any]) -> None:
    """Wait for the thread, however often the caller is cancelled."""
    while not work.done():
        with suppress(asyncio.CancelledError):
            await asyncio.wait([work])


async def begun(pool: ThreadPoolExecutor, create: Callable[[], W]) -> W:
    """A writer that a thread begins. A caller that is cancelled meanwhile will not come for it: it is aborted."""
    work = in_pool(pool, create)
    try:
        return await finished(work)
    except asyncio.CancelledError:
        if work.exception() is None:
            await outlast(in_pool(pool, work.result().abort))
        raise


class Sink(Protocol):
    size_bytes: int

    def take(self, chunk: Piece) -> None: ...


async def pump(
    sink: Sink, chunks: AsyncIterator[Piece], length: int | None, pool: ThreadPoolExecutor
) -> None:
    """Chunks to a thread; the next one is awaited while one is worked on, the one after it only then, for they may be
    lent. How long one may take to come is their source's business. Raises Invalid when they end too early."""
    pieces = aiter(chunks)
    working: asyncio.Future[None] | None = None
    try:
        while (chunk := await anext(pieces, None)) is not None:
            if working is not None:
                await finished(working)
            working = in_pool(pool, sink.take, chunk)
        if working is not None:
            await finished(working)
    finally:
        if working is not None:
            await outlast(working)
    if length is not None and sink.size_bytes != length:
        raise errors.Invalid(
            f"The upload broke off: {sink.size_bytes} of {length} bytes came.", reason="client_gone"
        )


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
