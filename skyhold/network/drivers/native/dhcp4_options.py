# SPDX-License-Identifier: Apache-2.0
"""DHCPv4 option numbers, how values become bytes, and the names users may write in extra_dhcp_opts.

Which options a reply carries is decided in dhcp4.py. The names are those Neutron's users know, which are
dnsmasq's; a number is accepted too, and a value then speaks for its own type.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable

NETMASK, ROUTER, DNS, HOSTNAME, DOMAIN, MTU, BROADCAST = 1, 3, 6, 12, 15, 26, 28
REQUESTED_IP, LEASE_TIME, OVERLOAD, MESSAGE_TYPE, SERVER_ID, PARAMETER_LIST = 50, 51, 52, 53, 54, 55
MAX_SIZE, T1, T2, CLIENT_ID, BOOTFILE, RAPID_COMMIT = 57, 58, 59, 61, 67, 80
DOMAIN_SEARCH, CLASSLESS_ROUTES, TFTP_ADDRESSES, MS_CLASSLESS_ROUTES = 119, 121, 150, 249
NEXT_SERVER = 255
"""Not an option: stands for the siaddr field, as dnsmasq's `server-ip-address` does."""

_OURS = {
    0,
    OVERLOAD,
    MESSAGE_TYPE,
    SERVER_ID,
    REQUESTED_IP,
    PARAMETER_LIST,
    CLIENT_ID,
    MAX_SIZE,
    RAPID_COMMIT,
    82,
}
_LONGEST_VALUE_BYTES = 1024


def from_names(options: dict[str, str]) -> dict[int, bytes]:
    """Users' extra options by number. An empty value takes the option out of the reply; a name nobody
    knows, a value of the wrong type and options that steer the protocol itself are left out."""
    found: dict[int, bytes] = {}
    for name, value in options.items():
        code = option_number(name)
        if code is None or code in _OURS:
            continue
        packed = _pack(code, value.strip())
        if packed is not None and len(packed) <= _LONGEST_VALUE_BYTES:
            found[code] = packed
    return found


def option_number(name: str) -> int | None:
    """`bootfile-name`, `option:67`, `67` and `tag:ipxe,67` all mean 67; IPv6 names and strangers None."""
    word = name.strip().lower().rpartition(",")[2].removeprefix("option:").lstrip("!")
    if re.fullmatch(r"[0-9]{1,3}", word):
        return int(word) if 0 < int(word) < 255 else None
    return _NAMES.get(word)


def addresses(values: Iterable[str]) -> bytes:
    return b"".join(ipaddress.IPv4Address(value.strip()).packed for value in values)


def classless_routes(routes: Iterable[tuple[str, str]]) -> bytes:
    """RFC 3442: only the significant octets of each destination; `0.0.0.0` as next hop means on-link."""
    return b"".join(_classless_route(cidr, next_hop) for cidr, next_hop in routes)


def domain_list(names: Iterable[str]) -> bytes:
    """Domain names in DNS form without compression, RFC 3397. Unusable names are left out."""
    return b"".join(filter(None, map(domain_name, names)))


def domain_name(name: str) -> bytes:
    """One name as DNS labels; empty for a name that DNS can't carry."""
    labels = [label.encode() for label in name.strip(".").split(".")]
    if not all(0 < len(label) <= 63 for label in labels) or sum(map(len, labels)) + len(labels) > 254:
        return b""
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


def _classless_route(cidr: str, next_hop: str) -> bytes:
    net = ipaddress.IPv4Network(cidr, strict=False)
    significant = net.network_address.packed[: (net.prefixlen + 7) // 8]
    return bytes([net.prefixlen]) + significant + ipaddress.IPv4Address(next_hop).packed


def _pack(code: int, value: str) -> bytes | None:
    """The value as this option's type; None when it isn't of that type."""
    if not value:
        return b""
    try:
        return _TYPES.get(code, _by_looks)(value)
    except (ValueError, OverflowError):
        return None


def _addresses(value: str) -> bytes:
    return addresses(value.split(","))


def _text(value: str) -> bytes:
    return value.strip('"').encode()


def _integer(size: int) -> Callable[[str], bytes]:
    return lambda value: int(value, 0).to_bytes(size, "big")


def _search(value: str) -> bytes:
    return domain_list(value.split(","))


def _route_pairs(value: str) -> bytes:
    """`10.1.0.0/16,10.0.0.1,10.2.0.0/16,10.0.0.2`"""
    words = [word.strip() for word in value.split(",")]
    if len(words) % 2:
        raise ValueError(value)
    return classless_routes(zip(words[::2], words[1::2], strict=True))


def _by_looks(value: str) -> bytes:
    """An option without a known type: addresses, then hexadecimal octets, then a number, then text."""
    try:
        return _addresses(value)
    except ValueError:
        pass
    if re.fullmatch(r"[0-9a-fA-F]{2}(:[0-9a-fA-F]{2})+", value):
        return bytes.fromhex(value.replace(":", ""))
    if re.fullmatch(r"[0-9]{1,10}", value):
        number = int(value)
        return number.to_bytes(max(1, (number.bit_length() + 7) // 8), "big")
    return _text(value)


_NAMES = {
    "netmask": 1,
    "time-offset": 2,
    "router": 3,
    "dns-server": 6,
    "log-server": 7,
    "lpr-server": 9,
    "hostname": 12,
    "boot-file-size": 13,
    "domain-name": 15,
    "swap-server": 16,
    "root-path": 17,
    "extension-path": 18,
    "default-ttl": 23,
    "mtu": 26,
    "broadcast": 28,
    "static-route": 33,
    "tcp-ttl": 37,
    "tcp-keepalive": 38,
    "nis-domain": 40,
    "nis-server": 41,
    "ntp-server": 42,
    "vendor-encap": 43,
    "netbios-ns": 44,
    "netbios-nodetype": 46,
    "netbios-scope": 47,
    "lease-time": 51,
    "t1": 58,
    "t2": 59,
    "vendor-class": 60,
    "tftp-server": 66,
    "bootfile-name": 67,
    "smtp-server": 69,
    "pop3-server": 70,
    "posix-timezone": 100,
    "tzdb-timezone": 101,
    "domain-search": 119,
    "sip-server": 120,
    "classless-static-route": 121,
    "tftp-server-address": 150,
    "path-prefix": 210,
    "server-ip-address": NEXT_SERVER,
}
_TYPES: dict[int, Callable[[str], bytes]] = (
    dict.fromkeys((1, 3, 6, 7, 9, 16, 28, 33, 41, 42, 44, 69, 70, 150, NEXT_SERVER), _addresses)
    | dict.fromkeys((12, 15, 17, 18, 40, 47, 60, 66, 67, 100, 101, 210), _text)
    | dict.fromkeys((2, 38, 51, 58, 59), _integer(4))
    | dict.fromkeys((13, 26), _integer(2))
    | dict.fromkeys((23, 37, 46), _integer(1))
    | {DOMAIN_SEARCH: _search, CLASSLESS_ROUTES: _route_pairs, MS_CLASSLESS_ROUTES: _route_pairs}
)
