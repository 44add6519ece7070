# SPDX-License-Identifier: Apache-2.0
"""What is done with each piece of an image's content on its way in: count, inspect, hash, write.

Where pieces come from is files.py, staging.py and sagas/. All of it blocks and runs in threads of blobs.py, several
at once where they can: hashes and the disk let go of the interpreter.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

import msgspec

from skyhold.core import errors
from skyhold.core.blobs import flow
from skyhold.core.blobs.base import Piece
from skyhold.core.blobs.flow import Sink
from skyhold.image import blobs
from skyhold.image.drivers.base import Reader, StoreAway, Writer
from skyhold.image.logic.inspection import Inspection
from skyhold.image.signatures import Verifier

CHUNK_BYTES: Final = 1024 * 1024


class Received(msgspec.Struct, frozen=True):
    """`virtual_size_bytes` is None for content that nobody inspected; `other` is the hash by a further algorithm."""

    size_bytes: int
    virtual_size_bytes: int | None
    checksum: str
    sha512: str
    other: str = ""


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

    def take(self, chunk: Piece) -> None:
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


async def pump(intake: Sink, chunks: AsyncIterator[Piece], length: int | None) -> None:
    """Chunks to the intake, in threads. Raises Invalid when they end too early."""
    await flow.pump(intake, chunks, length, blobs.pool_of(intake))


async def read_through(reader: Reader, sink: Sink, tell: Callable[[int], Awaitable[None]]) -> None:
    """A blob through a sink, in threads; `tell` hears how many bytes have gone."""
    at, pool = 0, blobs.pool_of(reader)
    while at < reader.size_bytes:
        piece = await flow.finished(flow.in_pool(pool, step, reader, sink, at))
        if not piece:
            raise StoreAway(f"The content ended after {at} of {reader.size_bytes} bytes.")
        at += piece
        await tell(at)


def step(reader: Reader, sink: Sink, offset: int) -> int:
    piece = reader.read(offset, CHUNK_BYTES)
    if piece:
        sink.take(piece)
    return len(piece)
