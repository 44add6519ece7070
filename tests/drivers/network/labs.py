# SPDX-License-Identifier: Apache-2.0
"""One way to ask both engines the same questions: does a packet arrive, does a flow still live?

The suite is test_conformance.py, real guests are in guests.py. On the fake engine the answers come
from its own judgement, on the native one from packets.
"""

from __future__ import annotations

import asyncio
import ipaddress
import os
import random
import secrets
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from skyhold.network.drivers.base import (
    Applied,
    ChangeSet,
    Deleted,
    FixedIp,
    FloatingIp,
    Network,
    Port,
    Router,
    RouterGateway,
    RouterInterface,
    SecurityGroup,
    SecurityRule,
    Subnet,
)
from skyhold.network.drivers.fake import FakeEngine
from skyhold.network.drivers.native import netns
from skyhold.network.drivers.native.engine import NativeEngine
from tests.drivers.network.guests import EchoServer, Guest, connect
from tests.kit.patience import PATIENCE_S

OUT4 = SecurityRule(direction="egress", ethertype="IPv4")
OUT6 = SecurityRule(direction="egress", ethertype="IPv6")
PING4 = SecurityRule(direction="ingress", ethertype="IPv4", protocol="icmp")
PING6 = SecurityRule(direction="ingress", ethertype="IPv6", protocol="icmpv6")


def tcp(port: int, **remote: str) -> SecurityRule:
    return SecurityRule(
        direction="ingress", ethertype="IPv4", protocol="tcp", port_min=port, port_max=port, **remote
    )


class Lab:
    """Builds objects with short ids and asks about them. Addresses of guests are given in full."""

    name = ""
    engine: Any

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], Any] = {}
        self.segment = random.randrange(1000, 60000)
        self.external_cidr = free_external()
        self.public = [str(one) for one in list(ipaddress.ip_network(self.external_cidr).hosts())]

    async def put(self, *wanted: Any) -> Applied:
        for one in wanted:
            self.objects[type(one).__name__, one.id] = one
        applied = await self.engine.apply(ChangeSet(upserts=list(wanted)))
        assert not applied.problems, applied.problems
        return applied

    async def drop(self, *gone: Any) -> None:
        for one in gone:
            self.objects.pop((type(one).__name__, one.id), None)
        deletes = [Deleted(kind=type(one).__name__, id=one.id) for one in gone]
        applied = await self.engine.apply(ChangeSet(deletes=deletes))
        assert not applied.problems, applied.problems

    def network(
        self, name: str, cidr: str, *, mtu: int = 1450, dhcp: bool = False, **more: Any
    ) -> list[Any]:
        """A network `<name>` and its subnet `<name>-sub` with the first address as gateway."""
        self.segment += 1
        hosts = ipaddress.ip_network(cidr)
        subnet = {
            "cidr": cidr,
            "ip_version": hosts.version,
            "gateway_ip": str(hosts[1]),
            "dhcp": dhcp,
            "dhcp_ip": str(hosts[2]) if dhcp else None,
        } | {key: more.pop(key) for key in ("ra_mode", "address_mode", "gateway_ip") if key in more}
        return [
            Network(id=name, revision=1, segment=self.segment, mtu=mtu, **more),
            Subnet(id=f"{name}-sub", revision=1, network_id=name, **subnet),
        ]

    def external(self) -> list[Any]:
        return self.network("ext", self.external_cidr, mtu=1500, external=True)

    def port(
        self, name: str, network: str, ip: str, groups: tuple[str, ...] = ("open",), **more: Any
    ) -> Port:
        number = int(name.lstrip("abcdefghijklmnopqrstuvwxyz") or "0")
        ips = [FixedIp(subnet_id=f"{network}-sub", ip=one) for one in ip.split(",")]
        return Port(
            id=name,
            revision=more.pop("revision", 1),
            network_id=network,
            mac=more.pop("mac", f"fa:16:3e:{ord(name[0]):02x}:00:{number:02x}"),
            fixed_ips=ips,
            security_group_ids=list(groups),
            server_id=f"server-{name}",
            **more,
        )

    def router(self, name: str, legs: dict[str, str], public: str | None = None, **more: Any) -> Router:
        """`legs` are network to address with length; `public` the gateway address on `ext`."""
        interfaces = [
            RouterInterface(
                port_id=f"{name}-{net}", network_id=net, mac=leg_mac(name, net), addresses=address.split(",")
            )
            for net, address in legs.items()
        ]
        length = self.external_cidr.partition("/")[2]
        snat = more.pop("snat", True)
        gateway = public and RouterGateway(
            port_id=f"{name}-gw",
            network_id="ext",
            mac=leg_mac(name, "ext"),
            addresses=[f"{public}/{length}"],
            next_hops=[self.public[0]],
            snat=snat,
        )
        revision = more.pop("revision", 1)
        return Router(id=name, revision=revision, interfaces=interfaces, gateway=gateway or None, **more)

    def floating(self, name: str, router: str, ip: str, port: Port, revision: int = 1) -> FloatingIp:
        fixed = port.fixed_ips[0].ip
        return FloatingIp(
            id=name, revision=revision, router_id=router, floating_ip=ip, fixed_ip=fixed, port_id=port.id
        )

    def group(
        self, name: str, *rules: SecurityRule, revision: int = 1, members: tuple[str, ...] = (), **more: Any
    ) -> SecurityGroup:
        out = [] if more.pop("closed", False) else [OUT4, OUT6]
        return SecurityGroup(
            id=name, revision=revision, rules=[*out, *rules], members=list(members), **more
        )

    def open_group(self) -> SecurityGroup:
        anything = [SecurityRule(direction="ingress", ethertype=version) for version in ("IPv4", "IPv6")]
        return self.group("open", *anything)


class FakeLab(Lab):
    name = "fake"

    def __init__(self, state_dir: Path) -> None:
        super().__init__()
        self.engine = FakeEngine()

    async def boot(self, *ports: Port) -> None:
        for port in ports:
            os.close(await self.engine.open_tap(port.id))

    async def pings(self, source: str, ip: str, timeout_s: float = 0) -> bool:
        return self.engine.allows(self._end(source), ip)

    async def connects(self, source: str, ip: str, port: int, timeout_s: float = 0) -> bool:
        return self.engine.allows(self._end(source), ip, "tcp", port)

    def _end(self, source: str) -> str:
        return self.public[0] if source == "outside" else source

    async def flow(self, source: str, ip: str, port: int) -> Callable[[], Any]:
        assert await self.connects(source, ip, port)

        async def alive(wait_s: float = 0) -> bool:
            return await self.connects(source, ip, port)

        return alive

    async def serve(self, name: str, port: int) -> None:
        """Everybody listens everywhere."""

    async def restart(self) -> None:
        await self.engine.stop()
        await self.engine.start()

    async def close(self) -> None:
        await self.engine.destroy()
        assert not self.engine.objects
        assert not self.engine.taps


class NativeLab(Lab):
    """`outside` as a source is the machine itself."""

    name = "native"

    def __init__(self, state_dir: Path, metadata: Any = None, **options: Any) -> None:
        super().__init__()
        self.cloud_id = "lab-" + secrets.token_hex(8)
        self.state_dir, self.metadata = state_dir, metadata
        self.engine = NativeEngine(self.cloud_id, state_dir, metadata, **options)
        self.guests: dict[str, Guest] = {}
        self._servers: list[EchoServer] = []

    async def boot(self, *ports: Port, bare: bool = False) -> None:
        """A guest behind each port, configured by hand as a static image would be; a bare one waits
        for router advertisements instead."""
        for port in ports:
            fd = await self.engine.open_tap(port.id)
            network = self.objects["Network", port.network_id]
            subnets = [self.objects["Subnet", fixed.subnet_id] for fixed in port.fixed_ips]
            lengths = [one.cidr.partition("/")[2] for one in subnets]
            addresses = [
                f"{one.ip}/{length}" for one, length in zip(port.fixed_ips, lengths, strict=True)
            ]
            gateways = [sub.gateway_ip for sub in subnets if sub.gateway_ip]
            static = ([], []) if bare else (addresses, gateways)
            make = (Guest, fd, port.mac, *static, network.mtu)
            self.guests[port.id] = await asyncio.to_thread(*make, accept_ra=bare)

    async def pings(self, source: str, ip: str, timeout_s: float = PATIENCE_S) -> bool:
        if source == "outside":
            command = ["ping", "-c1", f"-W{timeout_s}", ip]
            done = await asyncio.to_thread(subprocess.run, command, capture_output=True)
            return done.returncode == 0
        return await asyncio.to_thread(self.guests[source].ping, ip, timeout_s)

    async def connects(self, source: str, ip: str, port: int, timeout_s: float = PATIENCE_S) -> bool:
        flow = await self._connect(source, ip, port, timeout_s)
        if flow is None:
            return False
        flow.close()
        return True

    async def flow(self, source: str, ip: str, port: int) -> Callable[[], Any]:
        flow = await self._connect(source, ip, port, PATIENCE_S)
        assert flow is not None
        assert await asyncio.to_thread(flow.alive, PATIENCE_S)

        async def alive(wait_s: float = PATIENCE_S) -> bool:
            return await asyncio.to_thread(flow.alive, wait_s)

        return alive

    async def serve(self, name: str, port: int) -> None:
        """An echo server in a guest, or on the machine's address of the external network."""
        if name != "outside":
            self.guests[name].serve(port)
            return
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._servers.append(EchoServer(sock, port, self.public[0]))

    async def seen_as(self, source: str, ip: str, port: int) -> str:
        flow = await self._connect(source, ip, port, PATIENCE_S)
        assert flow is not None
        return await asyncio.to_thread(flow.seen_as)

    async def restart(self) -> None:
        await self.engine.stop()
        self.engine = NativeEngine(self.cloud_id, self.state_dir, self.metadata)
        await self.engine.start()

    async def close(self) -> None:
        for server in self._servers:
            server.close()
        for guest in self.guests.values():
            await asyncio.to_thread(guest.close)
        await self.engine.destroy()
        mark = self.engine.names.mark
        assert await eventually(lambda: not traces(mark)), traces(mark)

    async def _connect(self, source: str, ip: str, port: int, timeout_s: float) -> Any:
        if source == "outside":
            sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            return await asyncio.to_thread(connect, sock, ip, port, timeout_s)
        return await asyncio.to_thread(self.guests[source].connect, ip, port, timeout_s)


def leg_mac(router: str, network: str) -> str:
    number = sum(map(ord, router + network)) % 65536
    return f"fa:16:3f:00:{number >> 8:02x}:{number & 255:02x}"


def free_external() -> str:
    """A /24 of the benchmarking range (RFC 2544) that this machine has no route into."""
    routes = subprocess.run(["ip", "-4", "route"], capture_output=True, text=True, check=True).stdout
    words = {line.split()[0] for line in routes.splitlines() if line and not line.startswith("default")}
    used = [ipaddress.ip_network(word, strict=False) for word in words if word[0].isdigit()]
    while True:
        wanted = ipaddress.ip_network(f"198.{random.choice((18, 19))}.{random.randrange(256)}.0/24")
        if not any(wanted.overlaps(one) for one in used):
            return str(wanted)


def traces(mark: str) -> set[str]:
    """Whatever on this machine carries a cloud's mark: namespaces, links, nft tables."""
    links = subprocess.run(["ip", "-o", "link"], capture_output=True, text=True, check=True).stdout
    tables = subprocess.run(["nft", "list", "tables"], capture_output=True, text=True, check=True).stdout
    found = [line.split(": ")[1].partition("@")[0] for line in links.splitlines()]
    return {one for one in [*netns.names(), *found, *tables.splitlines()] if mark in one}


async def eventually(question: Callable[[], Any]) -> bool:
    """Ask until the answer is yes or patience is at its end."""
    ends = time.monotonic() + PATIENCE_S
    while True:
        answer = question()
        if asyncio.iscoroutine(answer):
            answer = await answer
        if answer:
            return True
        if time.monotonic() > ends:
            return False
        await asyncio.sleep(0.02)


async def neighbours(lab: NativeLab, **more: object) -> tuple[Guest, Guest, Port, Port]:
    """Guests a1 and b1 on the network red, open to each other."""
    a, b = lab.port("a1", "red", "10.1.0.11", **more), lab.port("b1", "red", "10.1.0.12")
    await lab.put(*lab.network("red", "10.1.0.0/24"), lab.open_group(), a, b)
    await lab.boot(a, b)
    return lab.guests["a1"], lab.guests["b1"], a, b


async def way_out(lab: NativeLab) -> tuple[Port, Port]:
    a, b = lab.port("a1", "red", "10.1.0.11"), lab.port("b1", "blue", "10.2.0.12")
    networks = [*lab.network("red", "10.1.0.0/24"), *lab.network("blue", "10.2.0.0/24")]
    router = lab.router("r1", {"red": "10.1.0.1/24", "blue": "10.2.0.1/24"}, public=lab.public[9])
    await lab.put(*lab.external(), *networks, lab.open_group(), router, a, b)
    await lab.boot(a, b)
    return a, b


def in_plane(lab: NativeLab, *arguments: str) -> str:
    command = ["ip", "netns", "exec", lab.engine.names.plane, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def subprocess_text(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
