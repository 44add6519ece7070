# SPDX-License-Identifier: Apache-2.0
"""Endpoints: where a service is, for whom (public, internal, admin) and in which region.

How tokens carry them is catalogue.py. An address may hold `$(project_id)s`, which the catalogue fills.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from skyhold.core import errors, journal
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.http.routes import Routes
from skyhold.core.shapes import ABSENT, Absent, JsonObject, OpenShape, Page, collection, envelope, field
from skyhold.core.store import Store
from skyhold.identity import catalogue, links, permits, policy, regions, services
from skyhold.identity.auth.sessions import void
from skyhold.identity.listing import ListQuery, page
from skyhold.identity.shapes import ID, extra_of, given
from skyhold.identity.tables import ENDPOINTS

INTERFACES = ("public", "internal", "admin")

# ---- shape ---------------------------------------------------------------------------------


class EndpointCreate(OpenShape):
    service_id: str = field(min=1, max=64, pattern=ID)
    interface: str = field(enum=INTERFACES)
    url: str = field(min=1, max=4096)
    region_id: str | None = field(default=None, max=255)
    region: str | None = field(default=None, max=255)
    enabled: bool = field(default=True)


class EndpointChange(OpenShape, min_fields=1):
    service_id: str | Absent = field(optional=True, min=1, max=64, pattern=ID)
    interface: str | Absent = field(optional=True, enum=INTERFACES)
    url: str | Absent = field(optional=True, min=1, max=4096)
    region_id: str | Absent | None = field(optional=True, max=255)
    region: str | Absent | None = field(optional=True, max=255)
    enabled: bool | Absent = field(optional=True)


class Endpoint(OpenShape):
    id: str
    interface: str
    region_id: str | None
    region: str | None
    service_id: str
    url: str
    enabled: bool
    links: JsonObject


class EndpointQuery(ListQuery):
    interface: str | None = field(default=None)
    service_id: str | None = field(default=None)
    region_id: str | None = field(default=None)


# ---- routes --------------------------------------------------------------------------------

routes = Routes()
ONE = envelope("endpoint", Endpoint)
MANY = collection("endpoints", Endpoint, links="links")


@routes.get("/v3/endpoints", policy=policy.LIST_ENDPOINTS, query=EndpointQuery, reply=MANY)
async def index(ctx: Context, query: EndpointQuery) -> Page:
    """List endpoints."""
    return await ctx.read(list_page, query)


@routes.post(
    "/v3/endpoints", policy=policy.CREATE_ENDPOINT, body=envelope(
        "endpoint", EndpointCreate
    ), reply=ONE, status=201
)
async def create(ctx: Context, want: EndpointCreate) -> Endpoint:
    """Create an endpoint."""
    return await ctx.write(insert, want)


@routes.get("/v3/endpoints/{endpoint_id}", policy=policy.GET_ENDPOINT, reply=ONE)
async def show(ctx: Context, endpoint_id: str) -> Endpoint:
    """Show an endpoint."""
    return view(ctx, await ctx.read(store.get, endpoint_id))


@routes.patch(
    "/v3/endpoints/{endpoint_id}", policy=policy.UPDATE_ENDPOINT, body=envelope("endpoint", EndpointChange),
    reply=ONE,
)
async def update(ctx: Context, endpoint_id: str, want: EndpointChange) -> Endpoint:
    """Change an endpoint."""
    return await ctx.write(change, endpoint_id, want)


@routes.delete("/v3/endpoints/{endpoint_id}", policy=policy.DELETE_ENDPOINT)
async def delete(ctx: Context, endpoint_id: str) -> None:
    """Delete an endpoint."""
    await ctx.write(remove, endpoint_id)


# ---- operations ----------------------------------------------------------------------------


def insert(tx: Tx, ctx: Context, want: EndpointCreate) -> Endpoint:
    """Raises Invalid for a service or a region that isn't there, or an address that is none."""
    check_url(want.url)
    check_service(tx, want.service_id)
    row = store.insert(
        tx, id=permits.hex_id(ctx), service_id=want.service_id, interface=want.interface, url=want.url,
        region_id=region_of(tx, want.region_id, want.region), enabled=want.enabled,
        extra=free(want),
    )
    void(tx)
    journal.record(tx, "endpoint.create", row)
    return view(ctx, row)


def change(tx: Tx, ctx: Context, endpoint_id: str, want: EndpointChange) -> Endpoint:
    row = store.get(tx, ctx, endpoint_id)
    values = given(service_id=want.service_id, interface=want.interface, url=want.url, enabled=want.enabled)
    if "url" in values:
        check_url(values["url"])
    if "service_id" in values:
        check_service(tx, values["service_id"])
    if want.region_id is not ABSENT or want.region is not ABSENT:
        asked = given(region_id=want.region_id, region=want.region)
        values["region_id"] = region_of(tx, asked.get("region_id"), asked.get("region"))
    extra = row.extra | free(want)
    if values.get("url", row.url) != row.url:
        # From now on it is the operator's address: the next start of the cloud leaves it alone.
        extra.pop("made_by", None)
    row = store.update(tx, row, **values, extra=extra)
    void(tx)
    journal.record(tx, "endpoint.update", row)
    return view(ctx, row)


def free(want: EndpointCreate | EndpointChange) -> dict[str, Any]:
    """What a body says beside the fields; whether an endpoint is the bootstrap's is for that to say."""
    return {name: value for name, value in extra_of(want).items() if name != "made_by"}


def check_service(tx: Tx, service_id: str) -> None:
    if services.store.find(tx, service_id, lock="stay") is None:
        raise errors.Invalid(f"Could not find service: {service_id}.", reason="service_not_found")


def region_of(tx: Tx, region_id: str | None, region: str | None) -> str | None:
    """`region` is the older name, and makes the region when it is new."""
    chosen = region_id if region_id is not None else region
    if region_id is None and region and regions.store.find(tx, region) is None:
        make_region(tx, region)
    if chosen is not None and regions.store.find(tx, chosen, lock="stay") is None:
        raise errors.Invalid(f"Could not find region: {chosen}.", reason="region_not_found")
    return chosen


def make_region(tx: Tx, id: str) -> None:
    row = regions.store.add(tx, id=id, description="", parent_region_id=None, extra={})
    # Somebody else may make it at the same time: then it is there, too.
    if row is not None:
        journal.record(tx, "region.create", row)


PLACEHOLDERS = {"project_id": "x", "tenant_id": "x", "user_id": "x"}


def check_url(url: str) -> None:
    """Only addresses that the catalogue can fill, so that one bad row can't spoil every token."""
    unknown = [match["name"] for match in catalogue.SLOT.finditer(url) if match["name"] not in PLACEHOLDERS]
    filled = catalogue.SLOT.sub("x", url)
    try:
        parts = urlsplit(filled)
        fine = bool(parts.scheme and parts.netloc) and parts.port != 0
    except ValueError:
        fine = False
    if unknown or not fine or "(" in filled:
        raise errors.Invalid(f"The url of an endpoint can't be {url[:200]!r}.", reason="bad_url")


def remove(tx: Tx, ctx: Context, endpoint_id: str) -> None:
    row = store.get(tx, ctx, endpoint_id)
    store.delete(tx, row)
    void(tx)
    journal.record(tx, "endpoint.delete", row)


# ---- queries -------------------------------------------------------------------------------

store = Store(ENDPOINTS, service="identity", kind="endpoint", label="Endpoint")


def view(ctx: Context, row: Any) -> Endpoint:
    return Endpoint(
        id=row.id, interface=row.interface, region_id=row.region_id, region=row.region_id,
        service_id=row.service_id, url=row.url, enabled=row.enabled, links=links.to(ctx, f"endpoints/{row.id}"),
        extra={name: value for name, value in row.extra.items() if name != "made_by"},
    )


def list_page(tx: Tx, ctx: Context, query: EndpointQuery) -> Page:
    return page(tx, ctx, store, query, "endpoints", view, equal=["interface", "service_id", "region_id"])
