# SPDX-License-Identifier: Apache-2.0
"""Keeps the listeners of every namespace open: DHCP and RA responder, DNS forwarder, metadata.

What they answer is in responder.py, dns.py and behind doors.py. Only sockets are opened here,
inside the right namespace; losing one never touches the forwarding of packets.
"""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Callable
from pathlib import Path

from skyhold.network.drivers.base import Network, Router, Subnet
from skyhold.network.drivers.native import names, netns
from skyhold.network.drivers.native.dns import DnsForwarder
from skyhold.network.drivers.native.doors import MetadataDoor
from skyhold.network.drivers.native.link_table import LinkTable
from skyhold.network.drivers.native.plan import ObjectKey, World, has_service
from skyhold.network.drivers.native.responder import Responder

_ETH_P_ALL = 3


class Services:
    """Use from the event loop only. `on_lease` hears the id of a port whose guest took its address."""

    def __init__(self, door: MetadataDoor | None, on_lease: Callable[[str], None] | None = None) -> None:
        self._door = door
        self._on_lease = on_lease
        self._responders: dict[str, Responder] = {}
        self._forwarders: dict[tuple[str, str], DnsForwarder] = {}
        self._doors: dict[str, str] = {}
        self._servers: dict[str, dict[str, str]] = {}
        self._resolvers = machine_resolvers()

    async def sync(self, world: World, changed: set[ObjectKey]) -> list[str]:
        """Bring the listeners of the networks and routers behind these keys in line; problems."""
        networks, routers = _affected(world, changed)
        problems: list[str] = []
        for network_id in sorted(networks | self._networks_without(world)):
            problems += await self._guarded(self._sync_network, world, network_id)
        for router_id in sorted(routers | self._routers_without(world)):
            problems += await self._guarded(self._sync_router, world, router_id)
        return problems

    async def reopen(self, world: World) -> list[str]:
        """Open everything anew, after namespaces were lost."""
        await self.close()
        return await self.sync(world, set(world.objects))

    async def close(self) -> None:
        for network_id in list(self._responders):
            self._close_network(network_id)
        for key in list(self._doors):
            await self._shut(key)

    async def _guarded(self, sync: Callable[[World, str], object], world: World, one: str) -> list[str]:
        try:
            await sync(world, one)  # type: ignore[misc]
        except OSError as error:
            return [f"listeners of {one}: {error.strerror or error}"]
        return []

    async def _sync_network(self, world: World, network_id: str) -> None:
        network = world.network(network_id)
        subnets = world.subnets(network_id)
        key = f"network:{network_id}"
        if network is None or not has_service(subnets):
            self._close_network(network_id)
            await self._shut(key)
            return
        table = self._table(world, network, subnets)
        space = world.cloud.service(network_id)
        self._sync_responder(network_id, space, table)
        self._sync_forwarders(network_id, space, table)
        self._servers[key] = _servers_on(world, {network_id})
        await self._open(key, space, names.METADATA_IP, 80)

    async def _sync_router(self, world: World, router_id: str) -> None:
        key, router = f"router:{router_id}", world.objects.get(("Router", router_id))
        if not isinstance(router, Router):
            await self._shut(key)
            return
        self._servers[key] = _servers_on(world, {one.network_id for one in router.interfaces})
        await self._open(key, world.cloud.router(router_id), "0.0.0.0", names.METADATA_PORT)  # noqa: S104

    def _table(self, world: World, network: Network, subnets: list[Subnet]) -> LinkTable:
        ports = sorted((one for one in world.ports() if one.network_id == network.id), key=lambda one: one.id)
        return LinkTable(
            network=network,
            subnets=subnets,
            ports=ports,
            resolvers=self._resolvers,
            routers=_router_macs(world, network.id, subnets),
        )

    def _sync_responder(self, network_id: str, space: str, table: LinkTable) -> None:
        if network_id in self._responders:
            self._responders[network_id].update(table)
            return
        device = names.service_leg(network_id)
        sock = _packet_socket(space, device)
        mac = names.mac_for("service " + network_id)
        self._responders[network_id] = Responder(sock, mac, table, self._on_lease)

    def _sync_forwarders(self, network_id: str, space: str, table: LinkTable) -> None:
        wanted = {one.dhcp_ip for one in table.subnets if one.dhcp and one.dhcp_ip}
        for key in [key for key in self._forwarders if key[0] == network_id and key[1] not in wanted]:
            self._forwarders.pop(key).close()
        for ip in wanted:
            if (network_id, ip) in self._forwarders:
                self._forwarders[network_id, ip].update(table)
            else:
                self._forwarders[network_id, ip] = DnsForwarder(_datagram_socket(space, ip, 53), table)

    def _close_network(self, network_id: str) -> None:
        if network_id in self._responders:
            self._responders.pop(network_id).close()
        for key in [key for key in self._forwarders if key[0] == network_id]:
            self._forwarders.pop(key).close()

    async def _open(self, key: str, space: str, ip: str, port: int) -> None:
        if self._door is None or key in self._doors:
            return
        await self._door.open(key, _listener(space, ip, port), lambda peer: self._who(key, peer))
        self._doors[key] = space

    def _who(self, key: str, peer: str) -> str | None:
        return self._servers.get(key, {}).get(peer)

    async def _shut(self, key: str) -> None:
        self._servers.pop(key, None)
        if self._doors.pop(key, None) is not None and self._door is not None:
            await self._door.close(key)

    def _networks_without(self, world: World) -> set[str]:
        return {one for one in self._responders if world.network(one) is None}

    def _routers_without(self, world: World) -> set[str]:
        opened = {key.partition(":")[2] for key in self._doors if key.startswith("router:")}
        return {one for one in opened if ("Router", one) not in world.objects}


def machine_resolvers(path: Path = Path("/etc/resolv.conf")) -> list[str]:
    """The machine's own name servers."""
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return []
    words = (line.split() for line in lines if line.startswith("nameserver"))
    return [found[1].partition("%")[0] for found in words if len(found) > 1]


def _affected(world: World, changed: set[ObjectKey]) -> tuple[set[str], set[str]]:
    """The ids of the networks and routers whose listeners may have to know."""
    networks = {one_id for kind, one_id in changed if kind == "Network"}
    routers = {one_id for kind, one_id in changed if kind == "Router"}
    for key in changed:
        network_id = getattr(world.objects.get(key), "network_id", None)
        if network_id:
            networks.add(network_id)
    for router in world.routers():
        legs = {one.network_id for one in router.interfaces}
        if legs & networks:
            routers.add(router.id)
        if router.id in routers:
            networks |= legs
    return networks, routers


def _servers_on(world: World, network_ids: set[str]) -> dict[str, str]:
    """Address to server of the ports whose address the anti-spoofing rules guarantee."""
    return {
        str(ipaddress.ip_address(fixed.ip)): port.server_id
        for port in world.ports()
        if port.network_id in network_ids and port.server_id
        for fixed in port.fixed_ips
    }


def _router_macs(world: World, network_id: str, subnets: list[Subnet]) -> dict[str, str]:
    """Subnet id to the MAC of the router's leg that holds the subnet's gateway address."""
    held = {
        str(ipaddress.ip_interface(address).ip): leg.mac
        for router in world.routers()
        if router.admin_up
        for leg in router.interfaces
        if leg.network_id == network_id
        for address in leg.addresses
    }
    gateways = {one.id: str(ipaddress.ip_address(one.gateway_ip)) for one in subnets if one.gateway_ip}
    return {subnet_id: held[ip] for subnet_id, ip in gateways.items() if ip in held}


def _packet_socket(space: str, device: str) -> socket.socket:
    def make() -> socket.socket:
        # Protocol 0 hears nothing until bound: no frame of another link, and no wait in the kernel.
        sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        try:
            sock.bind((device, _ETH_P_ALL))
        except OSError:
            sock.close()
            raise
        return sock

    return _in_space(space, make)


def _datagram_socket(space: str, ip: str, port: int) -> socket.socket:
    return _in_space(space, lambda: _bound(socket.SOCK_DGRAM, ip, port))


def _listener(space: str, ip: str, port: int) -> socket.socket:
    sock = _in_space(space, lambda: _bound(socket.SOCK_STREAM, ip, port))
    sock.listen(128)
    return sock


def _bound(sort: int, ip: str, port: int) -> socket.socket:
    family = socket.AF_INET if ipaddress.ip_address(ip).version == 4 else socket.AF_INET6
    sock = socket.socket(family, sort)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setblocking(False)
        sock.bind((ip, port))
    except OSError:
        sock.close()
        raise
    return sock


def _in_space(space: str, make: Callable[[], socket.socket]) -> socket.socket:
    fd = netns.open_namespace(space)
    try:
        with netns.inside(fd):
            return make()
    finally:
        os.close(fd)
