# SPDX-License-Identifier: Apache-2.0
"""From rows to what a host should hold: the structs of drivers/base.py.

Which host needs what is loops/dataplane.py and logic/held.py. Every function takes many ids and
asks a fixed number of queries. Revisions are left 0 here: composite objects (a group with its
members) change when other rows do, so the sender stamps them with the time of reading.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from skyhold.core.db.among import among
from skyhold.core.db.tx import Tx
from skyhold.network.answers import chunks
from skyhold.network.drivers import base
from skyhold.network.logic import addresses as logic
from skyhold.network.logic.held import networks_of
from skyhold.network.ports import store as ports_store
from skyhold.network.tables import (
    ADDRESSES,
    FLOATING_IPS,
    NETWORKS,
    PORT_GROUPS,
    PORTS,
    ROUTERS,
    SECURITY_GROUPS,
    SECURITY_RULES,
    SUBNETS,
)

# Built once: these run at every boot, and building a statement costs more than running it.
NOT_NETWORKS_OWN = sa.not_(PORTS.c.device_owner.like("network:%"))
BOUND = sa.select(PORTS.c.id).where(PORTS.c.host_id == sa.bindparam("host"), NOT_NETWORKS_OWN)
PORTS_NAMED = sa.select(PORTS).where(among(PORTS.c.id, "ids"), NOT_NETWORKS_OWN)
PORTS_ON = PORTS_NAMED.where(PORTS.c.host_id == sa.bindparam("host"))
NETWORKS_NAMED = sa.select(NETWORKS).where(among(NETWORKS.c.id, "ids"))
SUBNETS_OF = sa.select(SUBNETS).where(among(SUBNETS.c.network_id, "ids"))
GROUPS_NAMED = sa.select(SECURITY_GROUPS.c.id, SECURITY_GROUPS.c.stateful).where(among(SECURITY_GROUPS.c.id, "ids"))
RULES_OF = sa.select(SECURITY_RULES).where(among(SECURITY_RULES.c.group_id, "ids")).order_by(SECURITY_RULES.c.id)
LET_IN = (
    sa.select(SECURITY_RULES.c.remote_group_id).where(among(SECURITY_RULES.c.remote_group_id, "ids")).distinct()
)
MEMBER_IPS = (
    sa.select(PORT_GROUPS.c.group_id, ADDRESSES.c.ip)
    .join(ADDRESSES, ADDRESSES.c.port_id == PORT_GROUPS.c.port_id)
    .where(among(PORT_GROUPS.c.group_id, "ids"))
)
MEMBER_PAIRS = (
    sa.select(PORT_GROUPS.c.group_id, PORTS.c.pairs)
    .join(PORTS, PORTS.c.id == PORT_GROUPS.c.port_id)
    .where(among(PORT_GROUPS.c.group_id, "ids"), sa.cast(PORTS.c.pairs, sa.String(8)) != "[]")
)


def bound_ports(tx: Tx, host_id: str) -> list[str]:
    return [row.id for row in tx.all(BOUND, {"host": host_id})]


def ports(tx: Tx, ids: Sequence[str], host_id: str | None = None) -> list[base.Port]:
    """Those of the ports that are bound to the host (to any, when none is named)."""
    statement, host = (PORTS_NAMED, {}) if host_id is None else (PORTS_ON, {"host": host_id})
    found = [row for some in chunks(list(ids)) for row in tx.all(statement, {"ids": some, **host})]
    known = [row.id for row in found]
    ips, groups = ports_store.fixed_ips(tx, known), ports_store.groups(tx, known)
    return [port(row, ips.get(row.id, []), groups.get(row.id, [])) for row in found]


def port(row: Any, ips: list[dict[str, str]], groups: list[str]) -> base.Port:
    return base.Port(
        id=row.id, revision=0, network_id=row.network_id, mac=row.mac,
        fixed_ips=[base.FixedIp(subnet_id=each["subnet_id"], ip=each["ip_address"]) for each in ips],
        pairs=[(each.get("mac_address", row.mac), each["ip_address"]) for each in row.pairs],
        security=row.port_security, security_group_ids=groups,
        server_id=row.device_id if row.device_owner.startswith("compute:") else None,
        hostname=row.hostname,
        dhcp_options={each["opt_name"]: each["opt_value"] for each in row.dhcp_options},
        admin_up=row.admin_up,
    )


def networks(tx: Tx, ids: Collection[str]) -> list[base.Network]:
    found: list[base.Network] = []
    for some in chunks(sorted(ids)):
        for row in tx.all(NETWORKS_NAMED, {"ids": some}):
            found.append(base.Network(
                id=row.id, revision=0, segment=row.segment, mtu=row.mtu, external=row.external,
                dns_domain=row.dns_domain,
            ))
    return found


def subnets(tx: Tx, network_ids: Collection[str], dns: Sequence[str]) -> list[base.Subnet]:
    """All subnets of these networks; `dns` are the servers told to guests where a subnet names none."""
    found: list[base.Subnet] = []
    for some in chunks(sorted(network_ids)):
        for row in tx.all(SUBNETS_OF, {"ids": some}):
            found.append(subnet(row, dns))
    return found


def subnet(row: Any, dns: Sequence[str]) -> base.Subnet:
    usual = [each for each in dns if logic.version_of(each) == row.ip_version]
    return base.Subnet(
        id=row.id, revision=0, network_id=row.network_id, cidr=row.cidr, ip_version=row.ip_version,
        gateway_ip=row.gateway_ip, dhcp=row.dhcp, dhcp_ip=row.dhcp_ip, dns=list(row.dns) or usual,
        routes=[(each["destination"], each["nexthop"]) for each in row.routes],
        ra_mode=row.ra_mode, address_mode=row.address_mode,
    )


def security_groups(tx: Tx, ids: Iterable[str]) -> list[base.SecurityGroup]:
    """These groups, and those whose members their rules let in, and so on."""
    rows: dict[str, Any] = {}
    rules: dict[str, list[Any]] = {}
    wanted = set(ids)
    while wanted:
        new = load_groups(tx, wanted, rows, rules)
        wanted = {each.remote_group_id for each in new if each.remote_group_id} - rows.keys()
    if not rows:
        return []
    members = group_members(tx, referenced(tx, list(rows)))
    return [
        base.SecurityGroup(
            id=id, revision=0, rules=[rule(each) for each in rules.get(id, [])],
            members=sorted(members.get(id, ())), stateful=row.stateful,
        )
        for id, row in rows.items()
    ]


def load_groups(tx: Tx, ids: set[str], rows: dict[str, Any], rules: dict[str, list[Any]]) -> list[Any]:
    loaded: list[Any] = []
    for some in chunks(sorted(ids)):
        rows |= {row.id: row for row in tx.all(GROUPS_NAMED, {"ids": some})}
        loaded += tx.all(RULES_OF, {"ids": some})
    for each in loaded:
        rules.setdefault(each.group_id, []).append(each)
    return loaded


def rule(row: Any) -> base.SecurityRule:
    return base.SecurityRule(
        direction=row.direction, ethertype=row.ethertype, protocol=row.protocol, port_min=row.port_min,
        port_max=row.port_max, remote_cidr=row.normalized_cidr, remote_group_id=row.remote_group_id,
    )


def referenced(tx: Tx, ids: Sequence[str]) -> list[str]:
    """Those groups that some rule lets in: only their members matter to anybody."""
    found: set[str] = set()
    for some in chunks(ids):
        found |= {row.remote_group_id for row in tx.all(LET_IN, {"ids": some})}
    return sorted(found)


def group_members(tx: Tx, ids: Sequence[str]) -> dict[str, set[str]]:
    """The addresses of all ports in each group, and what else they may send from."""
    found: dict[str, set[str]] = {}
    for some in chunks(ids):
        for group_id, ip in tx.all(MEMBER_IPS, {"ids": some}):
            found.setdefault(group_id, set()).add(ip)
        for group_id, pairs in tx.all(MEMBER_PAIRS, {"ids": some}):
            found.setdefault(group_id, set()).update(each["ip_address"] for each in pairs)
    return found


def routers(tx: Tx, ids: Sequence[str] | None = None) -> list[base.Router]:
    """Routers that have a leg or a gateway; all of them when no ids are given."""
    statement = sa.select(ROUTERS)
    rows = tx.all(statement) if ids is None else [
        row for some in chunks(ids) for row in tx.all(statement.where(ROUTERS.c.id.in_(some)))
    ]
    legs = router_ports(tx, [row.id for row in rows])
    return [router(row, legs[row.id]) for row in rows if row.id in legs]


def router_ports(tx: Tx, router_ids: Sequence[str]) -> dict[str, list[Any]]:
    """Per router, its ports joined with their addresses and subnets, one row an address."""
    found: dict[str, list[Any]] = {}
    for some in chunks(router_ids):
        statement = (
            sa.select(
                PORTS.c.id, PORTS.c.device_id, PORTS.c.device_owner, PORTS.c.network_id, PORTS.c.mac,
                ADDRESSES.c.ip, SUBNETS.c.cidr, SUBNETS.c.gateway_ip,
            )
            .join(ADDRESSES, ADDRESSES.c.port_id == PORTS.c.id).join(SUBNETS, SUBNETS.c.id == ADDRESSES.c.subnet_id)
            .where(PORTS.c.device_id.in_(some),
                   PORTS.c.device_owner.in_([*ports_store.INTERFACES, ports_store.GATEWAY]))
            .order_by(PORTS.c.created_at, PORTS.c.id, ADDRESSES.c.rank)
        )
        for row in tx.all(statement):
            found.setdefault(row.device_id, []).append(row)
    return found


def router(row: Any, legs: Sequence[Any]) -> base.Router:
    by_port: dict[str, list[Any]] = {}
    for leg in legs:
        by_port.setdefault(leg.id, []).append(leg)
    interfaces, gateway = [], None
    for port_id, each in by_port.items():
        first = each[0]
        held = [f"{leg.ip}/{logic.prefix_length(leg.cidr)}" for leg in each]
        if first.device_owner == ports_store.GATEWAY:
            gateway = base.RouterGateway(
                port_id=port_id, network_id=first.network_id, mac=first.mac, addresses=held,
                next_hops=[leg.gateway_ip for leg in each if leg.gateway_ip], snat=row.snat,
            )
        else:
            interfaces.append(base.RouterInterface(
                port_id=port_id, network_id=first.network_id, mac=first.mac, addresses=held
            ))
    return base.Router(
        id=row.id, revision=0, interfaces=interfaces, gateway=gateway,
        routes=[(each["destination"], each["nexthop"]) for each in row.routes], admin_up=row.admin_up,
    )


def floating_ips(tx: Tx, ids: Sequence[str] | None = None) -> list[base.FloatingIp]:
    """Those that stand for an address; all of them when no ids are given."""
    table = FLOATING_IPS
    statement = sa.select(table).where(table.c.router_id.is_not(None))
    rows = tx.all(statement) if ids is None else [
        row for some in chunks(ids) for row in tx.all(statement.where(table.c.id.in_(some)))
    ]
    return [
        base.FloatingIp(
            id=row.id, revision=0, router_id=row.router_id, floating_ip=row.address, fixed_ip=row.fixed_ip,
            port_id=row.port_id,
        )
        for row in rows
    ]


def around(
    tx: Tx, roots: Iterable[base.Desired], dns: Sequence[str], extra_networks: Iterable[str] = (),
    extra_groups: Iterable[str] = (),
) -> list[base.Desired]:
    """What the roots depend on: networks with their subnets, and security groups."""
    network_ids, group_ids = set(extra_networks), set(extra_groups)
    for each in roots:
        network_ids |= networks_of(each)
        if isinstance(each, base.Port):
            group_ids |= set(each.security_group_ids)
    return [*networks(tx, network_ids), *subnets(tx, network_ids, dns), *security_groups(tx, group_ids)]


def stamped(objects: Iterable[base.Desired], revision: int) -> list[base.Desired]:
    return [msgspec.structs.replace(each, revision=revision) for each in objects]
