# SPDX-License-Identifier: Apache-2.0
"""The interface between network and the data plane: desired objects as frozen structs.

The fake engine is in fake.py and the native Linux one in native/. Every object carries the
revision of the row it came from: an engine ignores a change older than what it holds.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Literal, Protocol

import msgspec


class Obj(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """What all desired objects share."""

    id: str
    revision: int


class Network(Obj, frozen=True, kw_only=True):
    """One layer-2 segment. `segment` is unique in the cloud (also the conntrack zone).

    `external` networks reach the machine's own network: the engine gives each of their subnets'
    gateway addresses to the machine (`host_gateway` in Subnet) and translates on the way out.
    """

    segment: int
    mtu: int
    external: bool = False
    dns_domain: str = ""


class Subnet(Obj, frozen=True, kw_only=True):
    """`routes` are (destination CIDR, next hop). `dhcp_ip` answers DHCP, DNS and, on isolated
    networks, metadata; it belongs to the engine and isn't a port of a guest."""

    network_id: str
    cidr: str
    ip_version: Literal[4, 6]
    gateway_ip: str | None
    dhcp: bool
    dhcp_ip: str | None = None
    dns: list[str] = []
    routes: list[tuple[str, str]] = []
    ra_mode: str | None = None
    """`slaac`, `dhcpv6-stateful`, `dhcpv6-stateless` or None: as Neutron's ipv6_ra_mode."""
    address_mode: str | None = None


class FixedIp(msgspec.Struct, frozen=True, kw_only=True):
    subnet_id: str
    ip: str


class Port(Obj, frozen=True, kw_only=True):
    """A guest's port on this host. `security` False means no filter and no anti-spoofing."""

    network_id: str
    mac: str
    fixed_ips: list[FixedIp]
    pairs: list[tuple[str, str]] = []
    """Allowed address pairs as (mac, ip or CIDR)."""
    security: bool = True
    security_group_ids: list[str] = []
    server_id: str | None = None
    """Whom the metadata service answers for when asked through this port."""
    hostname: str = ""
    dhcp_options: dict[str, str] = {}
    admin_up: bool = True


class SecurityRule(msgspec.Struct, frozen=True, kw_only=True):
    """One allowance. `protocol` is a name or number, None for any; ICMP keeps type and code in
    `port_min` and `port_max`. `remote_group_id` means the addresses of that group's members."""

    direction: Literal["ingress", "egress"]
    ethertype: Literal["IPv4", "IPv6"]
    protocol: str | None = None
    port_min: int | None = None
    port_max: int | None = None
    remote_cidr: str | None = None
    remote_group_id: str | None = None


class SecurityGroup(Obj, frozen=True, kw_only=True):
    """`members` are the addresses of all ports in the group, on every host."""

    rules: list[SecurityRule]
    members: list[str] = []
    stateful: bool = True


class RouterInterface(msgspec.Struct, frozen=True, kw_only=True):
    """A leg into a tenant network. `addresses` are with prefix length: `10.0.0.1/24`."""

    port_id: str
    network_id: str
    mac: str
    addresses: list[str]


class RouterGateway(msgspec.Struct, frozen=True, kw_only=True):
    port_id: str
    network_id: str
    mac: str
    addresses: list[str]
    next_hops: list[str]
    snat: bool = True


class Router(Obj, frozen=True, kw_only=True):
    interfaces: list[RouterInterface] = []
    gateway: RouterGateway | None = None
    routes: list[tuple[str, str]] = []
    admin_up: bool = True


class FloatingIp(Obj, frozen=True, kw_only=True):
    """An association: an address of an external network that stands for a fixed one."""

    router_id: str
    floating_ip: str
    fixed_ip: str
    port_id: str


Desired = Network | Subnet | Port | SecurityGroup | Router | FloatingIp
Kind = Literal["Network", "Subnet", "Port", "SecurityGroup", "Router", "FloatingIp"]


class Deleted(msgspec.Struct, frozen=True, kw_only=True):
    kind: Kind
    id: str


class ChangeSet(msgspec.Struct, frozen=True, kw_only=True):
    """Upserts and deletes applied together. An upsert may name objects of the same set.

    An engine also cuts the established flows that a change no longer allows: a rule or member
    removed, a floating IP taken away.
    """

    upserts: list[Desired] = []
    deletes: list[Deleted] = []


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """All a host should hold; whatever else carries this cloud's mark is removed."""

    objects: list[Desired]


class Applied(msgspec.Struct, frozen=True, kw_only=True):
    """`ports_up` are the ports of the change set whose tap exists and is filtered."""

    ports_up: list[str] = []
    problems: list[str] = []


class Diff(msgspec.Struct, frozen=True, kw_only=True):
    """What a reconcile found wrong (and, unless a dry run, repaired): one line each."""

    missing: list[str] = []
    extra: list[str] = []
    changed: list[str] = []


class Reconcile(msgspec.Struct, frozen=True, kw_only=True):
    snapshot: Snapshot
    dry_run: bool = False


class PortEvent(msgspec.Struct, frozen=True, kw_only=True):
    port_id: str
    up: bool


class Capabilities(msgspec.Struct, frozen=True, kw_only=True):
    """What this host's kernel can do, found by trying it in a scratch namespace."""

    engine: str
    vlan: bool = False
    vxlan: bool = False
    ipv6: bool = True
    max_mtu: int = 9000
    overhead: int = 0
    notes: list[str] = []


class Nothing(msgspec.Struct, frozen=True):
    """An answer that carries nothing."""


class NetworkEngine(Protocol):
    """Level-triggered and idempotent; a port gets its drop entry before its link goes up."""

    async def probe(self) -> Capabilities: ...
    async def start(self) -> None:
        """Create or adopt the data plane; raises EngineUnavailable with a sentence and a remedy."""

    async def stop(self) -> None:
        """Let go; the data plane keeps forwarding."""

    async def destroy(self) -> None:
        """Remove every object that carries this cloud's mark from the machine."""

    async def apply(self, change: ChangeSet) -> Applied: ...
    async def reconcile(self, desired: Snapshot, dry_run: bool = False) -> Diff: ...
    async def open_tap(self, port_id: str) -> int:
        """A file descriptor of the port's tap (IFF_TAP | IFF_NO_PI | IFF_VNET_HDR), for QEMU.

        The tap survives the guest's restarts; it is created, with its filter, if need be.
        Raises KeyError for a port that was never applied.
        """

    async def close_tap(self, port_id: str) -> None:
        """The guest let go of the tap (stopped or unplugged)."""

    def events(self) -> AsyncIterator[PortEvent]: ...


class EngineUnavailable(Exception):
    """This machine can't run the engine; the text says what is missing and the remedy."""


VERBS: dict[str, tuple[type, type]] = {
    "net.apply": (ChangeSet, Applied),
    "net.reconcile": (Reconcile, Diff),
    "net.probe": (Nothing, Capabilities),
}
"""Verb name to the structs of its question and its answer. Verbs are only ever added to."""


def differs(held: Desired, wanted: Desired) -> bool:
    """In anything but the revision, which says how new a wish is and not what is wished."""
    return msgspec.structs.replace(held, revision=wanted.revision) != wanted
