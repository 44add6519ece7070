# SPDX-License-Identifier: Apache-2.0
"""Keeps true: the stores hold nothing that no row names.

Which writers are alive is loops/uploads.py's. A blob's row is committed before its first byte is written; so whatever
is found in a store and afterwards in no row belongs to nobody, however new it is.
"""

from __future__ import annotations

import sqlalchemy as sa
import structlog

from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.image import blobs
from skyhold.image.drivers.base import BlobStore
from skyhold.image.tables import BLOBS

log = structlog.get_logger("image")

EVERY_S = 600.0
BATCH = 500


async def run(ctx: Context) -> None:
    for store in blobs.stores_of(ctx.core).every():
        try:
            await sweep(ctx, store)
        except Exception as error:
            # A store that is away must not keep the others from being swept.
            log.warning("an image store could not be swept", store=store.name, why=str(error))


async def sweep(ctx: Context, store: BlobStore) -> None:
    found = await blobs.in_thread(lambda: sorted(store.keys()))
    for at in range(0, len(found), BATCH):
        keys = found[at:at + BATCH]
        named = await ctx.read(named_among, keys)
        for key in keys:
            if key not in named:
                log.warning("removing image bytes that no image names", store=store.name, blob=key)
                await blobs.discard(ctx.core, [(store.name, key)])


def named_among(tx: Tx, ctx: Context, keys: list[str]) -> set[str]:
    return {row.id for row in tx.all(sa.select(BLOBS.c.id).where(BLOBS.c.id.in_(keys)))}
