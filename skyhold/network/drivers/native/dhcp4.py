# SPDX-License-Identifier: Apache-2.0
"""DHCPv4 as pure functions: a request and a link's table give the reply, or silence.

Frames and sockets are in responder.py, the meaning of users' extra options in dhcp4_options.py.
There are no leases: an address belongs to a port for as long as the port exists, so desired state is
all there is to know and every answer can be made by any host at any time (RFC 2131, 2132, 3396, 3442).
"""

from __future__ import annotations

import ipaddress
import struct
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from skyhold.network.drivers.base import Subnet
from skyhold.network.drivers.native import dhcp4_options as opt
from skyhold.network.drivers.native.frames import BROADCAST_MAC, mac_text
from skyhold.network.drivers.native.link_table import METADATA_IP, LinkTable, Seat, hostname

DISCOVER, OFFER, REQUEST, DECLINE, ACK, NAK, RELEASE, INFORM = range(1, 9)
_COOKIE = b"\x63\x82\x53\x63"
_HEADER = struct.Struct("!4BIHH4s4s4s4s16s64s128s")
_MIN_BOOTP_BYTES = 300
_MIN_MESSAGE_BYTES = 576
_IP_UDP_BYTES = 28
_ZERO = "0.0.0.0"  # noqa: S104 - the protocol's word for no address yet


class Malformed(ValueError):
    """These bytes aren't a DHCPv4 message."""


@dataclass(frozen=True)
class Message:
    """One DHCPv4 message. `options` keeps the order they are written in."""

    op: int
    xid: int
    mac: str
    flags: int = 0
    secs: int = 0
    ciaddr: str = _ZERO
    yiaddr: str = _ZERO
    siaddr: str = _ZERO
    giaddr: str = _ZERO
    sname: bytes = b""
    file: bytes = b""
    options: dict[int, bytes] = field(default_factory=dict)

    @property
    def kind(self) -> int:
        value = self.options.get(opt.MESSAGE_TYPE, b"")
        return value[0] if len(value) == 1 else 0

    def address(self, code: int) -> str | None:
        value = self.options.get(code, b"")
        return str(ipaddress.IPv4Address(value)) if len(value) == 4 else None


class Reply(NamedTuple):
    """A payload for UDP port 68 and where it goes; `source` is the server's address."""

    payload: bytes
    source: str
    destination: str
    destination_mac: str
    port_id: str
    bound: bool
    """True when this told the guest that the address is its own."""


def answer(request: bytes, table: LinkTable, sender_mac: str | None = None) -> Reply | None:
    """The reply to one request; None for silence.

    Never raises, whatever the bytes. `sender_mac`, when given, must be the client's own: nobody reads
    another port's options. Relayed requests are ignored, as no relay belongs on a tenant's link.
    """
    try:
        message = decode(request)
    except Malformed:
        return None
    if message.op != 1 or message.giaddr != _ZERO or sender_mac not in (None, message.mac):
        return None
    seat = table.seat4(message.mac)
    if seat is None:
        return None
    verdict = _verdict(message, seat)
    return None if verdict is None else _reply(message, seat, table, verdict)


def decode(content: bytes) -> Message:
    """Raises Malformed. Options split over several instances are joined (RFC 3396), overloaded `file`
    and `sname` fields are read (RFC 2132 section 9.3)."""
    if len(content) < _HEADER.size + 4 or content[_HEADER.size : _HEADER.size + 4] != _COOKIE:
        raise Malformed("no DHCP cookie")
    op, kind, length, _, xid, secs, flags, *addresses, chaddr, sname, file = _HEADER.unpack_from(content)
    if (kind, length) != (1, 6):
        raise Malformed("not Ethernet")
    options = _decode_options(content[_HEADER.size + 4 :], sname, file)
    named = zip(("ciaddr", "yiaddr", "siaddr", "giaddr"), map(ipaddress.IPv4Address, addresses), strict=True)
    words: dict[str, Any] = {name: str(address) for name, address in named}
    mac = mac_text(chaddr[:6])
    return Message(op, xid, mac, flags, secs, sname=sname, file=file, options=options, **words)


def encode(message: Message) -> bytes:
    """The message as bytes, padded to BOOTP's least length."""
    addresses = (message.ciaddr, message.yiaddr, message.siaddr, message.giaddr)
    packed = (ipaddress.IPv4Address(address).packed for address in addresses)
    chaddr = bytes.fromhex(message.mac.replace(":", ""))
    header = _HEADER.pack(
        message.op,
        1,
        6,
        0,
        message.xid,
        message.secs,
        message.flags,
        *packed,
        chaddr,
        message.sname,
        message.file,
    )
    body = b"".join(_encode_option(code, value) for code, value in message.options.items())
    return (header + _COOKIE + body + b"\xff").ljust(_MIN_BOOTP_BYTES, b"\0")


def _verdict(message: Message, seat: Seat) -> int | None:
    """The kind of reply, by the table of RFC 2131 section 4.3; None for silence."""
    if message.kind == DISCOVER:
        return ACK if opt.RAPID_COMMIT in message.options else OFFER
    if message.kind == REQUEST:
        return _verdict_on_request(message, seat)
    # RELEASE and DECLINE need no reply, and the address stays the port's own whatever they say.
    return ACK if message.kind == INFORM else None


def _verdict_on_request(message: Message, seat: Seat) -> int | None:
    server = message.options.get(opt.SERVER_ID)
    if server is not None and message.address(opt.SERVER_ID) != seat.subnet.dhcp_ip:
        return None  # The client chose another server's offer.
    wanted = message.address(opt.REQUESTED_IP) if message.ciaddr == _ZERO else message.ciaddr
    return ACK if wanted == seat.ip else NAK


def _reply(message: Message, seat: Seat, table: LinkTable, kind: int) -> Reply:
    server = seat.subnet.dhcp_ip or _ZERO
    told = _options(message, seat, table, kind)
    reply = Message(
        op=2,
        xid=message.xid,
        mac=message.mac,
        flags=message.flags,
        ciaddr=message.ciaddr if kind == ACK else _ZERO,
        yiaddr=_ZERO if kind == NAK or message.kind == INFORM else seat.ip,
        options=_fit(told, _room(message)),
    )
    if kind != NAK:
        reply = _boot_fields(reply, opt.from_names(seat.port.dhcp_options))
    destination, mac = _destination(message, seat, kind)
    bound = kind == ACK and message.kind != INFORM
    return Reply(encode(reply), server, destination, mac, seat.port.id, bound)


def _destination(message: Message, seat: Seat, kind: int) -> tuple[str, str]:
    """Section 4.1: NAK is always broadcast, else the client's own address, else as its flag asks."""
    if kind != NAK and message.ciaddr != _ZERO:
        return message.ciaddr, message.mac
    if kind == NAK or message.flags & 0x8000:
        return "255.255.255.255", BROADCAST_MAC
    return seat.ip, message.mac


def _options(message: Message, seat: Seat, table: LinkTable, kind: int) -> dict[int, bytes]:
    """What the reply tells, the most needed first: `_fit` cuts from the end."""
    assert seat.subnet.dhcp_ip is not None
    told = {opt.MESSAGE_TYPE: bytes([kind]), opt.SERVER_ID: opt.addresses([seat.subnet.dhcp_ip])}
    if opt.CLIENT_ID in message.options:
        told[opt.CLIENT_ID] = message.options[opt.CLIENT_ID]  # RFC 6842
    if kind == NAK:
        return told
    if message.kind == DISCOVER and kind == ACK:
        told[opt.RAPID_COMMIT] = b""
    if message.kind != INFORM:
        told |= _lease_times(table.lease_s)
    given = _network_options(message, seat, table) | opt.from_names(seat.port.dhcp_options)
    return told | {code: value for code, value in given.items() if value and code != opt.NEXT_SERVER}


def _lease_times(lease_s: int) -> dict[int, bytes]:
    times = {opt.LEASE_TIME: lease_s, opt.T1: lease_s // 2, opt.T2: lease_s * 7 // 8}
    return {code: struct.pack("!I", seconds) for code, seconds in times.items()}


def _network_options(message: Message, seat: Seat, table: LinkTable) -> dict[int, bytes]:
    subnet = seat.subnet
    net = ipaddress.IPv4Network(subnet.cidr, strict=False)
    asked = message.options.get(opt.PARAMETER_LIST, b"")
    routes = opt.classless_routes(_routes(subnet, table))
    search = opt.domain_list([table.domain])
    return {
        opt.NETMASK: net.netmask.packed,
        opt.ROUTER: opt.addresses([subnet.gateway_ip] if subnet.gateway_ip else []),
        opt.CLASSLESS_ROUTES: routes,
        opt.DNS: opt.addresses(table.name_servers(subnet)),
        opt.MTU: struct.pack("!H", min(table.network.mtu, 0xFFFF)),
        opt.DOMAIN: table.domain.encode(),
        opt.BROADCAST: net.broadcast_address.packed,
        opt.HOSTNAME: hostname(seat).encode()[:255],
        opt.DOMAIN_SEARCH: search if opt.DOMAIN_SEARCH in asked else b"",
        opt.MS_CLASSLESS_ROUTES: routes if opt.MS_CLASSLESS_ROUTES in asked else b"",
    }


def _routes(subnet: Subnet, table: LinkTable) -> list[tuple[str, str]]:
    """The subnet's routes; metadata by way of DHCP's own address where no router serves it; the link's
    other subnets; and, as RFC 3442 makes clients ignore option 3 then, the default route."""
    routes = list(subnet.routes)
    if subnet.dhcp_ip and table.isolated(subnet):
        routes.append((f"{METADATA_IP}/32", subnet.dhcp_ip))
    others = [other for other in table.subnets if other.ip_version == 4 and other.id != subnet.id]
    routes += [(other.cidr, _ZERO) for other in others if other.network_id == subnet.network_id]
    if routes and subnet.gateway_ip:
        routes.append(("0.0.0.0/0", subnet.gateway_ip))
    return routes


def _boot_fields(reply: Message, extra: dict[int, bytes]) -> Message:
    """Network boot: older firmware reads the fields of BOOTP rather than options 66, 67 and 150."""
    file = extra.get(opt.BOOTFILE, b"")
    server = extra.get(opt.NEXT_SERVER) or extra.get(opt.TFTP_ADDRESSES, b"")[:4]
    return replace(
        reply,
        file=file if len(file) < 128 else b"",
        siaddr=str(ipaddress.IPv4Address(server)) if len(server) == 4 else _ZERO,
    )


def _room(message: Message) -> int:
    """How many bytes of options the client takes, RFC 2132 section 9.10."""
    value = message.options.get(opt.MAX_SIZE, b"")
    size = int.from_bytes(value, "big") if len(value) == 2 else _MIN_MESSAGE_BYTES
    return min(max(size, _MIN_MESSAGE_BYTES), 1400) - _IP_UDP_BYTES - _HEADER.size - len(_COOKIE) - 1


def _fit(options: dict[int, bytes], room: int) -> dict[int, bytes]:
    kept: dict[int, bytes] = {}
    for code, value in options.items():
        size = len(_encode_option(code, value))
        if size <= room:
            kept[code] = value
            room -= size
    return kept


def _encode_option(code: int, value: bytes) -> bytes:
    """One option, in several instances when longer than 255 bytes (RFC 3396)."""
    parts = [value[at : at + 255] for at in range(0, len(value), 255)] or [b""]
    return b"".join(bytes([code, len(part)]) + part for part in parts)


def _decode_options(field_: bytes, sname: bytes, file: bytes) -> dict[int, bytes]:
    options: dict[int, bytes] = {}
    _read_options(field_, options)
    overload = options.get(opt.OVERLOAD, b"")
    if overload in (b"\x01", b"\x03"):
        _read_options(file, options)
    if overload in (b"\x02", b"\x03"):
        _read_options(sname, options)
    return options


def _read_options(field_: bytes, into: dict[int, bytes]) -> None:
    at = 0
    while at < len(field_) and field_[at] != 255:
        if field_[at] == 0:
            at += 1
            continue
        if at + 2 > len(field_) or at + 2 + field_[at + 1] > len(field_):
            raise Malformed("an option is cut short")
        code, length = field_[at], field_[at + 1]
        into[code] = into.get(code, b"") + field_[at + 2 : at + 2 + length]
        at += 2 + length
