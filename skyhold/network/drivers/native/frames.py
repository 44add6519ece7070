# SPDX-License-Identifier: Apache-2.0
"""Ethernet, IP, UDP and ICMPv6 as bytes: what the responder reads from and writes to a link.

The messages inside are dhcp4.py, dhcp6.py and ra.py. Checksums are always written and never verified:
a frame that a guest's virtual card offloaded arrives with its checksum still unfinished.
"""

from __future__ import annotations

import ipaddress
import struct
from typing import NamedTuple

BROADCAST_MAC = "ff:ff:ff:ff:ff:ff"
UDP, ICMP6 = 17, 58
_IPV4, _IPV6 = 0x0800, 0x86DD


class Datagram(NamedTuple):
    """What came in one frame. `protocol` is UDP or ICMP6; for the latter ports are 0 and the payload starts
    at the ICMP type."""

    source_mac: str
    source: str
    destination: str
    protocol: int
    source_port: int
    destination_port: int
    payload: bytes


def parse(frame: bytes) -> Datagram | None:
    """The datagram in an Ethernet frame; None for anything that isn't whole UDP or ICMPv6."""
    if len(frame) < 14:
        return None
    source_mac = mac_text(frame[6:12])
    (kind,) = struct.unpack_from("!H", frame, 12)
    if kind == _IPV4:
        return _parse4(source_mac, frame[14:])
    if kind == _IPV6:
        return _parse6(source_mac, frame[14:])
    return None


def udp4(macs: tuple[str, str], ips: tuple[str, str], ports: tuple[int, int], payload: bytes) -> bytes:
    """An Ethernet frame with one UDP datagram; each pair is (source, destination)."""
    source, destination = (ipaddress.IPv4Address(ip).packed for ip in ips)
    length = 8 + len(payload)
    pseudo = source + destination + struct.pack("!BBH", 0, UDP, length)
    header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + length, 0, 0, 64, UDP, 0) + source + destination
    header = header[:10] + struct.pack("!H", checksum(header)) + header[12:]
    return _ethernet(macs, _IPV4) + header + _udp(pseudo, ports, payload)


def udp6(macs: tuple[str, str], ips: tuple[str, str], ports: tuple[int, int], payload: bytes) -> bytes:
    length = 8 + len(payload)
    header, pseudo = _ip6(ips, UDP, length, hop_limit=64)
    return _ethernet(macs, _IPV6) + header + _udp(pseudo, ports, payload)


def icmp6(macs: tuple[str, str], ips: tuple[str, str], message: bytes) -> bytes:
    """`message` starts at the ICMP type, its checksum field zero. Hop limit 255, as RFC 4861 demands."""
    header, pseudo = _ip6(ips, ICMP6, len(message), hop_limit=255)
    summed = message[:2] + struct.pack("!H", checksum(pseudo + message)) + message[4:]
    return _ethernet(macs, _IPV6) + header + summed


def checksum(content: bytes) -> int:
    """The Internet checksum, RFC 1071."""
    if len(content) % 2:
        content += b"\0"
    total: int = sum(struct.unpack(f"!{len(content) // 2}H", content))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF


def link_local(mac: str) -> str:
    """The EUI-64 link-local address of a MAC, RFC 4291 appendix A."""
    octets = mac_bytes(mac)
    packed = bytes([octets[0] ^ 2]) + octets[1:3] + b"\xff\xfe" + octets[3:]
    return str(ipaddress.IPv6Address(b"\xfe\x80" + bytes(6) + packed))


def multicast_mac(ip: str) -> str:
    """The Ethernet address of an IPv6 multicast group, RFC 2464 section 7."""
    return mac_text(b"\x33\x33" + ipaddress.IPv6Address(ip).packed[-4:])


def mac_bytes(mac: str) -> bytes:
    return bytes.fromhex(mac.replace(":", ""))


def mac_text(mac: bytes) -> str:
    return mac.hex(":")


def _parse4(source_mac: str, packet: bytes) -> Datagram | None:
    if len(packet) < 20:
        return None
    header = (packet[0] & 0xF) * 4
    (total, fragment) = struct.unpack_from("!H2xH", packet, 2)
    # A fragment other than an unbroken whole is no DHCP message anyone sends.
    if packet[0] >> 4 != 4 or header < 20 or packet[9] != UDP or fragment & 0x3FFF or total > len(packet):
        return None
    source, destination = (str(ipaddress.IPv4Address(packet[at : at + 4])) for at in (12, 16))
    return _parse_udp(source_mac, source, destination, packet[header:total])


def _parse6(source_mac: str, packet: bytes) -> Datagram | None:
    if len(packet) < 40 or packet[0] >> 4 != 6:
        return None
    (length,) = struct.unpack_from("!H", packet, 4)
    if 40 + length > len(packet):
        return None
    source, destination = (str(ipaddress.IPv6Address(packet[at : at + 16])) for at in (8, 24))
    inner = packet[40 : 40 + length]
    if packet[6] == UDP:
        return _parse_udp(source_mac, source, destination, inner)
    # RFC 4861 6.1: a hop limit below 255 means that the message crossed a router.
    if packet[6] == ICMP6 and packet[7] == 255 and len(inner) >= 8:
        return Datagram(source_mac, source, destination, ICMP6, 0, 0, inner)
    return None


def _parse_udp(source_mac: str, source: str, destination: str, segment: bytes) -> Datagram | None:
    if len(segment) < 8:
        return None
    source_port, destination_port, length = struct.unpack_from("!HHH", segment)
    if not 8 <= length <= len(segment):
        return None
    return Datagram(source_mac, source, destination, UDP, source_port, destination_port, segment[8:length])


def _ethernet(macs: tuple[str, str], kind: int) -> bytes:
    source, destination = macs
    return mac_bytes(destination) + mac_bytes(source) + struct.pack("!H", kind)


def _ip6(ips: tuple[str, str], protocol: int, length: int, hop_limit: int) -> tuple[bytes, bytes]:
    """The IPv6 header, and the pseudo header its upper layer sums."""
    addresses = b"".join(ipaddress.IPv6Address(ip).packed for ip in ips)
    header = struct.pack("!IHBB", 6 << 28, length, protocol, hop_limit) + addresses
    return header, addresses + struct.pack("!II", length, protocol)


def _udp(pseudo: bytes, ports: tuple[int, int], payload: bytes) -> bytes:
    segment = struct.pack("!HHHH", *ports, 8 + len(payload), 0) + payload
    # Zero means "no checksum" in UDP, so a sum that comes out zero is sent as its other spelling.
    return segment[:6] + struct.pack("!H", checksum(pseudo + segment) or 0xFFFF) + payload
