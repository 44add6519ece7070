# SPDX-License-Identifier: Apache-2.0
"""What is done to a volume by POST …/action, a route for each key.

Decisions are ops.py, holding.py (reserving and attaching by hand) and uploads.py; wire forms shape.py.
"""

from __future__ import annotations

from typing import Any

from skyhold.core.context import Context
from skyhold.core.http.routes import Routes
from skyhold.core.shapes import envelope
from skyhold.volume import policy
from skyhold.volume.volumes import holding, ops, shape, uploads
from skyhold.volume.volumes.api import VOLUME

ACTION = VOLUME + "/action"

routes = Routes()


@routes.action(ACTION, "os-extend", policy=policy.EXTEND, body=shape.Extend)
async def extend(ctx: Context, volume_id: str, want: shape.Extend) -> None:
    """Extend a volume that is available."""
    await ctx.write(ops.extend, volume_id, want.new_size)


@routes.action(ACTION, "os-set_bootable", policy=policy.SET_BOOTABLE, body=shape.SetBootable, status=200)
async def set_bootable(ctx: Context, volume_id: str, want: shape.SetBootable) -> None:
    """Say whether a volume can be booted from."""
    await ctx.write(ops.set_bootable, volume_id, want.bootable)


@routes.action(
    ACTION, "os-volume_upload_image", policy=policy.UPLOAD_IMAGE, body=shape.Upload,
    reply=envelope("os-volume_upload_image", shape.Uploaded),
)
async def upload(ctx: Context, volume_id: str, want: shape.Upload) -> shape.Uploaded:
    """Make an image of a volume."""
    return await ctx.write(uploads.begin, volume_id, want)


@routes.action(ACTION, "os-show_image_metadata", policy=policy.IMAGE_METADATA_SHOW, status=200)
async def show_image_metadata(ctx: Context, volume_id: str) -> Any:
    """Show what a volume's image says."""
    return {"metadata": await ctx.read(ops.image_metadata, volume_id)}


@routes.action(
    ACTION, "os-set_image_metadata", policy=policy.IMAGE_METADATA_SET, body=shape.ImageMetadata, status=200
)
async def set_image_metadata(ctx: Context, volume_id: str, want: shape.ImageMetadata) -> Any:
    """Set what a volume's image says."""
    return {"metadata": await ctx.write(ops.set_image_metadata, volume_id, want.metadata)}


@routes.action(
    ACTION, "os-unset_image_metadata", policy=policy.IMAGE_METADATA_REMOVE, body=shape.ImageMetadataKey, status=200
)
async def unset_image_metadata(ctx: Context, volume_id: str, want: shape.ImageMetadataKey) -> None:
    """Remove an item of what a volume's image says."""
    await ctx.write(ops.drop_image_metadata, volume_id, want.key)


@routes.action(ACTION, "os-reserve", policy=policy.RESERVE)
async def reserve(ctx: Context, volume_id: str) -> None:
    """Keep a volume for attaching."""
    await ctx.write(holding.reserve, volume_id)


@routes.action(ACTION, "os-unreserve", policy=policy.UNRESERVE)
async def unreserve(ctx: Context, volume_id: str) -> None:
    """Give up a reservation."""
    await ctx.write(holding.unreserve, volume_id)


@routes.action(ACTION, "os-attach", policy=policy.ATTACH, body=shape.Attach)
async def attach(ctx: Context, volume_id: str, want: shape.Attach) -> None:
    """Note where a volume is attached."""
    await ctx.write(holding.attach, volume_id, want)


@routes.action(ACTION, "os-begin_detaching", policy=policy.BEGIN_DETACHING)
async def begin_detaching(ctx: Context, volume_id: str) -> None:
    """Begin to detach a volume."""
    await ctx.write(holding.begin_detaching, volume_id)


@routes.action(ACTION, "os-roll_detaching", policy=policy.ROLL_DETACHING)
async def roll_detaching(ctx: Context, volume_id: str) -> None:
    """Let a volume stay attached after all."""
    await ctx.write(holding.roll_detaching, volume_id)


@routes.action(ACTION, "os-detach", policy=policy.DETACH, body=shape.Detach | None)
async def detach(ctx: Context, volume_id: str, want: shape.Detach | None) -> None:
    """Note that a volume is detached."""
    await ctx.write(holding.detach, volume_id, want.attachment_id if want else None)


@routes.action(ACTION, "os-reset_status", policy=policy.RESET_STATUS, body=shape.ResetStatus)
async def reset_status(ctx: Context, volume_id: str, want: shape.ResetStatus) -> None:
    """Set a volume's state."""
    await ctx.write(ops.reset_status, volume_id, want)


@routes.action(ACTION, "os-force_delete", policy=policy.FORCE_DELETE)
async def force_delete(ctx: Context, volume_id: str) -> None:
    """Delete a volume whatever its state."""
    await ctx.write(ops.force_delete, volume_id)
