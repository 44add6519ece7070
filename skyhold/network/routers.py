# SPDX-License-Identifier: Apache-2.0
"""Routers: what joins a project's subnets to each other and to the world.

Legs are router_legs.py, the gateway is gateways.py. A router is a row and the ports whose device it
is; the data plane builds it on one host as soon as it has a port.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from skyhold.core import errors, journal
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.http.routes import Reply, Routes
from skyhold.core.shapes import ABSENT, Absent, LooseBool, Shape, collection, envelope, field
from skyhold.core.store import Store
from skyhold.network import changes, gateways, policy
from skyhold.network.answers import Collection, Common, Dressed, Query
from skyhold.network.gateways import GatewayAsked
from skyhold.network.logic import addresses as logic
from skyhold.network.logic import subnets as rules
from skyhold.network.ports import store as ports
from skyhold.network.quotas import quota
from skyhold.network.tables import ADDRESSES, PORTS, ROUTERS, SUBNETS
from skyhold.network.writing import IF_MATCH, check_revision, drop_tags, guard, owner, wanted_columns

MOST_ROUTES = 30

# ---- shape ---------------------------------------------------------------------------------


class Route(Shape):
    destination: str = field(max=64)
    nexthop: str = field(max=64)


class RouterChange(Shape):
    name: str | Absent = field(optional=True, max=255)
    description: str | Absent = field(optional=True, max=255)
    admin_up: LooseBool | Absent = field("admin_state_up", optional=True)
    gateway: GatewayAsked | Absent | None = field("external_gateway_info", optional=True)
    routes: list[Route] | Absent | None = field(optional=True, max_items=MOST_ROUTES)
    ha: LooseBool | Absent | None = field(optional=True, policy="update_router:ha")
    distributed: LooseBool | Absent | None = field(optional=True, policy="update_router:distributed")


class RouterCreate(Shape):
    name: str = field(default="", max=255)
    description: str = field(default="", max=255)
    admin_up: LooseBool = field("admin_state_up", default=True)
    gateway: GatewayAsked | None = field("external_gateway_info", default=None)
    zone_hints: list[str] = field("availability_zone_hints", default_factory=list, max_items=16, max=255)
    ha: LooseBool | Absent | None = field(optional=True, policy="create_router:ha")
    distributed: LooseBool | Absent | None = field(optional=True, policy="create_router:distributed")
    flavor_id: Absent | None = field(optional=True)
    project_id: str | Absent = field(optional=True, max=255)
    tenant_id: str | Absent = field(optional=True, max=255)


class RoutesAsked(Shape):
    routes: list[Route] = field(max_items=MOST_ROUTES)


class Router(Common):
    name: str
    description: str
    tags: list[str]
    admin_up: bool = field("admin_state_up")
    status: str
    gateway: Any = field("external_gateway_info")
    routes: list[Any]
    zone_hints: list[str] = field("availability_zone_hints")
    availability_zones: list[str]
    flavor_id: str | None


# ---- routes --------------------------------------------------------------------------------

routes = Routes()


@routes.get("/v2.0/routers", policy=policy.GET_ROUTER, query=Query,
            reply=collection("routers", Router, links="routers_links"))
async def index(ctx: Context, query: Query) -> Reply:
    """List routers."""
    return await ROUTER.index(ctx, query)


@routes.post("/v2.0/routers", policy=policy.CREATE_ROUTER, body=envelope("router", RouterCreate),
             reply=envelope("router", Router), status=201)
async def create(ctx: Context, want: RouterCreate) -> Reply:
    """Create a router."""
    return ROUTER.made(ctx, await ctx.write(insert, want))


@routes.get("/v2.0/routers/{router_id}", policy=policy.GET_ROUTER, query=Query, reply=envelope("router", Router))
async def show(ctx: Context, id: str, query: Query) -> Reply:
    """Show a router."""
    return ROUTER.show(ctx, await ctx.read(ROUTER.get, id), query)


@routes.put("/v2.0/routers/{router_id}", policy=policy.UPDATE_ROUTER, body=envelope("router", RouterChange),
            reply=envelope("router", Router), headers=IF_MATCH)
async def update(ctx: Context, id: str, want: RouterChange, headers: dict[str, str | None]) -> Reply:
    """Change a router, its gateway or all its routes."""
    return ROUTER.show(ctx, await ctx.write(change, id, want, headers))


@routes.delete("/v2.0/routers/{router_id}", policy=policy.DELETE_ROUTER, headers=IF_MATCH)
async def delete(ctx: Context, id: str, headers: dict[str, str | None]) -> None:
    """Delete a router without legs."""
    await ctx.write(remove, id, headers)


@routes.put("/v2.0/routers/{router_id}/add_extraroutes", policy=policy.ADD_EXTRAROUTES,
            body=envelope("router", RoutesAsked), reply=envelope("router", Router))
async def add_extraroutes(ctx: Context, id: str, want: RoutesAsked) -> Reply:
    """Add routes without naming the others."""
    return ROUTER.show(ctx, await ctx.write(add_routes, id, want))


@routes.put("/v2.0/routers/{router_id}/remove_extraroutes", policy=policy.REMOVE_EXTRAROUTES,
            body=envelope("router", RoutesAsked), reply=envelope("router", Router))
async def remove_extraroutes(ctx: Context, id: str, want: RoutesAsked) -> Reply:
    """Remove these routes, if they are there."""
    return ROUTER.show(ctx, await ctx.write(remove_routes, id, want))


# ---- operations ----------------------------------------------------------------------------


def insert(tx: Tx, ctx: Context, want: RouterCreate) -> Dressed:
    project = owner(ctx, want)
    policy.require(ctx, policy.CREATE_ROUTER.name, {"project_id": project})
    guard(ctx, want, {"project_id": project}, {"ha": False, "distributed": False})
    refuse_other_kinds(want)
    quota.take(tx, project, router=1)
    row = routers_store.insert(
        tx, id=ctx.new_id(), project_id=project, name=want.name, description=want.description, tags=[], revision=1,
        admin_up=want.admin_up, status="ACTIVE", snat=True, routes=[], zone_hints=want.zone_hints,
    )
    if want.gateway is not None and want.gateway.network_id:
        values = gateways.apply(tx, ctx, row, want.gateway, "create_router")
        row = routers_store.update(tx, row, revision=1, **values)
        changes.mark(tx, "Router", [row.id])
    journal.record(tx, "router.create", row)
    return dress(tx, ctx, [row])[0]


def refuse_other_kinds(want: Any) -> None:
    """There is one kind of router here; asking for it by name is fine."""
    if want.ha is True or want.distributed is True:
        raise errors.Invalid("Bad router request: this cloud's routers are neither distributed nor redundant.",
                             kind="BadRequest")


def change(tx: Tx, ctx: Context, id: str, want: RouterChange, headers: dict[str, str | None]) -> Dressed:
    row = routers_store.get(tx, ctx, id)
    check_revision(row, headers)
    guard(ctx, want, row._asdict(), {"ha": False, "distributed": False})
    refuse_other_kinds(want)
    values = wanted_columns(want, "name", "description", "admin_up")
    if want.gateway is not ABSENT:
        values |= gateways.apply(tx, ctx, row, want.gateway, "update_router")
    if want.routes is not ABSENT:
        values["routes"] = read_routes(tx, row, want.routes or [])
    return store_change(tx, ctx, row, values)


def store_change(tx: Tx, ctx: Context, row: Any, values: dict[str, Any]) -> Dressed:
    row = routers_store.update(tx, row, **values)
    changes.mark(tx, "Router", [row.id])
    journal.record(tx, "router.update", row)
    return dress(tx, ctx, [row])[0]


def add_routes(tx: Tx, ctx: Context, id: str, want: RoutesAsked) -> Dressed:
    row = routers_store.get(tx, ctx, id)
    new = read_routes(tx, row, want.routes)
    merged = [*row.routes, *(each for each in new if each not in row.routes)]
    if len(merged) > MOST_ROUTES:
        raise errors.Invalid(
            f"Unable to complete operation for {id}. The number of routes exceeds the maximum {MOST_ROUTES}.",
            kind="RoutesExhausted",
        )
    return store_change(tx, ctx, row, {"routes": merged})


def remove_routes(tx: Tx, ctx: Context, id: str, want: RoutesAsked) -> Dressed:
    row = routers_store.get(tx, ctx, id)
    gone = rules.host_routes([(each.destination, each.nexthop) for each in want.routes])
    return store_change(tx, ctx, row, {"routes": [each for each in row.routes if each not in gone]})


def read_routes(tx: Tx, row: Any, asked: Sequence[Route]) -> list[dict[str, str]]:
    """Raises Invalid when a next hop is on no subnet of the router, or is the router itself."""
    found = rules.host_routes([(each.destination, each.nexthop) for each in asked])
    for i, each in enumerate(found):
        if each in found[:i]:
            raise errors.Invalid(f"Invalid input for routes. Reason: Duplicate items in the list: '{each}'.")
    if not found:
        return []
    on = tx.all(
        sa.select(SUBNETS.c.cidr, ADDRESSES.c.ip)
        .join(ADDRESSES, ADDRESSES.c.subnet_id == SUBNETS.c.id).join(PORTS, PORTS.c.id == ADDRESSES.c.port_id)
        .where(PORTS.c.device_id == row.id, PORTS.c.device_owner.in_([*ports.INTERFACES, ports.GATEWAY]))
    )
    for each in found:
        if not any(logic.contains(leg.cidr, each["nexthop"]) for leg in on):
            raise bad_route(each, "the nexthop is not connected with router")
        if any(leg.ip == each["nexthop"] for leg in on):
            raise bad_route(each, "the nexthop is used by router")
    return found


def bad_route(route: dict[str, str], why: str) -> errors.Invalid:
    return errors.Invalid(f"Invalid format for routes: [{route}], {why}", kind="InvalidRoutes")


def remove(tx: Tx, ctx: Context, id: str, headers: dict[str, str | None]) -> None:
    row = routers_store.get(tx, ctx, id)
    check_revision(row, headers)
    if tx.first(LEGS, {"router": id}) is not None:
        held_by = ports.holders(tx, ctx, sa.and_(PORTS.c.device_id == id, PORTS.c.device_owner.in_(ports.INTERFACES)))
        raise errors.Conflict(f"Router {id} still has ports: {held_by}", kind="RouterInUse")
    gateways.clear(tx, row)
    routers_store.delete(tx, row)
    drop_tags(tx, row)
    quota.give(tx, row.project_id, router=1)
    changes.mark(tx, "Router", [id])
    journal.record(tx, "router.delete", row)


def journal_change(tx: Tx, row: Any, action: str) -> None:
    """A leg came or went: the router counts it as a change of its own."""
    journal.record(tx, action, routers_store.update(tx, row))


# ---- queries -------------------------------------------------------------------------------

routers_store = Store(ROUTERS, service="network", kind="router", label="Router")

LEGS = sa.select(PORTS).where(
    PORTS.c.device_id == sa.bindparam("router"), PORTS.c.device_owner.in_(ports.INTERFACES)
).order_by(PORTS.c.created_at, PORTS.c.id)


def dress(tx: Tx, ctx: Context, rows: Sequence[Any]) -> list[Dressed]:
    outside = ports.fixed_ips(tx, [row.gateway_port_id for row in rows if row.gateway_port_id])
    return [
        Dressed(row, gateway=gateway_of(row, outside), availability_zones=["nova"] if row.gateway_port_id else [],
                flavor_id=None)
        for row in rows
    ]


def gateway_of(row: Any, outside: dict[str, list[dict[str, str]]]) -> dict[str, Any] | None:
    if row.gateway_port_id is None:
        return None
    return {
        "network_id": row.gateway_network_id, "external_fixed_ips": outside.get(row.gateway_port_id, []),
        "enable_snat": row.snat,
    }


ROUTER = Collection("router", "routers", "routers", Router, routers_store, dress)
