# SPDX-License-Identifier: Apache-2.0
"""What other services may ask of network: ports for servers, and how they look.

Nothing else of this package may be imported from outside. Functions run in the caller's
transaction; reads take many ids and ask a fixed number of queries.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import msgspec
import sqlalchemy as sa

from skyhold.core import errors, journal
from skyhold.core.context import Context
from skyhold.core.db.among import among
from skyhold.core.db.tx import Tx
from skyhold.core.store import like_escape
from skyhold.network import changes, desired, networks, policy, security_groups, subnets
from skyhold.network.answers import chunks
from skyhold.network.drivers.base import ChangeSet
from skyhold.network.logic import addresses as logic
from skyhold.network.logic import guest_view
from skyhold.network.logic.guest_view import FixedIpView, PortView
from skyhold.network.ports import addressing, devices, ops, store
from skyhold.network.ports.addressing import Wish
from skyhold.network.tables import (
    ADDRESSES,
    FLOATING_IPS,
    NETWORKS,
    PORT_GROUPS,
    PORTS,
    SECURITY_GROUPS,
    SECURITY_RULES,
    SUBNETS,
)

if TYPE_CHECKING:
    from skyhold.core.app import Core

SERVER_OWNER = "compute:nova"
AMBIGUOUS = "Multiple possible networks found, use a Network ID to be more specific."


class PortAsk(msgspec.Struct, frozen=True, kw_only=True):
    """One network card of a new server: on a network, or a port that exists already."""

    network_id: str | None = None
    port_id: str | None = None
    fixed_ip: str | None = None
    tag: str | None = None


class GroupView(msgspec.Struct, frozen=True):
    """A security group with its incoming rules, each (id, ethertype, protocol, port_min, port_max,
    remote_cidr, remote_group_id) with None for "any"."""

    id: str
    name: str
    description: str
    project_id: str
    ingress: list[tuple[str, str, str | None, int | None, int | None, str | None, str | None]]


def plan(tx: Tx, ctx: Context, asks: Sequence[PortAsk] | Literal["auto", "none"] | None) -> list[PortAsk]:
    """What the caller gets when asking for this. Raises NotFound, Forbidden, Invalid or Conflict.

    None and `auto` mean the project's only network; a project without one gets no card.
    """
    if asks == "none":
        return []
    if asks is None or asks == "auto":
        return only_network(tx, ctx)
    ports = [ask.port_id for ask in asks if not isinstance(ask, str) and ask.port_id]
    if len(set(ports)) < len(ports):
        raise errors.Invalid("Duplicate networks are not allowed: a port was given twice.")
    return [checked(tx, ctx, ask) for ask in asks if not isinstance(ask, str)]


def only_network(tx: Tx, ctx: Context) -> list[PortAsk]:
    mine = NETWORKS.c.project_id == ctx.project_id
    usable = sa.or_(sa.and_(mine, NETWORKS.c.external.is_(False)), NETWORKS.c.shared.is_(True))
    rows = tx.all(sa.select(NETWORKS.c.id).where(usable).limit(2))
    if len(rows) > 1:
        raise errors.Conflict(AMBIGUOUS, reason="network_ambiguous")
    return [PortAsk(network_id=row.id) for row in rows]


def checked(tx: Tx, ctx: Context, ask: PortAsk) -> PortAsk:
    if ask.port_id:
        return checked_port(tx, ctx, ask)
    if not ask.network_id:
        raise errors.Invalid("A network card needs a network or a port.")
    network = networks.find_visible(tx, ctx, ask.network_id)
    ops.refuse_outside(ctx, network)
    if ask.fixed_ip:
        check_free(tx, network.id, logic.read_ip(ask.fixed_ip, "fixed_ip"))
    return ask


def checked_port(tx: Tx, ctx: Context, ask: PortAsk) -> PortAsk:
    row = store.store.get(tx, ctx, str(ask.port_id), may=policy.GET_PORT)
    if row.project_id != ctx.project_id:
        # Nova tells only that the port isn't usable, whatever else its caller may see.
        policy.require(ctx, policy.UPDATE_PORT.name, row._asdict())
    if row.device_id:
        raise still_in_use(row)
    if not store.fixed_ips(tx, [row.id]):
        raise errors.Invalid(f"Port {row.id} requires a FixedIP in order to be used.", reason="port_without_address")
    return msgspec.structs.replace(ask, network_id=row.network_id)


def check_free(tx: Tx, network_id: str, ip: str) -> None:
    nets = subnets.of_network(tx, network_id)
    subnet = next((each for each in nets if addressing.valid(each, ip)), None)
    if subnet is None:
        raise errors.Invalid(f"Fixed IP address {ip} does not belong to network {network_id}.")
    taken = sa.select(ADDRESSES.c.port_id).where(ADDRESSES.c.subnet_id == subnet.id, ADDRESSES.c.ip == ip)
    if tx.first(taken) is not None:
        raise errors.Invalid(f"Fixed IP address {ip} is already in use on instance.", reason="address_in_use")


def create_ports(
    tx: Tx, ctx: Context, asks: Sequence[PortAsk], *, server_id: str, project_id: str,
    security_groups: Sequence[str], hostname: str,
) -> list[str]:
    """The ids of the ports that were made or taken, in the order asked for; the server may have others. Raises
    NotFound, Conflict (an address or port was taken meanwhile) or OverQuota."""
    if not asks:
        return []
    groups = group_ids(tx, ctx, project_id, security_groups)
    return [
        take_port(tx, ctx, ask, server_id, hostname) if ask.port_id
        else make_port(tx, ctx, ask, server_id, project_id, groups, hostname, number)
        for number, ask in enumerate(asks)
    ]


def group_ids(tx: Tx, ctx: Context, project_id: str, names: Sequence[str]) -> list[str]:
    default = security_groups.ensure_default(tx, ctx, project_id)
    if not names or list(names) == [security_groups.DEFAULT]:
        return [default]
    return security_groups.named(tx, ctx, project_id, list(names))


def still_in_use(row: Any) -> errors.Conflict:
    user = f"{row.device_owner or 'a device'} {row.device_id}"
    return errors.Conflict(f"Port {row.id} is still in use by {user}.", reason="port_in_use")


def take_port(tx: Tx, ctx: Context, ask: PortAsk, server_id: str, hostname: str) -> str:
    row = store.store.get(tx, ctx, str(ask.port_id), may=policy.GET_PORT)
    if row.device_id:
        raise still_in_use(row)
    row = store.store.update(
        tx, row, device_id=server_id, device_owner=SERVER_OWNER, hostname=hostname, nic_tag=ask.tag
    )
    journal.record(tx, "port.update", row)
    return str(row.id)


def make_port(
    tx: Tx, ctx: Context, ask: PortAsk, server_id: str, project_id: str, groups: list[str], hostname: str, number: int
) -> str:
    network = networks.find_visible(tx, ctx, str(ask.network_id))
    ops.refuse_outside(ctx, network)
    wishes = [Wish(None, ask.fixed_ip)] if ask.fixed_ip else None
    target = {"project_id": project_id, "network:project_id": network.project_id}
    ops.guard_addresses(ctx, "create_port", network, target, wishes)
    made = ops.make(tx, ctx, network, ops.Plan(
        project_id=project_id, wishes=wishes, group_ids=groups if network.port_security else [],
        values={
            "device_id": server_id, "device_owner": SERVER_OWNER, "port_security": network.port_security,
            "hostname": hostname, "nic_tag": ask.tag, "made_by_compute": True,
            # A guest's interfaces come in the order of their making, which is the order that was asked for.
            "created_at": tx.now + number,
        },
    ))
    return str(made.id)


def bind(tx: Tx, ctx: Context, server_id: str, host_id: str) -> None:
    """The server runs (or will run) on this host: its ports are wired there."""
    rows = [row for row in of_server(tx, server_id) if row.host_id != host_id]
    if not rows:
        return
    tx.execute(
        PORTS.update().where(PORTS.c.id.in_([row.id for row in rows])).values(
            **ops.binding(host_id), status="DOWN", revision=PORTS.c.revision + 1, updated_at=tx.now
        )
    )
    changes.lend(tx, host_id, [row.id for row in rows])


def release(tx: Tx, ctx: Context, server_id: str) -> None:
    """The server is gone: ports made for it are deleted, given ones let go."""
    let_go(tx, of_server(tx, server_id))


def release_port(tx: Tx, ctx: Context, server_id: str, port_id: str) -> None:
    """Raises NotFound when the port isn't this server's."""
    rows = [row for row in of_server(tx, server_id) if row.id == port_id]
    if not rows:
        raise store.store.not_found(port_id)
    let_go(tx, rows)


def let_go(tx: Tx, rows: Sequence[Any]) -> None:
    rows = store.still_there(tx, rows)
    ops.discard(tx, [row for row in rows if row.made_by_compute])
    for row in rows:
        if not row.made_by_compute:
            free = store.store.update(
                tx, row, device_id="", device_owner="", hostname="", nic_tag=None, status="DOWN", **ops.binding("")
            )
            changes.mark(tx, "Port", [row.id])
            journal.record(tx, "port.update", free)


OF_SERVER = sa.select(PORTS).where(
    PORTS.c.device_id == sa.bindparam("server"), PORTS.c.device_owner.like("compute:%")
).order_by(PORTS.c.created_at, PORTS.c.id)


def of_server(tx: Tx, server_id: str) -> list[Any]:
    return [store.store.Row._make(row) for row in tx.all(OF_SERVER, {"server": server_id})]


def add_security_group(tx: Tx, ctx: Context, server_id: str, name_or_id: str) -> None:
    """To every port of the server. Raises NotFound."""
    for row, group_id in ports_and_group(tx, ctx, server_id, name_or_id):
        if row.port_security and group_id not in store.groups(tx, [row.id]).get(row.id, []):
            store.set_groups(tx, row.id, [group_id])
            touched(tx, row, group_id)


def remove_security_group(tx: Tx, ctx: Context, server_id: str, name_or_id: str) -> None:
    """From every port of the server. Raises NotFound when none of them is in it."""
    removed = 0
    for row, group_id in ports_and_group(tx, ctx, server_id, name_or_id):
        gone = PORT_GROUPS.delete().where(PORT_GROUPS.c.port_id == row.id, PORT_GROUPS.c.group_id == group_id)
        if tx.changed(gone):
            removed += 1
            touched(tx, row, group_id)
    if not removed:
        raise errors.NotFound(
            f"Security group {name_or_id} not associated with the instance {server_id}", kind="security_group"
        )


def ports_and_group(tx: Tx, ctx: Context, server_id: str, name_or_id: str) -> list[tuple[Any, str]]:
    rows = of_server(tx, server_id)
    project = rows[0].project_id if rows else ctx.project_id
    security_groups.ensure_default(tx, ctx, project)
    group_id = security_groups.named(tx, ctx, project, [name_or_id])[0]
    return [(row, group_id) for row in rows]


def touched(tx: Tx, row: Any, group_id: str) -> None:
    row = store.store.update(tx, row)
    changes.mark(tx, "Port", [row.id])
    changes.mark(tx, "SecurityGroup", [group_id])
    journal.record(tx, "port.update", row)


CARDS = sa.select(PORTS.c.id).where(
    PORTS.c.device_id == sa.bindparam("server"), PORTS.c.device_owner.like("compute:%")
).order_by(PORTS.c.created_at, PORTS.c.id)


def card_ids(tx: Tx, ctx: Context, server_id: str) -> list[str]:
    """A server's ports, oldest first, whoever asks."""
    return [row.id for row in tx.all(CARDS, {"server": server_id})]


def wiring(tx: Tx, ctx: Context, port_ids: Sequence[str]) -> ChangeSet:
    """The ports and all they depend on, for the host that is about to run their server."""
    roots = desired.ports(tx, list(port_ids))
    around = desired.around(tx, roots, ctx.core.settings.network.dns)
    return ChangeSet(upserts=desired.stamped([*around, *roots], tx.now))


def network_data(views: Sequence[PortView]) -> dict[str, Any]:
    """The content of network_data.json (schema: Nova's network_data.json)."""
    return guest_view.network_data(views)


OF_SERVERS = (
    sa.select(
        PORTS.c.id, PORTS.c.network_id, PORTS.c.mac, PORTS.c.nic_tag, PORTS.c.made_by_compute, PORTS.c.status,
        PORTS.c.host_id, PORTS.c.device_id, NETWORKS.c.name.label("network_name"), NETWORKS.c.mtu,
    )
    .join(NETWORKS, NETWORKS.c.id == PORTS.c.network_id)
    .where(among(PORTS.c.device_id, "ids"), PORTS.c.device_owner.like("compute:%"))
    .order_by(PORTS.c.created_at, PORTS.c.id)
)
FIXED = (
    sa.select(ADDRESSES.c.port_id, ADDRESSES.c.ip, ADDRESSES.c.subnet_id, FLOATING_IPS.c.address.label("floating_ip"))
    .outerjoin(
        FLOATING_IPS,
        (FLOATING_IPS.c.port_id == ADDRESSES.c.port_id) & (FLOATING_IPS.c.fixed_ip == ADDRESSES.c.ip),
    )
    .where(among(ADDRESSES.c.port_id, "ids"))
    .order_by(ADDRESSES.c.port_id, ADDRESSES.c.rank)
)
SUBNETS_NAMED = sa.select(
    SUBNETS.c.id, SUBNETS.c.ip_version, SUBNETS.c.cidr, SUBNETS.c.gateway_ip, SUBNETS.c.dns, SUBNETS.c.dhcp_ip,
    SUBNETS.c.dhcp, SUBNETS.c.address_mode, SUBNETS.c.routes,
).where(among(SUBNETS.c.id, "ids"))
GROUPS_OF = (
    sa.select(PORT_GROUPS.c.port_id, SECURITY_GROUPS.c.id, SECURITY_GROUPS.c.name)
    .join(SECURITY_GROUPS, SECURITY_GROUPS.c.id == PORT_GROUPS.c.group_id)
    .where(among(PORT_GROUPS.c.port_id, "ids"))
    .order_by(SECURITY_GROUPS.c.name, SECURITY_GROUPS.c.id)
)


SHOWN = (
    sa.select(
        PORTS.c.device_id, PORTS.c.id, NETWORKS.c.name, PORTS.c.mac, ADDRESSES.c.ip,
        FLOATING_IPS.c.address.label("floating_ip"),
    )
    .join(NETWORKS, NETWORKS.c.id == PORTS.c.network_id)
    .outerjoin(ADDRESSES, ADDRESSES.c.port_id == PORTS.c.id)
    .outerjoin(
        FLOATING_IPS, (FLOATING_IPS.c.port_id == PORTS.c.id) & (FLOATING_IPS.c.fixed_ip == ADDRESSES.c.ip)
    )
    .where(among(PORTS.c.device_id, "ids"), PORTS.c.device_owner.like("compute:%"))
    .order_by(PORTS.c.created_at, PORTS.c.id, ADDRESSES.c.rank)
)
GROUP_NAMES = (
    sa.select(PORT_GROUPS.c.port_id, SECURITY_GROUPS.c.name)
    .join(SECURITY_GROUPS, SECURITY_GROUPS.c.id == PORT_GROUPS.c.group_id)
    .where(among(PORT_GROUPS.c.port_id, "ids"))
)


ShownAddress = tuple[str, str, str | None, str | None]
"""(name of the network, MAC address, fixed address or None for a card without one, its floating address)"""


class ShownCards(NamedTuple):
    """What lists of servers print of one's cards: addresses, those of the oldest card first, and the names of
    security groups, sorted."""

    addresses: tuple[ShownAddress, ...] = ()
    groups: tuple[str, ...] = ()


def shown_cards(tx: Tx, ctx: Context, server_ids: Sequence[str]) -> dict[str, ShownCards]:
    """By server; one without cards is left out. Two queries: whole views cost a list several times as much."""
    if not server_ids:
        return {}
    addresses: dict[str, list[ShownAddress]] = {}
    owners: dict[str, str] = {}
    for server_id, port_id, network_name, mac, ip, floating_ip in tx.all(SHOWN, {"ids": list(server_ids)}):
        owners[port_id] = server_id
        addresses.setdefault(server_id, []).append((network_name, mac, ip, floating_ip))
    groups: dict[str, set[str]] = {}
    for port_id, name in tx.all(GROUP_NAMES, {"ids": list(owners)}) if owners else ():
        groups.setdefault(owners[port_id], set()).add(name)
    return {id: ShownCards(tuple(own), tuple(sorted(groups.get(id, ())))) for id, own in addresses.items()}


def views(tx: Tx, ctx: Context, server_ids: Sequence[str]) -> dict[str, list[PortView]]:
    """Per server its ports, oldest first; servers without ports are left out. Four queries."""
    if not server_ids:
        return {}
    rows = tx.all(OF_SERVERS, {"ids": list(server_ids)})
    ids = [row.id for row in rows]
    if not ids:
        return {}
    fixed, groups = fixed_of(tx, ids, ctx.core.settings.network.dns), groups_of(tx, ids)
    found: dict[str, list[PortView]] = {}
    # Unpacked, for a row's attributes are looked up by name: ten of them cost more than the view itself.
    for id, network_id, mac, tag, made_by_compute, status, host_id, server_id, network_name, mtu in rows:
        own = groups.get(id, [])
        found.setdefault(server_id, []).append(PortView(
            id=id, network_id=network_id, network_name=network_name, mac=mac, mtu=mtu, fixed_ips=fixed.get(id, []),
            security_group_ids=[group_id for group_id, _ in own], security_group_names=[name for _, name in own],
            tag=tag, made_by_compute=made_by_compute, status=status, host_id=host_id or None,
        ))
    return found


def fixed_of(tx: Tx, port_ids: list[str], dns: Sequence[str]) -> dict[str, list[FixedIpView]]:
    rows = tx.all(FIXED, {"ids": port_ids})
    subnets_of = subnets_named(tx, sorted({row.subnet_id for row in rows}), dns)
    found: dict[str, list[FixedIpView]] = {}
    for port_id, ip, subnet_id, floating_ip in rows:
        found.setdefault(port_id, []).append(
            FixedIpView(subnet_id=subnet_id, ip=ip, floating_ip=floating_ip, **subnets_of[subnet_id])
        )
    return found


def subnets_named(tx: Tx, ids: list[str], dns: Sequence[str]) -> dict[str, dict[str, Any]]:
    """What an address takes from its subnet: many addresses share one, which is read once."""
    return {row.id: of_subnet(row, dns) for row in tx.all(SUBNETS_NAMED, {"ids": ids})} if ids else {}


def of_subnet(row: Any, dns: Sequence[str]) -> dict[str, Any]:
    told = [each for each in dns if logic.version_of(each) == row.ip_version]
    usual = told or ([row.dhcp_ip] if row.dhcp_ip else [])
    return {
        "version": row.ip_version, "cidr": row.cidr, "gateway_ip": row.gateway_ip, "dns": list(row.dns) or usual,
        "dhcp": row.dhcp, "address_mode": row.address_mode,
        "routes": [(each["destination"], each["nexthop"]) for each in row.routes],
    }


def groups_of(tx: Tx, port_ids: list[str]) -> dict[str, list[tuple[str, str]]]:
    found: dict[str, list[tuple[str, str]]] = {}
    for port_id, group_id, name in tx.all(GROUPS_OF, {"ids": port_ids}):
        found.setdefault(port_id, []).append((group_id, name))
    return found


__all__ = [
    "FixedIpView", "GroupView", "PortAsk", "PortView", "add_security_group", "add_source_of_devices", "bind",
    "card_ids", "create_ports", "group_views", "network_data", "plan", "release", "release_port",
    "remove_security_group", "servers_by_address", "shown_cards", "views", "wiring",
]


def add_source_of_devices(core: Core, source: devices.Source) -> None:
    """At the start: another service says which devices of its own the caller may plug no port into
    (ports/devices.py)."""
    devices.add_source(core, source)


def servers_by_address(tx: Tx, ctx: Context, fragment: str, among_ids: Sequence[str] | None = None) -> list[str]:
    """Ids of servers with an address that contains `fragment`; of all there are, or of these."""
    if among_ids is not None:
        return [id for ids in chunks(among_ids) for id in with_address(tx, fragment, PORTS.c.device_id.in_(ids))]
    return with_address(tx, fragment, sa.true())


def with_address(tx: Tx, fragment: str, which: Any) -> list[str]:
    like = "%" + like_escape(fragment) + "%"
    statement = (
        sa.select(PORTS.c.device_id)
        .join(ADDRESSES, ADDRESSES.c.port_id == PORTS.c.id)
        .where(ADDRESSES.c.ip.like(like, escape="\\"), PORTS.c.device_owner.like("compute:%"), which)
        .distinct().order_by(PORTS.c.device_id)
    )
    return [row.device_id for row in tx.all(statement)]


def group_views(tx: Tx, ctx: Context, ids: Sequence[str]) -> dict[str, GroupView]:
    """Groups by id, whoever asks, with their rules in order of age: two queries for any number."""
    rules: dict[str, list[Any]] = {}
    r = SECURITY_RULES.c
    statement = (
        sa.select(
            r.group_id, r.id, r.ethertype, r.protocol, r.port_min, r.port_max, r.remote_cidr, r.remote_group_id
        )
        .where(r.group_id.in_(list(ids)), r.direction == "ingress").order_by(r.created_at, r.id)
    )
    for row in tx.all(statement):
        rules.setdefault(row.group_id, []).append(tuple(row)[1:])
    g = SECURITY_GROUPS.c
    groups = tx.all(sa.select(g.id, g.name, g.description, g.project_id).where(g.id.in_(list(ids))))
    return {
        row.id: GroupView(row.id, row.name, row.description, row.project_id, rules.get(row.id, [])) for row in groups
    }


class Binding(msgspec.Struct, frozen=True):
    """A port in a server; `host_id` is empty while it is bound to none."""

    id: str
    server_id: str
    host_id: str


def bindings(tx: Tx, ctx: Context, host_id: str | None = None) -> list[Binding]:
    """Every port that is in a server, everywhere or on one host."""
    ports = sa.select(PORTS.c.id, PORTS.c.device_id, PORTS.c.host_id).where(PORTS.c.device_owner.like("compute:%"))
    if host_id is not None:
        ports = ports.where(PORTS.c.host_id == host_id)
    return [Binding(row.id, row.device_id, row.host_id) for row in tx.all(ports.order_by(PORTS.c.id))]
