# SPDX-License-Identifier: Apache-2.0
"""Floating IPs: addresses of an external network that a project owns and points at its ports.

Letting go when a port goes is attachments.py. The address itself is held by a port of the cloud's
own (network:floatingip); through which router it leads is found when it is associated.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from skyhold.core import errors, journal
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.http.routes import Reply, Routes
from skyhold.core.shapes import ABSENT, Absent, Shape, collection, envelope, field
from skyhold.core.store import Store, locked
from skyhold.network import changes, networks, policy, subnets
from skyhold.network.answers import Collection, Common, Dressed, Query, chunks
from skyhold.network.logic import addresses as logic
from skyhold.network.ports import addressing
from skyhold.network.ports import store as ports
from skyhold.network.ports.addressing import Wish
from skyhold.network.quotas import quota
from skyhold.network.tables import ADDRESSES, FLOATING_IPS, PORTS, ROUTERS, SUBNETS, TAGS
from skyhold.network.writing import IF_MATCH, check_revision, drop_tags, given, guard, owner, wanted_columns

# ---- shape ---------------------------------------------------------------------------------


class FloatingIpChange(Shape):
    port_id: str | Absent | None = field(optional=True, max=64)
    fixed_ip: str | Absent | None = field("fixed_ip_address", optional=True, max=64)
    description: str | Absent = field(optional=True, max=255)
    qos_policy_id: Absent | None = field(optional=True)


class FloatingIpCreate(Shape):
    network_id: str = field("floating_network_id", max=64)
    subnet_id: str | None = field(default=None, max=64)
    address: str | Absent | None = field(
        "floating_ip_address", optional=True, max=64, policy="create_floatingip:floating_ip_address"
    )
    port_id: str | None = field(default=None, max=64)
    fixed_ip: str | None = field("fixed_ip_address", default=None, max=64)
    description: str = field(default="", max=255)
    tags: list[str] | Absent = field(optional=True, max_items=50, min=1, max=255)
    project_id: str | Absent = field(optional=True, max=255)
    tenant_id: str | Absent = field(optional=True, max=255)
    qos_policy_id: Absent | None = field(optional=True)


class FloatingIp(Common):
    description: str
    tags: list[str]
    network_id: str = field("floating_network_id")
    address: str = field("floating_ip_address")
    port_id: str | None
    fixed_ip: str | None = field("fixed_ip_address")
    router_id: str | None
    status: str
    port_details: Any


# ---- routes --------------------------------------------------------------------------------

routes = Routes()


@routes.get("/v2.0/floatingips", policy=policy.GET_FLOATINGIP, query=Query,
            reply=collection("floatingips", FloatingIp, links="floatingips_links"))
async def index(ctx: Context, query: Query) -> Reply:
    """List floating IPs."""
    return await FLOATING_IP.index(ctx, query)


@routes.post("/v2.0/floatingips", policy=policy.CREATE_FLOATINGIP, body=envelope("floatingip", FloatingIpCreate),
             reply=envelope("floatingip", FloatingIp), status=201)
async def create(ctx: Context, want: FloatingIpCreate) -> Reply:
    """Create a floating IP, and point it at a port when one is named."""
    return FLOATING_IP.made(ctx, await ctx.write(insert, want))


@routes.get("/v2.0/floatingips/{floatingip_id}", policy=policy.GET_FLOATINGIP, query=Query,
            reply=envelope("floatingip", FloatingIp))
async def show(ctx: Context, id: str, query: Query) -> Reply:
    """Show a floating IP."""
    return FLOATING_IP.show(ctx, await ctx.read(FLOATING_IP.get, id), query)


@routes.put("/v2.0/floatingips/{floatingip_id}", policy=policy.UPDATE_FLOATINGIP,
            body=envelope("floatingip", FloatingIpChange), reply=envelope("floatingip", FloatingIp), headers=IF_MATCH)
async def update(ctx: Context, id: str, want: FloatingIpChange, headers: dict[str, str | None]) -> Reply:
    """Point a floating IP at a port, or (without one) at nothing."""
    return FLOATING_IP.show(ctx, await ctx.write(change, id, want, headers))


@routes.delete("/v2.0/floatingips/{floatingip_id}", policy=policy.DELETE_FLOATINGIP, headers=IF_MATCH)
async def delete(ctx: Context, id: str, headers: dict[str, str | None]) -> None:
    """Give a floating IP back."""
    await ctx.write(remove, id, headers)


# ---- operations ----------------------------------------------------------------------------


def insert(tx: Tx, ctx: Context, want: FloatingIpCreate) -> Dressed:
    """Raises NotFound, Invalid (BadRequest) for a network that isn't external, Forbidden, OverQuota,
    Conflict for an address that is taken or a port that can't be reached."""
    project = owner(ctx, want)
    policy.require(ctx, policy.CREATE_FLOATINGIP.name, {"project_id": project})
    guard(ctx, want, {"project_id": project}, {"address": None})
    network = networks.find_visible(tx, ctx, want.network_id)
    if not network.external:
        raise errors.Invalid(
            f"Bad floatingip request: Network {network.id} is not a valid external network.", kind="BadRequest"
        )
    quota.take(tx, project, floatingip=1)
    id = ctx.new_id()
    port = ports.insert(
        tx, ctx, network_id=network.id, project_id="", device_id=id, device_owner=ports.FLOATING, status="N/A"
    )
    tags = list(dict.fromkeys(given(want.tags, [])))
    row = store.insert(
        tx, id=id, project_id=project, name="", description=want.description, tags=tags, revision=1,
        network_id=network.id, own_port_id=port.id, address=own_address(tx, network, port, want), status="DOWN",
    )
    if tags:
        tx.execute(TAGS.insert(), [{"resource_id": id, "tag": tag} for tag in tags])
    if want.port_id:
        row = associate(tx, ctx, row, want.port_id, want.fixed_ip)
    elif want.fixed_ip:
        raise errors.Invalid("Bad floatingip request: fixed_ip_address cannot be specified without a port_id.",
                             kind="BadRequest")
    journal.record(tx, "floatingip.create", row)
    return dress(tx, ctx, [row])[0]


def own_address(tx: Tx, network: Any, port: Any, want: FloatingIpCreate) -> str:
    nets = [each for each in subnets.of_network(tx, network.id) if each.ip_version == 4]
    if want.subnet_id and not any(each.id == want.subnet_id for each in nets):
        raise errors.Invalid(
            f"Bad floatingip request: subnet {want.subnet_id} is not an IPv4 subnet of network {network.id}.",
            kind="BadRequest",
        )
    asked = given(want.address, None)
    if not nets:
        raise errors.Invalid(
            f"Bad floatingip request: Network {network.id} does not contain any IPv4 subnet.", kind="BadRequest"
        )
    wishes = [Wish(want.subnet_id, asked)] if asked or want.subnet_id else None
    return addressing.give(tx, port, nets, wishes)[0]["ip_address"]


def change(tx: Tx, ctx: Context, id: str, want: FloatingIpChange, headers: dict[str, str | None]) -> Dressed:
    """As upstream, a body without port_id leaves the association alone; null ends it."""
    row = store.get(tx, ctx, id)
    check_revision(row, headers)
    port_id, fixed_ip = given(want.port_id, row.port_id), given(want.fixed_ip, None)
    if want.port_id is ABSENT and want.fixed_ip is not ABSENT and row.port_id is None and fixed_ip:
        raise errors.Invalid("Bad floatingip request: fixed_ip_address cannot be specified without a port_id.",
                             kind="BadRequest")
    values = wanted_columns(want, "description")
    row = store.update(tx, row, **values)
    if want.port_id is not ABSENT or want.fixed_ip is not ABSENT:
        row = associate(tx, ctx, row, port_id, fixed_ip) if port_id else disassociate(tx, row)
    journal.record(tx, "floatingip.update", row)
    return dress(tx, ctx, [row])[0]


def associate(tx: Tx, ctx: Context, row: Any, port_id: str, fixed_ip: str | None) -> Any:
    """Raises NotFound for a port not the caller's, Invalid or Conflict in upstream's kinds."""
    port = ports.store.get(tx, ctx, port_id, may=policy.GET_PORT, lock="stay")
    if port.project_id != row.project_id and not policy.permitted(ctx, policy.UPDATE_PORT.name, port._asdict()):
        raise ports.store.not_found(port_id)
    entry = target_address(tx, port, fixed_ip)
    router_id = router_for(tx, row, port, entry)
    values = {"port_id": port.id, "fixed_ip": entry["ip_address"], "router_id": router_id}
    same = (row.port_id, row.fixed_ip, row.router_id) == (port.id, entry["ip_address"], router_id)
    try:
        with tx.nested():
            row = store.update(tx, row, revision=row.revision, status=row.status if same else "DOWN", **values)
    except sa.exc.IntegrityError:
        raise errors.Conflict(
            f"Cannot associate floating IP {row.address} ({row.id}) with port {port_id} using fixed IP "
            f"{entry['ip_address']}, as that fixed IP already has a floating IP on external network {row.network_id}.",
            kind="FloatingIPPortAlreadyAssociated",
        ) from None
    changes.mark(tx, "FloatingIp", [row.id])
    return row


def target_address(tx: Tx, port: Any, fixed_ip: str | None) -> dict[str, str]:
    held = [
        each for each in ports.fixed_ips(tx, [port.id]).get(port.id, []) if logic.version_of(each["ip_address"]) == 4
    ]
    if fixed_ip:
        wanted = logic.read_ip(fixed_ip, "fixed_ip_address")
        for each in held:
            if each["ip_address"] == wanted:
                return each
        raise bad(f"Port {port.id} does not have fixed ip {wanted}")
    if not held:
        raise bad(f"Cannot add floating IP to port {port.id} that has no fixed IPv4 addresses")
    if len(held) > 1:
        raise bad(f"Port {port.id} has multiple fixed IPv4 addresses. Must provide a specific IPv4 address when "
                  f"assigning a floating IP")
    return held[0]


def router_for(tx: Tx, row: Any, port: Any, entry: dict[str, str]) -> str:
    """The router with a leg on the address's subnet and its gateway on the floating IP's network; of
    several, the one that is the subnet's own gateway."""
    leg, held = PORTS.alias("leg"), ADDRESSES.alias("held")
    statement = (
        sa.select(ROUTERS.c.id, held.c.ip, SUBNETS.c.gateway_ip)
        .join(leg, leg.c.device_id == ROUTERS.c.id).join(held, held.c.port_id == leg.c.id)
        .join(SUBNETS, SUBNETS.c.id == held.c.subnet_id)
        .where(leg.c.device_owner.in_(ports.INTERFACES), held.c.subnet_id == entry["subnet_id"],
               ROUTERS.c.gateway_network_id == row.network_id)
        .order_by(ROUTERS.c.created_at, ROUTERS.c.id)
    )
    # Neither leg nor gateway goes before the commit: whoever takes one away locks the router.
    routers = sa.select(ROUTERS.c.id).where(ROUTERS.c.id.in_([each.id for each in tx.all(statement)]))
    tx.all(locked(routers.order_by(ROUTERS.c.id), "stay"))
    found = tx.all(statement)
    if not found:
        raise errors.NotFound(
            f"External network {row.network_id} is not reachable from subnet {entry['subnet_id']}.  Therefore, cannot "
            f"associate Port {port.id} with a Floating IP.", kind="ExternalGatewayForFloatingIPNotFound",
        )
    return str(next((each.id for each in found if each.ip == each.gateway_ip), found[0].id))


def disassociate(tx: Tx, row: Any) -> Any:
    changes.mark(tx, "FloatingIp", [row.id])
    return store.update(
        tx, row, revision=row.revision, port_id=None, fixed_ip=None, router_id=None, status="DOWN"
    )


def remove(tx: Tx, ctx: Context, id: str, headers: dict[str, str | None]) -> None:
    row = store.get(tx, ctx, id)
    check_revision(row, headers)
    discard(tx, row)


def discard_unused(tx: Tx, network_id: str) -> None:
    """An external network takes along the floating IPs that point at no port, whoever owns them."""
    c = FLOATING_IPS.c
    unused = sa.select(FLOATING_IPS).where(c.network_id == network_id, c.port_id.is_(None)).with_for_update()
    for row in tx.all(unused):
        discard(tx, store.Row._make(row))


def discard(tx: Tx, row: Any) -> None:
    own = tx.all(sa.select(PORTS).where(PORTS.c.id == row.own_port_id))
    store.delete(tx, row)
    if own:
        ports.delete(tx, own)
    drop_tags(tx, row)
    quota.give(tx, row.project_id, floatingip=1)
    changes.mark(tx, "FloatingIp", [row.id])
    journal.record(tx, "floatingip.delete", row)


def bad(reason: str) -> errors.Invalid:
    return errors.Invalid(f"Bad floatingip request: {reason}.", kind="BadRequest")


# ---- queries -------------------------------------------------------------------------------

store = Store(FLOATING_IPS, service="network", kind="floatingip", label="Floating IP")


def holders(tx: Tx, held_by: Any) -> str:
    """Floating IPs for the sentence of a refusal, as ports/store.py's `holders`; `held_by` is a clause."""
    return ports.named(tx, FLOATING_IPS, held_by, store.visible(tx.ctx, policy.GET_FLOATINGIP))


def dress(tx: Tx, ctx: Context, rows: Sequence[Any]) -> list[Dressed]:
    details: dict[str, dict[str, Any]] = {}
    for ids in chunks([row.port_id for row in rows if row.port_id]):
        for port in tx.all(sa.select(PORTS).where(PORTS.c.id.in_(ids))):
            details[port.id] = {
                "name": port.name, "network_id": port.network_id, "mac_address": port.mac,
                "admin_state_up": port.admin_up, "status": port.status, "device_id": port.device_id,
                "device_owner": port.device_owner,
            }
    return [Dressed(row, port_details=details.get(row.port_id)) for row in rows]


FLOATING_IP = Collection("floatingip", "floatingips", "floatingips", FloatingIp, store, dress)
