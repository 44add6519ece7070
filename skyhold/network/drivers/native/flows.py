# SPDX-License-Identifier: Apache-2.0
"""Which established flows a change no longer allows, so that they are cut at once.

How flows are read and cut is in netfilter.py and single verdicts are in verdict.py. A change only
makes flows suspect; whether one is cut is judged by the rules as they are now.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from skyhold.network.drivers.base import Desired, FloatingIp, Port, Router, SecurityGroup
from skyhold.network.drivers.native.netfilter import FlowEntry
from skyhold.network.drivers.native.plan import World
from skyhold.network.drivers.native.verdict import Flow, permitted

Change = tuple[Desired | None, Desired | None]


@dataclass
class Suspects:
    """Addresses by network whose flows are judged anew, public ones by router to cut outright."""

    by_network: dict[str, set[str]] = field(default_factory=dict)
    by_router: dict[str, set[str]] = field(default_factory=dict)

    def add_port(self, port: Port) -> None:
        addresses = {one.ip for one in port.fixed_ips} | {ip for _, ip in port.pairs}
        self.by_network.setdefault(port.network_id, set()).update(addresses)

    def add_public(self, router_id: str, addresses: Iterable[str]) -> None:
        self.by_router.setdefault(router_id, set()).update(addresses)


def suspects(world: World, changes: Iterable[Change]) -> Suspects:
    """Whose flows the changes may have outlawed; `world` is already as it is after them."""
    found = Suspects()
    for old, new in changes:
        match old:
            case Port() if _narrowed_port(old, new):
                found.add_port(old)
            case SecurityGroup():
                _add_group(found, world, old, new if isinstance(new, SecurityGroup) else None)
            case FloatingIp() if old != new and not _same_translation(old, new):
                found.add_public(old.router_id, [old.floating_ip])
            case Router() if old.gateway and not (isinstance(new, Router) and new.gateway == old.gateway):
                own = [str(ipaddress.ip_interface(one).ip) for one in old.gateway.addresses]
                found.add_public(old.id, own)
    return found


def outlawed(world: World, flows: Iterable[FlowEntry], networks: dict[str, set[str]]) -> list[FlowEntry]:
    """The flows of the dataplane namespace that are suspect and that no rule allows any more."""
    zones = {number: network_id for network_id, number in world.zones.taken.items() if network_id in networks}
    wanted = {network_id: _Addresses(addresses) for network_id, addresses in networks.items()}
    ports = {network_id: _ports_by_address(world, network_id) for network_id in networks}
    groups = world.groups()
    found = []
    for entry in flows:
        network_id = zones.get(entry.zone)
        if network_id is None or not wanted[network_id].touch(entry):
            continue
        if not _allowed(entry, wanted[network_id], ports[network_id], groups):
            found.append(entry)
    return found


def translated(flows: Iterable[FlowEntry], addresses: set[str]) -> list[FlowEntry]:
    """The flows of a router that go through one of these public addresses."""
    return [
        entry
        for entry in flows
        if entry.original.destination in addresses or entry.reply.destination in addresses
    ]


class _Addresses:
    """A set of addresses some of which are CIDRs."""

    def __init__(self, addresses: Iterable[str]) -> None:
        self._single: set[str] = set()
        self._wide: list[ipaddress.IPv4Network | ipaddress.IPv6Network] = []
        for one in addresses:
            network = ipaddress.ip_network(one, strict=False)
            if network.prefixlen == network.max_prefixlen:
                self._single.add(str(network.network_address))
            else:
                self._wide.append(network)

    def __contains__(self, ip: str) -> bool:
        return ip in self._single or any(ipaddress.ip_address(ip) in network for network in self._wide)

    def touch(self, entry: FlowEntry) -> bool:
        return entry.original.source in self or entry.original.destination in self


def _allowed(
    entry: FlowEntry, suspect: _Addresses, ports: dict[str, Port], groups: Mapping[str, SecurityGroup]
) -> bool:
    ends = (("egress", entry.original.source), ("ingress", entry.original.destination))
    one = entry.original
    flow = Flow(one.source, one.destination, one.protocol, one.source_port, one.destination_port)
    for direction, ip in ends:
        port = ports.get(ip)
        if port is None and ip in suspect:
            return False
        if port is not None and not permitted(port, direction, flow, groups):
            return False
    return True


def _ports_by_address(world: World, network_id: str) -> dict[str, Port]:
    found: dict[str, Port] = {}
    for port in world.ports():
        if port.network_id == network_id:
            found.update({ip: port for _, ip in port.pairs if "/" not in ip})
            found.update({one.ip: port for one in port.fixed_ips})
    return found


def _narrowed_port(old: Port, new: Desired | None) -> bool:
    if not isinstance(new, Port):
        return True
    kept = set(old.security_group_ids) <= set(new.security_group_ids)
    same = (old.mac, old.fixed_ips, old.pairs, old.network_id, old.admin_up, old.security) == (
        new.mac, new.fixed_ips, new.pairs, new.network_id, new.admin_up, new.security
    )  # fmt: skip
    return not (kept and same)


def _add_group(found: Suspects, world: World, old: SecurityGroup, new: SecurityGroup | None) -> None:
    fewer_rules = new is None or any(rule not in new.rules for rule in old.rules)
    fewer_members = new is None or not set(old.members) <= set(new.members)
    narrowed = {old.id} if fewer_rules else set()
    if fewer_members:
        groups = world.groups().values()
        narrowed |= {one.id for one in groups if any(rule.remote_group_id == old.id for rule in one.rules)}
    for port in world.ports():
        if narrowed & set(port.security_group_ids):
            found.add_port(port)


def _same_translation(old: FloatingIp, new: Desired | None) -> bool:
    if not isinstance(new, FloatingIp):
        return False
    return (old.router_id, old.floating_ip, old.fixed_ip) == (new.router_id, new.floating_ip, new.fixed_ip)
