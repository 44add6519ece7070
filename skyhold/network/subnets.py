# SPDX-License-Identifier: Apache-2.0
"""Subnets: ranges of addresses on a network, with gateway, pools, name servers and routes.

Arithmetic is logic/addresses.py, giving out addresses is addresses.py. A subnet with DHCP keeps one
address for whoever answers there: a port of owner network:dhcp that lives and dies with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from skyhold.core import errors, journal
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.http.routes import Reply, Routes
from skyhold.core.shapes import ABSENT, Absent, LooseBool, LooseInt, Shape, bulk, collection, envelope, field
from skyhold.core.store import Store
from skyhold.network import addresses, changes, networks, policy
from skyhold.network.answers import Collection, Common, Dressed, Query
from skyhold.network.logic import addresses as logic
from skyhold.network.logic import subnets as rules
from skyhold.network.ports import store as ports
from skyhold.network.quotas import quota
from skyhold.network.tables import ADDRESSES, NETWORKS, PORTS, SUBNETS
from skyhold.network.writing import IF_MATCH, check_revision, drop_tags, given, guard, owner, wanted_columns

MODES = ("slaac", "dhcpv6-stateful", "dhcpv6-stateless")

# ---- shape ---------------------------------------------------------------------------------


class Pool(Shape):
    start: str = field(max=64)
    end: str = field(max=64)


class HostRoute(Shape):
    destination: str = field(max=64)
    nexthop: str = field(max=64)


class SubnetChange(Shape):
    name: str | Absent = field(optional=True, max=255)
    description: str | Absent = field(optional=True, max=255)
    gateway_ip: str | Absent | None = field(optional=True, max=64)
    pools: list[Pool] | Absent = field("allocation_pools", optional=True, max_items=64)
    dns: list[str] | Absent | None = field("dns_nameservers", optional=True, max_items=16, max=64)
    routes: list[HostRoute] | Absent | None = field("host_routes", optional=True, max_items=64)
    dhcp: LooseBool | Absent = field("enable_dhcp", optional=True)
    service_types: list[str] | Absent = field(
        optional=True, policy="update_subnet:service_types", max_items=16, max=255
    )
    dns_publish_fixed_ip: LooseBool | Absent = field(optional=True)


class SubnetCreate(Shape):
    network_id: str = field(max=64)
    ip_version: LooseInt | Absent = field(optional=True)
    cidr: str | Absent | None = field(optional=True, max=64)
    name: str = field(default="", max=255)
    description: str = field(default="", max=255)
    gateway_ip: str | Absent | None = field(optional=True, max=64)
    pools: list[Pool] | Absent = field("allocation_pools", optional=True, max_items=64)
    dns: list[str] | Absent | None = field("dns_nameservers", optional=True, max_items=16, max=64)
    routes: list[HostRoute] | Absent | None = field("host_routes", optional=True, max_items=64)
    dhcp: LooseBool = field("enable_dhcp", default=True)
    ra_mode: str | Absent = field("ipv6_ra_mode", optional=True, enum=MODES)
    address_mode: str | Absent = field("ipv6_address_mode", optional=True, enum=MODES)
    service_types: list[str] | Absent = field(
        optional=True, policy="create_subnet:service_types", max_items=16, max=255
    )
    subnetpool_id: str | None = field(default=None, max=64)
    use_default_subnetpool: LooseBool = field(default=False)
    prefixlen: LooseInt | Absent | None = field(optional=True)
    segment_id: Absent | None = field(optional=True)
    dns_publish_fixed_ip: LooseBool = field(default=False)
    project_id: str | Absent = field(optional=True, max=255)
    tenant_id: str | Absent = field(optional=True, max=255)


class Subnet(Common):
    name: str
    description: str
    tags: list[str]
    network_id: str
    ip_version: int
    cidr: str
    gateway_ip: str | None
    pools: list[Any] = field("allocation_pools")
    dns: list[str] = field("dns_nameservers")
    routes: list[Any] = field("host_routes")
    dhcp: bool = field("enable_dhcp")
    ra_mode: str | None = field("ipv6_ra_mode")
    address_mode: str | None = field("ipv6_address_mode")
    service_types: list[str]
    subnetpool_id: str | None


# ---- routes --------------------------------------------------------------------------------

routes = Routes()


@routes.get("/v2.0/subnets", policy=policy.GET_SUBNET, query=Query,
            reply=collection("subnets", Subnet, links="subnets_links"))
async def index(ctx: Context, query: Query) -> Reply:
    """List subnets."""
    return await SUBNET.index(ctx, query)


@routes.post("/v2.0/subnets", policy=policy.CREATE_SUBNET, body=bulk("subnet", "subnets", SubnetCreate),
             reply=bulk("subnet", "subnets", Subnet), status=201)
async def create(ctx: Context, want: SubnetCreate | list[SubnetCreate]) -> Reply:
    """Create a subnet, or several at once."""
    return SUBNET.made(ctx, await ctx.write(insert_all, want))


@routes.get("/v2.0/subnets/{subnet_id}", policy=policy.GET_SUBNET, query=Query, reply=envelope("subnet", Subnet))
async def show(ctx: Context, id: str, query: Query) -> Reply:
    """Show a subnet."""
    return SUBNET.show(ctx, await ctx.read(SUBNET.get, id), query)


@routes.put("/v2.0/subnets/{subnet_id}", policy=policy.UPDATE_SUBNET, body=envelope("subnet", SubnetChange),
            reply=envelope("subnet", Subnet), headers=IF_MATCH)
async def update(ctx: Context, id: str, want: SubnetChange, headers: dict[str, str | None]) -> Reply:
    """Change a subnet."""
    return SUBNET.show(ctx, await ctx.write(change, id, want, headers))


@routes.delete("/v2.0/subnets/{subnet_id}", policy=policy.DELETE_SUBNET, headers=IF_MATCH)
async def delete(ctx: Context, id: str, headers: dict[str, str | None]) -> None:
    """Delete a subnet that no port has an address of."""
    await ctx.write(remove, id, headers)


# ---- operations ----------------------------------------------------------------------------


def insert_all(tx: Tx, ctx: Context, wants: SubnetCreate | list[SubnetCreate]) -> Any:
    if isinstance(wants, list):
        return [dressed(insert(tx, ctx, want)) for want in wants]
    return dressed(insert(tx, ctx, wants))


def insert(tx: Tx, ctx: Context, want: SubnetCreate) -> Any:
    """Raises Invalid (upstream's InvalidInput and friends), NotFound, Forbidden, Conflict, OverQuota."""
    lock_network(tx, want.network_id)
    network = networks.find_visible(tx, ctx, want.network_id)
    project = owner(ctx, want)
    target = {"project_id": project, "network:project_id": network.project_id}
    policy.require(ctx, policy.CREATE_SUBNET.name, target)
    guard(ctx, want, target)
    cidr, version = asked_range(want)
    rules.check_modes(version, want.dhcp, given(want.ra_mode, None), given(want.address_mode, None), cidr)
    refuse_overlap(tx, network.id, cidr)
    gateway = rules.gateway(cidr, want.gateway_ip) if want.gateway_ip is not ABSENT else logic.default_gateway(cidr)
    pools = (
        logic.default_pools(cidr, gateway) if want.pools is ABSENT
        else logic.read_pools(cidr, [(each.start, each.end) for each in want.pools], gateway)
    )
    quota.take(tx, project, subnet=1)
    row = store.insert(
        tx, id=ctx.new_id(), project_id=project, name=want.name, description=want.description, tags=[],
        revision=1, network_id=network.id, ip_version=version, cidr=cidr, gateway_ip=gateway, dhcp=want.dhcp,
        ra_mode=given(want.ra_mode, None), address_mode=given(want.address_mode, None),
        dns=rules.name_servers(given(want.dns, None) or []), routes=read_routes(given(want.routes, None)),
        pools=logic.pools_text(cidr, pools), service_types=given(want.service_types, []),
    )
    addresses.open_pools(tx, row.id, pools)
    if row.dhcp:
        row = give_dhcp_address(tx, ctx, row, network)
    changes.mark(tx, "Subnet", [row.id])
    journal.record(tx, "subnet.create", row)
    return row


def asked_range(want: SubnetCreate) -> tuple[str, int]:
    if want.use_default_subnetpool:
        raise errors.Invalid("Bad subnets request: No default subnetpool found.", kind="BadRequest")
    if want.subnetpool_id:
        raise errors.NotFound(f"Subnet pool {want.subnetpool_id} could not be found.", kind="SubnetPoolNotFound")
    cidr = given(want.cidr, None)
    if not cidr:
        raise errors.Invalid(
            "Bad subnets request: a subnetpool must be specified in the absence of a cidr.", kind="BadRequest"
        )
    version = given(want.ip_version, None)
    if version not in (4, 6):
        raise errors.Invalid(f"Invalid input for ip_version. Reason: '{version}' is not in [4, 6].")
    return logic.read_cidr(cidr, version), version


def read_routes(routes: list[HostRoute] | None) -> list[dict[str, str]]:
    return rules.host_routes([(each.destination, each.nexthop) for each in routes or []])


def lock_network(tx: Tx, network_id: str) -> None:
    """Two subnets created at once must see each other's ranges, and a removed one no new address."""
    if tx.dialect != "sqlite":
        tx.first(sa.select(NETWORKS.c.id).where(NETWORKS.c.id == network_id).with_for_update())


def refuse_overlap(tx: Tx, network_id: str, cidr: str) -> None:
    for other in tx.all(sa.select(SUBNETS.c.cidr).where(SUBNETS.c.network_id == network_id)):
        if logic.overlap(cidr, other.cidr):
            raise errors.Invalid(
                f"Invalid input for operation: Requested subnet with cidr: {cidr} for network: {network_id} "
                f"overlaps with another subnet.", kind="InvalidInput",
            )


def give_dhcp_address(tx: Tx, ctx: Context, row: Any, network: Any) -> Any:
    """A subnet too small for another address goes without; the data plane then doesn't answer there."""
    port = ports.insert(
        tx, ctx, network_id=row.network_id, project_id=network.project_id, device_owner=ports.DHCP,
        device_id=ports.DHCP_DEVICE + row.id, status="ACTIVE",
    )
    ip = addresses.take_next(tx, row, port.id)
    if ip is None:
        ports.delete(tx, [port])
        return row
    tx.execute(SUBNETS.update().where(SUBNETS.c.id == row.id).values(dhcp_ip=ip))
    return row._replace(dhcp_ip=ip)


def drop_dhcp_address(tx: Tx, row: Any) -> None:
    own = (PORTS.c.device_id == ports.DHCP_DEVICE + row.id) & (PORTS.c.device_owner == ports.DHCP)
    found = tx.all(sa.select(PORTS).where(own))
    if found:
        ports.delete(tx, found)


def writable(tx: Tx, ctx: Context, id: str, name: str) -> Any:
    row = store.get(tx, ctx, id)
    network = networks.store.expect(tx, row.network_id)
    policy.require(ctx, name, {**row._asdict(), "network:project_id": network.project_id})
    return row


def change(tx: Tx, ctx: Context, id: str, want: SubnetChange, headers: dict[str, str | None]) -> Any:
    row = writable(tx, ctx, id, policy.UPDATE_SUBNET.name)
    check_revision(row, headers)
    guard(ctx, want, row._asdict(), row._asdict())
    values = wanted_columns(want, "name", "description", "service_types", "dhcp")
    if want.dns is not ABSENT:
        values["dns"] = rules.name_servers(want.dns or [])
    if want.routes is not ABSENT:
        values["routes"] = read_routes(want.routes)
    values |= changed_range(tx, row, want)
    if "dhcp" in values and values["dhcp"] != row.dhcp:
        rules.check_modes(row.ip_version, values["dhcp"], row.ra_mode, row.address_mode, row.cidr)
        if values["dhcp"]:
            values["dhcp_ip"] = give_dhcp_address(tx, ctx, row, networks.store.find(tx, row.network_id)).dhcp_ip
        else:
            drop_dhcp_address(tx, row)
            values["dhcp_ip"] = None
    row = store.update(tx, row, **values)
    changes.mark(tx, "Subnet", [id])
    journal.record(tx, "subnet.update", row)
    return dressed(row)


def changed_range(tx: Tx, row: Any, want: SubnetChange) -> dict[str, Any]:
    """Gateway and pools, which constrain each other."""
    values: dict[str, Any] = {}
    gateway = row.gateway_ip
    if want.gateway_ip is not ABSENT and want.gateway_ip != row.gateway_ip:
        gateway = values["gateway_ip"] = rules.gateway(row.cidr, want.gateway_ip)
        refuse_moving_gateway(tx, row)
    if want.pools is not ABSENT:
        asked = [(each.start, each.end) for each in want.pools]
    else:
        asked = [(each["start"], each["end"]) for each in row.pools]
    if want.pools is not ABSENT or "gateway_ip" in values:
        pools = logic.read_pools(row.cidr, asked, gateway)
    if want.pools is not ABSENT:
        values["pools"] = logic.pools_text(row.cidr, pools)
        addresses.open_pools(tx, row.id, pools)
    return values


def refuse_moving_gateway(tx: Tx, row: Any) -> None:
    if row.gateway_ip is None:
        return
    held = (
        sa.select(PORTS.c.id).join(ADDRESSES, ADDRESSES.c.port_id == PORTS.c.id)
        .where(ADDRESSES.c.subnet_id == row.id, ADDRESSES.c.ip == row.gateway_ip,
               PORTS.c.device_owner.in_(ports.INTERFACES))
    )
    found = tx.first(held)
    if found is not None:
        raise errors.Conflict(
            f"Current gateway ip {row.gateway_ip} already in use by port {found.id}. Unable to update.",
            kind="GatewayIpInUse",
        )


def remove(tx: Tx, ctx: Context, id: str, headers: dict[str, str | None]) -> None:
    # The network first: nobody gets an address on the subnet meanwhile, nor is the network removed.
    if (seen := store.find(tx, id)) is not None:
        lock_network(tx, seen.network_id)
    row = writable(tx, ctx, id, policy.DELETE_SUBNET.name)
    check_revision(row, headers)
    users = (
        sa.select(PORTS.c.id, PORTS.c.device_owner).join(ADDRESSES, ADDRESSES.c.port_id == PORTS.c.id)
        .where(ADDRESSES.c.subnet_id == id, PORTS.c.device_owner != ports.DHCP)
    )
    if row.address_mode in logic.SLAAC:
        # Guests gave themselves these addresses: they don't hold the subnet, a router's leg does.
        users = users.where(PORTS.c.device_owner.in_(ports.INTERFACES))
    if tx.first(users.limit(1)) is not None:
        raise errors.Conflict(
            f"Unable to complete operation on subnet {id}: One or more ports have an IP allocation from this subnet: "
            f"{ports.holders(tx, ctx, PORTS.c.id.in_(users.with_only_columns(PORTS.c.id)))}.",
            kind="SubnetInUse",
        )
    drop_dhcp_address(tx, row)
    left = [each.port_id for each in tx.all(sa.select(ADDRESSES.c.port_id).where(ADDRESSES.c.subnet_id == id))]
    tx.execute(ADDRESSES.delete().where(ADDRESSES.c.subnet_id == id))
    addresses.close_pools(tx, id)
    store.delete(tx, row)
    drop_tags(tx, row)
    quota.give(tx, row.project_id, subnet=1)
    changes.mark(tx, "Subnet", [id])
    changes.mark(tx, "Port", left)
    journal.record(tx, "subnet.delete", row)


# ---- queries -------------------------------------------------------------------------------


def visible_besides(ctx: Context) -> list[Any]:
    if "reader" not in ctx.creds.roles:
        return []
    return [SUBNETS.c.network_id.in_(sa.select(NETWORKS.c.id).where(
        sa.or_(NETWORKS.c.shared.is_(True), NETWORKS.c.project_id == ctx.project_id)
    ))]


store = Store(SUBNETS, service="network", kind="subnet", label="Subnet", shared=visible_besides)


OF_NETWORK = (
    sa.select(SUBNETS).where(SUBNETS.c.network_id == sa.bindparam("network"))
    .order_by(SUBNETS.c.created_at, SUBNETS.c.id)
)


def of_network(tx: Tx, network_id: str) -> list[Any]:
    """All subnets of a network, oldest first, whoever asks."""
    return [store.Row._make(row) for row in tx.all(OF_NETWORK, {"network": network_id})]


def dress(tx: Tx, ctx: Context, rows: Sequence[Any]) -> list[Dressed]:
    return [dressed(row) for row in rows]


def dressed(row: Any) -> Dressed:
    return Dressed(row, subnetpool_id=None)


def on_shared_network(texts: list[str]) -> Any:
    shared = SUBNETS.c.network_id.in_(sa.select(NETWORKS.c.id).where(NETWORKS.c.shared.is_(True)))
    return shared if texts[-1].lower() in ("true", "1") else sa.not_(shared)


def in_no_pool(texts: list[str]) -> Any:
    return sa.true() if all(text in ("", "None") for text in texts) else sa.false()


SUBNET = Collection(
    "subnet", "subnets", "subnets", Subnet, store, dress,
    special={"shared": on_shared_network, "subnetpool_id": in_no_pool, "segment_id": in_no_pool},
)
