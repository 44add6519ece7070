# SPDX-License-Identifier: Apache-2.0
"""The content of an image: upload and download, in constant memory.

Where bytes are kept is drivers/, what they may be is logic/inspection.py. An upload is a claim on
the row (`saving` and the key of its blob): whatever ends it, either this very upload makes the
image active, or the image is queued again and its bytes are gone.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

import msgspec
import structlog

from skyhold.core import errors, journal
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.http.routes import Reply, Routes, Stream
from skyhold.image import blobs, policy, states
from skyhold.image.drivers.base import BlobStore, NoSuchBlob, Reader, StoreFull, Writer
from skyhold.image.errors import RangeUnsatisfiable
from skyhold.image.images import ops
from skyhold.image.images.store import get, store
from skyhold.image.logic.inspection import Inspection, Refused
from skyhold.image.tables import IMAGES

log = structlog.get_logger("image")

OCTETS: Final = "application/octet-stream"
CHUNK_BYTES: Final = 1024 * 1024
READ_BYTES: Final = 256 * 1024
BEAT_S: Final = 15.0
SILENT_S: Final = 120.0
"""An upload whose client sends nothing for so long, or whose process doesn't beat, is given up."""
RANGE: Final = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")

routes = Routes()


@routes.put("/v2/images/{image_id}/file", policy=policy.UPLOAD_IMAGE, stream=True, status=204)
async def upload(ctx: Context, image_id: str, stream: Stream) -> None:
    """Upload an image's content."""
    if stream.content_type.partition(";")[0].strip().lower() != OCTETS:
        raise errors.UnsupportedMedia(f"Upload with Content-Type {OCTETS}.")
    limit_bytes = ctx.core.settings.image.size_limit_bytes
    claimed = await ctx.write(claim, image_id, limit_bytes)
    async with given_back(ctx, claimed.row):
        await receive(ctx, claimed, stream)


@routes.get("/v2/images/{image_id}/file", policy=policy.DOWNLOAD_IMAGE, headers=("Range",))
async def download(ctx: Context, image_id: str, headers: Mapping[str, str | None]) -> Reply:
    """Download an image's content, wholly or one range of it."""
    row = await ctx.read(get, image_id)
    if row.status == states.DEACTIVATED and "admin" not in ctx.creds.roles:
        raise errors.Forbidden("The requested image has been deactivated. Image data download is forbidden.")
    if row.size_bytes is None:
        return Reply(status=204)
    part = span(headers["Range"], row.size_bytes)
    start, end = part or (0, row.size_bytes)
    answer = {"Content-MD5": row.checksum, "Accept-Ranges": "bytes"}
    if part:
        answer["Content-Range"] = f"bytes {start}-{end - 1}/{row.size_bytes}"
    return Reply(
        pieces(await opened(ctx, row), start, end), status=206 if part else 200, length=end - start,
        headers=answer, content_type=OCTETS,
    )


class Claimed(msgspec.Struct, frozen=True):
    row: Any
    limit_bytes: int


class Received(msgspec.Struct, frozen=True):
    size_bytes: int
    virtual_size_bytes: int
    checksum: str
    sha512: str


# ---- upload ----------------------------------------------------------------------------------


def claim(tx: Tx, ctx: Context, image_id: str, limit_bytes: int) -> Claimed:
    """Make this upload the one that the image waits for. Raises Conflict when it isn't queued."""
    row = store.get(tx, ctx, image_id, may=policy.UPLOAD_IMAGE)
    missing = [name for name in ops.FIXED_WITH_CONTENT if getattr(row, name) is None]
    if missing:
        raise errors.Invalid(f"Properties {', '.join(missing)} must be set prior to saving data.")
    key = f"{row.id}/{ctx.new_id()}"
    row = store.move(tx, row, states.QUEUED, states.SAVING, blob=key, upload_seen_at=tx.now)
    journal.record(tx, "image.prepare", row)
    return Claimed(row, min(limit_bytes, room_bytes(tx, row.project_id)))


def room_bytes(tx: Tx, project_id: str | None) -> int:
    """What the project's quota leaves for one more image."""
    limit = ops.quota.limits(tx, project_id)["image_size_total"] if project_id else -1
    if limit < 0 or project_id is None:
        return 2**63 - 1
    return max(0, limit - ops.quota.usage(tx, project_id)["image_size_total"]) * ops.MIB


@asynccontextmanager
async def given_back(ctx: Context, row: Any) -> AsyncIterator[None]:
    """Whatever goes wrong inside, the image is queued again and nothing of its bytes stays."""
    beat = asyncio.create_task(keep_alive(ctx, row))
    try:
        yield
    except BaseException:
        # Shielded: a cancelled request must not leave half of this undone.
        await asyncio.shield(give_back(ctx, row))
        raise
    finally:
        beat.cancel()


async def give_back(ctx: Context, row: Any) -> None:
    await blobs.discard(ctx.core, row.blob)
    await ctx.write(unclaim, row.id, row.blob)


def unclaim(tx: Tx, ctx: Context, image_id: str, key: str) -> None:
    mine = (IMAGES.c.id == image_id) & (IMAGES.c.blob == key) & (IMAGES.c.status == states.SAVING)
    tx.execute(
        IMAGES.update().where(mine).values(status=states.QUEUED, blob=None, upload_seen_at=None, updated_at=tx.now)
    )


async def keep_alive(ctx: Context, row: Any) -> None:
    """Tell loops/uploads.py, perhaps in another process, that this upload is alive."""
    while True:
        await asyncio.sleep(BEAT_S)
        try:
            await ctx.write(beat_once, row.id, row.blob)
        except Exception:
            # The database may be away for a moment; the upload itself will tell if it stays away.
            log.exception("an upload could not say that it is alive", image=row.id)


def beat_once(tx: Tx, ctx: Context, image_id: str, key: str) -> None:
    mine = (IMAGES.c.id == image_id) & (IMAGES.c.blob == key)
    tx.execute(IMAGES.update().where(mine).values(upload_seen_at=tx.now))


async def receive(ctx: Context, claimed: Claimed, stream: Stream) -> None:
    row, bytes_ahead = claimed.row, stream.length
    if bytes_ahead is not None and bytes_ahead > claimed.limit_bytes:
        raise too_large(claimed.limit_bytes)
    intake = await made(blobs.store_of(ctx.core), row, bytes_ahead, claimed.limit_bytes, ctx)
    try:
        await pump(intake, stream)
        received = await blobs.in_thread(intake.finish)
    except Refused as refused:
        raise errors.UnsupportedMedia(str(refused), reason="image_content_refused") from None
    except StoreFull as full:
        raise storage_full(full) from None
    except NoSuchBlob:
        raise gone(row.id) from None
    finally:
        await asyncio.shield(blobs.in_thread(intake.abort))
    await ctx.write(activate, row, received)


async def made(store_used: BlobStore, row: Any, expected: int | None, limit_bytes: int, ctx: Context) -> Intake:
    try:
        writer = await blobs.in_thread(store_used.create, row.blob, expected)
    except StoreFull as full:
        raise storage_full(full) from None
    virtual_limit = ctx.core.settings.image.virtual_size_limit_bytes
    return Intake(writer, Inspection(row.disk_format, row.container_format, virtual_limit), limit_bytes)


def storage_full(full: StoreFull) -> errors.TooLarge:
    return errors.TooLarge(f"Image storage media is full: {full}", reason="storage_full")


def too_large(limit_bytes: int) -> errors.TooLarge:
    return errors.TooLarge(
        f"The incoming image is too large: at most {limit_bytes} bytes are left for it.", limit_bytes=limit_bytes
    )


async def pump(intake: Intake, stream: Stream) -> None:
    """Chunks from the socket to a thread; the next one is read while one is worked on."""
    chunks = aiter(stream.chunks)
    working: asyncio.Future[None] | None = None
    try:
        while (chunk := await next_chunk(chunks)) is not None:
            if working is not None:
                await working
            working = asyncio.ensure_future(blobs.in_thread(intake.take, chunk))
        if working is not None:
            await working
    finally:
        # The thread must be done with the writer before anybody closes it.
        if working is not None and not working.done():
            await asyncio.wait([working])
    if stream.length is not None and intake.size_bytes != stream.length:
        raise errors.Invalid(
            f"The upload broke off: {intake.size_bytes} of {stream.length} bytes came.", reason="client_gone"
        )


async def next_chunk(chunks: AsyncIterator[bytes]) -> bytes | None:
    try:
        async with asyncio.timeout(SILENT_S):
            return await anext(chunks, None)
    except TimeoutError:
        raise errors.Invalid(f"The client sent nothing for {SILENT_S:.0f} seconds.", reason="client_silent") from None


class Intake:
    """What one upload's thread does with each chunk: count, inspect, hash, write."""

    def __init__(self, writer: Writer, inspection: Inspection, limit_bytes: int) -> None:
        self._writer, self._inspection, self._limit_bytes = writer, inspection, limit_bytes
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._sha512 = hashlib.sha512()
        self.size_bytes = 0

    def take(self, chunk: bytes) -> None:
        self.size_bytes += len(chunk)
        if self.size_bytes > self._limit_bytes:
            raise too_large(self._limit_bytes)
        self._inspection.feed(chunk)
        self._md5.update(chunk)
        self._sha512.update(chunk)
        self._writer.write(chunk)

    def finish(self) -> Received:
        virtual_size_bytes = self._inspection.conclude()
        self._writer.commit()
        return Received(self.size_bytes, virtual_size_bytes, self._md5.hexdigest(), self._sha512.hexdigest())

    def abort(self) -> None:
        self._writer.abort()


def activate(tx: Tx, ctx: Context, row: Any, received: Received) -> Any:
    """Only the upload that holds the claim makes the image active. Raises Gone when the image was
    deleted meanwhile, Conflict when another upload took over, OverQuota."""
    now = store.find(tx, row.id, lock=True)
    if now is None:
        raise gone(row.id)
    if now.status != states.SAVING or now.blob != row.blob:
        raise errors.Conflict(f"Image {row.id} was given to another upload meanwhile.")
    if now.project_id:
        ops.quota.take(tx, now.project_id, image_size_total=ops.mib(received.size_bytes))
    new = store.move(
        tx, now, states.SAVING, states.ACTIVE, size_bytes=received.size_bytes, upload_seen_at=None,
        virtual_size_bytes=received.virtual_size_bytes, checksum=received.checksum, sha512=received.sha512,
    )
    journal.record(tx, "image.upload", new)
    return new


def gone(image_id: str) -> errors.Gone:
    return errors.Gone(f"Image {image_id} could not be found after upload: it was deleted meanwhile.")


# ---- download --------------------------------------------------------------------------------


def span(header: str | None, size_bytes: int) -> tuple[int, int] | None:
    """(start, end) of a Range header, None without one. RFC 9110, section 14; several ranges at once are
    not offered. Raises RangeUnsatisfiable."""
    if header is None:
        return None
    found = RANGE.fullmatch(header.strip().lower())
    if found is None or not any(found.groups()):
        raise RangeUnsatisfiable(f"The range {header[:80]!r} can't be given.", size_bytes=size_bytes)
    first, last = found.groups()
    if not first:
        start, end = max(0, size_bytes - int(last)), size_bytes
    else:
        start, end = int(first), min(int(last) + 1, size_bytes) if last else size_bytes
    if start >= end:
        raise RangeUnsatisfiable(f"The image has {size_bytes} bytes; {header[:80]!r} asks for others.",
                                 size_bytes=size_bytes)
    return start, end


async def opened(ctx: Context, row: Any) -> Reader:
    try:
        return await blobs.in_thread(blobs.store_of(ctx.core).open, row.blob)
    except NoSuchBlob:
        log.error("an active image has lost its content", image=row.id, blob=row.blob)
        raise errors.NotFound(f"The content of image {row.id} is not in the store.") from None


async def pieces(reader: Reader, start: int, end: int) -> AsyncIterator[bytes | bytearray]:
    """What is in memory is read at once; only what waits for the disk goes to a thread."""
    try:
        while start < end:
            length = min(READ_BYTES, end - start)
            piece = reader.ready(start, length) or await blobs.in_thread(reader.read, start, length)
            if not piece:
                # The promised length can't be kept: breaking off tells the client.
                raise OSError("the content of an image ended early")
            start += len(piece)
            yield piece
            # A client as fast as the page cache would keep the event loop to itself.
            await asyncio.sleep(0)
    finally:
        reader.close()
