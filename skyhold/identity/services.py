# SPDX-License-Identifier: Apache-2.0
"""Services: what the catalogue offers, by type.

Where they are is endpoints.py. The services of this cloud are entered by bootstrap.py; operators may
enter others.
"""

from __future__ import annotations

from typing import Any

from skyhold.core import journal
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.http.routes import Routes
from skyhold.core.shapes import ABSENT, Absent, JsonObject, OpenShape, Page, collection, envelope, field
from skyhold.core.store import Store
from skyhold.identity import links, permits, policy
from skyhold.identity.auth.sessions import void
from skyhold.identity.listing import NamedQuery, page
from skyhold.identity.shapes import NAME, extra_of, given
from skyhold.identity.tables import SERVICES

# ---- shape ---------------------------------------------------------------------------------


class ServiceCreate(OpenShape):
    type: str = field(min=1, max=255)
    name: str = field(default="", min=1, max=255, pattern=NAME)
    description: str | None = field(default=None)
    enabled: bool = field(default=True)


class ServiceChange(OpenShape, min_fields=1):
    type: str | Absent = field(optional=True, min=1, max=255)
    name: str | Absent = field(optional=True, min=1, max=255, pattern=NAME)
    description: str | Absent | None = field(optional=True)
    enabled: bool | Absent = field(optional=True)


class CatalogueService(OpenShape):
    id: str
    type: str
    name: str | None
    description: str | Absent = field(optional=True)
    enabled: bool
    links: JsonObject


class ServiceQuery(NamedQuery):
    type: str | None = field(default=None)


# ---- routes --------------------------------------------------------------------------------

routes = Routes()
ONE = envelope("service", CatalogueService)
MANY = collection("services", CatalogueService, links="links")


@routes.get("/v3/services", policy=policy.LIST_SERVICES, query=ServiceQuery, reply=MANY)
async def index(ctx: Context, query: ServiceQuery) -> Page:
    """List services."""
    return await ctx.read(list_page, query)


@routes.post(
    "/v3/services", policy=policy.CREATE_SERVICE, body=envelope(
        "service", ServiceCreate
    ), reply=ONE, status=201
)
async def create(ctx: Context, want: ServiceCreate) -> CatalogueService:
    """Create a service."""
    return await ctx.write(insert, want)


@routes.get("/v3/services/{service_id}", policy=policy.GET_SERVICE, reply=ONE)
async def show(ctx: Context, service_id: str) -> CatalogueService:
    """Show a service."""
    return view(ctx, await ctx.read(store.get, service_id))


@routes.patch(
    "/v3/services/{service_id}", policy=policy.UPDATE_SERVICE, body=envelope(
        "service", ServiceChange
    ), reply=ONE
)
async def update(ctx: Context, service_id: str, want: ServiceChange) -> CatalogueService:
    """Change a service."""
    return await ctx.write(change, service_id, want)


@routes.delete("/v3/services/{service_id}", policy=policy.DELETE_SERVICE)
async def delete(ctx: Context, service_id: str) -> None:
    """Delete a service and its endpoints."""
    await ctx.write(remove, service_id)


# ---- operations ----------------------------------------------------------------------------


def insert(tx: Tx, ctx: Context, want: ServiceCreate) -> CatalogueService:
    row = store.insert(
        tx, id=permits.hex_id(ctx), type=want.type, name=want.name, description=want.description,
        enabled=want.enabled, extra=extra_of(want),
    )
    void(tx)
    journal.record(tx, "service.create", row)
    return view(ctx, row)


def change(tx: Tx, ctx: Context, service_id: str, want: ServiceChange) -> CatalogueService:
    row = store.get(tx, ctx, service_id)
    values = given(type=want.type, name=want.name, description=want.description, enabled=want.enabled)
    row = store.update(tx, row, **values, extra=row.extra | extra_of(want))
    void(tx)
    journal.record(tx, "service.update", row)
    return view(ctx, row)


def remove(tx: Tx, ctx: Context, service_id: str) -> None:
    row = store.get(tx, ctx, service_id)
    store.delete(tx, row)
    void(tx)
    journal.record(tx, "service.delete", row)


# ---- queries -------------------------------------------------------------------------------

store = Store(SERVICES, service="identity", kind="service", label="Service")


def view(ctx: Context, row: Any) -> CatalogueService:
    return CatalogueService(
        id=row.id, type=row.type, name=row.name, enabled=row.enabled, links=links.to(
            ctx, f"services/{row.id}"
        ),
        description=ABSENT if row.description is None else row.description, extra=row.extra,
    )


def list_page(tx: Tx, ctx: Context, query: ServiceQuery) -> Page:
    return page(tx, ctx, store, query, "services", view, equal=["name", "type"])
