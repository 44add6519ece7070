# SPDX-License-Identifier: Apache-2.0
"""The content of an image: upload and download, in constant memory.

Where bytes are kept is drivers/, which blobs there are content.py, what bytes may be is logic/inspection.py. An
upload is a claim on the row (`saving` and the key of its blob): whatever ends it, either this very upload makes the
image active, or the image is queued again and its bytes are gone.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

import msgspec
import structlog

from skyhold.core import errors, journal
from skyhold.core.blobs import flow
from skyhold.core.context import Context, internal
from skyhold.core.db.tx import Tx
from skyhold.core.http.routes import Reply, Routes, Stream
from skyhold.image import blobs, cache, content, policy, quotas, signatures, states
from skyhold.image.drivers.base import BlobStore, NoSuchBlob, Reader, StoreAway, StoreFull
from skyhold.image.errors import RangeUnsatisfiable
from skyhold.image.images import ops
from skyhold.image.images.store import get, store
from skyhold.image.intake import Intake, Received, pump, too_large
from skyhold.image.logic.inspection import Inspection, Refused
from skyhold.image.logic.signing import Unverified

log = structlog.get_logger("image")

OCTETS: Final = "application/octet-stream"
RANGE: Final = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")
STORE_HEADER: Final = "X-Image-Meta-Store"

routes = Routes()


@routes.put(
    "/v2/images/{image_id}/file", policy=policy.UPLOAD_IMAGE, stream=True, status=204, headers=(STORE_HEADER,)
)
async def upload(ctx: Context, image_id: str, headers: Mapping[str, str | None], stream: Stream) -> None:
    """Upload an image's content."""
    check_octets(stream)
    target = chosen_store(ctx, headers[STORE_HEADER])
    claimed = await ctx.write(claim, image_id, ctx.core.settings.image.size_limit_bytes, target.name, stream.length)
    async with given_back(ctx, claimed):
        received = await receive(ctx, claimed, stream, target)
        await blobs.discard(ctx.core, await ctx.write(activate, claimed.row, received, target.name))


def check_octets(stream: Stream) -> None:
    if stream.content_type.partition(";")[0].strip().lower() != OCTETS:
        raise errors.UnsupportedMedia(f"Upload with Content-Type {OCTETS}.")


def chosen_store(ctx: Context, name: str | None) -> BlobStore:
    stores = blobs.stores_of(ctx.core)
    if name is None:
        return stores.default
    if name not in stores.writable:
        raise errors.Invalid(
            f"There is no image store {name[:80]!r} to write to; there are {', '.join(stores.writable)}.",
            reason="unknown_store",
        )
    return stores.get(name)


def download_routes(site: str) -> Routes:
    """Downloads at one endpoint, through its cache."""
    found = Routes()

    @found.get("/v2/images/{image_id}/file", policy=policy.DOWNLOAD_IMAGE, headers=("Range",))
    async def download(ctx: Context, image_id: str, headers: Mapping[str, str | None]) -> Reply:
        """Download an image's content, wholly or one range of it."""
        return await downloaded(ctx, image_id, headers["Range"], site)

    return found


async def downloaded(ctx: Context, image_id: str, asked: str | None, site: str) -> Reply:
    row = await ctx.read(get, image_id)
    if row.status == states.DEACTIVATED and "admin" not in ctx.creds.roles:
        raise errors.Forbidden("The requested image has been deactivated. Image data download is forbidden.")
    if not row.locations or row.status not in (states.ACTIVE, states.DEACTIVATED):
        return Reply(status=204)
    reader = await from_cache(ctx, row, site) or await opened(ctx, row)
    try:
        return answer_of(row, reader, asked)
    except BaseException:
        await blobs.in_thread(reader.close)
        raise


def answer_of(row: Any, reader: Reader, asked: str | None) -> Reply:
    size_bytes = reader.size_bytes
    part = span(asked, size_bytes)
    start, end = part or (0, size_bytes)
    answer = {"Accept-Ranges": "bytes"} | ({"Content-MD5": row.checksum} if row.checksum else {})
    if part:
        answer["Content-Range"] = f"bytes {start}-{end - 1}/{size_bytes}"
    return Reply(
        pieces(reader, start, end), status=206 if part else 200, length=end - start, headers=answer,
        content_type=OCTETS,
    )


class Claimed(msgspec.Struct, frozen=True):
    row: Any
    limit_bytes: int
    store: str


# ---- upload ----------------------------------------------------------------------------------


def claim(
    tx: Tx, ctx: Context, image_id: str, limit_bytes: int, store_name: str, length: int | None = None,
) -> Claimed:
    """Make this upload the one that the image waits for. Raises Conflict when it isn't queued, OverQuota."""
    row = store.get(tx, ctx, image_id, may=policy.UPLOAD_IMAGE)
    ops.check_formats_set(row, "prior to saving data")
    row = claimed_by(tx, ctx, row, states.SAVING, store_name)
    journal.record(tx, "image.prepare", row)
    return Claimed(row, min(limit_bytes, quotas.room_bytes(tx, row.project_id, quotas.SIZE, length)), store_name)


def claimed_by(tx: Tx, ctx: Context, row: Any, state: str, store_name: str) -> Any:
    writer_id = ctx.new_id()
    key = f"{row.id}/{writer_id}"
    row = store.move(tx, row, states.QUEUED, state, blob=key)
    content.begin(tx, ctx, store_name, key, writer_id)
    return row


@asynccontextmanager
async def given_back(ctx: Context, claimed: Claimed) -> AsyncIterator[None]:
    """Whatever goes wrong inside, the image is queued again and nothing of its bytes stays."""
    try:
        async with content.alive(ctx, claimed.row.blob):
            yield
    except BaseException:
        # Shielded: a cancelled request must not leave half of this undone.
        await asyncio.shield(give_back(ctx, claimed))
        raise


async def give_back(ctx: Context, claimed: Claimed) -> None:
    if await ctx.write(unclaim, claimed.row.id, claimed.row.blob):
        await blobs.discard(ctx.core, [(claimed.store, claimed.row.blob)])


def unclaim(tx: Tx, ctx: Context, image_id: str, key: str) -> bool:
    """Whether the bytes under this key are nobody's now. A row that is gone says so too: the image was deleted, or the
    upload given up, perhaps before its last byte was written."""
    image, unfinished = store.find(tx, image_id, lock=True), (states.SAVING, states.UPLOADING)
    if image is not None and image.blob == key and image.status in unfinished:
        store.move(tx, image, unfinished, states.QUEUED, blob=None)
    row = tx.first(content.BY_KEY, {"key": key})
    if row is not None and row.refs:
        return False
    content.forget(tx, key)
    return True


async def receive(ctx: Context, claimed: Claimed, stream: Stream, target: BlobStore) -> Received:
    row, bytes_ahead = claimed.row, stream.length
    if bytes_ahead is not None and bytes_ahead > claimed.limit_bytes:
        raise too_large(claimed.limit_bytes)
    virtual_limit = ctx.core.settings.image.virtual_size_limit_bytes
    inspection = Inspection(row.disk_format, row.container_format, virtual_limit)
    verifier = await signatures.verifier(ctx, row.properties)
    return await written(claimed, stream, target, inspection, verifier)


async def written(
    claimed: Claimed, stream: Stream, target: BlobStore, inspection: Inspection | None,
    verifier: signatures.Verifier | None = None,
) -> Received:
    """The stream as a finished blob. Raises UnsupportedMedia, TooLarge, Invalid, Gone, Unavailable."""
    try:
        writer = await blobs.writer_to(target, claimed.row.blob, stream.length)
        intake = Intake(writer, inspection, claimed.limit_bytes, verifier=verifier)
        try:
            await pump(intake, stream.chunks, stream.length)
            return await flow.finished(blobs.in_thread(intake.finish))
        finally:
            await asyncio.shield(blobs.in_thread(intake.abort))
    except Refused as refused:
        raise errors.UnsupportedMedia(str(refused), reason="image_content_refused") from None
    except Unverified as why:
        raise signatures.refused(why) from None
    except StoreFull as full:
        raise storage_full(full) from None
    except StoreAway as away:
        log.error("an image store failed an upload", store=target.name, why=str(away))
        raise errors.Unavailable(f"The image store {target.name} doesn't take content now; try again later.") from None
    except NoSuchBlob:
        raise gone(claimed.row.id) from None


def storage_full(full: StoreFull) -> errors.TooLarge:
    return errors.TooLarge(f"Image storage media is full: {full}", reason="storage_full")


def activate(tx: Tx, ctx: Context, row: Any, received: Received, store_name: str) -> list[content.Placed]:
    """Only the upload that holds the claim makes the image active; what to discard now. Raises Gone when the image
    was deleted meanwhile, Conflict when another upload took over, OverQuota."""
    now = store.find(tx, row.id, lock=True)
    if now is None:
        raise gone(row.id)
    if now.status != states.SAVING or now.blob != row.blob:
        raise errors.Conflict(f"Image {row.id} was given to another upload meanwhile.")
    key, superfluous = content.complete(tx, store_name, row.blob, received.sha512, received.size_bytes)
    new = filled(tx, now, received, [content.location(store_name, key)])
    journal.record(tx, "image.upload", new)
    return superfluous + content.release(tx, content.placed_of(now))


def filled(tx: Tx, row: Any, received: Received, locations: list[dict[str, Any]], **more: Any) -> Any:
    """The image made active with this content. Raises OverQuota."""
    return store.move(
        tx, row, (states.SAVING, states.IMPORTING), states.ACTIVE, size_bytes=received.size_bytes,
        virtual_size_bytes=received.virtual_size_bytes, checksum=received.checksum, sha512=received.sha512,
        locations=locations, blob=None, hash_algo=None, hash_value=None, **more,
    )


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


async def from_cache(ctx: Context, row: Any, site: str) -> Reader | None:
    """The copy in the cache; what should have one and doesn't is queued for it."""
    stores = blobs.stores_of(ctx.core)
    best = stores.ordered(each["store"] for each in row.locations)[0]
    far = best not in stores.names or stores.get(best).far
    if not site and not far:
        # A file of our own is as near as any cache.
        return None
    try:
        reader = await blobs.in_thread(cache.disk(ctx.core, site).open, cache.key_of(row.id, row.sha512))
    except NoSuchBlob:
        await internal(ctx.core).write(cache.wait_for, site, row.id)
        return None
    await internal(ctx.core).write(cache.hit, site, row.id)
    return reader


async def opened(ctx: Context, row: Any) -> Reader:
    """From the heaviest store that gives it. Raises NotFound, Unavailable."""
    stores, away = blobs.stores_of(ctx.core), False
    for each in sorted(row.locations, key=lambda each: stores.weight(each["store"]), reverse=True):
        try:
            return await blobs.in_thread(stores.get(each["store"]).open, each.get("blob") or each["url"])
        except NoSuchBlob:
            log.error("an active image has lost its content", image=row.id, location=each)
        except StoreAway as error:
            away = True
            log.error("an image store failed a download", image=row.id, store=each["store"], why=str(error))
    if away:
        raise errors.Unavailable(f"No store that has the content of image {row.id} answers; try again later.")
    raise errors.NotFound(f"The content of image {row.id} is not in the store.")


async def pieces(reader: Reader, start: int, end: int) -> AsyncIterator[bytes | bytearray]:
    """A part of an open blob, which is closed with it."""
    try:
        async for piece in flow.pieces_of(reader, start, end, blobs.pool_of(reader)):
            yield piece
    finally:
        # In a thread, as everything that may wait for a store.
        await asyncio.shield(blobs.in_thread(reader.close))
