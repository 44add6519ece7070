# SPDX-License-Identifier: Apache-2.0
"""Registered limits: which resources of a service are counted, and what a project may have by default.

Limits of single projects and domains are limits.py; what is in force for somebody is ceilings.py. One
that limits refer to neither changes nor goes: they were set with it in mind.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from skyhold.core import errors, journal
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.http.routes import Routes
from skyhold.core.shapes import ABSENT, Absent, JsonObject, Page, Shape, collection, envelope, field
from skyhold.core.store import Store
from skyhold.identity import links, permits, policy, regions, services
from skyhold.identity.listing import ListQuery, page
from skyhold.identity.shapes import ID, given
from skyhold.identity.tables import LIMITS, REGISTERED_LIMITS
from skyhold.identity.unique import duplicate, once

UNLIMITED, MOST = -1, 2**31 - 1

# ---- shape ---------------------------------------------------------------------------------


class RegisteredLimitCreate(Shape):
    service_id: str = field(min=1, max=64, pattern=ID)
    region_id: str | None = field(default=None, max=255)
    resource_name: str = field(min=1, max=255)
    default_limit: int = field(min=UNLIMITED, max=MOST)
    description: str | None = field(default=None)


class RegisteredLimitChange(Shape):
    service_id: str | Absent = field(optional=True, min=1, max=64, pattern=ID)
    region_id: str | Absent | None = field(optional=True, max=255)
    resource_name: str | Absent = field(optional=True, min=1, max=255)
    default_limit: int | Absent = field(optional=True, min=UNLIMITED, max=MOST)
    description: str | Absent | None = field(optional=True)


class RegisteredLimit(Shape):
    id: str
    service_id: str
    region_id: str | None
    resource_name: str
    default_limit: int
    description: str | None
    links: JsonObject


class RegisteredLimitQuery(ListQuery):
    service_id: str | None = field(default=None)
    region_id: str | None = field(default=None)
    resource_name: str | None = field(default=None)


# ---- routes --------------------------------------------------------------------------------

routes = Routes()
ONE = envelope("registered_limit", RegisteredLimit)
MANY = collection("registered_limits", RegisteredLimit, links="links")
PATH = "/v3/registered_limits"


@routes.get(PATH, policy=policy.LIST_REGISTERED_LIMITS, query=RegisteredLimitQuery, reply=MANY)
async def index(ctx: Context, query: RegisteredLimitQuery) -> Page:
    """List registered limits."""
    return await ctx.read(list_page, query)


@routes.post(
    PATH, policy=policy.CREATE_REGISTERED_LIMITS,
    body=collection("registered_limits", RegisteredLimitCreate), reply=MANY, status=201,
)
async def create(ctx: Context, wanted: list[RegisteredLimitCreate]) -> Page:
    """Register limits, all of them or none."""
    return await ctx.write(insert_all, wanted)


@routes.get(PATH + "/{registered_limit_id}", policy=policy.GET_REGISTERED_LIMIT, reply=ONE)
async def show(ctx: Context, registered_limit_id: str) -> RegisteredLimit:
    """Show a registered limit."""
    return view(ctx, await ctx.read(store.get, registered_limit_id))


@routes.patch(
    PATH + "/{registered_limit_id}", policy=policy.UPDATE_REGISTERED_LIMIT,
    body=envelope("registered_limit", RegisteredLimitChange), reply=ONE,
)
async def update(ctx: Context, registered_limit_id: str, want: RegisteredLimitChange) -> RegisteredLimit:
    """Change a registered limit."""
    return await ctx.write(change, registered_limit_id, want)


@routes.delete(PATH + "/{registered_limit_id}", policy=policy.DELETE_REGISTERED_LIMIT)
async def delete(ctx: Context, registered_limit_id: str) -> None:
    """Delete a registered limit that no limit refers to."""
    await ctx.write(remove, registered_limit_id)


# ---- operations ----------------------------------------------------------------------------


def insert_all(tx: Tx, ctx: Context, wanted: list[RegisteredLimitCreate]) -> Page:
    """Raises Invalid for an empty list, a service or a region that isn't there; Conflict for one
    that is registered already."""
    if not wanted:
        raise errors.Invalid("Name at least one registered limit.")
    return Page([view(ctx, insert(tx, ctx, want)) for want in wanted])


def insert(tx: Tx, ctx: Context, want: RegisteredLimitCreate) -> Any:
    check_ground(tx, want.service_id, want.region_id)
    with once(tx, taken(want.resource_name)):
        row = store.insert(
            tx, id=permits.hex_id(ctx), service_id=want.service_id, region_id=want.region_id or "",
            resource_name=want.resource_name, default_limit=want.default_limit,
            description=want.description,
        )
    journal.record(tx, "registered_limit.create", row)
    return row


def change(tx: Tx, ctx: Context, registered_limit_id: str, want: RegisteredLimitChange) -> RegisteredLimit:
    """Raises Forbidden for any change while limits refer to it, as upstream does: the description's too."""
    row = store.get(tx, ctx, registered_limit_id)
    refuse_referred(tx, row)
    values = given(service_id=want.service_id, resource_name=want.resource_name)
    if want.region_id is not ABSENT:
        values["region_id"] = want.region_id or ""
    if any(getattr(row, name) != value for name, value in values.items()):
        check_ground(tx, values.get("service_id"), values.get("region_id"))
    values |= given(default_limit=want.default_limit, description=want.description)
    with once(tx, taken(values.get("resource_name", row.resource_name))):
        row = store.update(tx, row, **values) if values else row
    journal.record(tx, "registered_limit.update", row)
    return view(ctx, row)


def remove(tx: Tx, ctx: Context, registered_limit_id: str) -> None:
    row = store.get(tx, ctx, registered_limit_id)
    refuse_referred(tx, row)
    store.delete(tx, row)
    journal.record(tx, "registered_limit.delete", row)


def check_ground(tx: Tx, service_id: str | None, region_id: str | None) -> None:
    """Upstream answers 400 and not 404 here: it is the body that names them."""
    if service_id and services.store.find(tx, service_id, lock="stay") is None:
        raise errors.Invalid(f"Could not find service: {service_id}.", reason="service_not_found")
    if region_id and regions.store.find(tx, region_id, lock="stay") is None:
        raise errors.Invalid(f"Could not find region: {region_id}.", reason="region_not_found")


def refuse_referred(tx: Tx, row: Any) -> None:
    if tx.first(sa.select(LIMITS.c.id).where(LIMITS.c.registered_limit_id == row.id).limit(1)) is not None:
        raise errors.Forbidden(
            f"Unable to update or delete registered limit {row.id} because there are project limits associated "
            "with it. Delete those first.", reason="in_use",
        )


def taken(resource_name: str) -> errors.Conflict:
    return duplicate("registered_limit", f"Duplicate entry: {resource_name} of this service and region")


# ---- queries -------------------------------------------------------------------------------

store = Store(REGISTERED_LIMITS, service="identity", kind="registered_limit", label="Registered limit")


def view(ctx: Context, row: Any) -> RegisteredLimit:
    return RegisteredLimit(
        id=row.id, service_id=row.service_id, region_id=row.region_id or None,
        resource_name=row.resource_name, default_limit=row.default_limit, description=row.description,
        links=links.to(ctx, f"registered_limits/{row.id}"),
    )


def list_page(tx: Tx, ctx: Context, query: RegisteredLimitQuery) -> Page:
    return page(
        tx, ctx, store, query, "registered_limits", view, equal=["service_id", "region_id", "resource_name"]
    )
