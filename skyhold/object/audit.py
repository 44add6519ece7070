# SPDX-License-Identifier: Apache-2.0
"""Compares objects with their bytes, and recounts what containers and blobs count.

The loops remove what is on the disk and belongs to nobody (loops/orphans.py); all else that is found here is damage.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.operator.findings import Finding
from skyhold.object.loops.orphans import on_disk
from skyhold.object.tables import BLOBS, CONTAINERS, OBJECTS

REPORT = "Report it as a defect"

IN_CONTAINERS = (
    sa.select(
        CONTAINERS.c.id, CONTAINERS.c.name, CONTAINERS.c.objects, CONTAINERS.c.bytes_used,
        sa.func.count(OBJECTS.c.id).label("counted"),
        sa.func.coalesce(sa.func.sum(OBJECTS.c.size_bytes), 0).label("summed"),
    )
    .select_from(CONTAINERS.outerjoin(OBJECTS, OBJECTS.c.container_id == CONTAINERS.c.id))
    .group_by(CONTAINERS.c.id, CONTAINERS.c.name, CONTAINERS.c.objects, CONTAINERS.c.bytes_used)
)
OF_BLOBS = (
    sa.select(BLOBS.c.id, BLOBS.c.refs, sa.func.count(OBJECTS.c.id).label("counted"))
    .select_from(BLOBS.outerjoin(OBJECTS, OBJECTS.c.blob_id == BLOBS.c.id))
    .group_by(BLOBS.c.id, BLOBS.c.refs)
)


async def run(ctx: Context) -> list[Finding]:
    """The disk is read first: what is on it before the rows are read was named before that."""
    try:
        ids = set(await on_disk(ctx))
    except OSError as error:
        return [Finding("object store", "disk", f"The object store can't be read: {error}.", "See to its disk.")]
    return await ctx.read(compare, ids)


def compare(tx: Tx, ctx: Context, ids: set[str]) -> list[Finding]:
    blobs = tx.all(OF_BLOBS)
    return [*strays(ids, blobs), *lost(ids, blobs), *wrong_refs(blobs), *wrong_counters(tx.all(IN_CONTAINERS))]


def strays(ids: set[str], blobs: Any) -> list[Finding]:
    return [
        Finding("object bytes", blob_id, f"The disk holds the blob {blob_id}, and no object names it.",
                "It is removed by itself within ten minutes.")
        for blob_id in sorted(ids - {row.id for row in blobs})
    ]


def lost(ids: set[str], blobs: Any) -> list[Finding]:
    return [
        Finding("object bytes", row.id, f"The bytes of {row.counted} objects, the blob {row.id}, are gone.",
                "Bring the file back from a backup, or delete the objects.")
        for row in blobs if row.refs and row.id not in ids
    ]


def wrong_refs(blobs: Any) -> list[Finding]:
    return [
        Finding("object blob", row.id, f"The blob {row.id} counts {row.refs} objects, but {row.counted} name it.",
                f"{REPORT}; set refs in object_blobs to the recount while the cloud is stopped.")
        for row in blobs if row.refs != row.counted
    ]


def wrong_counters(rows: Any) -> list[Finding]:
    return [
        Finding("container", row.id,
                f"Container {row.name!r} counts {row.objects} objects of {row.bytes_used} bytes, but holds "
                f"{row.counted} of {row.summed}.",
                f"{REPORT}; set both in object_containers to the recount while the cloud is stopped.")
        for row in rows if (row.objects, row.bytes_used) != (row.counted, int(row.summed))
    ]
