# SPDX-License-Identifier: Apache-2.0
"""Keeps true: the disk holds nothing that no row names.

Which uploads are alive is uploads.py's. A blob's row is committed before its first byte is written; so whatever is
found on the disk and afterwards in no row belongs to nobody, however new it is.
"""

from __future__ import annotations

from collections.abc import Iterable

import structlog

from skyhold.core.blobs.flow import in_pool
from skyhold.core.context import Context
from skyhold.object.engine import contents

log = structlog.get_logger("object")

EVERY_S = 600.0
BATCH = 500


async def run(ctx: Context) -> None:
    found = await on_disk(ctx)
    for at in range(0, len(found), BATCH):
        ids = found[at:at + BATCH]
        named = await ctx.read(contents.named_among, ids)
        for blob_id in (each for each in ids if each not in named):
            log.warning("removing an object's bytes that no object names", blob=blob_id)
            await contents.discard(ctx.core, [blob_id])


async def on_disk(ctx: Context) -> list[str]:
    """The ids of all blobs there, unfinished ones too."""
    return await in_pool(contents.POOL, listed, contents.disk(ctx.core).keys())


def listed(keys: Iterable[str]) -> list[str]:
    return sorted(key.partition("/")[2] for key in keys)
