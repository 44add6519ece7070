# SPDX-License-Identifier: Apache-2.0
"""Address arithmetic: ranges, places within a subnet, interface identifiers, canonical forms.

Which addresses are taken is known to the rows (skyhold/network/addresses.py). A *place* is the
distance of an address from the first one of its subnet, so that SQL can compare it as a number.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

from skyhold.core import errors

Net = ipaddress.IPv4Network | ipaddress.IPv6Network
LARGEST_PLACE = 2**62
MAC = re.compile(r"(?:[0-9a-f]{2}:){5}[0-9a-f]{2}")
SLAAC = ("slaac", "dhcpv6-stateless")


class Range(NamedTuple):
    """Both ends belong to it."""

    first: int
    last: int


@lru_cache(maxsize=4096)
def network(cidr: str) -> Net:
    """The network a canonical CIDR of ours means."""
    return ipaddress.ip_network(cidr)


def read_cidr(text: str, version: int, what: str = "cidr") -> str:
    """The canonical CIDR; host bits are cut off as upstream does. Raises Invalid."""
    try:
        found = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise errors.Invalid(f"Invalid input for {what}. Reason: '{text[:80]}' is not a valid IP subnet.") from None
    if found.version != version:
        raise errors.Invalid(
            f"Invalid input for operation: {what} {text} is of IP version {found.version}, "
            f"but ip_version is {version}.", kind="InvalidInput",
        )
    return str(found)


def read_ip(text: str, what: str = "ip_address") -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise errors.Invalid(f"Invalid input for {what}. Reason: '{text[:80]}' is not a valid IP address.") from None


def read_mac(text: str) -> str:
    """Lower case with colons. Raises Invalid for what isn't one, or is a group's or nobody's."""
    mac = text.strip().lower().replace("-", ":")
    if not MAC.fullmatch(mac) or mac == "00:00:00:00:00:00" or int(mac[:2], 16) & 1:
        raise errors.Invalid(f"Invalid input for mac_address. Reason: '{text[:80]}' is not a valid MAC address.")
    return mac


def version_of(ip: str) -> int:
    return 6 if ":" in ip else 4


def contains(cidr: str, ip: str) -> bool:
    address = ipaddress.ip_address(ip)
    net = network(cidr)
    return address.version == net.version and address in net


def overlap(one: str, other: str) -> bool:
    a, b = network(one), network(other)
    return a.version == b.version and a.overlaps(b)


def place(cidr: str, ip: str) -> int | None:
    """None when it is too far away for a BIGINT (an interface identifier of IPv6)."""
    distance = int(ipaddress.ip_address(ip)) - int(network(cidr).network_address)
    return distance if 0 <= distance <= LARGEST_PLACE else None


def at(cidr: str, place: int) -> str:
    return str(network(cidr)[0] + place)


def usable(cidr: str) -> Range:
    """The places a pool may cover: neither network nor broadcast address."""
    net = network(cidr)
    last = net.num_addresses - 1
    if net.version == 4:
        return Range(0, last) if net.prefixlen >= 31 else Range(1, last - 1)
    return Range(0, last) if net.prefixlen >= 127 else Range(1, last)


def default_gateway(cidr: str) -> str | None:
    net = network(cidr)
    return None if net.num_addresses < 2 else at(cidr, usable(cidr).first)


def default_pools(cidr: str, gateway_ip: str | None) -> list[Range]:
    """Everything usable, without the gateway."""
    whole = usable(cidr)
    if gateway_ip is None or not contains(cidr, gateway_ip):
        return [whole]
    gap = int(ipaddress.ip_address(gateway_ip)) - int(network(cidr).network_address)
    parts = [Range(whole.first, min(gap - 1, whole.last)), Range(max(gap + 1, whole.first), whole.last)]
    return [part for part in parts if part.first <= part.last]


def read_pools(cidr: str, pools: Sequence[tuple[str, str]], gateway_ip: str | None) -> list[Range]:
    """Raises Invalid or Conflict, as upstream names it, for pools that can't be."""
    net, allowed, found = network(cidr), usable(cidr), []
    for start, end in pools:
        first, last = ipaddress.ip_address(read_ip(start, "start")), ipaddress.ip_address(read_ip(end, "end"))
        if first.version != net.version or last.version != net.version or int(last) < int(first):
            raise errors.Invalid(f"The allocation pool {start}-{end} is not valid.", kind="InvalidAllocationPool")
        low, high = int(first) - int(net[0]), int(last) - int(net[0])
        if low < allowed.first or high > allowed.last:
            raise errors.Invalid(
                f"The allocation pool {start}-{end} spans beyond the subnet cidr {cidr}.",
                kind="OutOfBoundsAllocationPool",
            )
        found.append(Range(low, high))
    refuse_overlap(cidr, found)
    if gateway_ip and contains(cidr, gateway_ip):
        spot = int(ipaddress.ip_address(gateway_ip)) - int(net[0])
        for pool in found:
            if pool.first <= spot <= pool.last:
                raise errors.Conflict(
                    f"Gateway ip {gateway_ip} conflicts with allocation pool "
                    f"{at(cidr, pool.first)}-{at(cidr, pool.last)}.",
                    kind="GatewayConflictWithAllocationPools",
                )
    return found


def refuse_overlap(cidr: str, pools: Iterable[Range]) -> None:
    ordered = sorted(pools)
    for one, other in pairwise(ordered):
        if other.first <= one.last:
            raise errors.Conflict(
                f"Found overlapping allocation pools: {at(cidr, one.first)}-{at(cidr, one.last)} "
                f"{at(cidr, other.first)}-{at(cidr, other.last)} for subnet {cidr}.",
                kind="OverlappingAllocationPools",
            )


def pools_text(cidr: str, pools: Iterable[Range]) -> list[dict[str, str]]:
    return [{"start": at(cidr, pool.first), "end": at(cidr, pool.last)} for pool in pools]


def eui64(cidr: str, mac: str) -> str:
    """The address that a guest gives itself by SLAAC (RFC 4291, appendix A)."""
    octets = [int(part, 16) for part in mac.split(":")]
    octets[0] ^= 2
    identifier = int.from_bytes(bytes([*octets[:3], 0xFF, 0xFE, *octets[3:]]), "big")
    return str(network(cidr)[0] + identifier)


def made_mac(seed: str) -> str:
    """An address under the prefix OpenStack uses, from three bytes of a random id."""
    return f"fa:16:3e:{seed[0:2]}:{seed[2:4]}:{seed[4:6]}"


def prefix_length(cidr: str) -> int:
    return network(cidr).prefixlen
