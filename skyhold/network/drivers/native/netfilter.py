# SPDX-License-Identifier: Apache-2.0
"""Conntrack entries and the nftables generation of one namespace, over nfnetlink.

Which flows may stay is decided in verdict.py and rulesets are written in nft.py. The generation
grows by one with each transaction of anybody, so comparing it tells at no cost whether somebody
else has changed the rules.
"""

from __future__ import annotations

import ipaddress
import struct
from dataclasses import dataclass

from skyhold.network.drivers.native.netlink import ACK, DUMP, Channel, attribute, attributes

_NETLINK_NETFILTER = 12
_CONNTRACK, _NFTABLES = 1 << 8, 10 << 8
_CT_GET, _CT_DELETE, _NFT_GET_GENERATION = 1, 2, 16
_TUPLE_ORIGINAL, _TUPLE_REPLY, _ZONE = 1, 2, 18


@dataclass(frozen=True)
class Tuple:
    """One direction of a flow. For ICMP the ports are type and code."""

    source: str
    destination: str
    protocol: int
    source_port: int
    destination_port: int


@dataclass(frozen=True)
class FlowEntry:
    zone: int
    original: Tuple
    reply: Tuple
    family: int
    raw_original: bytes


class Netfilter:
    """nfnetlink in the calling thread's namespace."""

    def __init__(self) -> None:
        self._channel = Channel(_NETLINK_NETFILTER)

    def close(self) -> None:
        self._channel.close()

    def generation(self) -> int:
        """The number of nftables transactions since the namespace was made."""
        answers = self._channel.ask(_NFTABLES | _NFT_GET_GENERATION, struct.pack("=BBH", 0, 0, 0), ACK)
        return int.from_bytes(attributes(answers[0][1], 4)[1], "big")

    def flows(self) -> list[FlowEntry]:
        answers = self._channel.ask(_CONNTRACK | _CT_GET, struct.pack("=BBH", 0, 0, 0), DUMP)
        return [_flow(payload) for _, payload in answers]

    def cut(self, flow: FlowEntry) -> None:
        """Forget a flow; one that has ended meanwhile is fine."""
        body = struct.pack("=BBH", flow.family, 0, 0)
        body += attribute(_TUPLE_ORIGINAL | 0x8000, flow.raw_original)
        body += attribute(_ZONE, flow.zone.to_bytes(2, "big"))
        try:
            self._channel.tell(_CONNTRACK | _CT_DELETE, body)
        except FileNotFoundError:
            return


def _flow(payload: bytes) -> FlowEntry:
    parts = attributes(payload, 4)
    return FlowEntry(
        zone=int.from_bytes(parts.get(_ZONE, b"\0\0"), "big"),
        original=_tuple(parts[_TUPLE_ORIGINAL]),
        reply=_tuple(parts[_TUPLE_REPLY]),
        family=payload[0],
        raw_original=parts[_TUPLE_ORIGINAL],
    )


def _tuple(raw: bytes) -> Tuple:
    parts = attributes(raw)
    addresses, protocol = attributes(parts[1]), attributes(parts[2])
    source = addresses.get(1) or addresses[3]
    destination = addresses.get(2) or addresses[4]
    return Tuple(
        source=str(ipaddress.ip_address(source)),
        destination=str(ipaddress.ip_address(destination)),
        protocol=protocol[1][0],
        source_port=_first(protocol, 2, 5, 8),
        destination_port=_first(protocol, 3, 6, 9),
    )


def _first(parts: dict[int, bytes], *kinds: int) -> int:
    return next((int.from_bytes(parts[kind], "big") for kind in kinds if kind in parts), 0)
