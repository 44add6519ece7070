# SPDX-License-Identifier: Apache-2.0
"""A volume as its host is told about it.

Sending it is the business of sagas; the structs are drivers/base.py.
"""

from __future__ import annotations

from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.saga.base import Abort
from skyhold.image import facade as image_facade
from skyhold.volume.drivers.base import ImageSource, VolumeSpec
from skyhold.volume.pools import GIB
from skyhold.volume.volumes.store import VOLUMES_STORE


def new_volume(tx: Tx, ctx: Context, volume_id: str, token: str) -> VolumeSpec:
    """`token` lets the host fetch the image when it doesn't share the store's disk."""
    volume = VOLUMES_STORE.expect(tx, volume_id)
    return VolumeSpec(
        volume_id=volume.id, size_bytes=volume.size_gib * GIB,
        image=image(tx, ctx, volume.image_id, token) if volume.image_id else None,
        snapshot_id=volume.snapshot_id, source_volume_id=volume.source_volume_id,
    )


def image(tx: Tx, ctx: Context, image_id: str, token: str) -> ImageSource:
    found = image_facade.find(tx, ctx, image_id)
    if found is None or found.status != "active" or found.sha512 is None:
        raise Abort(f"Image {image_id} is no longer there to make a volume of.")
    path = image_facade.local_path(ctx.core, found)
    return ImageSource(
        image_id=found.id, format=found.disk_format, size_bytes=found.size_bytes,  # type: ignore[arg-type]
        virtual_size_bytes=found.virtual_size_bytes or found.size_bytes, sha512=found.sha512,  # type: ignore[arg-type]
        path=str(path) if path else None, url=image_facade.download_url(ctx.core, found.id), token=token,
    )


def grown_volume(tx: Tx, ctx: Context, volume_id: str) -> VolumeSpec:
    volume = VOLUMES_STORE.expect(tx, volume_id)
    return VolumeSpec(volume_id=volume.id, size_bytes=(volume.growing_gib or volume.size_gib) * GIB, anew=False)


def ungrown_volume(tx: Tx, ctx: Context, volume_id: str) -> VolumeSpec:
    """As it is shown while it grows: what a host has beyond that it keeps, and tells of."""
    volume = VOLUMES_STORE.expect(tx, volume_id)
    return VolumeSpec(volume_id=volume.id, size_bytes=volume.size_gib * GIB, anew=False)
