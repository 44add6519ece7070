# SPDX-License-Identifier: Apache-2.0
"""Service providers: other clouds that take this cloud's word for who somebody is.

What is said to them is saml/. Those enabled stand in every token, so that clients know where else they can
go.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from skyhold.core import errors, journal
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.http.routes import Routes
from skyhold.core.shapes import Absent, JsonObject, Page, Shape, collection, envelope, field
from skyhold.core.store import Store
from skyhold.identity import links
from skyhold.identity.auth.sessions import void
from skyhold.identity.federation import policy
from skyhold.identity.federation.providers import named
from skyhold.identity.federation.tables import SERVICE_PROVIDERS
from skyhold.identity.listing import ListQuery, page
from skyhold.identity.shapes import given
from skyhold.identity.unique import duplicate, once

# ---- shape ---------------------------------------------------------------------------------

URL = r"^[a-zA-Z0-9+.-]+:.+"
PREFIX = "ss:mem:"


class ServiceProviderCreate(Shape):
    auth_url: str = field(max=225, pattern=URL)
    sp_url: str = field(max=225, pattern=URL)
    description: str | None = field(default=None)
    enabled: bool = field(default=False)
    relay_state_prefix: str | None = field(default=PREFIX, max=255)


class ServiceProviderChange(Shape, min_fields=1):
    auth_url: str | Absent = field(optional=True, max=225, pattern=URL)
    sp_url: str | Absent = field(optional=True, max=225, pattern=URL)
    description: str | Absent | None = field(optional=True)
    enabled: bool | Absent = field(optional=True)
    relay_state_prefix: str | Absent | None = field(optional=True, max=255)


class ServiceProvider(Shape):
    id: str
    auth_url: str
    sp_url: str
    description: str | None
    enabled: bool
    relay_state_prefix: str | None
    links: JsonObject


class ServiceProviderQuery(ListQuery):
    id: str | None = field(default=None)
    enabled: str | None = field(default=None)


# ---- routes --------------------------------------------------------------------------------

routes = Routes()
ALL = "/v3/OS-FEDERATION/service_providers"
ONE = ALL + "/{sp_id}"
REPLY = envelope("service_provider", ServiceProvider)


@routes.get(
    ALL, policy=policy.LIST_SERVICE_PROVIDERS, query=ServiceProviderQuery,
    reply=collection("service_providers", ServiceProvider, links="links"),
)
async def index(ctx: Context, query: ServiceProviderQuery) -> Page:
    """List service providers."""
    return await ctx.read(list_page, query)


@routes.put(
    ONE, policy=policy.CREATE_SERVICE_PROVIDER, body=envelope("service_provider", ServiceProviderCreate),
    reply=REPLY, status=201,
)
async def create(ctx: Context, sp_id: str, want: ServiceProviderCreate) -> ServiceProvider:
    """Register a service provider."""
    return await ctx.write(insert, sp_id, want)


@routes.get(ONE, policy=policy.GET_SERVICE_PROVIDER, reply=REPLY)
async def show(ctx: Context, sp_id: str) -> ServiceProvider:
    """Show a service provider."""
    return view(ctx, await ctx.read(store.get, sp_id))


@routes.patch(
    ONE, policy=policy.UPDATE_SERVICE_PROVIDER, body=envelope("service_provider", ServiceProviderChange), reply=REPLY
)
async def update(ctx: Context, sp_id: str, want: ServiceProviderChange) -> ServiceProvider:
    """Change a service provider."""
    return await ctx.write(change, sp_id, want)


@routes.delete(ONE, policy=policy.DELETE_SERVICE_PROVIDER)
async def delete(ctx: Context, sp_id: str) -> None:
    """Delete a service provider."""
    await ctx.write(remove, sp_id)


# ---- operations ----------------------------------------------------------------------------


def insert(tx: Tx, ctx: Context, sp_id: str, want: ServiceProviderCreate) -> ServiceProvider:
    named(sp_id, "service provider")
    with once(tx, duplicate("service_provider", f"Duplicate entry found with ID {sp_id}")):
        row = store.insert(
            tx, id=sp_id, auth_url=want.auth_url, sp_url=want.sp_url, description=want.description,
            enabled=want.enabled, relay_state_prefix=want.relay_state_prefix,
        )
    void(tx)
    journal.record(tx, "service_provider.create", row)
    return view(ctx, row)


def change(tx: Tx, ctx: Context, sp_id: str, want: ServiceProviderChange) -> ServiceProvider:
    row = store.get(tx, ctx, sp_id)
    values = given(
        auth_url=want.auth_url, sp_url=want.sp_url, description=want.description, enabled=want.enabled,
        relay_state_prefix=want.relay_state_prefix,
    )
    if not values:
        raise errors.Invalid("A service provider's change names at least one attribute.")
    row = store.update(tx, row, **values)
    void(tx)
    journal.record(tx, "service_provider.update", row)
    return view(ctx, row)


def remove(tx: Tx, ctx: Context, sp_id: str) -> None:
    row = store.get(tx, ctx, sp_id)
    store.delete(tx, row)
    void(tx)
    journal.record(tx, "service_provider.delete", row)


# ---- queries -------------------------------------------------------------------------------

store = Store(SERVICE_PROVIDERS, service="identity", kind="service_provider", label="Service provider")


def list_page(tx: Tx, ctx: Context, query: ServiceProviderQuery) -> Page:
    return page(
        tx, ctx, store, query, "OS-FEDERATION/service_providers", view, equal=["id"], flags=["enabled"]
    )


async def offered(ctx: Context, epoch: int) -> list[dict[str, str]]:
    """Those enabled, as a token names them; read once an epoch."""
    known: tuple[int, list[dict[str, str]]] | None = ctx.core.shelf.get("identity.service_providers")
    if known is None or known[0] != epoch:
        known = ctx.core.shelf["identity.service_providers"] = (epoch, await ctx.read(enabled))
    return known[1]


def enabled(tx: Tx, ctx: Context) -> list[dict[str, str]]:
    s = SERVICE_PROVIDERS.c
    rows = tx.all(sa.select(s.id, s.auth_url, s.sp_url).where(s.enabled.is_(True)).order_by(s.id))
    return [{"id": row.id, "auth_url": row.auth_url, "sp_url": row.sp_url} for row in rows]


def view(ctx: Context, row: Any) -> ServiceProvider:
    return ServiceProvider(
        id=row.id, auth_url=row.auth_url, sp_url=row.sp_url, description=row.description, enabled=row.enabled,
        relay_state_prefix=row.relay_state_prefix, links=links.to(ctx, f"OS-FEDERATION/service_providers/{row.id}"),
    )
