# SPDX-License-Identifier: Apache-2.0
"""Keeps true: an image is only `saving` while an upload of it is alive.

What an upload does is files.py; the bytes a dead one left behind are loops/orphans.py's. A living
upload writes a heartbeat into the image's row, so that this also works when several processes share a
database; where there is only one process, everything found at its start is dead.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa
import structlog

from skyhold.core import context, journal
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.image import states
from skyhold.image.files import SILENT_S
from skyhold.image.images.store import store
from skyhold.image.tables import IMAGES

if TYPE_CHECKING:
    from skyhold.core.app import Core

log = structlog.get_logger("image")

EVERY_S = 30.0


async def run(ctx: Context) -> None:
    await ctx.write(requeue, ctx.now - int(SILENT_S * 1e6))


async def at_start(core: Core) -> None:
    ctx = context.internal(core)
    alone = core.db.name == "sqlite"
    await ctx.write(requeue, ctx.now + 1 if alone else ctx.now - int(SILENT_S * 1e6))


def requeue(tx: Tx, ctx: Context, before_us: int) -> int:
    """Queue the images whose upload has been silent since `before_us`; returns how many."""
    silent = sa.and_(
        IMAGES.c.status == states.SAVING,
        sa.or_(IMAGES.c.upload_seen_at.is_(None), IMAGES.c.upload_seen_at < before_us),
    )
    ids = [row.id for row in tx.all(sa.select(IMAGES.c.id).where(silent))]
    for image_id in ids:
        row = store.find(tx, image_id, lock=True)
        if row is None or row.status != states.SAVING or (row.upload_seen_at or 0) >= before_us:
            continue
        log.warning("an upload died; its image is queued again", image=image_id)
        row = store.move(tx, row, states.SAVING, states.QUEUED, blob=None, upload_seen_at=None)
        journal.record(tx, "image.upload.lost", row)
    if ids:
        loops = ctx.core.loops
        tx.after_commit(lambda: loops.ring("image.orphans"))
    return len(ids)
