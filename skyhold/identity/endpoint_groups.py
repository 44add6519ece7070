# SPDX-License-Identifier: Apache-2.0
"""Endpoint groups (OS-EP-FILTER): all endpoints that have in common a service, a region, an interface.

Giving them to projects is project_endpoints.py, what that does to catalogues endpoint_filter.py. A group
is its filters: an endpoint made later is in it as well.
"""

from __future__ import annotations

from typing import Any

from skyhold.core import errors, journal
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.http.routes import Routes
from skyhold.core.shapes import ABSENT, Absent, JsonObject, OpenShape, Page, Shape, collection, envelope, field
from skyhold.core.store import Store
from skyhold.identity import links, permits, policy
from skyhold.identity.auth.sessions import void
from skyhold.identity.endpoints import INTERFACES
from skyhold.identity.listing import NamedQuery, page
from skyhold.identity.shapes import extra_of, given
from skyhold.identity.tables import ENDPOINT_GROUPS

# ---- shape ---------------------------------------------------------------------------------


class Filters(Shape):
    service_id: str | Absent = field(optional=True, min=1, max=64)
    region_id: str | Absent = field(optional=True, min=1, max=255)
    interface: str | Absent = field(optional=True, enum=INTERFACES)


class EndpointGroupCreate(OpenShape):
    name: str = field(min=1, max=255)
    filters: Filters
    description: str | None = field(default=None)


class EndpointGroupChange(OpenShape, min_fields=1):
    # The client sends null for what it was not told to change.
    name: str | Absent | None = field(optional=True, min=1, max=255)
    filters: Filters | Absent | None = field(optional=True)
    description: str | Absent | None = field(optional=True)


class EndpointGroup(OpenShape):
    id: str
    name: str
    filters: JsonObject
    description: str | None
    links: JsonObject


# ---- routes --------------------------------------------------------------------------------

routes = Routes()
ALL = "/v3/OS-EP-FILTER/endpoint_groups"
PATH = ALL + "/{endpoint_group_id}"
ONE = envelope("endpoint_group", EndpointGroup)
MANY = collection("endpoint_groups", EndpointGroup, links="links")


@routes.get(ALL, policy=policy.LIST_ENDPOINT_GROUPS, query=NamedQuery, reply=MANY)
async def index(ctx: Context, query: NamedQuery) -> Page:
    """List endpoint groups."""
    return await ctx.read(list_page, query)


@routes.post(
    ALL, policy=policy.CREATE_ENDPOINT_GROUP, body=envelope("endpoint_group", EndpointGroupCreate), reply=ONE,
    status=201,
)
async def create(ctx: Context, want: EndpointGroupCreate) -> EndpointGroup:
    """Create an endpoint group."""
    return await ctx.write(insert, want)


@routes.get(PATH, policy=policy.GET_ENDPOINT_GROUP, reply=ONE)
async def show(ctx: Context, endpoint_group_id: str) -> EndpointGroup:
    """Show an endpoint group."""
    return view(ctx, await ctx.read(store.get, endpoint_group_id))


@routes.patch(
    PATH, policy=policy.UPDATE_ENDPOINT_GROUP, body=envelope("endpoint_group", EndpointGroupChange), reply=ONE
)
async def update(ctx: Context, endpoint_group_id: str, want: EndpointGroupChange) -> EndpointGroup:
    """Change an endpoint group."""
    return await ctx.write(change, endpoint_group_id, want)


@routes.delete(PATH, policy=policy.DELETE_ENDPOINT_GROUP)
async def delete(ctx: Context, endpoint_group_id: str) -> None:
    """Delete an endpoint group; projects that had it, have it no more."""
    await ctx.write(remove, endpoint_group_id)


# ---- operations ----------------------------------------------------------------------------


def insert(tx: Tx, ctx: Context, want: EndpointGroupCreate) -> EndpointGroup:
    row = store.insert(
        tx, id=permits.hex_id(ctx), name=want.name, description=want.description,
        filters=checked(want.filters), extra=extra_of(want),
    )
    journal.record(tx, "endpoint_group.create", row)
    return view(ctx, row)


def change(tx: Tx, ctx: Context, endpoint_group_id: str, want: EndpointGroupChange) -> EndpointGroup:
    row = store.get(tx, ctx, endpoint_group_id)
    values = given(description=want.description)
    values |= {name: value for name in ("name", "filters") if (value := getattr(want, name)) not in (ABSENT, None)}
    if "filters" in values:
        values["filters"] = row.filters | checked(values["filters"])
    row = store.update(tx, row, **values, extra=row.extra | extra_of(want))
    void(tx)
    journal.record(tx, "endpoint_group.update", row)
    return view(ctx, row)


def checked(filters: Filters) -> dict[str, str]:
    """Raises Invalid for a group that every endpoint would be in."""
    found = given(service_id=filters.service_id, region_id=filters.region_id, interface=filters.interface)
    if not found:
        raise errors.Invalid(
            "The filters of an endpoint group name at least one of service_id, region_id and interface."
        )
    return found


def remove(tx: Tx, ctx: Context, endpoint_group_id: str) -> None:
    row = store.get(tx, ctx, endpoint_group_id)
    store.delete(tx, row)
    void(tx)
    journal.record(tx, "endpoint_group.delete", row)


# ---- queries -------------------------------------------------------------------------------

store = Store(ENDPOINT_GROUPS, service="identity", kind="endpoint_group", label="Endpoint group")


def view(ctx: Context, row: Any) -> EndpointGroup:
    return EndpointGroup(
        id=row.id, name=row.name, filters=row.filters, description=row.description,
        links=links.to(ctx, f"OS-EP-FILTER/endpoint_groups/{row.id}"), extra=row.extra,
    )


def list_page(tx: Tx, ctx: Context, query: NamedQuery) -> Page:
    return page(tx, ctx, store, query, "OS-EP-FILTER/endpoint_groups", view, equal=["name"])
