# SPDX-License-Identifier: Apache-2.0
"""Compares images with their bytes, looks for uploads that died, and recounts quota and references.

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
from skyhold.core.saga import rows as saga_rows
from skyhold.image import blobs, quotas, states
from skyhold.image.content import Placed, placed_of
from skyhold.image.drivers.base import BlobStore
from skyhold.image.tables import BLOBS, IMAGES

RESOURCES = set(quotas.quota.defaults)
COLUMNS = (
    IMAGES.c.id, IMAGES.c.project_id, IMAGES.c.status, IMAGES.c.blob, IMAGES.c.size_bytes, IMAGES.c.locations,
    IMAGES.c.staged_bytes, IMAGES.c.importing,
)


async def run(ctx: Context) -> list[Finding]:
    """Keys are read first: one that is in a store before the rows are read was named before that."""
    keys, away = set[Placed](), list[Finding]()
    for store in blobs.stores_of(ctx.core).every():
        try:
            keys |= {(store.name, key) for key in await blobs.in_thread(listed, store)}
        except Exception as error:
            away.append(Finding("image store", store.name, f"The image store {store.name} can't be read: {error}.",
                                "See to the store; images in it can't be read either."))
    unread = {finding.id for finding in away}
    return away + await ctx.read(compare, keys, unread)


def listed(store: BlobStore) -> list[str]:
    return list(store.keys())


def compare(tx: Tx, ctx: Context, keys: set[Placed], unread: set[str]) -> list[Finding]:
    rows = tx.all(sa.select(*COLUMNS))
    kept = {(row.store, row.id): row.refs for row in tx.all(sa.select(BLOBS.c.store, BLOBS.c.id, BLOBS.c.refs))}
    found = [
        Finding("image bytes", key, f"The store {store} holds {key}, and no image names it.",
                "It is removed by itself within ten minutes.")
        for store, key in sorted(keys - kept.keys())
    ]
    found += wrong_counts(rows, kept) + lost(rows, keys, unread) + idle(tx, rows, {key for _, key in kept})
    return found + drift(tx, "image", RESOURCES, count(rows))


def wrong_counts(rows: Any, kept: dict[Placed, int]) -> list[Finding]:
    """Blobs whose number of images isn't the recount; those being written count none."""
    named = Counter[Placed]()
    for row in rows:
        named.update(placed_of(row))
    staged = {row.blob for row in rows if row.blob}
    return [
        Finding("image blob", key, f"The blob {key} counts {refs} images, but {named[store, key]} name it.",
                "Report it as a defect; set refs in image_blobs to the recount while the cloud is stopped.")
        for (store, key), refs in sorted(kept.items())
        if refs != named[store, key] and not (refs <= 1 and key in staged)
    ]


def lost(rows: Any, keys: set[Placed], unread: set[str]) -> list[Finding]:
    """Active images that lack a blob they name."""
    return [
        Finding("image", row.id, f"Image {row.id} is {row.status}, but its bytes are gone from {store}.",
                "Delete the image, or bring its file back from a backup.")
        for row in rows if row.status in (states.ACTIVE, states.DEACTIVATED)
        for store, key in placed_of(row) if (store, key) not in keys and store not in unread
    ]


def idle(tx: Tx, rows: Any, blob_ids: set[str]) -> list[Finding]:
    """Images in a state that doesn't last, with nobody at work on them."""
    live = saga_rows.live_subjects(tx, tx.ctx)
    return [
        Finding("image", row.id, f"Image {row.id} is {row.status}, and nobody is at work on it.",
                "It is queued again by itself within a minute; otherwise delete it.")
        for row in rows
        if (row.status in (states.SAVING, states.UPLOADING) and row.blob not in blob_ids)
        or (row.status == states.IMPORTING and row.id not in live)
    ]


def count(rows: Any) -> Counter[tuple[str, str]]:
    counted = Counter[tuple[str, str]]()
    for row in rows:
        for resource, amount in quotas.held(row).items():
            if amount:
                counted[row.project_id, resource] += amount
    return counted
