# SPDX-License-Identifier: Apache-2.0
"""Lists of volumes, and their sums.

Paging, sorting and whose volumes are paging.py; single look-ups are store.py.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from skyhold.core import errors
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.shapes import Page
from skyhold.core.store import Filter
from skyhold.volume import policy, versions
from skyhold.volume.paging import is_yes, page
from skyhold.volume.tables import VOLUMES
from skyhold.volume.volumes import shape, views
from skyhold.volume.volumes.store import VOLUMES_STORE

SORTABLE = {
    "created_at": "created_at", "updated_at": "updated_at", "id": "id", "name": "name", "display_name": "name",
    "size": "size_gib", "status": "state", "bootable": "bootable", "host": "host_id",
    "availability_zone": "availability_zone", "project_id": "project_id",
}
TRUE, FALSE = ("true", "1", "yes", "on", "t", "y"), ("false", "0", "no", "off", "f", "n")


def briefs(tx: Tx, ctx: Context, query: shape.VolumeQuery) -> Page:
    return listed(tx, ctx, query, "volumes", lambda rows: [views.brief(ctx, row) for row in rows])


def details(tx: Tx, ctx: Context, query: shape.VolumeQuery) -> Page:
    return listed(tx, ctx, query, "volumes/detail", lambda rows: views.full(tx, ctx, rows))


def listed(tx: Tx, ctx: Context, query: shape.VolumeQuery, path: str, show: Any) -> Page:
    return page(
        tx, ctx, VOLUMES_STORE, query, everyones=policy.VOLUMES_LIST_ALL, filters=filters_of(query), path=path,
        sortable=SORTABLE, show=show,
    )


def filters_of(query: shape.VolumeQuery) -> list[Filter]:
    if query.metadata is not None:
        raise errors.Invalid("Volumes can't be filtered by their metadata here: list them and choose.")
    found: list[Filter] = [
        (column, "eq", value)
        for column, value in (
            ("name", query.name), ("state", query.status), ("availability_zone", query.availability_zone)
        ) if value is not None
    ]
    return found if query.bootable is None else [*found, ("bootable", "eq", truth("bootable", query.bootable))]


def truth(name: str, text: str) -> bool:
    if text.lower() in TRUE:
        return True
    if text.lower() in FALSE:
        return False
    raise errors.Invalid(f"Invalid value '{text[:50]}' for {name}: must be a boolean.")


def summary(tx: Tx, ctx: Context, query: shape.VolumeQuery) -> dict[str, Any]:
    """How many volumes there are, how large together, and from 3.36 on which metadata they have."""
    everyone = is_yes(query.all_tenants) and ctx.allows(policy.VOLUMES_LIST_ALL, None)
    seen = VOLUMES_STORE.visible(ctx, policy.VOLUMES_LIST_ALL if everyone else None)
    mine = sa.true() if everyone else VOLUMES.c.project_id == ctx.project_id
    row = tx.first(
        sa.select(sa.func.count().label("n"), sa.func.coalesce(sa.func.sum(VOLUMES.c.size_gib), 0).label("gib"))
        .where(seen, mine)
    )
    found: dict[str, Any] = {"total_count": int(row.n) if row else 0, "total_size": int(row.gib) if row else 0}
    if ctx.version >= versions.SUMMARY_METADATA:
        found["metadata"] = collected(tx.all(sa.select(VOLUMES.c.metadata).where(seen, mine)))
    return found


def collected(rows: Any) -> dict[str, list[str]]:
    """Every value of each key."""
    found: dict[str, set[str]] = {}
    for row in rows:
        for key, value in row.metadata.items():
            found.setdefault(key, set()).add(value)
    return {key: sorted(values) for key, values in sorted(found.items())}
