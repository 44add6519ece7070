# SPDX-License-Identifier: Apache-2.0
"""What is done with each piece of an image's content on its way in: count, inspect, hash, write.

Where pieces come from is files.py, staging.py and sagas/. All of it blocks and runs in threads of blobs.py, several
at once where they can: hashes and the disk let go of the interpreter.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final, Protocol, TypeVar

import msgspec

from skyhold.core import errors
from skyhold.image import blobs
from skyhold.image.drivers.base import Reader, StoreAway, Writer
from skyhold.image.logic.inspection import Inspection
from skyhold.image.signatures import Verifier

T = TypeVar("T")

CHUNK_BYTES: Final = 1024 * 1024
SILENT_S: Final = 120.0
"""A client that sends nothing for so long is given up."""


class Received(msgspec.Struct, frozen=True):
    """`virtual_size_bytes` is None for content that nobody inspected; `other` is the hash by a further algorithm."""

    size_bytes: int
    virtual_size_bytes: int | None
    checksum: str
    sha512: str
    other: str = ""


class Sink(Protocol):
    size_bytes: int

    def take(self, chunk: bytes) -> None: ...


class Intake:
    """One content. Without a writer it is only looked at, without an inspection it is taken as it is."""

    def __init__(
        self, writer: Writer | None, inspection: Inspection | None, limit_bytes: int, other: str = "",
        verifier: Verifier | None = None,
    ) -> None:
        """`other` names a further algorithm of hashlib."""
        self._writer, self._inspection, self._limit_bytes = writer, inspection, limit_bytes
        self._verifier = verifier
        self._other = hashlib.new(other) if other else None
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._sha512 = hashlib.sha512()
        self.size_bytes = 0

    def take(self, chunk: bytes) -> None:
        """Raises TooLarge, Refused, StoreFull."""
        self.size_bytes += len(chunk)
        if self.size_bytes > self._limit_bytes:
            raise too_large(self._limit_bytes)
        if self._inspection is not None:
            self._inspection.feed(chunk)
        self._md5.update(chunk)
        self._sha512.update(chunk)
        if self._other is not None:
            self._other.update(chunk)
        if self._verifier is not None:
            self._verifier.feed(chunk)
        if self._writer is not None:
            self._writer.write(chunk)

    @property
    def far(self) -> bool:
        return self._writer is not None and self._writer.far

    @property
    def sha512(self) -> str:
        """Of what was taken so far."""
        return self._sha512.hexdigest()

    def finish(self) -> Received:
        """Raises Refused, Unverified, StoreFull, NoSuchBlob."""
        virtual_size_bytes = self._inspection.conclude() if self._inspection is not None else None
        if self._verifier is not None:
            self._verifier.conclude()
        if self._writer is not None:
            self._writer.commit()
        return Received(
            self.size_bytes, virtual_size_bytes, self._md5.hexdigest(), self._sha512.hexdigest(),
            self._other.hexdigest() if self._other is not None else "",
        )

    def abort(self) -> None:
        if self._writer is not None:
            self._writer.abort()


def too_large(limit_bytes: int) -> errors.TooLarge:
    return errors.TooLarge(
        f"The incoming image is too large: at most {limit_bytes} bytes are left for it.", limit_bytes=limit_bytes
    )


async def pump(intake: Sink, chunks: AsyncIterator[bytes], length: int | None) -> None:
    """Chunks to a thread; the next one is awaited while one is worked on. Raises Invalid when they end too early."""
    pieces = aiter(chunks)
    working: asyncio.Future[None] | None = None
    try:
        while (chunk := await next_chunk(pieces)) is not None:
            if working is not None:
                await finished(working)
            working = blobs.in_thread(intake.take, chunk)
        if working is not None:
            await finished(working)
    finally:
        if working is not None and not working.done():
            await asyncio.wait([working])
    if length is not None and intake.size_bytes != length:
        raise errors.Invalid(
            f"The upload broke off: {intake.size_bytes} of {length} bytes came.", reason="client_gone"
        )


async def finished(work: asyncio.Future[T]) -> T:
    """What the thread answers. A caller that is cancelled waits for the thread too: whoever closes the reader or writer
    under its hands would have it work on another file, for the numbers of closed files are given out again."""
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        await asyncio.wait([work])
        raise


async def next_chunk(chunks: AsyncIterator[bytes]) -> bytes | None:
    try:
        async with asyncio.timeout(SILENT_S):
            found: Any = await anext(chunks, None)
            return found
    except TimeoutError:
        raise errors.Invalid(f"The client sent nothing for {SILENT_S:.0f} seconds.", reason="client_silent") from None


async def read_through(reader: Reader, sink: Sink, tell: Callable[[int], Awaitable[None]]) -> None:
    """A blob through a sink, in threads; `tell` hears how many bytes have gone."""
    at, pool = 0, blobs.WAITING_POOL if reader.far else blobs.THREAD_POOL
    while at < reader.size_bytes:
        piece = await finished(blobs.in_pool(pool, step, reader, sink, at))
        if not piece:
            raise StoreAway(f"The content ended after {at} of {reader.size_bytes} bytes.")
        at += piece
        await tell(at)


def step(reader: Reader, sink: Sink, offset: int) -> int:
    piece = reader.read(offset, CHUNK_BYTES)
    if piece:
        sink.take(piece)
    return len(piece)
