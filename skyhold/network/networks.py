# SPDX-License-Identifier: Apache-2.0
"""Networks: layer-2 segments of a project, shared ones, and external ones that lead outside.

Their subnets are subnets.py. A network is seen by its project, and by everybody when it is shared
or external; seeing is decided by `visible_besides`, using by who creates a port.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from skyhold.core import errors, journal
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.http.routes import Reply, Routes
from skyhold.core.shapes import Absent, LooseBool, LooseInt, Shape, bulk, collection, envelope, field
from skyhold.core.store import Store
from skyhold.network import addresses, changes, policy
from skyhold.network.answers import Collection, Common, Dressed, Query, chunks
from skyhold.network.ports import store as ports
from skyhold.network.quotas import quota
from skyhold.network.tables import NETWORKS, PORTS, SUBNETS
from skyhold.network.writing import IF_MATCH, check_revision, drop_tags, given, guard, owner, wanted_columns

# ---- shape ---------------------------------------------------------------------------------


class NetworkChange(Shape):
    name: str | Absent = field(optional=True, max=255)
    description: str | Absent = field(optional=True, max=255)
    admin_up: LooseBool | Absent = field("admin_state_up", optional=True)
    shared: LooseBool | Absent = field(optional=True, policy="update_network:shared")
    external: LooseBool | Absent = field("router:external", optional=True, policy="update_network:router:external")
    is_default: LooseBool | Absent = field(optional=True, policy="update_network:is_default")
    mtu: LooseInt | Absent = field(optional=True, min=0, max=65535)
    port_security: LooseBool | Absent = field(
        "port_security_enabled", optional=True, policy="update_network:port_security_enabled"
    )
    dns_domain: str | Absent = field(optional=True, max=255)
    qos_policy_id: Absent | None = field(optional=True)


class NetworkCreate(Shape):
    name: str = field(default="", max=255)
    description: str = field(default="", max=255)
    admin_up: LooseBool = field("admin_state_up", default=True)
    shared: LooseBool = field(default=False, policy="create_network:shared")
    external: LooseBool = field("router:external", default=False, policy="create_network:router:external")
    is_default: LooseBool = field(default=False, policy="create_network:is_default")
    mtu: LooseInt | Absent = field(optional=True, min=0, max=65535)
    port_security: LooseBool = field("port_security_enabled", default=True)
    dns_domain: str = field(default="", max=255)
    zone_hints: list[str] = field("availability_zone_hints", default_factory=list, max_items=16, max=255)
    provider_type: str | Absent | None = field(
        "provider:network_type", optional=True, max=32, policy="create_network:provider:network_type"
    )
    physical_network: str | Absent | None = field(
        "provider:physical_network", optional=True, max=64, policy="create_network:provider:physical_network"
    )
    segmentation_id: LooseInt | Absent | None = field(
        "provider:segmentation_id", optional=True, min=0, policy="create_network:provider:segmentation_id"
    )
    project_id: str | Absent = field(optional=True, max=255)
    tenant_id: str | Absent = field(optional=True, max=255)
    qos_policy_id: Absent | None = field(optional=True)


class Network(Common):
    name: str
    description: str
    tags: list[str]
    admin_up: bool = field("admin_state_up")
    status: str
    subnets: list[str]
    shared: bool
    external: bool = field("router:external")
    is_default: bool
    mtu: int
    port_security: bool = field("port_security_enabled")
    ipv4_address_scope: str | None
    ipv6_address_scope: str | None
    zone_hints: list[str] = field("availability_zone_hints")
    availability_zones: list[str]
    provider_type: str = field("provider:network_type", policy="get_network:provider:network_type")
    physical_network: str | None = field(
        "provider:physical_network", policy="get_network:provider:physical_network"
    )
    segmentation_id: int | None = field("provider:segmentation_id", policy="get_network:provider:segmentation_id")


USUAL = {
    "shared": False, "external": False, "is_default": False, "port_security": True, "provider_type": None,
    "physical_network": None, "segmentation_id": None,
}

# ---- routes --------------------------------------------------------------------------------

routes = Routes()


@routes.get("/v2.0/networks", policy=policy.GET_NETWORK, query=Query,
            reply=collection("networks", Network, links="networks_links"))
async def index(ctx: Context, query: Query) -> Reply:
    """List networks."""
    return await NETWORK.index(ctx, query)


@routes.post("/v2.0/networks", policy=policy.CREATE_NETWORK, body=bulk("network", "networks", NetworkCreate),
             reply=bulk("network", "networks", Network), status=201)
async def create(ctx: Context, want: NetworkCreate | list[NetworkCreate]) -> Reply:
    """Create a network, or several at once."""
    return NETWORK.made(ctx, await ctx.write(insert_all, want))


@routes.get("/v2.0/networks/{network_id}", policy=policy.GET_NETWORK, query=Query, reply=envelope("network", Network))
async def show(ctx: Context, id: str, query: Query) -> Reply:
    """Show a network."""
    return NETWORK.show(ctx, await ctx.read(NETWORK.get, id), query)


@routes.put("/v2.0/networks/{network_id}", policy=policy.UPDATE_NETWORK, body=envelope("network", NetworkChange),
            reply=envelope("network", Network), headers=IF_MATCH)
async def update(ctx: Context, id: str, want: NetworkChange, headers: dict[str, str | None]) -> Reply:
    """Change a network."""
    return NETWORK.show(ctx, await ctx.write(change, id, want, headers))


@routes.delete("/v2.0/networks/{network_id}", policy=policy.DELETE_NETWORK, headers=IF_MATCH)
async def delete(ctx: Context, id: str, headers: dict[str, str | None]) -> None:
    """Delete a network that nothing uses."""
    await ctx.write(remove, id, headers)


# ---- operations ----------------------------------------------------------------------------


def insert_all(tx: Tx, ctx: Context, wants: NetworkCreate | list[NetworkCreate]) -> Any:
    if isinstance(wants, list):
        return [dressed_alone(insert(tx, ctx, want)) for want in wants]
    return dressed_alone(insert(tx, ctx, wants))


def insert(tx: Tx, ctx: Context, want: NetworkCreate) -> Any:
    """Raises Invalid, Forbidden, OverQuota, or Conflict for a provider segment that is taken."""
    project = owner(ctx, want)
    policy.require(ctx, policy.CREATE_NETWORK.name, {"project_id": project})
    guard(ctx, want, {"project_id": project}, USUAL)
    quota.take(tx, project, network=1)
    if want.is_default:
        refuse_second_default(tx, want.external)
    row = insert_on_segment(
        tx, ctx, project_id=project, name=want.name, description=want.description, tags=[], revision=1,
        admin_up=want.admin_up, shared=want.shared, external=want.external, is_default=want.is_default,
        mtu=given(want.mtu, None) or ctx.core.settings.network.mtu, port_security=want.port_security,
        dns_domain=want.dns_domain, zone_hints=want.zone_hints, **provider(want),
    )
    journal.record(tx, "network.create", row)
    return row


def provider(want: NetworkCreate) -> dict[str, Any]:
    """Provider attributes as columns; the segment of a tenant's network is chosen later."""
    kind = given(want.provider_type, None)
    physical, number = given(want.physical_network, None), given(want.segmentation_id, None)
    if kind is None and (physical is not None or number is not None):
        raise errors.Invalid("Invalid input for operation: network_type required.", kind="InvalidInput")
    kind = kind or "vxlan"
    if kind not in ("flat", "vlan", "vxlan", "local"):
        raise errors.Invalid(f"Invalid input for operation: network_type value '{kind}' not supported.",
                             kind="InvalidInput")
    if kind in ("flat", "vlan") and not physical:
        raise errors.Invalid(f"Invalid input for operation: physical_network required for {kind} provider network.",
                             kind="InvalidInput")
    if kind in ("vxlan", "local") and physical:
        raise errors.Invalid(f"Invalid input for operation: physical_network prohibited for {kind} provider network.",
                             kind="InvalidInput")
    if kind in ("flat", "local") and number is not None:
        raise errors.Invalid(f"Invalid input for operation: segmentation_id prohibited for {kind} provider network.",
                             kind="InvalidInput")
    if kind == "vlan" and (number is None or not 1 <= number <= 4094):
        raise errors.Invalid("Invalid input for operation: segmentation_id out of range (1 through 4094).",
                             kind="InvalidInput")
    if kind == "vxlan" and number is not None and not 1 <= number < 2**24:
        raise errors.Invalid("Invalid input for operation: segmentation_id out of range (1 through 16777215).",
                             kind="InvalidInput")
    return {"provider_type": kind, "physical_network": physical, "segmentation_id": number}


def insert_on_segment(tx: Tx, ctx: Context, **values: Any) -> Any:
    """Segments are unique in the cloud: one is drawn, and the key decides whether it was free."""
    kind, asked = values["provider_type"], values["segmentation_id"]
    for _ in range(SEGMENT_TRIES):
        id = ctx.new_id()
        segment = 1 + int(id[:4], 16) % LAST_SEGMENT
        number = segment if kind == "vxlan" and asked is None else asked
        values |= {
            "id": id, "segment": segment, "segmentation_id": number,
            "provider_key": provider_key(kind, values["physical_network"], number),
        }
        if (row := store.add(tx, **values)) is not None:
            return row
        if (kind != "vxlan" or asked is not None) and provider_taken(tx, values["provider_key"]):
            raise provider_in_use(kind, values["physical_network"], number)
    raise errors.Unavailable("Unable to create the network. No tenant network is available for allocation.",
                             kind="NoNetworkAvailable")


SEGMENT_TRIES = 200
LAST_SEGMENT = 65_000
"""The segment is also the conntrack zone, which has 16 bits."""


def provider_key(kind: str, physical: str | None, number: int | None) -> str | None:
    match kind:
        case "flat":
            return f"flat:{physical}"
        case "vlan":
            return f"vlan:{physical}:{number}"
        case "vxlan":
            return f"vxlan:{number}"
    return None


def provider_taken(tx: Tx, key: str | None) -> bool:
    return key is not None and tx.first(sa.select(NETWORKS.c.id).where(NETWORKS.c.provider_key == key)) is not None


def provider_in_use(kind: str, physical: str | None, number: int | None) -> errors.Conflict:
    if kind == "flat":
        return errors.Conflict(
            f"Unable to create the flat network. Physical network {physical} is in use.", kind="FlatNetworkInUse"
        )
    if kind == "vlan":
        return errors.Conflict(
            f"Unable to create the network. The VLAN {number} on physical network {physical} is in use.",
            kind="VlanIdInUse",
        )
    return errors.Conflict(f"Unable to create the network. The tunnel ID {number} is in use.", kind="TunnelIdInUse")


def refuse_second_default(tx: Tx, external: bool) -> None:
    if external and tx.first(sa.select(NETWORKS.c.id).where(NETWORKS.c.is_default.is_(True))) is not None:
        raise errors.Conflict("A default external network already exists.", kind="DefaultExternalNetworkExists")


def change(tx: Tx, ctx: Context, id: str, want: NetworkChange, headers: dict[str, str | None]) -> Any:
    row = store.get(tx, ctx, id)
    check_revision(row, headers)
    guard(ctx, want, row._asdict(), row._asdict())
    if want.external is False and row.external:
        refuse_losing_outside(tx, row)
    if want.shared is False and row.shared:
        refuse_losing_others(tx, row)
    if want.is_default is True and not row.is_default:
        refuse_second_default(tx, given(want.external, row.external))
    values = wanted_columns(
        want, "name", "description", "admin_up", "shared", "external", "is_default", "mtu", "port_security",
        "dns_domain",
    )
    if values.get("mtu") == 0:
        values["mtu"] = ctx.core.settings.network.mtu
    row = store.update(tx, row, **values)
    changes.mark(tx, "Network", [id])
    journal.record(tx, "network.update", row)
    return dress(tx, ctx, [row])[0]


def refuse_losing_outside(tx: Tx, row: Any) -> None:
    used = sa.select(PORTS.c.id).where(
        PORTS.c.network_id == row.id,
        PORTS.c.device_owner.in_(["network:router_gateway", "network:floatingip"]),
    )
    if tx.first(used.limit(1)) is not None:
        raise errors.Conflict(
            f"External network {row.id} cannot be updated to be made non-external, since it has existing "
            f"gateway ports.", kind="ExternalNetworkInUse",
        )


def refuse_losing_others(tx: Tx, row: Any) -> None:
    foreign = sa.select(PORTS.c.id).where(
        PORTS.c.network_id == row.id, PORTS.c.project_id.not_in([row.project_id, ""]),
        PORTS.c.device_owner.not_in(["network:router_gateway", "network:floatingip", "network:dhcp"]),
    )
    if tx.first(foreign.limit(1)) is not None:
        raise errors.Conflict(
            f"Unable to reconfigure sharing settings for network {row.id}. Multiple tenants are using it.",
            kind="InvalidSharedSetting",
        )


def remove(tx: Tx, ctx: Context, id: str, headers: dict[str, str | None]) -> None:
    """Its subnets, unused floating IPs and what the cloud itself put on it go too; Conflict while it is in use."""
    # Floating IPs are made of networks and ports: this is the one thing that goes the other way.
    from skyhold.network import floating_ips

    row = store.get(tx, ctx, id)
    check_revision(row, headers)
    if row.external:
        floating_ips.discard_unused(tx, id)
    own = sa.and_(PORTS.c.device_owner == "network:dhcp", PORTS.c.device_id.startswith("dhcp-"))
    in_use = sa.and_(PORTS.c.network_id == id, sa.not_(own))
    if tx.first(sa.select(PORTS.c.id).where(in_use).limit(1)) is not None:
        raise errors.Conflict(
            f"Unable to complete operation on network {id}. There are one or more ports still in use on the network, "
            f"id for these ports is {ports.holders(tx, ctx, in_use)}.",
            kind="NetworkInUse",
        )
    # Locked: one that is being removed by itself must give its quota back once.
    own_subnets = sa.select(SUBNETS.c.id, SUBNETS.c.project_id).where(SUBNETS.c.network_id == id).with_for_update()
    subnets = tx.all(own_subnets)
    left = [port.id for port in tx.all(sa.select(PORTS.c.id).where(PORTS.c.network_id == id))]
    if left:
        addresses.give_back(tx, left)
        tx.execute(PORTS.delete().where(PORTS.c.id.in_(left)))
    for subnet in subnets:
        addresses.close_pools(tx, subnet.id)
        tx.execute(SUBNETS.delete().where(SUBNETS.c.id == subnet.id))
        quota.give(tx, subnet.project_id, subnet=1)
    store.delete(tx, row)
    drop_tags(tx, row)
    quota.give(tx, row.project_id, network=1)
    changes.mark(tx, "Network", [id])
    changes.mark(tx, "Subnet", [subnet.id for subnet in subnets])
    journal.record(tx, "network.delete", row)


# ---- queries -------------------------------------------------------------------------------


def visible_besides(ctx: Context) -> list[Any]:
    if "reader" not in ctx.creds.roles:
        return []
    return [NETWORKS.c.shared.is_(True), NETWORKS.c.external.is_(True)]


store = Store(NETWORKS, service="network", kind="network", label="Network", shared=visible_besides)


def find_visible(tx: Tx, ctx: Context, id: str) -> Any:
    """A network the caller may see, whatever they want with it; in a write it stays. Raises NotFound."""
    return store.get(tx, ctx, id, may=policy.GET_NETWORK, lock="stay")


def dress(tx: Tx, ctx: Context, rows: Sequence[Any]) -> list[Dressed]:
    subnets: dict[str, list[str]] = {}
    for ids in chunks([row.id for row in rows]):
        statement = (
            sa.select(SUBNETS.c.id, SUBNETS.c.network_id)
            .where(SUBNETS.c.network_id.in_(ids)).order_by(SUBNETS.c.created_at, SUBNETS.c.id)
        )
        for subnet in tx.all(statement):
            subnets.setdefault(subnet.network_id, []).append(subnet.id)
    return [dressed_alone(row, subnets.get(row.id, [])) for row in rows]


def dressed_alone(row: Any, subnets: Sequence[str] = ()) -> Dressed:
    return Dressed(
        row, status="ACTIVE", subnets=list(subnets), ipv4_address_scope=None, ipv6_address_scope=None,
        availability_zones=["nova"] if subnets else [],
    )


NETWORK = Collection(
    "network", "networks", "networks", Network, store, dress,
    special={
        "status": lambda texts: sa.true() if "ACTIVE" in texts else sa.false(),
        "subnets": lambda texts: NETWORKS.c.id.in_(
            sa.select(SUBNETS.c.network_id).where(SUBNETS.c.id.in_(texts))
        ),
    },
)
