# SPDX-License-Identifier: Apache-2.0
"""DNS messages as pure functions: one question in, a few records out (RFC 1035, 3596).

What is answered from where is in dns.py. A question's bytes are copied into its answer unread, because
resolvers check that even the case of its letters came back.
"""

from __future__ import annotations

import ipaddress
import struct
from typing import NamedTuple

A, PTR, AAAA, ANY = 1, 12, 28, 255
NOERROR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED = 0, 2, 3, 4, 5
_INTERNET = 1
_TTL_S = 30
_MAX_RECORDS = 24
_RESPONSE, _AUTHORITATIVE, _RECURSION_DESIRED, _RECURSION_AVAILABLE = 0x8000, 0x0400, 0x0100, 0x0080


class Unusable(ValueError):
    """A query that can't be answered; `code` is what its sender is told."""

    def __init__(self, code: int) -> None:
        super().__init__(f"rcode {code}")
        self.code = code


class Question(NamedTuple):
    """`name` is lower case and without its last dot; `raw` the question section as it came."""

    name: str
    kind: int
    raw: bytes


class Records(NamedTuple):
    """An rcode and (type, value) pairs, all for the name that was asked."""

    code: int
    values: list[tuple[int, bytes]]


NO_SUCH_NAME = Records(NXDOMAIN, [])


def is_query(message: bytes) -> bool:
    """False for what mustn't be answered at all: responses, and bytes too few to have an id to echo."""
    return len(message) >= 12 and not message[2] & 0x80


def question(message: bytes) -> Question:
    """The one question of a query. Raises Unusable."""
    if message[2] >> 3 & 0xF:
        raise Unusable(NOTIMP)
    counts = struct.unpack_from("!HHHH", message, 4)
    if counts[:3] != (1, 0, 0):
        raise Unusable(REFUSED)
    labels, at = _labels(message, 12)
    if at + 4 > len(message):
        raise Unusable(REFUSED)
    kind, of_class = struct.unpack_from("!HH", message, at)
    if of_class != _INTERNET:
        raise Unusable(REFUSED)
    return Question(".".join(labels).lower(), kind, message[12 : at + 4])


def response(query: bytes, asked: Question, records: Records) -> bytes:
    values = records.values[:_MAX_RECORDS]
    flags = _RESPONSE | _AUTHORITATIVE | _RECURSION_AVAILABLE | _wish(query) | records.code
    head = query[:2] + struct.pack("!HHHHH", flags, 1, len(values), 0, 0)
    # 0xc00c points at the name in the question.
    lines = (struct.pack("!HHHIH", 0xC00C, kind, _INTERNET, _TTL_S, len(v)) + v for kind, v in values)
    return head + asked.raw + b"".join(lines)


def failure(query: bytes, code: int) -> bytes:
    """A bare header that says why not, without the question: it may be what was wrong."""
    flags = _RESPONSE | _RECURSION_AVAILABLE | (query[2] & 0x78) << 8 | _wish(query) | code
    return query[:2] + struct.pack("!HHHHH", flags, 0, 0, 0, 0)


def answers(message: bytes, asked: Question) -> bool:
    """Whether a resolver's message is a response to this very question."""
    if len(message) < 12 or not message[2] & 0x80:
        return False
    if message[4:6] == b"\0\0":
        # Servers that fail early may leave the question out, but never say anything good that way.
        return message[3] & 0xF != NOERROR
    return message[12 : 12 + len(asked.raw)].lower() == asked.raw.lower()


def addresses(kind: int, ips: list[str]) -> Records:
    """A and AAAA records of these addresses, as asked; none of another type, which isn't an error."""
    packed = [ipaddress.ip_address(ip) for ip in ips]
    typed = [(A if ip.version == 4 else AAAA, ip.packed) for ip in packed]
    return Records(NOERROR, [record for record in typed if kind in (record[0], ANY)])


def pointer(kind: int, name: str) -> Records:
    labels = [label.encode()[:63] for label in name.split(".") if label]
    value = b"".join(bytes([len(label)]) + label for label in labels) + b"\0"
    return Records(NOERROR, [(PTR, value)] if kind in (PTR, ANY) else [])


def reversed_ip(name: str) -> str | None:
    """`5.0.0.10.in-addr.arpa` to `10.0.0.5`, and nibbles under `ip6.arpa`; None for any other name."""
    labels = name.split(".")
    try:
        if len(labels) == 6 and labels[4:] == ["in-addr", "arpa"]:
            return str(ipaddress.IPv4Address(".".join(labels[3::-1])))
        if len(labels) == 34 and labels[32:] == ["ip6", "arpa"] and all(len(one) == 1 for one in labels[:32]):
            return str(ipaddress.IPv6Address(int("".join(labels[31::-1]), 16)))
    except ValueError:
        return None
    return None


def _wish(query: bytes) -> int:
    return (query[2] << 8) & _RECURSION_DESIRED


def _labels(message: bytes, at: int) -> tuple[list[str], int]:
    """The labels of a name and where it ends. A question has nothing to point back at, so no pointers."""
    labels: list[str] = []
    total = 0
    while at < len(message) and message[at]:
        length = message[at]
        total += length + 1
        if length > 63 or total > 254 or at + 1 + length > len(message):
            raise Unusable(REFUSED)
        labels.append(message[at + 1 : at + 1 + length].decode("latin-1"))
        at += 1 + length
    if at >= len(message):
        raise Unusable(REFUSED)
    return labels, at + 1
