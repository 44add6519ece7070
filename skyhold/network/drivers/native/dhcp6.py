# SPDX-License-Identifier: Apache-2.0
"""DHCPv6 as pure functions: stateful addresses (IA_NA) and stateless options, by RFC 8415.

Frames and sockets are in responder.py; SLAAC and the flags that send guests here are in ra.py.
A client is known by the MAC of its frame, never by its DUID: images are copied with their DUID inside.
"""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Iterator
from typing import NamedTuple

from skyhold.network.drivers.base import Subnet
from skyhold.network.drivers.native.dhcp4_options import domain_list
from skyhold.network.drivers.native.frames import mac_bytes
from skyhold.network.drivers.native.link_table import LinkTable, Seat, address_mode, is_ip

SOLICIT, ADVERTISE, REQUEST, CONFIRM, RENEW, REBIND, REPLY, RELEASE, DECLINE = range(1, 10)
INFORMATION_REQUEST = 11
CLIENT_ID, SERVER_ID, IA_NA, IA_TA, IA_ADDRESS, ORO = 1, 2, 3, 4, 5, 6
STATUS, RAPID_COMMIT, DNS, DOMAIN_SEARCH, IA_PD, SNTP, BOOTFILE_URL = 13, 14, 23, 24, 25, 31, 59
SUCCESS, NO_ADDRS_AVAIL, NO_BINDING, NOT_ON_LINK, NO_PREFIX_AVAIL = 0, 2, 3, 4, 6
CLIENT_PORT, SERVER_PORT = 546, 547
_SERVER_ID_NEEDED = {REQUEST, RENEW, RELEASE, DECLINE}
_SERVER_ID_FORBIDDEN = {SOLICIT, CONFIRM, REBIND}

Option = tuple[int, bytes]


class Reply(NamedTuple):
    payload: bytes
    port_id: str
    bound: bool
    """True when this told the guest that addresses are its own."""


class _Request(NamedTuple):
    kind: int
    transaction: bytes
    options: list[Option]
    seats: list[Seat]
    table: LinkTable

    def first(self, code: int) -> bytes | None:
        return next((value for found, value in self.options if found == code), None)

    def all(self, code: int) -> list[bytes]:
        return [value for found, value in self.options if found == code]


def answer(request: bytes, table: LinkTable, sender_mac: str, server_mac: str) -> Reply | None:
    """The reply to one request that came from `sender_mac`; None for silence. Never raises."""
    options = _decode(request)
    subnet = _subnet_of(table, sender_mac)
    if options is None or subnet is None:
        return None
    asked = _Request(request[0], request[1:4], options, table.seats6(sender_mac), table)
    if not _identified(asked, server_duid(server_mac)):
        return None
    said = _said(asked)
    if said is None:
        return None
    kind, body, bound = said
    port = table.seats_by_mac[sender_mac][0].port
    head = [(SERVER_ID, server_duid(server_mac)), *((CLIENT_ID, value) for value in asked.all(CLIENT_ID))]
    told = _settings(subnet, table, port.dhcp_options)
    return Reply(bytes([kind]) + asked.transaction + _encode([*head, *body, *told]), port.id, bound)


def server_duid(mac: str) -> bytes:
    """DUID-LL, RFC 8415 section 11.4: the same after every restart without being stored."""
    return struct.pack("!HH", 3, 1) + mac_bytes(mac)


def _subnet_of(table: LinkTable, mac: str) -> Subnet | None:
    """The subnet whose settings the client is told; None when DHCPv6 isn't offered to it."""
    seats = table.seats_by_mac.get(mac, [])
    offered = (seat.subnet for seat in seats if seat.subnet.ip_version == 6 and seat.subnet.dhcp)
    modes = ("dhcpv6-stateful", "dhcpv6-stateless")
    return next((subnet for subnet in offered if address_mode(subnet) in modes), None)


def _identified(asked: _Request, duid: bytes) -> bool:
    """Section 16: which messages must, may or mustn't carry the two identifiers."""
    server, client = asked.first(SERVER_ID), asked.first(CLIENT_ID)
    if asked.kind == INFORMATION_REQUEST:
        return server in (None, duid)
    if not client or len(client) > 130:
        return False
    if asked.kind in _SERVER_ID_NEEDED:
        return server == duid
    return asked.kind in _SERVER_ID_FORBIDDEN and server is None


def _said(asked: _Request) -> tuple[int, list[Option], bool] | None:
    """(message type, its own options, whether it binds addresses)."""
    if asked.kind == SOLICIT and asked.seats and asked.first(RAPID_COMMIT) is not None:
        return REPLY, [(RAPID_COMMIT, b""), *_associations(asked)], True
    if asked.kind == SOLICIT:
        return ADVERTISE, _associations(asked), False
    if asked.kind in (REQUEST, RENEW) or (asked.kind == REBIND and asked.seats):
        return REPLY, _associations(asked), bool(asked.seats)
    if asked.kind == CONFIRM:
        return _confirmed(asked)
    if asked.kind in (RELEASE, DECLINE):
        # The address stays the port's own; the client only wants to hear that it was heard.
        return REPLY, [_status(SUCCESS)], False
    return (REPLY, [], False) if asked.kind == INFORMATION_REQUEST else None


def _confirmed(asked: _Request) -> tuple[int, list[Option], bool] | None:
    claimed = [ip for identity in asked.all(IA_NA) for ip in _claimed(identity)]
    if not claimed:
        return None
    own = {ipaddress.IPv6Address(seat.ip) for seat in asked.seats}
    return REPLY, [_status(SUCCESS if set(claimed) <= own else NOT_ON_LINK)], False


def _associations(asked: _Request) -> list[Option]:
    """One answer per identity association. All addresses of the port go to the first: a port's fixed
    addresses are one set, and a client with two associations is still one interface."""
    said = [
        (IA_NA, _association(asked, identity, asked.seats if number == 0 else []))
        for number, identity in enumerate(asked.all(IA_NA))
        if len(identity) >= 12
    ]
    said += [(IA_TA, ia[:4] + _encode([_status(NO_ADDRS_AVAIL)])) for ia in asked.all(IA_TA) if len(ia) >= 4]
    refused = struct.pack("!II", 0, 0) + _encode([_status(NO_PREFIX_AVAIL)])
    return said + [(IA_PD, ia[:4] + refused) for ia in asked.all(IA_PD) if len(ia) >= 12]


def _association(asked: _Request, identity: bytes, seats: list[Seat]) -> bytes:
    if not seats:
        missing = NO_BINDING if asked.kind == RENEW else NO_ADDRS_AVAIL
        return identity[:4] + struct.pack("!II", 0, 0) + _encode([_status(missing)])
    lease_s = asked.table.lease_s
    own = [ipaddress.IPv6Address(seat.ip) for seat in seats]
    foreign = [ip for ip in _claimed(identity) if ip not in own] if asked.kind != SOLICIT else []
    listed = [(IA_ADDRESS, ip.packed + struct.pack("!II", lease_s, lease_s)) for ip in own]
    # Lifetimes of zero tell the client to drop an address that it may no longer use.
    listed += [(IA_ADDRESS, ip.packed + struct.pack("!II", 0, 0)) for ip in foreign[:16]]
    return identity[:4] + struct.pack("!II", lease_s // 2, lease_s * 4 // 5) + _encode(listed)


def _claimed(identity: bytes) -> list[ipaddress.IPv6Address]:
    listed = [value for code, value in _read(identity[12:]) or [] if code == IA_ADDRESS and len(value) >= 24]
    return [ipaddress.IPv6Address(value[:16]) for value in listed]


def _settings(subnet: Subnet, table: LinkTable, wishes: dict[str, str]) -> list[Option]:
    servers = [server for server in table.name_servers(subnet) if is_ip(server, 6)]
    told = {
        DNS: b"".join(ipaddress.IPv6Address(server).packed for server in servers),
        DOMAIN_SEARCH: domain_list([table.domain]),
    } | _wished(wishes)
    return [(code, value) for code, value in told.items() if value]


def _wished(wishes: dict[str, str]) -> dict[int, bytes]:
    """Users' extra options that are meant for IPv6: `option6:bootfile-url`, `option6:59`."""
    found: dict[int, bytes] = {}
    for name, value in wishes.items():
        word = name.strip().lower()
        code = _NAMES.get(word.removeprefix("option6:"))
        if word.startswith("option6:") and code is not None:
            packed = _pack(code, value.strip())
            found |= {} if packed is None else {code: packed}
    return found


def _pack(code: int, value: str) -> bytes | None:
    if code == BOOTFILE_URL:
        return value.encode()[:1024]
    if code == DOMAIN_SEARCH:
        return domain_list(value.split(","))
    words = [word.strip().strip("[]") for word in value.split(",") if word.strip()]
    if not all(is_ip(word, 6) for word in words):
        return None
    return b"".join(ipaddress.IPv6Address(word).packed for word in words)


def _status(code: int) -> Option:
    return STATUS, struct.pack("!H", code)


def _decode(content: bytes) -> list[Option] | None:
    return None if len(content) < 4 else _read(content[4:])


def _read(field: bytes) -> list[Option] | None:
    """The options in a field; None when one is cut short."""
    try:
        return list(_each(field))
    except (struct.error, ValueError):
        return None


def _each(field: bytes) -> Iterator[Option]:
    at = 0
    while at < len(field):
        code, length = struct.unpack_from("!HH", field, at)
        at += 4
        if at + length > len(field):
            raise ValueError("an option is cut short")
        yield code, field[at : at + length]
        at += length


def _encode(options: list[Option]) -> bytes:
    return b"".join(struct.pack("!HH", code, len(value)) + value for code, value in options)


_NAMES = {
    "dns-server": DNS,
    "23": DNS,
    "domain-search": DOMAIN_SEARCH,
    "24": DOMAIN_SEARCH,
    "sntp-server": SNTP,
    "31": SNTP,
    "bootfile-url": BOOTFILE_URL,
    "59": BOOTFILE_URL,
}
