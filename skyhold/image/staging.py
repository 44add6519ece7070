# SPDX-License-Identifier: Apache-2.0
"""Staging: content that is uploaded now and imported later.

Imports are imports/ and sagas/. What is staged is taken as it is: only the import knows what the plug-ins will make
of it, and so only then is it inspected. It can't be downloaded meanwhile.
"""

from __future__ import annotations

from typing import Any

from skyhold.core import journal
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.http.routes import Routes, Stream
from skyhold.image import blobs, content, files, policy, quotas, states
from skyhold.image.images.store import store
from skyhold.image.intake import too_large

routes = Routes()


@routes.put("/v2/images/{image_id}/stage", policy=policy.UPLOAD_IMAGE, stream=True, status=204)
async def stage(ctx: Context, image_id: str, stream: Stream) -> None:
    """Upload content that is imported later."""
    files.check_octets(stream)
    target = blobs.stores_of(ctx.core).get(blobs.STAGING)
    claimed = await ctx.write(claim, image_id, ctx.core.settings.image.size_limit_bytes, stream.length)
    async with files.given_back(ctx, claimed):
        if stream.length is not None and stream.length > claimed.limit_bytes:
            raise too_large(claimed.limit_bytes)
        received = await files.written(claimed, stream, target, None)
        await ctx.write(settle, claimed.row, received.size_bytes)


def claim(tx: Tx, ctx: Context, image_id: str, limit_bytes: int, length: int | None) -> files.Claimed:
    """Raises Conflict when the image isn't queued, OverQuota."""
    row = store.get(tx, ctx, image_id, may=policy.UPLOAD_IMAGE)
    row = files.claimed_by(tx, ctx, row, states.UPLOADING, blobs.STAGING)
    journal.record(tx, "image.prepare", row)
    limits = (quotas.room_bytes(tx, row.project_id, each, length) for each in (quotas.SIZE, quotas.STAGED))
    return files.Claimed(row, min(limit_bytes, *limits), blobs.STAGING)


def settle(tx: Tx, ctx: Context, row: Any, size_bytes: int) -> None:
    """The content waits now for its import. Raises Gone, OverQuota."""
    now = store.find(tx, row.id, lock=True)
    if now is None or now.blob != row.blob:
        raise files.gone(row.id)
    content.keep_unhashed(tx, row.blob, size_bytes)
    now = store.update(tx, now, staged_bytes=size_bytes)
    journal.record(tx, "image.stage", now)
