# SPDX-License-Identifier: Apache-2.0
"""Lists of flavors, and how rows become wire forms.

The forms are shape.py. Who sees which flavor is store.py; filters and sort keys are Nova's.
"""

from __future__ import annotations

from typing import Any

from skyhold.compute import policy, versions
from skyhold.compute.flavors import shape, store
from skyhold.compute.links import links, next_links, page_size
from skyhold.compute.tables import FLAVORS
from skyhold.core import errors
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.shapes import ABSENT, Page
from skyhold.core.store import Filter
from skyhold.core.wire.kinds import truth

SORTABLE = {
    "flavorid": "id", "id": "id", "name": "name", "memory_mb": "ram_mb", "vcpus": "vcpus",
    "root_gb": "disk_gb", "ephemeral_gb": "ephemeral_gb", "swap": "swap_mb", "rxtx_factor": "rxtx_factor",
    "disabled": "disabled", "is_public": "is_public", "created_at": "created_at", "updated_at": "created_at",
    "vcpu_weight": "vcpus",
}


def briefs(tx: Tx, ctx: Context, query: shape.FlavorQuery) -> Page:
    rows, following = rows_of(tx, ctx, query, "flavors")
    return Page([shape.FlavorBrief(
        id=row.id, name=row.name, links=links(ctx, "flavors", row.id), description=row.description,
    ) for row in rows], following)


def details(tx: Tx, ctx: Context, query: shape.FlavorQuery) -> Page:
    rows, following = rows_of(tx, ctx, query, "flavors/detail")
    return Page([full(ctx, row) for row in rows], following)


def show(tx: Tx, ctx: Context, flavor_id: str) -> shape.Flavor:
    return full(ctx, store.get(tx, ctx, flavor_id))


def full(ctx: Context, row: Any) -> shape.Flavor:
    no_swap = 0 if ctx.version >= versions.NUMBERS_ALWAYS else ""
    own = {"project_id": ctx.project_id, "user_id": ctx.user_id}
    seen = row.extra_specs if ctx.allows(policy.EXTRA_SPECS_INDEX, own) else ABSENT
    return shape.Flavor(
        id=row.id, name=row.name, ram=row.ram_mb, disk=row.disk_gb, vcpus=row.vcpus,
        swap=row.swap_mb or no_swap, ephemeral=row.ephemeral_gb, disabled=row.disabled,
        is_public=row.is_public, rxtx_factor=row.rxtx_factor, links=links(ctx, "flavors", row.id),
        description=row.description, extra_specs=seen,
    )


def rows_of(tx: Tx, ctx: Context, query: shape.FlavorQuery, path: str) -> tuple[list[Any], Any]:
    """One page, and the links to the next."""
    size = page_size(ctx, query.limit)
    if query.sort_key not in SORTABLE:
        raise errors.Invalid(f"Sort key supplied was not valid: {query.sort_key[:50]}")
    if query.sort_dir not in ("asc", "desc"):
        raise errors.Invalid(f"Invalid sort direction: {query.sort_dir[:50]}")
    if query.marker and store.find(tx, ctx, query.marker) is None:
        raise errors.Invalid(f"marker [{query.marker[:100]}] not found", reason="marker_not_found")
    rows = store.store.page(
        tx, ctx, may=policy.FLAVORS, filters=filters_of(ctx, query), where=openness(ctx, query.is_public),
        sort=[(SORTABLE[query.sort_key], query.sort_dir)], limit=size, marker=query.marker,
    )
    asked = {field: getattr(query, name) for name, field in zip(
        query.__struct_fields__, ("limit", "marker", "is_public", "minRam", "minDisk", "sort_key", "sort_dir"),
        strict=True,
    )}
    return rows, next_links(ctx, path, asked, size, [row.id for row in rows])


def filters_of(ctx: Context, query: shape.FlavorQuery) -> list[Filter]:
    found: list[Filter] = []
    for text, column, word in ((query.min_ram, "ram_mb", "min_ram"), (query.min_disk, "disk_gb", "min_disk")):
        if text is not None:
            if not text.isascii() or not text.isdigit() or len(text) > 18:
                raise errors.Invalid(f"Invalid {word} filter [{text[:50]}]")
            found.append((column, "ge", int(text)))
    if not store.sees_all(ctx):
        found.append(("disabled", "eq", False))
    return found


def openness(ctx: Context, asked: str | None) -> list[Any]:
    """Clauses for `is_public`: only administrators may ask for private flavors, or (`none`) for all."""
    if not store.sees_all(ctx):
        return [store.usable(ctx.project_id)]
    wanted = True if asked is None else None if asked.lower() == "none" else truth(asked)
    if wanted is None:
        return []
    if not isinstance(wanted, bool):
        raise errors.Invalid(f"Invalid is_public filter [{asked}]")
    return [store.usable(ctx.project_id) if wanted else FLAVORS.c.is_public.is_(False)]
