# SPDX-License-Identifier: Apache-2.0
"""A router's legs: its ports on tenants' networks, added and removed by subnet or by port.

The router itself is routers.py. A leg is a port of the router's project with owner
network:router_interface; several subnets of one IPv6 network share a leg.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from skyhold.core import errors
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.http.routes import Reply, Routes
from skyhold.core.shapes import Shape, field
from skyhold.network import addresses, changes, floating_ips, networks, policy, subnets
from skyhold.network.answers import json_reply
from skyhold.network.logic import addresses as logic
from skyhold.network.ports import ops, store
from skyhold.network.ports.addressing import Wish
from skyhold.network.routers import LEGS, journal_change, routers_store
from skyhold.network.tables import ADDRESSES, FLOATING_IPS, PORTS, SUBNETS


class LegAsked(Shape):
    subnet_id: str | None = field(default=None, max=64)
    port_id: str | None = field(default=None, max=64)


routes = Routes()


@routes.put("/v2.0/routers/{router_id}/add_router_interface", policy=policy.ADD_ROUTER_INTERFACE, body=LegAsked)
async def add(ctx: Context, id: str, want: LegAsked) -> Reply:
    """Attach a subnet, or a port, to a router."""
    return json_reply(await ctx.write(insert, id, want))


@routes.put("/v2.0/routers/{router_id}/remove_router_interface", policy=policy.REMOVE_ROUTER_INTERFACE,
            body=LegAsked)
async def take_away(ctx: Context, id: str, want: LegAsked) -> Reply:
    """Detach a subnet, or a port, from a router."""
    return json_reply(await ctx.write(remove, id, want))


# ---- operations ----------------------------------------------------------------------------


def insert(tx: Tx, ctx: Context, id: str, want: LegAsked) -> dict[str, Any]:
    """Raises NotFound, Invalid (BadRequest) for a subnet that can't be routed, Conflict."""
    router = routers_store.get(tx, ctx, id)
    if want.port_id and want.subnet_id:
        raise bad("Cannot specify both subnet-id and port-id")
    if want.port_id:
        port, held = take_port(tx, ctx, router, want.port_id)
    elif want.subnet_id:
        port, held = make_leg(tx, ctx, router, want.subnet_id)
    else:
        raise bad("Either subnet_id or port_id must be specified")
    changes.mark(tx, "Router", [id])
    changes.mark(tx, "Port", [port.id])
    journal_change(tx, router, "router.interface.create")
    return answer(router, port, held)


def take_port(tx: Tx, ctx: Context, router: Any, port_id: str) -> tuple[Any, list[str]]:
    port = store.store.get(tx, ctx, port_id, may=policy.GET_PORT)
    if port.device_id == router.id and port.device_owner in store.INTERFACES:
        raise bad(f"Router already has a port on subnet: port {port_id}")
    if port.device_id:
        raise errors.Conflict(
            f"Unable to complete operation on port {port_id} for network {port.network_id}. Port already has an "
            f"attached device {port.device_id}.", kind="PortInUse",
        )
    policy.require(ctx, policy.UPDATE_PORT.name, port._asdict())
    entries = store.fixed_ips(tx, [port_id]).get(port_id, [])
    if not entries:
        raise bad("Router port must have at least one fixed IP")
    if len([each for each in entries if logic.version_of(each["ip_address"]) == 4]) > 1:
        raise bad("Cannot have multiple IPv4 subnets on router port")
    held = [each["subnet_id"] for each in entries]
    refuse_overlap(tx, router, [subnets.store.find(tx, each) for each in held])
    port = store.store.update(
        tx, port, device_id=router.id, device_owner=store.INTERFACE, status="ACTIVE", **ops.binding("")
    )
    return port, held


def make_leg(tx: Tx, ctx: Context, router: Any, subnet_id: str) -> tuple[Any, list[str]]:
    subnet = subnets.store.get(tx, ctx, subnet_id, may=policy.GET_SUBNET, lock="stay")
    if subnet.gateway_ip is None:
        raise bad(f"Subnet for router interface must have a gateway IP: {subnet_id}")
    if subnet.ip_version == 6 and subnet.ra_mode is None and subnet.address_mode is not None:
        raise bad(f"IPv6 subnet {subnet_id} configured to receive RAs from an external router cannot be added to "
                  f"Neutron Router.")
    refuse_overlap(tx, router, [subnet])
    network = networks.store.find(tx, subnet.network_id, lock="stay")
    if network is None:
        raise subnets.store.not_found(subnet_id)
    if subnet.ip_version == 6 and (port := shared_leg(tx, router, subnet)) is not None:
        held = store.fixed_ips(tx, [port.id]).get(port.id, [])
        addresses.take(tx, subnet, port.id, subnet.gateway_ip, len(held))
        return port, [*(each["subnet_id"] for each in held), subnet_id]
    port = ops.make(tx, ctx, network, ops.Plan(
        project_id=router.project_id, wishes=[Wish(subnet_id, subnet.gateway_ip)],
        values={"device_id": router.id, "device_owner": store.INTERFACE, "status": "ACTIVE"},
    ))
    return port, [subnet_id]


def shared_leg(tx: Tx, router: Any, subnet: Any) -> Any | None:
    """A leg of the router on the same network that has only IPv6 addresses."""
    for port in tx.all(LEGS, {"router": router.id}):
        if port.network_id == subnet.network_id:
            held = store.fixed_ips(tx, [port.id]).get(port.id, [])
            if all(logic.version_of(each["ip_address"]) == 6 for each in held):
                return port
    return None


def refuse_overlap(tx: Tx, router: Any, new: list[Any]) -> None:
    statement = (
        sa.select(SUBNETS.c.id, SUBNETS.c.cidr, PORTS.c.device_owner)
        .join(ADDRESSES, ADDRESSES.c.subnet_id == SUBNETS.c.id).join(PORTS, PORTS.c.id == ADDRESSES.c.port_id)
        .where(PORTS.c.device_id == router.id, PORTS.c.device_owner.in_([*store.INTERFACES, store.GATEWAY]))
    )
    for held in tx.all(statement):
        for subnet in new:
            if held.id == subnet.id:
                raise bad(f"Router already has a port on subnet {subnet.id}")
            if logic.overlap(held.cidr, subnet.cidr):
                raise bad(
                    f"Cidr {subnet.cidr} of subnet {subnet.id} overlaps with cidr {held.cidr} of subnet {held.id}"
                )


def remove(tx: Tx, ctx: Context, id: str, want: LegAsked) -> dict[str, Any]:
    """Raises NotFound, Conflict while a floating IP or a route needs the leg, Invalid."""
    router = routers_store.get(tx, ctx, id)
    if not want.port_id and not want.subnet_id:
        raise bad("Either subnet_id or port_id must be specified")
    legs = tx.all(LEGS, {"router": id})
    held = store.fixed_ips(tx, [leg.id for leg in legs])
    leg = find_leg(router, legs, held, want)
    gone = [want.subnet_id] if want.subnet_id else [each["subnet_id"] for each in held.get(leg.id, [])]
    refuse_needed(tx, router, gone)
    if len(gone) < len(held.get(leg.id, [])):
        for each in held[leg.id]:
            if each["subnet_id"] in gone:
                addresses.give_back_one(tx, each["subnet_id"], each["ip_address"])
    else:
        ops.discard(tx, [store.store.Row._make(leg)])
    changes.mark(tx, "Router", [id])
    journal_change(tx, router, "router.interface.delete")
    return answer(router, leg, gone)


def find_leg(router: Any, legs: Any, held: dict[str, list[dict[str, str]]], want: LegAsked) -> Any:
    for leg in legs:
        on = {each["subnet_id"] for each in held.get(leg.id, [])}
        if want.port_id == leg.id:
            if want.subnet_id and want.subnet_id not in on:
                raise errors.Conflict(
                    f"Router port {leg.id} is not on subnet {want.subnet_id}.", kind="SubnetMismatchForPort"
                )
            return leg
        if not want.port_id and want.subnet_id in on:
            return leg
    if want.port_id:
        raise errors.NotFound(f"Router {router.id} does not have an interface with id {want.port_id}",
                              kind="RouterInterfaceNotFound")
    raise errors.NotFound(f"Router {router.id} has no interface on subnet {want.subnet_id}",
                          kind="RouterInterfaceNotFoundForSubnet")


def refuse_needed(tx: Tx, router: Any, subnet_ids: list[str]) -> None:
    used = (
        sa.select(FLOATING_IPS.c.id)
        .join(ADDRESSES, (ADDRESSES.c.port_id == FLOATING_IPS.c.port_id) & (ADDRESSES.c.ip == FLOATING_IPS.c.fixed_ip))
        .where(FLOATING_IPS.c.router_id == router.id, ADDRESSES.c.subnet_id.in_(subnet_ids))
    )
    if tx.first(used.limit(1)) is not None:
        needed_by = floating_ips.holders(tx, FLOATING_IPS.c.id.in_(used))
        raise errors.Conflict(
            f"Router interface for subnet {subnet_ids[0]} on router {router.id} cannot be deleted, as it is required "
            f"by one or more floating IPs: {needed_by}.", kind="RouterInterfaceInUseByFloatingIP",
        )
    cidrs = [row.cidr for row in tx.all(sa.select(SUBNETS.c.cidr).where(SUBNETS.c.id.in_(subnet_ids)))]
    for route in router.routes:
        if any(logic.contains(cidr, route["nexthop"]) for cidr in cidrs):
            raise errors.Conflict(
                f"Router interface for subnet {subnet_ids[0]} on router {router.id} cannot be deleted, as it is "
                f"required by one or more routes: to {route['destination']} by {route['nexthop']}.",
                kind="RouterInterfaceInUseByRoute",
            )


def answer(router: Any, port: Any, subnet_ids: list[str]) -> dict[str, Any]:
    return {
        "id": router.id, "project_id": router.project_id, "tenant_id": router.project_id,
        "network_id": port.network_id, "port_id": port.id, "subnet_id": subnet_ids[-1] if subnet_ids else None,
        "subnet_ids": subnet_ids, "tags": list(router.tags),
    }


def bad(reason: str) -> errors.Invalid:
    return errors.Invalid(f"Bad router request: {reason}.", kind="BadRequest")


