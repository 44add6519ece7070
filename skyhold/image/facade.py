# SPDX-License-Identifier: Apache-2.0
"""What other services may ask of images: the only door.

The operations behind it are images/ops.py and images/store.py. Functions of `(tx, ctx, …)` run in the
caller's transaction; an `ImageView` is a frozen copy, never a row.
"""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from skyhold.core import errors, journal
from skyhold.core.blobs.flow import finished
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.image import blobs, cache, content, descendants, files, policy, signatures, states
from skyhold.image.descendants import Descendant, Found, Source
from skyhold.image.images import ops
from skyhold.image.images.store import get as look_up
from skyhold.image.images.store import store
from skyhold.image.logic.signing import Unverified

if TYPE_CHECKING:
    from skyhold.core.app import Core

__all__ = ["Descendant", "Found"]

CHUNK_BYTES = 1024 * 1024


class ImageView(msgspec.Struct, frozen=True, kw_only=True):
    """`size_bytes`, `virtual_size_bytes` and both hashes are None until the image has content."""

    id: str
    name: str | None
    status: str
    disk_format: str | None
    container_format: str | None
    size_bytes: int | None
    virtual_size_bytes: int | None
    min_disk_gb: int
    min_ram_mb: int
    properties: dict[str, str]
    owner_id: str | None
    visibility: str
    sha512: str | None
    checksum: str | None
    placed: tuple[content.Placed, ...] = ()
    """(store, key) of the blobs that hold it: for `local_path`."""


def get(tx: Tx, ctx: Context, image_id: str) -> ImageView:
    """Raises NotFound unless the context's project may see the image."""
    return view(look_up(tx, ctx, image_id))


def find(tx: Tx, ctx: Context, image_id: str) -> ImageView | None:
    """The image whoever asks: for work that was permitted earlier."""
    row = store.find(tx, image_id)
    return None if row is None else view(row)


def local_path(core: Core, image: ImageView) -> Path | None:
    """The content as a complete file of this machine, that may be hard-linked but never written; None where no store
    has such a file. Blocks for a few system calls."""
    stores = blobs.stores_of(core)
    places = [(stores.get(name), key) for name, key in image.placed if name in stores.names]
    found = (store.path(key) for store, key in [*places, cache.place_of(core, image.id, image.sha512)])
    return next((path for path in found if path is not None), None)


async def check_trusted(ctx: Context, image_id: str, certificate_ids: list[str]) -> None:
    """Raises Invalid unless the image is signed, its content is what was signed, and these certificates
    vouch for the signer. Reads the whole content, unless its SHA-512 is what was signed."""
    row = await ctx.read(lambda tx, ctx: store.find(tx, image_id))
    if row is None:
        raise errors.Invalid(f"Image {image_id} is gone, so its signature can't be verified.")
    verifier = await signatures.trusted_verifier(ctx, row, certificate_ids)
    try:
        if verifier.algorithm == "sha512" and row.sha512:
            verifier.judge(bytes.fromhex(row.sha512))
        else:
            await read_through(ctx, row, verifier)
    except Unverified as why:
        raise signatures.refused(why) from None


async def read_through(ctx: Context, row: Any, verifier: signatures.Verifier) -> None:
    reader, at = await files.opened(ctx, row), 0
    try:
        while piece := await finished(blobs.in_thread(reader.read, at, CHUNK_BYTES)):
            await finished(blobs.in_thread(verifier.feed, piece))
            at += len(piece)
    finally:
        await asyncio.shield(blobs.in_thread(reader.close))
    verifier.conclude()


def download_url(core: Core, image_id: str) -> str:
    """GET it with a token of somebody who may download the image."""
    return f"{core.settings.public_url}/image/v2/images/{image_id}/file"


def upload_url(core: Core, image_id: str) -> str:
    """PUT the content there as application/octet-stream."""
    return download_url(core, image_id)


def create_for_snapshot(
    tx: Tx, ctx: Context, *, name: str, properties: dict[str, str], min_disk_gb: int, min_ram_mb: int,
    disk_format: str = "qcow2", container_format: str = "bare", visibility: str = "private", protected: bool = False,
) -> ImageView:
    """A queued image of the context's project. Raises Forbidden, OverQuota, TooLarge."""
    owner = ctx.project_id or None
    ctx.demand(policy.ADD_IMAGE, {"project_id": owner})
    ops.check_visibility(ctx, visibility, owner)
    for key in properties:
        ops.check_name(key)
    ops.check_properties(ctx, properties)
    return view(ops.add(
        tx, ctx, id=None, project_id=owner, name=name, visibility=visibility, disk_format=disk_format,
        container_format=container_format, min_disk_gb=min_disk_gb, min_ram_mb=min_ram_mb, protected=protected,
        hidden=False, tags=[], properties=properties,
    ))


def create_empty(
    tx: Tx, ctx: Context, *, name: str, properties: dict[str, str], min_disk_gb: int, min_ram_mb: int
) -> ImageView:
    """A private image without a single byte, active at once: its properties are all there is to it. Raises as
    `create_for_snapshot`."""
    made = create_for_snapshot(
        tx, ctx, name=name, properties=properties, min_disk_gb=min_disk_gb, min_ram_mb=min_ram_mb, disk_format="raw",
    )
    row = store.move(
        tx, store.find(tx, made.id, lock=True), states.QUEUED, states.ACTIVE, size_bytes=0, virtual_size_bytes=0,
        checksum=hashlib.md5(b"", usedforsecurity=False).hexdigest(), sha512=hashlib.sha512(b"").hexdigest(),
        locations=[],
    )
    journal.record(tx, "image.upload", row)
    return view(row)


def abandon(tx: Tx, ctx: Context, image_id: str) -> None:
    """Remove the image of a snapshot that failed, with the bytes that came so far. One that became active stays:
    somebody may have seen it, and deleted what it was made of (`is_made`)."""
    row = store.find(tx, image_id, lock=True)
    if row is not None and row.status in (states.QUEUED, states.SAVING):
        gone, core = ops.drop(tx, row), ctx.core
        tx.after_commit(lambda: blobs.discard_soon(core, gone))


def is_made(tx: Tx, ctx: Context, image_id: str) -> bool:
    """Whether the image of a snapshot is there with its content. Then it is its saga's outcome, whatever became of the
    saga afterwards."""
    row = store.find(tx, image_id)
    return row is not None and row.status in (states.ACTIVE, states.DEACTIVATED)


def add_source_of_descendants(core: Core, source: Source) -> None:
    """At the start: what another service makes of images is asked for by it (descendants.py)."""
    descendants.add_source(core, source)


def view(row: Any) -> ImageView:
    return ImageView(
        id=row.id, name=row.name, status=row.status, disk_format=row.disk_format,
        container_format=row.container_format, size_bytes=row.size_bytes,
        virtual_size_bytes=row.virtual_size_bytes, min_disk_gb=row.min_disk_gb, min_ram_mb=row.min_ram_mb,
        properties=row.properties, owner_id=row.project_id, visibility=row.visibility, sha512=row.sha512,
        checksum=row.checksum, placed=tuple(content.placed_of(row)),
    )
