# SPDX-License-Identifier: Apache-2.0
"""Keeps true: an image is only being uploaded while somebody uploads it, and only the living write blobs.

What an upload does is files.py and staging.py, an import sagas/. The bytes of a dead one go with its blob's row; should
that fail, loops/orphans.py finds them. Whoever writes a blob says so regularly in its row, so that this also works when
several processes share a database; where there is only one process, everything found at its start is dead.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
import structlog

from skyhold.core import context, journal
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.image import blobs, content, states
from skyhold.image.content import SILENT_S
from skyhold.image.images.store import store
from skyhold.image.tables import BLOBS, IMAGES

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
    gone, core = content.give_up_silent(tx, before_us), ctx.core
    tx.after_commit(lambda: blobs.discard_soon(core, gone))
    ids = [row.id for row in tx.all(sa.select(IMAGES.c.id).where(abandoned()))]
    for image_id in ids:
        row = store.find(tx, image_id, lock=True)
        if row is not None and is_abandoned(tx, row):
            log.warning("an upload died; its image is queued again", image=image_id)
            row = store.move(tx, row, (states.SAVING, states.UPLOADING), states.QUEUED, blob=None)
            journal.record(tx, "image.upload.lost", row)
    return len(ids)


def abandoned() -> Any:
    """Its blob's row is gone: whoever wrote it has died."""
    its_blob = sa.exists(sa.select(BLOBS.c.id).where(BLOBS.c.id == IMAGES.c.blob))
    return IMAGES.c.status.in_((states.SAVING, states.UPLOADING)) & ~its_blob


def is_abandoned(tx: Tx, row: Any) -> bool:
    return tx.first(sa.select(IMAGES.c.id).where(IMAGES.c.id == row.id, abandoned())) is not None
