# SPDX-License-Identifier: Apache-2.0
"""Gratuitous ARP and unsolicited neighbour advertisements: this address is now at this MAC.

Whom to announce is decided in kernel.py. Follows RFC 5227 section 3 and RFC 4861 section 7.2.6.
"""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import struct


def announce(packet: socket.socket, device: str, mac: str, cidr: str) -> None:
    """Tell everybody on the link of `device` once; a link that is down is no error.

    `packet` is a raw packet socket of the namespace. It is kept, as closing one costs the kernel 20 ms.
    """
    address = ipaddress.ip_interface(cidr).ip
    own = bytes.fromhex(mac.replace(":", ""))
    frame = _arp(own, address.packed) if address.version == 4 else _advertisement(own, address.packed)
    with contextlib.suppress(OSError):
        packet.sendto(frame, (device, 0))


def _arp(own: bytes, address: bytes) -> bytes:
    head = b"\xff" * 6 + own + b"\x08\x06" + struct.pack("!HHBBH", 1, 0x0800, 6, 4, 1)
    return head + own + address + bytes(6) + address


def _advertisement(own: bytes, address: bytes) -> bytes:
    everybody = bytes.fromhex("ff02") + bytes(13) + b"\x01"
    body = b"\x88\0\0\0\x20\0\0\0" + address + b"\x02\x01" + own
    pseudo = address + everybody + struct.pack("!II", len(body), 58)
    body = body[:2] + _checksum(pseudo + body) + body[4:]
    head = b"\x33\x33\0\0\0\x01" + own + b"\x86\xdd" + struct.pack("!IHBB", 0x60000000, len(body), 58, 255)
    return head + address + everybody + body


def _checksum(data: bytes) -> bytes:
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return struct.pack("!H", ~total & 0xFFFF)
