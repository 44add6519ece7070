# SPDX-License-Identifier: Apache-2.0
"""What each desired object asks of the kernel: pure, from the objects alone.

The rules' texts are in rules_*.py and the doing in kernel.py. One object gives one `Piece`; which
pieces a change touches is told by `touched`, so that a change costs what it changes and no more.
"""

from __future__ import annotations

import ipaddress
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from skyhold.network.drivers.base import (
    Desired,
    FloatingIp,
    Network,
    Port,
    Router,
    RouterGateway,
    RouterInterface,
    SecurityGroup,
    Subnet,
)
from skyhold.network.drivers.native import names, rules_ports, rules_routers
from skyhold.network.drivers.native.nft import Fragment

ObjectKey = tuple[str, str]
"""Kind and id of a desired object, or of one of the two frames below."""

PLANE: ObjectKey = ("Plane", "")
MACHINE: ObjectKey = ("Machine", "")


@dataclass(frozen=True)
class Link:
    """`peer` is (namespace, name) of a pair's other end, which is a Link of kind `far`.

    `fixed_mac`: the bridge learns nothing from this port but knows this address to be behind it.
    """

    space: str
    name: str
    kind: str
    mtu: int
    mac: str | None = None
    master: str | None = None
    up: bool = True
    peer: tuple[str, str] | None = None
    fixed_mac: str | None = None


@dataclass(frozen=True)
class Piece:
    """Addresses are (namespace, link, address/length), routes (namespace, destination, via, link)."""

    spaces: frozenset[str] = frozenset()
    links: tuple[Link, ...] = ()
    addresses: frozenset[tuple[str, str, str]] = frozenset()
    routes: frozenset[tuple[str, str, str | None, str]] = frozenset()
    rules: tuple[tuple[str, Fragment], ...] = ()
    problems: tuple[str, ...] = ()


@dataclass
class World:
    """The desired objects, also by kind, and the numbers that were given to them."""

    cloud: names.CloudNames
    objects: dict[ObjectKey, Desired] = field(default_factory=dict)
    _kinds: dict[type, dict[str, Any]] = field(default_factory=lambda: defaultdict(dict))
    marks: names.Numbering = field(default_factory=lambda: names.Numbering(0x7FFFFFFE))
    zones: names.Numbering = field(default_factory=lambda: names.Numbering(0xFFFE))

    def put(self, wanted: Desired) -> None:
        self.objects[key_of(wanted)] = wanted
        self._kinds[type(wanted)][wanted.id] = wanted

    def drop(self, key: ObjectKey) -> Desired | None:
        """The object that is no longer wanted, None if it wasn't."""
        gone = self.objects.pop(key, None)
        if gone is not None:
            del self._kinds[type(gone)][gone.id]
        return gone

    def network(self, network_id: str) -> Network | None:
        return self._kinds[Network].get(network_id)

    def networks(self) -> Collection[Network]:
        return self._kinds[Network].values()

    def subnets(self, network_id: str) -> list[Subnet]:
        found = self._kinds[Subnet].values()
        return sorted((one for one in found if one.network_id == network_id), key=lambda one: one.id)

    def ports(self) -> Collection[Port]:
        return self._kinds[Port].values()

    def routers(self) -> Collection[Router]:
        return self._kinds[Router].values()

    def floating_ips(self) -> Collection[FloatingIp]:
        return self._kinds[FloatingIp].values()

    def groups(self) -> Mapping[str, SecurityGroup]:
        return self._kinds[SecurityGroup]

    def mark(self, port_id: str) -> int:
        return self.marks.number(port_id, names.hashed(port_id))

    def zone(self, network: Network) -> int:
        return self.zones.number(network.id, network.segment - 1)


def key_of(wanted: Desired) -> ObjectKey:
    return type(wanted).__name__, wanted.id


def all_keys(world: World) -> list[ObjectKey]:
    return [PLANE, MACHINE, *world.objects]


def touched(world: World, old: Desired | None, new: Desired | None) -> set[ObjectKey]:
    """The pieces that may differ after one object changed (None: it wasn't there, or isn't)."""
    found = set()
    for wanted in (one for one in (old, new) if one is not None):
        found.add(key_of(wanted))
        match wanted:
            case Network():
                found |= {MACHINE, *_on_network(world, wanted.id)}
            case Subnet():
                found |= {MACHINE, ("Network", wanted.network_id)}
            case SecurityGroup() if _group_reaches_others(old, new):
                found |= _around_group(world, wanted.id)
            case Router():
                found |= {key_of(one) for one in world.floating_ips() if one.router_id == wanted.id}
    return found


def piece(world: World, key: ObjectKey) -> Piece:
    """What the kernel should hold for one key; empty for an object that isn't wanted."""
    if key == PLANE:
        return Piece(
            spaces=frozenset({world.cloud.plane}), rules=((world.cloud.plane, rules_ports.base()),)
        )
    if key == MACHINE:
        return _machine(world)
    match world.objects.get(key):
        case Network() as wanted:
            return _network(world, wanted)
        case Port() as wanted:
            return _port(world, wanted)
        case SecurityGroup() as wanted:
            rules = rules_ports.group(wanted, frozenset(world.groups()))
            return Piece(rules=((world.cloud.plane, rules),))
        case Router() as wanted:
            return _router(world, wanted)
        case FloatingIp() as wanted:
            return _floating(world, wanted)
    return Piece()


def union(pieces: Iterable[Piece]) -> Piece:
    """All pieces as one; rules stay a list of fragments."""
    held = list(pieces)
    return Piece(
        spaces=frozenset().union(*(one.spaces for one in held)),
        links=tuple(link for one in held for link in one.links),
        addresses=frozenset().union(*(one.addresses for one in held)),
        routes=frozenset().union(*(one.routes for one in held)),
        rules=tuple(rule for one in held for rule in one.rules),
        problems=tuple(text for one in held for text in one.problems),
    )


def has_service(subnets: Iterable[Subnet]) -> bool:
    """Whether the network needs a namespace that answers for the engine: DHCP, DNS, RA, metadata."""
    return any((one.dhcp and one.dhcp_ip) or (one.ip_version == 6 and one.ra_mode) for one in subnets)


def _on_network(world: World, network_id: str) -> set[ObjectKey]:
    ports = {key_of(one) for one in world.ports() if one.network_id == network_id}
    routers = [one for one in world.routers() if network_id in _networks_of(one)]
    behind = {one.id for one in routers}
    floating = {key_of(one) for one in world.floating_ips() if one.router_id in behind}
    return ports | {key_of(one) for one in routers} | floating


def _networks_of(router: Router) -> set[str]:
    gateway = {router.gateway.network_id} if router.gateway else set()
    return gateway | {one.network_id for one in router.interfaces}


def _group_reaches_others(old: Desired | None, new: Desired | None) -> bool:
    if not isinstance(old, SecurityGroup) or not isinstance(new, SecurityGroup):
        return True
    return old.stateful != new.stateful


def _around_group(world: World, group_id: str) -> set[ObjectKey]:
    ports = {key_of(one) for one in world.ports() if group_id in one.security_group_ids}
    naming = {
        key_of(one)
        for one in world.groups().values()
        if any(rule.remote_group_id == group_id for rule in one.rules)
    }
    return ports | naming


def _machine(world: World) -> Piece:
    external = [one for one in world.networks() if one.external]
    cidrs = sorted({subnet.cidr for one in external for subnet in world.subnets(one.id)})
    rules = rules_routers.machine(world.cloud.root_table, world.cloud.root_prefix, cidrs)
    return Piece(rules=((names.ROOT, rules),))


def _network(world: World, wanted: Network) -> Piece:
    bridge = Link(world.cloud.plane, names.bridge(wanted.id), "bridge", wanted.mtu)
    zone = rules_ports.network(wanted.id, world.zone(wanted))
    parts = [Piece(links=(bridge,), rules=((world.cloud.plane, zone),))]
    subnets = world.subnets(wanted.id)
    if has_service(subnets):
        parts.append(_service(world, wanted, subnets))
    if wanted.external:
        parts.append(_external(world, wanted, subnets))
    return union(parts)


def _service(world: World, network: Network, subnets: list[Subnet]) -> Piece:
    space, near = world.cloud.service(network.id), names.service_peer(network.id)
    far = Link(
        space, names.service_leg(network.id), "far", network.mtu, mac=names.mac_for("service " + network.id)
    )
    addresses = {
        (space, far.name, _with_length(one.dhcp_ip, one.cidr))
        for one in subnets
        if one.dhcp and one.dhcp_ip
    }
    addresses.add((space, far.name, f"{names.METADATA_IP}/32"))
    return Piece(
        spaces=frozenset({space}),
        # Router advertisements leave here in the router's name: the bridge must not believe it moved.
        links=_pair(world, network, near, far, fixed_mac=far.mac),
        addresses=frozenset(addresses),
        rules=((space, rules_routers.service()),),
    )


def _external(world: World, network: Network, subnets: list[Subnet]) -> Piece:
    far = Link(
        names.ROOT,
        world.cloud.root_leg(network.id),
        "far",
        network.mtu,
        mac=names.mac_for(f"machine {world.cloud.mark} {network.id}"),
    )
    gateways = [(one.gateway_ip, one.cidr) for one in subnets if one.gateway_ip]
    return Piece(
        links=_pair(world, network, names.external_peer(network.id), far),
        addresses=frozenset((names.ROOT, far.name, _with_length(ip, cidr)) for ip, cidr in gateways),
    )


def _port(world: World, wanted: Port) -> Piece:
    network = world.network(wanted.network_id)
    if network is None:
        return Piece(problems=(f"port {wanted.id}: its network {wanted.network_id} isn't here",))
    known = world.groups()
    groups = [known[one] for one in wanted.security_group_ids if one in known]
    link = Link(
        world.cloud.plane,
        names.tap(wanted.id),
        "tap",
        network.mtu,
        master=names.bridge(network.id),
        up=wanted.admin_up,
    )
    rules = rules_ports.port(wanted, world.mark(wanted.id), groups)
    return Piece(links=(link,), rules=((world.cloud.plane, rules),))


def _router(world: World, wanted: Router) -> Piece:
    space = world.cloud.router(wanted.id)
    parts = [Piece(spaces=frozenset({space}), rules=((space, rules_routers.router(wanted.gateway)),))]
    if not wanted.admin_up:
        return union(parts)
    parts += [_leg(world, space, one, names.router_leg(one.port_id)) for one in wanted.interfaces]
    if wanted.gateway:
        parts.append(_leg(world, space, wanted.gateway, names.router_gateway(wanted.gateway.port_id)))
    legs = union(parts)
    return union([legs, _routes(wanted, space, legs.addresses)])


def _leg(world: World, space: str, leg: RouterInterface | RouterGateway, name: str) -> Piece:
    network = world.network(leg.network_id)
    if network is None:
        return Piece(problems=(f"router leg {leg.port_id}: its network {leg.network_id} isn't here",))
    far = Link(space, name, "far", network.mtu, mac=leg.mac.lower())
    return Piece(
        links=_pair(world, network, names.leg(leg.port_id), far),
        addresses=frozenset((space, name, one) for one in leg.addresses),
    )


def _routes(router: Router, space: str, addresses: frozenset[tuple[str, str, str]]) -> Piece:
    """Default routes go out of the gateway, the others where their next hop is on the link."""
    wanted: dict[str, tuple[str, str]] = {}
    problems = []
    gateway = router.gateway
    for hop in gateway.next_hops if gateway else ():
        default = "0.0.0.0/0" if ipaddress.ip_address(hop).version == 4 else "::/0"
        wanted.setdefault(default, (hop, names.router_gateway(gateway.port_id) if gateway else ""))
    for destination, hop in router.routes:
        device = _towards(hop, addresses)
        if device is None:
            problems.append(f"router {router.id}: no leg reaches the next hop {hop} of {destination}")
        else:
            wanted[str(ipaddress.ip_network(destination, strict=False))] = (hop, device)
    present = {device for _, device, _ in addresses}
    routes = {(space, dst, hop, device) for dst, (hop, device) in wanted.items() if device in present}
    return Piece(routes=frozenset(routes), problems=tuple(problems))


def _towards(hop: str, addresses: frozenset[tuple[str, str, str]]) -> str | None:
    address = ipaddress.ip_address(hop)
    near = ((device, ipaddress.ip_interface(cidr).network) for _, device, cidr in sorted(addresses))
    return next((device for device, network in near if address in network), None)


def _floating(world: World, wanted: FloatingIp) -> Piece:
    router = world.objects.get(("Router", wanted.router_id))
    gateway = router.gateway if isinstance(router, Router) and router.admin_up else None
    if gateway is None or world.network(gateway.network_id) is None:
        return Piece(problems=(f"floating IP {wanted.floating_ip}: its router has no way out here",))
    space, device = world.cloud.router(wanted.router_id), names.router_gateway(gateway.port_id)
    return Piece(
        addresses=frozenset({(space, device, f"{wanted.floating_ip}/32")}),
        rules=((space, rules_routers.floating(wanted)),),
    )


def _pair(
    world: World, network: Network, near: str, far: Link, fixed_mac: str | None = None
) -> tuple[Link, Link]:
    link = Link(world.cloud.plane, near, "veth", network.mtu, master=names.bridge(network.id))
    return replace(link, peer=(far.space, far.name), fixed_mac=fixed_mac), far


def _with_length(ip: str | None, cidr: str) -> str:
    return f"{ip}/{ipaddress.ip_network(cidr, strict=False).prefixlen}"
