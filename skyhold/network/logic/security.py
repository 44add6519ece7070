# SPDX-License-Identifier: Apache-2.0
"""What a security group rule may say, and when two say the same; in upstream's words.

The rows are security_groups.py and security_rules.py. A rule that upstream refuses with a kind of
error is refused here with the same kind, because clients tell them apart.
"""

from __future__ import annotations

import hashlib
import ipaddress
from typing import Any

import msgspec

from skyhold.core import errors

NUMBERS = {
    "ah": 51, "dccp": 33, "egp": 8, "esp": 50, "gre": 47, "hopopt": 0, "icmp": 1, "igmp": 2, "ip": 0, "ipip": 4,
    "ipv6-encap": 41, "ipv6-frag": 44, "ipv6-icmp": 58, "icmpv6": 58, "ipv6-nonxt": 59, "ipv6-opts": 60,
    "ipv6-route": 43, "ospf": 89, "pgm": 113, "rsvp": 46, "sctp": 132, "tcp": 6, "udp": 17, "udplite": 136,
    "vrrp": 112,
}
WITH_PORTS = frozenset({6, 17, 33, 132, 136})
ICMP = frozenset({1, 58})
ONLY_IPV6 = frozenset({"ipv6-encap", "ipv6-frag", "ipv6-icmp", "icmpv6", "ipv6-nonxt", "ipv6-opts", "ipv6-route"})


class RuleText(msgspec.Struct, frozen=True, kw_only=True):
    """A rule as it was asked for, checked and made canonical."""

    direction: str
    ethertype: str
    protocol: str | None = None
    port_min: int | None = None
    port_max: int | None = None
    remote_cidr: str | None = None
    normalized_cidr: str | None = None
    remote_group_id: str | None = None

    @property
    def sameness(self) -> str:
        """Equal for rules that allow the same."""
        parts = (
            self.direction, self.ethertype, number(self.protocol), self.port_min, self.port_max,
            self.normalized_cidr, self.remote_group_id,
        )
        return hashlib.sha256(repr(parts).encode()).hexdigest()


DEFAULTS = (
    RuleText(direction="egress", ethertype="IPv4"),
    RuleText(direction="egress", ethertype="IPv6"),
)
"""What every new group allows: its members reach everything, nobody reaches them."""


def same_group(group_id: str) -> tuple[RuleText, ...]:
    """What a project's default group allows besides: its members reach each other."""
    return tuple(
        RuleText(direction="ingress", ethertype=each, remote_group_id=group_id) for each in ("IPv4", "IPv6")
    )


def read_rule(
    direction: str, ethertype: str, protocol: Any, port_min: Any, port_max: Any, remote_cidr: str | None,
    remote_group_id: str | None,
) -> RuleText:
    """Raises Invalid with upstream's kind."""
    name = read_protocol(protocol)
    family = read_ethertype(ethertype)
    if name in ONLY_IPV6 and family == "IPv4":
        raise bad(f"Invalid ethertype IPv4 for protocol {name}.", "SecurityGroupEthertypeConflictWithProtocol")
    low, high = read_port(port_min), read_port(port_max)
    check_ports(name, low, high)
    if remote_cidr and remote_group_id:
        raise bad("Only remote_ip_prefix or remote_group_id may be provided.",
                  "SecurityGroupRemoteGroupAndRemoteIpPrefix")
    shown, normal = read_remote(remote_cidr, family)
    return RuleText(
        direction=direction, ethertype=family, protocol=name, port_min=low, port_max=high,
        remote_cidr=shown, normalized_cidr=normal, remote_group_id=remote_group_id or None,
    )


def read_ethertype(text: str) -> str:
    for family in ("IPv4", "IPv6"):
        if text.lower() == family.lower():
            return family
    raise bad(f"Security group rule for ethertype '{text[:40]}' not supported. Allowed values are ['IPv4', 'IPv6'].",
              "SecurityGroupRuleInvalidEtherType")


def read_protocol(value: Any) -> str | None:
    if value is None or value == "":
        return None
    text = str(value).lower()
    if text == "any":
        return None
    if text in NUMBERS or (text.isascii() and text.isdigit() and len(text) < 4 and int(text) <= 255):
        return text
    raise bad(
        f"Security group rule protocol {str(value)[:40]} not supported. Only protocol values "
        f"{[None, *sorted(NUMBERS)]} and integer representations [0 to 255] are supported.",
        "SecurityGroupRuleInvalidProtocol",
    )


def number(protocol: str | None) -> int | None:
    if protocol is None:
        return None
    return NUMBERS[protocol] if protocol in NUMBERS else int(protocol)


def read_port(value: Any) -> int | None:
    if value is None or value == "":
        return None
    text = str(value)
    if isinstance(value, bool) or not text.isascii() or not text.isdigit() or len(text) > 5 or int(text) > 65535:
        raise bad(f"Invalid value for port {text[:40]}", "SecurityGroupInvalidPortValue")
    return int(text)


def check_ports(protocol: str | None, low: int | None, high: int | None) -> None:
    if low is None and high is None:
        return
    if protocol is None:
        raise bad("Must also specify protocol if port range is given.", "SecurityGroupProtocolRequiredWithPorts")
    which = number(protocol)
    if which in WITH_PORTS:
        if low == 0 or high == 0:
            raise bad("Invalid value for port 0", "SecurityGroupInvalidPortValue")
        if low is None or high is None or low > high:
            raise bad("For TCP/UDP protocols, port_range_min must be <= port_range_max",
                      "SecurityGroupInvalidPortRange")
    elif which in ICMP:
        for value, word, attribute in ((low, "type", "port_range_min"), (high, "code", "port_range_max")):
            if value is not None and value > 255:
                raise bad(f"Invalid value for ICMP {word} ({attribute}) {value}. It must be 0 to 255.",
                          "SecurityGroupInvalidIcmpValue")
        if low is None:
            raise bad(f"ICMP code (port-range-max) {high} is provided but ICMP type (port-range-min) is missing.",
                      "SecurityGroupMissingIcmpType")
    else:
        raise bad(f"Invalid protocol {protocol} for port range, only supported for TCP, UDP, UDPLITE, SCTP and DCCP.",
                  "SecurityGroupInvalidProtocolForPort")


def read_remote(text: str | None, family: str) -> tuple[str | None, str | None]:
    """The prefix as given (with a length) and as it filters."""
    if not text:
        return None, None
    try:
        found = ipaddress.ip_interface(text)
    except ValueError:
        raise errors.Invalid(
            f"Invalid input for remote_ip_prefix. Reason: '{text[:80]}' is not a valid IP subnet.",
            kind="InvalidCIDR",
        ) from None
    if f"IPv{found.version}" != family:
        raise bad(f"Conflicting value ethertype {family} for CIDR {text}", "SecurityGroupRuleParameterConflict")
    return f"{found.ip}/{found.network.prefixlen}", str(found.network)


def bad(message: str, kind: str) -> errors.Invalid:
    return errors.Invalid(message, kind=kind)
