# SPDX-License-Identifier: Apache-2.0
"""Compares images with their bytes, looks for uploads that died, and recounts quota.

The loops repair most of this by themselves (loops/orphans.py, loops/uploads.py): what an audit finds is
what they have not come to yet, or can't mend.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import sqlalchemy as sa

from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.operator.findings import Finding, drift
from skyhold.image import blobs, states
from skyhold.image.files import SILENT_S
from skyhold.image.images.ops import mib
from skyhold.image.tables import IMAGES

RESOURCES = {"image_count_total", "image_size_total"}
RESTING = (states.QUEUED, states.ACTIVE, states.DEACTIVATED)


async def run(ctx: Context) -> list[Finding]:
    """Keys are read first: one that is in the store before the rows are read was named before that."""
    keys = set(await blobs.in_thread(lambda: list(blobs.store_of(ctx.core).keys())))
    return await ctx.read(compare, keys)


def compare(tx: Tx, ctx: Context, keys: set[str]) -> list[Finding]:
    rows = tx.all(sa.select(
        IMAGES.c.id, IMAGES.c.project_id, IMAGES.c.status, IMAGES.c.blob, IMAGES.c.size_bytes, IMAGES.c.upload_seen_at,
    ))
    named = {row.blob for row in rows if row.blob}
    found = [
        Finding("image bytes", key, f"The store holds {key}, and no image names it.",
                "It is removed by itself within ten minutes.")
        for key in sorted(keys - named)
    ]
    for row in rows:
        if row.status in (states.ACTIVE, states.DEACTIVATED) and row.blob not in keys:
            found.append(Finding("image", row.id, f"Image {row.id} is {row.status}, but its bytes are gone.",
                                 "Delete the image, or bring its file back from a backup."))
        elif row.status not in RESTING and (row.upload_seen_at or 0) < tx.now - int(SILENT_S * 1e6):
            found.append(Finding("image", row.id, f"Image {row.id} is {row.status}, and nobody is at work on it.",
                                 "It is queued again by itself within a minute; otherwise delete it."))
    return found + drift(tx, "image", RESOURCES, count(rows))


def count(rows: Any) -> Counter[tuple[str, str]]:
    counted = Counter[tuple[str, str]]()
    for row in rows:
        if row.project_id:
            counted[row.project_id, "image_count_total"] += 1
            counted[row.project_id, "image_size_total"] += mib(row.size_bytes)
    return counted
