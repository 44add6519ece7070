# SPDX-License-Identifier: Apache-2.0
"""Keeps true: the store holds nothing that no image names.

Which uploads are alive is loops/uploads.py's. A blob's key is written into its image's row, and
committed, before the first byte is; so whatever is found in the store and afterwards in no row belongs
to nobody, however new it is.
"""

from __future__ import annotations

import sqlalchemy as sa
import structlog

from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.image import blobs
from skyhold.image.tables import IMAGES

log = structlog.get_logger("image")

EVERY_S = 600.0
BATCH = 500


async def run(ctx: Context) -> None:
    found = await blobs.in_thread(lambda: sorted(blobs.store_of(ctx.core).keys()))
    for at in range(0, len(found), BATCH):
        keys = found[at:at + BATCH]
        named = await ctx.read(named_among, keys)
        for key in keys:
            if key not in named:
                log.warning("removing image bytes that no image names", blob=key)
                await blobs.discard(ctx.core, key)


def named_among(tx: Tx, ctx: Context, keys: list[str]) -> set[str]:
    return {row.blob for row in tx.all(sa.select(IMAGES.c.blob).where(IMAGES.c.blob.in_(keys)))}
