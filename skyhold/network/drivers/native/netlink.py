# SPDX-License-Identifier: Apache-2.0
"""The netlink wire: messages, attributes and one blocking channel.

What is said over it is in links.py (rtnetlink) and netfilter.py (conntrack, nftables generation).
Follows RFC 3549 and the kernel's netlink specification; a channel stays in the namespace it was
opened in, whichever thread uses it later.
"""

from __future__ import annotations

import os
import socket
import struct

REQUEST, ACK, DUMP = 0x1, 0x4, 0x300
REPLACE, EXCLUSIVE, CREATE = 0x100, 0x200, 0x400

_HEADER = struct.Struct("=IHHII")
_ERROR, _DONE = 2, 3
_SOL_NETLINK, _EXT_ACK = 270, 11
_BUFFER = 1 << 20


def attribute(kind: int, payload: bytes) -> bytes:
    size = 4 + len(payload)
    return struct.pack("=HH", size, kind) + payload + b"\0" * (-size % 4)


def nested(kind: int, *attributes: bytes) -> bytes:
    return attribute(kind | 0x8000, b"".join(attributes))


def text(kind: int, value: str) -> bytes:
    return attribute(kind, value.encode() + b"\0")


def number(kind: int, value: int) -> bytes:
    return attribute(kind, struct.pack("=I", value))


def attributes(payload: bytes, offset: int = 0) -> dict[int, bytes]:
    """Attribute kind (flags removed) to payload."""
    found: dict[int, bytes] = {}
    end = len(payload)
    while offset + 4 <= end:
        size, kind = struct.unpack_from("=HH", payload, offset)
        if size < 4:
            break
        found[kind & 0x3FFF] = payload[offset + 4 : offset + size]
        offset += (size + 3) & ~3
    return found


class Channel:
    """One netlink socket, opened in the calling thread's namespace; not for two threads at once."""

    def __init__(self, protocol: int) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * _BUFFER)
        self._socket.setsockopt(_SOL_NETLINK, _EXT_ACK, 1)
        self._socket.settimeout(30)
        self._socket.bind((0, 0))
        self._sequence = 0

    def close(self) -> None:
        self._socket.close()

    def tell(self, kind: int, body: bytes, flags: int = 0) -> None:
        """Send and wait for the acknowledgement; raises OSError with the kernel's words."""
        self.ask(kind, body, flags | ACK)

    def ask(self, kind: int, body: bytes, flags: int) -> list[tuple[int, bytes]]:
        """The (type, payload) of every answer; `flags` has DUMP or ACK so that the end is known."""
        self._sequence += 1
        header = _HEADER.pack(_HEADER.size + len(body), kind, flags | REQUEST, self._sequence, 0)
        self._socket.send(header + body)
        answers: list[tuple[int, bytes]] = []
        while not self._collect(self._socket.recv(_BUFFER), answers):
            pass
        return answers

    def _collect(self, packet: bytes, answers: list[tuple[int, bytes]]) -> bool:
        """Add the messages of one packet; True once the last has come."""
        offset = 0
        while offset + _HEADER.size <= len(packet):
            size, kind, flags, sequence, _ = _HEADER.unpack_from(packet, offset)
            payload = packet[offset + _HEADER.size : offset + size]
            offset += (size + 3) & ~3
            if sequence != self._sequence:
                continue
            if kind == _DONE:
                return True
            if kind == _ERROR:
                _raise_if_failed(payload, flags)
                return True
            answers.append((kind, payload))
        return False


def _raise_if_failed(payload: bytes, flags: int) -> None:
    code = -struct.unpack_from("=i", payload)[0]
    if not code:
        return
    reason = os.strerror(code)
    if flags & 0x200:
        skipped = 20 if flags & 0x100 else 4 + struct.unpack_from("=I", payload, 4)[0]
        said = attributes(payload, skipped).get(1, b"").rstrip(b"\0").decode(errors="replace")
        reason = f"{reason} ({said})" if said else reason
    raise OSError(code, reason)
