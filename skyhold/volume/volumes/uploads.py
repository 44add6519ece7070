# SPDX-License-Identifier: Apache-2.0
"""Making an image of a volume: the image's row now, its bytes by a saga (sagas/upload.py).

The image carries on what the volume says of the image that it was made of itself.
"""

from __future__ import annotations

from typing import Any

from skyhold.core import errors, journal
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.image import facade as image_facade
from skyhold.volume import policy, states, types
from skyhold.volume.volumes import shape
from skyhold.volume.volumes.ops import OF_THE_IMAGE
from skyhold.volume.volumes.store import VOLUMES_STORE, get, holders, need

WRITABLE = ("raw", "qcow2")
SIGNATURE = "img_signature"


def begin(tx: Tx, ctx: Context, volume_id: str, want: shape.Upload) -> shape.Uploaded:
    """Raises Invalid for a volume that isn't available, and for formats that no host writes; Forbidden, OverQuota."""
    from skyhold.volume.sagas.upload import UploadVolume

    volume = get(tx, ctx, volume_id)
    refuse_formats(want)
    if want.visibility == "public":
        ctx.demand(policy.UPLOAD_PUBLIC, volume._asdict())
    if volume.state == states.IN_USE:
        raise errors.Invalid(
            f"Invalid volume: Volume {volume.id} is in use, with or without force: detach it, or upload a volume made "
            f"of a snapshot of it.{holders(tx, volume)}", reason="wrong_state", state=volume.state,
        )
    need(tx, volume, [states.AVAILABLE], "upload it")
    image = image_facade.create_for_snapshot(
        tx, ctx, name=want.image_name, properties=carried(volume), min_disk_gb=0, min_ram_mb=0,
        disk_format=want.disk_format, visibility=want.visibility, protected=want.protected,
    )
    volume = VOLUMES_STORE.move(tx, volume, states.AVAILABLE, states.UPLOADING, fault=None)
    journal.record(tx, "volume.upload.start", volume)
    UploadVolume.start(tx, ctx, subject=volume.id, kept=UploadVolume.Kept(image_id=image.id))
    return answer(tx, volume, image, want)


def refuse_formats(want: shape.Upload) -> None:
    if want.disk_format not in WRITABLE:
        raise errors.Invalid(f"Volumes are uploaded as {' or '.join(WRITABLE)}, not as {want.disk_format}.")
    if want.container_format not in (None, "bare"):
        raise errors.Invalid(f"Volumes are uploaded in bare containers, not in {str(want.container_format)[:50]}.")


def carried(volume: Any) -> dict[str, str]:
    """What still holds: a signature was of the image's own bytes, and a guest may have written others since."""
    said = volume.image_metadata or {}
    return {key: value for key, value in said.items() if key not in OF_THE_IMAGE and not key.startswith(SIGNATURE)}


def answer(tx: Tx, volume: Any, image: Any, want: shape.Upload) -> shape.Uploaded:
    kind = types.store.expect(tx, volume.type_id)
    return shape.Uploaded(
        id=volume.id, updated_at=volume.updated_at, status=volume.state, display_description=volume.description,
        size=volume.size_gib, volume_type={"id": kind.id, "name": kind.name}, image_id=image.id,
        image_name=image.name, disk_format=image.disk_format, container_format=image.container_format,
        visibility=want.visibility, protected=want.protected,
    )
