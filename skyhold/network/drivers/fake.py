# SPDX-License-Identifier: Apache-2.0
"""A network engine without a network: honest in state, told to fail or be slow by tests.

The real one is in native/. It keeps what it is given as a real engine would, revisions and taps
included, and answers by the same security rules which flows would pass.
"""

from __future__ import annotations

import asyncio
import ipaddress
import os
from collections.abc import AsyncIterator, Iterator
from typing import TypeVar

from skyhold.network.drivers.base import (
    Applied,
    Capabilities,
    ChangeSet,
    Desired,
    Diff,
    FloatingIp,
    Network,
    Port,
    PortEvent,
    Router,
    SecurityGroup,
    Snapshot,
    Subnet,
    differs,
)
from skyhold.network.drivers.native.verdict import ICMP, ICMPV6, PROTOCOLS, Flow, permitted

Key = tuple[str, str]
T = TypeVar("T")


class FakeEngine:
    """Implements NetworkEngine in memory. `delay_s` makes every change slow."""

    def __init__(self) -> None:
        self.delay_s = 0.0
        self.started = False
        self.objects: dict[Key, Desired] = {}
        self.taps: set[str] = set()
        self.open_taps: set[str] = set()
        self._failures: list[str] = []
        self._listeners: set[asyncio.Queue[PortEvent]] = set()

    def fail_next(self, count: int = 1, message: str = "the engine was told to fail") -> None:
        """Have the next `count` changes raise OSError(message) and change nothing."""
        self._failures += [message] * count

    async def probe(self) -> Capabilities:
        return Capabilities(engine="fake", notes=["no packet is ever carried"])

    async def start(self) -> None:
        self.started = True

    async def stop(self) -> None:
        self.started = False

    async def destroy(self) -> None:
        self.started = False
        self.objects.clear()
        self.taps.clear()
        self.open_taps.clear()

    async def apply(self, change: ChangeSet) -> Applied:
        await self._obey()
        for wanted in change.upserts:
            self._take(wanted)
        for gone in change.deletes:
            self.objects.pop((gone.kind, gone.id), None)
        problems = self._wire()
        ports = [one for one in change.upserts if isinstance(one, Port)]
        up = [one.id for one in ports if one.id in self.taps and one.admin_up]
        return Applied(ports_up=up, problems=problems)

    async def reconcile(self, desired: Snapshot, dry_run: bool = False) -> Diff:
        await self._obey()
        wanted = {_key(one): one for one in desired.objects}
        lost = [one.id for one in self._ports() if self._network_of(one) and one.id not in self.taps]
        newer = [
            key
            for key, one in wanted.items()
            if key in self.objects and differs(self.objects[key], one) and self.objects[key].revision <= one.revision
        ]
        diff = Diff(
            missing=[_line(key) for key in wanted if key not in self.objects]
            + [f"tap of port {one}" for one in lost],
            extra=[_line(key) for key in self.objects if key not in wanted],
            changed=[_line(key) for key in newer],
        )
        if not dry_run:
            self._become(wanted)
        return diff

    async def open_tap(self, port_id: str) -> int:
        """A descriptor that swallows whatever is written. Raises KeyError for an unknown port."""
        if ("Port", port_id) not in self.objects:
            raise KeyError(port_id)
        self._wire()
        self.open_taps.add(port_id)
        self._tell(PortEvent(port_id=port_id, up=True))
        return os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)

    async def close_tap(self, port_id: str) -> None:
        if port_id in self.open_taps:
            self.open_taps.discard(port_id)
            self._tell(PortEvent(port_id=port_id, up=False))

    async def events(self) -> AsyncIterator[PortEvent]:
        queue: asyncio.Queue[PortEvent] = asyncio.Queue()
        self._listeners.add(queue)
        try:
            while True:
                yield await queue.get()
        finally:
            self._listeners.discard(queue)

    def allows(self, source: str, destination: str, protocol: str = "icmp", port: int = 0) -> bool:
        """Whether a new flow would arrive. Ends are port ids or addresses; an address that is no
        port's stands for a machine outside. `port` is ICMP's type for ICMP."""
        return _Paths(self.objects).allows(source, destination, protocol, port)

    async def _obey(self) -> None:
        if self.delay_s:
            await asyncio.sleep(self.delay_s)
        if self._failures:
            raise OSError(self._failures.pop(0))

    def _take(self, wanted: Desired) -> None:
        held = self.objects.get(_key(wanted))
        if held is None or wanted.revision >= held.revision:
            self.objects[_key(wanted)] = wanted

    def _become(self, wanted: dict[Key, Desired]) -> None:
        for key in [key for key in self.objects if key not in wanted]:
            del self.objects[key]
        for one in wanted.values():
            self._take(one)
        self._wire()

    def _wire(self) -> list[str]:
        """Taps for exactly the ports whose network is here; problems, one line each."""
        wired = {one.id for one in self._ports() if self._network_of(one)}
        self.taps = wired
        self.open_taps &= wired
        return [
            f"port {one.id}: its network {one.network_id} isn't here"
            for one in self._ports()
            if one.id not in wired
        ]

    def _ports(self) -> Iterator[Port]:
        return (one for one in self.objects.values() if isinstance(one, Port))

    def _network_of(self, port: Port) -> Desired | None:
        return self.objects.get(("Network", port.network_id))

    def _tell(self, event: PortEvent) -> None:
        for queue in self._listeners:
            queue.put_nowait(event)


class _Paths:
    """Follows a first packet through networks, routers and translation, one hop as in the real thing."""

    def __init__(self, objects: dict[Key, Desired]) -> None:
        self._objects = objects
        self._groups = {one.id: one for one in self._all(SecurityGroup)}

    def allows(self, source: str, destination: str, protocol: str, port: int) -> bool:
        sender = self._objects.get(("Port", source))
        receiver = self._objects.get(("Port", destination))
        to = receiver.fixed_ips[0].ip if isinstance(receiver, Port) else destination
        if not isinstance(sender, Port):
            return self._from_outside(source, to, protocol, port)
        version = ipaddress.ip_address(to).version
        own = next((one.ip for one in sender.fixed_ips if _version(one.ip) == version), None)
        if own is None or not sender.admin_up or ("Network", sender.network_id) not in self._objects:
            return False
        if not permitted(sender, "egress", _flow(own, to, protocol, port), self._groups):
            return False
        return self._onward(sender, own, to, protocol, port)

    def _onward(self, sender: Port, own: str, to: str, protocol: str, port: int) -> bool:
        if any(self._holds(one, to) for one in self._subnets(sender.network_id)):
            return self._arrives(sender.network_id, own, to, protocol, port)
        for router in self._routers_of(sender.network_id):
            floating = self._floating(to)
            if floating is not None and router.gateway:
                return self._from_outside(self._public(router, own) or own, to, protocol, port)
            for leg in router.interfaces:
                if any(self._holds(one, to) for one in self._subnets(leg.network_id)):
                    return self._arrives(leg.network_id, own, to, protocol, port)
            if router.gateway and ("Network", router.gateway.network_id) in self._objects:
                return self._public(router, own) is not None
        return False

    def _from_outside(self, source: str, to: str, protocol: str, port: int) -> bool:
        """Outside reaches floating IPs and ports on external networks, nothing else."""
        floating = self._floating(to)
        if floating is not None:
            behind = self._objects.get(("Port", floating.port_id))
            network_id = behind.network_id if isinstance(behind, Port) else ""
            return self._arrives(network_id, source, floating.fixed_ip, protocol, port)
        external = [one.id for one in self._all(Network) if one.external]
        return any(self._arrives(one, source, to, protocol, port) for one in external)

    def _arrives(self, network_id: str, source: str, to: str, protocol: str, port: int) -> bool:
        flow = _flow(source, to, protocol, port)
        for one in self._all(Port):
            if one.network_id == network_id and any(fixed.ip == to for fixed in one.fixed_ips):
                return one.admin_up and permitted(one, "ingress", flow, self._groups)
        return False

    def _public(self, router: Router, fixed_ip: str) -> str | None:
        """The address that a fixed one leaves the router with."""
        for one in self._all(FloatingIp):
            if one.fixed_ip == fixed_ip and one.router_id == router.id:
                return one.floating_ip
        gateway = router.gateway
        if gateway is None or not gateway.snat:
            return None
        addresses = (str(ipaddress.ip_interface(one).ip) for one in gateway.addresses)
        return next((one for one in addresses if _version(one) == 4), None)

    def _floating(self, ip: str) -> FloatingIp | None:
        found = (one for one in self._all(FloatingIp) if one.floating_ip == ip)
        return next((one for one in found if self._has_way_out(one)), None)

    def _has_way_out(self, floating: FloatingIp) -> bool:
        router = self._objects.get(("Router", floating.router_id))
        return isinstance(router, Router) and router.admin_up and router.gateway is not None

    def _routers_of(self, network_id: str) -> list[Router]:
        return [
            one
            for one in self._all(Router)
            if one.admin_up and any(leg.network_id == network_id for leg in one.interfaces)
        ]

    def _subnets(self, network_id: str) -> list[Subnet]:
        return [one for one in self._all(Subnet) if one.network_id == network_id]

    def _holds(self, subnet: Subnet, ip: str) -> bool:
        return ipaddress.ip_address(ip) in ipaddress.ip_network(subnet.cidr, strict=False)

    def _all(self, kind: type[T]) -> list[T]:
        return [one for one in self._objects.values() if isinstance(one, kind)]


def _flow(source: str, destination: str, protocol: str, port: int) -> Flow:
    number = int(protocol) if protocol.isdigit() else PROTOCOLS[protocol]
    if number in (ICMP, ICMPV6):
        number, echo = (ICMP, 8) if _version(destination) == 4 else (ICMPV6, 128)
        return Flow(source, destination, number, port or echo)
    return Flow(source, destination, number, 40000, port)


def _version(ip: str) -> int:
    return ipaddress.ip_address(ip).version


def _key(wanted: Desired) -> Key:
    return type(wanted).__name__, wanted.id


def _line(key: Key) -> str:
    return f"{key[0]} {key[1]}"
