# SPDX-License-Identifier: Apache-2.0
"""Links, addresses and routes of one namespace, over rtnetlink.

Which ones there should be is in plan.py and who compares in kernel.py. Follows rtnetlink(7); every
route carries our own protocol number, so that routes of others are never touched.
"""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import struct
from dataclasses import dataclass

from skyhold.network.drivers.native.netlink import (
    ACK,
    CREATE,
    DUMP,
    EXCLUSIVE,
    REPLACE,
    Channel,
    attribute,
    attributes,
    nested,
    number,
    text,
)

NEWLINK, DELLINK, GETLINK = 16, 17, 18
NEWADDR, DELADDR, GETADDR = 20, 21, 22
NEWROUTE, DELROUTE, GETROUTE = 24, 25, 26
NEWNEIGH, DELNEIGH = 28, 29
ROUTE_MARK = 83

_LINK = struct.Struct("=BxHiII")
_ADDRESS = struct.Struct("=BBBBI")
_ROUTE = struct.Struct("=BBBBBBBBI")
_IFLA_ADDRESS, _IFLA_IFNAME, _IFLA_MTU, _IFLA_MASTER = 1, 3, 4, 10
_IFLA_LINKINFO, _IFLA_NET_NS_FD, _IFLA_ALIAS, _IFLA_GROUP = 18, 28, 20, 27
_DOOMED = 0x736B6864
_BR_MCAST_SNOOPING, _BRPORT_LEARNING = 23, 8
_AF_BRIDGE, _NOARP, _NTF_MASTER = 7, 0x40, 0x04
_UP = 1
_NODAD = 0x02
_ONLINK = 4


@dataclass(frozen=True)
class SeenLink:
    index: int
    mtu: int
    mac: str
    master: int
    up: bool
    kind: str


class Links:
    """rtnetlink in the calling thread's namespace."""

    def __init__(self) -> None:
        self._channel = Channel(socket.NETLINK_ROUTE)

    def close(self) -> None:
        self._channel.close()

    def add_bridge(self, name: str, mtu: int) -> None:
        kind = nested(
            _IFLA_LINKINFO, text(1, "bridge"), nested(2, attribute(_BR_MCAST_SNOOPING, b"\0"))
        )
        self._new(text(_IFLA_IFNAME, name) + number(_IFLA_MTU, mtu) + kind)

    def add_veth(self, name: str, peer: str, peer_fd: int, mtu: int) -> None:
        """A pair whose other end, `peer`, is in the namespace behind `peer_fd`."""
        far = _LINK.pack(0, 0, 0, 0, 0) + text(_IFLA_IFNAME, peer) + number(_IFLA_MTU, mtu)
        far += number(_IFLA_NET_NS_FD, peer_fd)
        kind = nested(_IFLA_LINKINFO, text(1, "veth"), nested(2, attribute(1, far)))
        self._new(text(_IFLA_IFNAME, name) + number(_IFLA_MTU, mtu) + kind)

    def change(
        self,
        index: int,
        *,
        up: bool | None = None,
        mtu: int | None = None,
        mac: str | None = None,
        master: int | None = None,
        alias: str | None = None,
    ) -> None:
        """Set what is given; `master` 0 frees the link from its bridge."""
        flags = 0 if up is None else int(up)
        body = _LINK.pack(0, 0, index, flags, 0 if up is None else _UP)
        body += b"" if mtu is None else number(_IFLA_MTU, mtu)
        body += b"" if mac is None else attribute(_IFLA_ADDRESS, bytes.fromhex(mac.replace(":", "")))
        body += b"" if master is None else number(_IFLA_MASTER, master)
        body += b"" if alias is None else text(_IFLA_ALIAS, alias)
        self._channel.tell(NEWLINK, body)

    def pin(self, index: int, mac: str) -> None:
        """Have the bridge learn nothing from its port `index`, but know `mac` to be behind it."""
        quiet = nested(_IFLA_LINKINFO, text(4, "bridge"), nested(5, attribute(_BRPORT_LEARNING, b"\0")))
        self._channel.tell(NEWLINK, _LINK.pack(0, 0, index, 0, 0) + quiet)
        entry = struct.pack("=BxHiHBB", _AF_BRIDGE, 0, index, _NOARP, _NTF_MASTER, 0)
        entry += attribute(2, bytes.fromhex(mac.replace(":", "")))
        self._channel.tell(NEWNEIGH, entry, CREATE | REPLACE)

    def remove(self, indexes: list[int]) -> None:
        """Remove links, all at the cost of one: the kernel waits about 20 ms for its readers each time.

        Links that are gone already are fine.
        """
        if len(indexes) == 1:
            self._forget(_LINK.pack(0, 0, indexes[0], 0, 0))
        elif indexes:
            for index in indexes:
                self._doom(index)
            self._forget(_LINK.pack(0, 0, 0, 0, 0) + number(_IFLA_GROUP, _DOOMED))

    def seen(self) -> dict[str, SeenLink]:
        """Every link by name."""
        answers = self._channel.ask(GETLINK, _LINK.pack(0, 0, 0, 0, 0), DUMP)
        return dict(_link(payload) for _, payload in answers)

    def one(self, name: str) -> SeenLink | None:
        try:
            body = _LINK.pack(0, 0, 0, 0, 0) + text(_IFLA_IFNAME, name)
            return _link(self._channel.ask(GETLINK, body, ACK)[0][1])[1]
        except OSError:
            return None

    def addresses(self) -> set[tuple[int, str]]:
        """(link index, address with prefix length), link-local and loopback ones left out."""
        found = set()
        for _, payload in self._channel.ask(GETADDR, _ADDRESS.pack(0, 0, 0, 0, 0), DUMP):
            _, prefix, _, scope, index = _ADDRESS.unpack_from(payload)
            parts = attributes(payload, _ADDRESS.size)
            raw = parts.get(2, parts.get(1, b""))
            if scope == 0 and raw:
                found.add((index, f"{ipaddress.ip_address(raw)}/{prefix}"))
        return found

    def add_address(self, index: int, cidr: str) -> None:
        self._channel.tell(NEWADDR, _address(index, cidr), CREATE | REPLACE)

    def remove_address(self, index: int, cidr: str) -> None:
        self._channel.tell(DELADDR, _address(index, cidr))

    def routes(self) -> set[tuple[str, str | None, int]]:
        """Our own routes of the main table as (destination, next hop, link index)."""
        return {(dst, via, index) for dst, via, index, mark in self._routes() if mark == ROUTE_MARK}

    def all_routes(self) -> set[tuple[str, int]]:
        """Everybody's routes of the main table as (destination, link index)."""
        return {(dst, index) for dst, _, index, _ in self._routes()}

    def add_route(self, destination: str, via: str | None, index: int) -> None:
        self._channel.tell(NEWROUTE, _route(destination, via, index), CREATE | REPLACE)

    def remove_route(self, destination: str, via: str | None, index: int) -> None:
        self._channel.tell(DELROUTE, _route(destination, via, index))

    def forget_neighbour(self, index: int, ip: str) -> None:
        """Make this namespace ask anew who holds an address."""
        address = ipaddress.ip_address(ip)
        family = socket.AF_INET if address.version == 4 else socket.AF_INET6
        body = struct.pack("=BxHiHBB", family, 0, index, 0, 0, 0) + attribute(1, address.packed)
        self._channel.tell(DELNEIGH, body)

    def _doom(self, index: int) -> None:
        with contextlib.suppress(OSError):
            self._channel.tell(NEWLINK, _LINK.pack(0, 0, index, 0, 0) + number(_IFLA_GROUP, _DOOMED))

    def _forget(self, body: bytes) -> None:
        with contextlib.suppress(OSError):
            self._channel.tell(DELLINK, body)

    def _new(self, body: bytes) -> None:
        self._channel.tell(NEWLINK, _LINK.pack(0, 0, 0, 0, 0) + body, CREATE | EXCLUSIVE)

    def _routes(self) -> list[tuple[str, str | None, int, int]]:
        found = []
        for family in (socket.AF_INET, socket.AF_INET6):
            body = _ROUTE.pack(family, 0, 0, 0, 0, 0, 0, 0, 0)
            for _, payload in self._channel.ask(GETROUTE, body, DUMP):
                seen = _seen_route(payload)
                if seen:
                    found.append(seen)
        return found


def _link(payload: bytes) -> tuple[str, SeenLink]:
    _, _, index, flags, _ = _LINK.unpack_from(payload)
    parts = attributes(payload, _LINK.size)
    kind = attributes(parts.get(_IFLA_LINKINFO, b"")).get(1, b"").rstrip(b"\0").decode()
    name = parts[_IFLA_IFNAME].rstrip(b"\0").decode()
    return name, SeenLink(
        index=index,
        mtu=_u32(parts.get(_IFLA_MTU)),
        mac=parts.get(_IFLA_ADDRESS, b"").hex(":"),
        master=_u32(parts.get(_IFLA_MASTER)),
        up=bool(flags & _UP),
        kind=kind,
    )


def _address(index: int, cidr: str) -> bytes:
    interface = ipaddress.ip_interface(cidr)
    family = socket.AF_INET if interface.version == 4 else socket.AF_INET6
    flags = _NODAD if interface.version == 6 else 0
    packed = interface.ip.packed
    head = _ADDRESS.pack(family, interface.network.prefixlen, flags, 0, index)
    if interface.version == 4 and interface.network.prefixlen < 31:
        return head + attribute(2, packed) + attribute(1, packed) + attribute(
            4, interface.network.broadcast_address.packed
        )
    return head + attribute(2, packed) + attribute(1, packed)


def _route(destination: str, via: str | None, index: int) -> bytes:
    network = ipaddress.ip_network(destination)
    family = socket.AF_INET if network.version == 4 else socket.AF_INET6
    scope = 0 if via or network.version == 6 else 253
    flags = _ONLINK if via else 0
    head = _ROUTE.pack(family, network.prefixlen, 0, 0, 254, ROUTE_MARK, scope, 1, flags)
    head += attribute(1, network.network_address.packed) + number(4, index)
    return head + (attribute(5, ipaddress.ip_address(via).packed) if via else b"")


def _seen_route(payload: bytes) -> tuple[str, str | None, int, int] | None:
    family, prefix, _, _, table, mark, _, kind, _ = _ROUTE.unpack_from(payload)
    parts = attributes(payload, _ROUTE.size)
    if table != 254 or kind != 1:
        return None
    empty = b"\0" * (4 if family == socket.AF_INET else 16)
    destination = f"{ipaddress.ip_address(parts.get(1, empty))}/{prefix}"
    via = str(ipaddress.ip_address(parts[5])) if 5 in parts else None
    return destination, via, _u32(parts.get(4)), mark


def _u32(raw: bytes | None) -> int:
    return struct.unpack("=I", raw)[0] if raw else 0
