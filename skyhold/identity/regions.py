# SPDX-License-Identifier: Apache-2.0
"""Regions: the places of a catalogue, in a tree; their ids are words that operators choose.

Endpoints name them (endpoints.py). This cloud is one region; others are only pointed to.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from skyhold.core import errors, journal
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.http.routes import Routes
from skyhold.core.shapes import ABSENT, Absent, JsonObject, OpenShape, Page, collection, envelope, field
from skyhold.core.store import Store, locked
from skyhold.identity import links, permits, policy
from skyhold.identity.auth.sessions import void
from skyhold.identity.listing import ListQuery, page
from skyhold.identity.shapes import extra_of, given
from skyhold.identity.tables import ENDPOINTS, REGIONS, REGISTERED_LIMITS
from skyhold.identity.unique import duplicate, once

# ---- shape ---------------------------------------------------------------------------------


class RegionCreate(OpenShape):
    id: str = field(default="", max=255)
    description: str | None = field(default="")
    parent_region_id: str | None = field(default=None, max=255)


class RegionChange(OpenShape, min_fields=1):
    id: str | Absent = field(optional=True)
    description: str | Absent | None = field(optional=True)
    parent_region_id: str | Absent | None = field(optional=True, max=255)


class Region(OpenShape):
    id: str
    description: str
    parent_region_id: str | None
    links: JsonObject


class RegionQuery(ListQuery):
    parent_region_id: str | None = field(default=None)


# ---- routes --------------------------------------------------------------------------------

routes = Routes()
ONE = envelope("region", Region)


@routes.get(
    "/v3/regions", policy=policy.LIST_REGIONS, query=RegionQuery, reply=collection(
        "regions", Region, links="links"
    )
)
async def index(ctx: Context, query: RegionQuery) -> Page:
    """List regions."""
    return await ctx.read(list_page, query)


@routes.post(
    "/v3/regions", policy=policy.CREATE_REGION, body=envelope("region", RegionCreate), reply=ONE, status=201
)
async def create(ctx: Context, want: RegionCreate) -> Region:
    """Create a region."""
    return await ctx.write(insert, want, want.id or permits.hex_id(ctx))


@routes.put(
    "/v3/regions/{region_id}", policy=policy.CREATE_REGION, body=envelope("region", RegionCreate), reply=ONE,
    status=201,
)
async def create_named(ctx: Context, region_id: str, want: RegionCreate) -> Region:
    """Create the region with this id."""
    if want.id not in ("", region_id):
        raise errors.Invalid("Conflicting region IDs specified: the body and the address differ.")
    return await ctx.write(insert, want, region_id)


@routes.get("/v3/regions/{region_id}", policy=policy.GET_REGION, reply=ONE)
async def show(ctx: Context, region_id: str) -> Region:
    """Show a region."""
    return view(ctx, await ctx.read(store.get, region_id))


@routes.patch(
    "/v3/regions/{region_id}", policy=policy.UPDATE_REGION, body=envelope("region", RegionChange), reply=ONE
)
async def update(ctx: Context, region_id: str, want: RegionChange) -> Region:
    """Change a region."""
    return await ctx.write(change, region_id, want)


@routes.delete("/v3/regions/{region_id}", policy=policy.DELETE_REGION)
async def delete(ctx: Context, region_id: str) -> None:
    """Delete a region and all below it, which no endpoint names."""
    await ctx.write(remove, region_id)


# ---- operations ----------------------------------------------------------------------------


def insert(tx: Tx, ctx: Context, want: RegionCreate, region_id: str) -> Region:
    """Raises Conflict for an id that is taken, NotFound for a parent that isn't there."""
    refuse_missing_parent(tx, want.parent_region_id)
    with once(tx, duplicate("region", f"Duplicate ID, {region_id}", "id_taken")):
        row = store.insert(
            tx, id=region_id, description=want.description or "", parent_region_id=want.parent_region_id,
            extra=extra_of(want),
        )
    journal.record(tx, "region.create", row)
    return view(ctx, row)


def change(tx: Tx, ctx: Context, region_id: str, want: RegionChange) -> Region:
    row = store.get(tx, ctx, region_id)
    if want.id is not ABSENT and want.id != row.id:
        raise errors.Invalid("Cannot change region ID")
    values = given(parent_region_id=want.parent_region_id)
    if want.description is not ABSENT:
        values["description"] = want.description or ""
    if values.get("parent_region_id"):
        refuse_missing_parent(tx, values["parent_region_id"])
        refuse_circle(tx, row.id, values["parent_region_id"])
    row = store.update(tx, row, **values, extra=row.extra | extra_of(want))
    journal.record(tx, "region.update", row)
    return view(ctx, row)


def refuse_missing_parent(tx: Tx, parent_id: str | None) -> None:
    if parent_id and store.find(tx, parent_id, lock="stay") is None:
        raise store.not_found(parent_id)


def refuse_circle(tx: Tx, region_id: str, parent_id: str) -> None:
    rows = tx.all(sa.select(REGIONS.c.id, REGIONS.c.parent_region_id))
    parents: dict[str, str | None] = {row.id: row.parent_region_id for row in rows}
    at: str | None = parent_id
    seen: set[str] = set()
    while at is not None and at not in seen:
        if at == region_id:
            raise errors.Invalid("A region can't be below itself.")
        seen.add(at)
        at = parents.get(at)


def remove(tx: Tx, ctx: Context, region_id: str) -> None:
    """With all regions below it, as upstream does. Raises Forbidden while one of them is in use."""
    rows = with_below(tx, store.get(tx, ctx, region_id))
    ids = [row.id for row in rows]
    if tx.first(sa.select(ENDPOINTS.c.id).where(ENDPOINTS.c.region_id.in_(ids)).limit(1)) is not None:
        raise errors.Forbidden(
            f"Unable to delete region {region_id} because it or its child regions have associated endpoints.",
            reason="in_use",
        )
    limited = REGISTERED_LIMITS.c
    if tx.first(sa.select(limited.id).where(limited.region_id.in_(ids)).limit(1)) is not None:
        raise errors.Forbidden(
            f"Unable to delete region {region_id} because limits are registered for it or its child regions.",
            reason="in_use",
        )
    for row in reversed(rows):
        store.delete(tx, row)
        journal.record(tx, "region.delete", row)
    void(tx)


def with_below(tx: Tx, top: Any) -> list[Any]:
    """The locked row of a region and those of all below it, locked too. Level by level: nothing new comes below a
    region that is locked."""
    found = level = [top]
    while level:
        below = sa.select(*REGIONS.c).where(REGIONS.c.parent_region_id.in_([row.id for row in level]))
        rows = tx.all(locked(below.order_by(REGIONS.c.id), tx.dialect != "sqlite"))
        level = [store.Row._make(row) for row in rows]
        found = [*found, *level]
    return found


# ---- queries -------------------------------------------------------------------------------

store = Store(REGIONS, service="identity", kind="region", label="Region")


def view(ctx: Context, row: Any) -> Region:
    return Region(
        id=row.id, description=row.description, parent_region_id=row.parent_region_id,
        links=links.to(ctx, f"regions/{row.id}"), extra=row.extra,
    )


def list_page(tx: Tx, ctx: Context, query: RegionQuery) -> Page:
    return page(tx, ctx, store, query, "regions", view, equal=["parent_region_id"])
