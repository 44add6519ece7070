# SPDX-License-Identifier: Apache-2.0
"""IPv6 router advertisements as pure functions: prefixes, MTU and name servers, by RFC 4861 and 8106.

When they are sent is in responder.py; the addresses of stateful subnets come from dhcp6.py.
They are sent in the router's name, from its link-local address and with its MAC inside: guests route there.
"""

from __future__ import annotations

import ipaddress
import struct
from collections import defaultdict
from typing import NamedTuple

from skyhold.network.drivers.base import Subnet
from skyhold.network.drivers.native.dhcp4_options import domain_list
from skyhold.network.drivers.native.frames import link_local, mac_bytes
from skyhold.network.drivers.native.link_table import LinkTable, address_mode, is_ip

ALL_NODES = "ff02::1"
ROUTER_SOLICITATION, ROUTER_ADVERTISEMENT = 133, 134
INTERVAL_S = (200.0, 600.0)
"""Least and greatest time between two unsolicited ones, RFC 4861 section 6.2.1."""
INITIAL, INITIAL_INTERVAL_S = 3, 16.0
_ROUTER_LIFETIME_S = 1800
_VALID_S, _PREFERRED_S = 86400, 14400
_MANAGED, _OTHER, _ON_LINK, _AUTONOMOUS = 0x80, 0x40, 0x80, 0x40


class Advertisement(NamedTuple):
    """An ICMPv6 message, checksum zero, with the link-local address of the router it is sent for."""

    source: str
    message: bytes


def advertisements(table: LinkTable, responder_mac: str) -> list[Advertisement]:
    """One per router on the link that has a subnet with `ra_mode`; empty when nobody routes IPv6 here."""
    by_router: dict[tuple[str, int], list[Subnet]] = defaultdict(list)
    for subnet in table.subnets:
        if subnet.ip_version == 6 and subnet.ra_mode and subnet.gateway_ip:
            if table.routers is None:
                # Without knowing the router we may hand out prefixes, but call nobody a default router.
                by_router[responder_mac, 0].append(subnet)
            elif subnet.id in table.routers:
                by_router[table.routers[subnet.id], _ROUTER_LIFETIME_S].append(subnet)
    return [
        Advertisement(link_local(mac), encode(subnets, table, mac, lifetime_s))
        for (mac, lifetime_s), subnets in by_router.items()
    ]


def withdrawal(gone: Advertisement) -> Advertisement:
    """The router's last word: lifetime zero, so that guests stop using it at once."""
    return gone._replace(message=gone.message[:6] + b"\0\0" + gone.message[8:])


def encode(subnets: list[Subnet], table: LinkTable, router_mac: str, lifetime_s: int) -> bytes:
    """The message for these subnets of one router."""
    modes = {address_mode(subnet) for subnet in subnets} | {subnet.ra_mode for subnet in subnets}
    flags = (_MANAGED if "dhcpv6-stateful" in modes else 0) | (_OTHER if "dhcpv6-stateless" in modes else 0)
    head = struct.pack("!BBHBBHII", ROUTER_ADVERTISEMENT, 0, 0, 64, flags, lifetime_s, 0, 0)
    body = _option(1, mac_bytes(router_mac)) + _option(5, struct.pack("!HI", 0, table.network.mtu))
    body += b"".join(_prefix(subnet) for subnet in subnets)
    return head + body + _name_servers(subnets, table) + _search_list(table)


def is_solicitation(message: bytes) -> bool:
    return len(message) >= 8 and message[0] == ROUTER_SOLICITATION and message[1] == 0


def _prefix(subnet: Subnet) -> bytes:
    net = ipaddress.IPv6Network(subnet.cidr, strict=False)
    autonomous = subnet.ra_mode in ("slaac", "dhcpv6-stateless") and net.prefixlen == 64
    flags = _ON_LINK | (_AUTONOMOUS if autonomous else 0)
    times = struct.pack("!III", _VALID_S, _PREFERRED_S, 0)
    return _option(3, bytes([net.prefixlen, flags]) + times + net.network_address.packed)


def _name_servers(subnets: list[Subnet], table: LinkTable) -> bytes:
    """RDNSS, which outlives three of the slowest intervals."""
    servers = dict.fromkeys(s for subnet in subnets for s in table.name_servers(subnet) if is_ip(s, 6))
    packed = b"".join(ipaddress.IPv6Address(server).packed for server in servers)
    return _option(25, struct.pack("!HI", 0, int(INTERVAL_S[1] * 3)) + packed) if packed else b""


def _search_list(table: LinkTable) -> bytes:
    names = domain_list([table.domain])
    return _option(31, struct.pack("!HI", 0, int(INTERVAL_S[1] * 3)) + names) if names else b""


def _option(kind: int, body: bytes) -> bytes:
    """Neighbour discovery options are counted and padded in units of eight bytes."""
    units = -(-(len(body) + 2) // 8)
    return (bytes([kind, units]) + body).ljust(units * 8, b"\0")
