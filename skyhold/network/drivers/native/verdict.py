# SPDX-License-Identifier: Apache-2.0
"""Whether the security rules allow a flow: pure, shared by the fake engine and the native one.

The same rules as nftables are in rules_ports.py; here they judge single flows, so that a change
cuts exactly the established flows it no longer allows. Rules only allow: what none allows is denied.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass

from skyhold.network.drivers.base import Port, SecurityGroup, SecurityRule

PROTOCOLS = {
    "ah": 51, "dccp": 33, "egp": 8, "esp": 50, "gre": 47, "hopopt": 0, "icmp": 1, "icmpv6": 58, "igmp": 2,
    "ip": 0, "ipip": 4, "ipv6-encap": 41, "ipv6-frag": 44, "ipv6-icmp": 58, "ipv6-nonxt": 59,
    "ipv6-opts": 60, "ipv6-route": 43, "ospf": 89, "pgm": 113, "rsvp": 46, "sctp": 132, "tcp": 6,
    "udp": 17, "udplite": 136, "vrrp": 112,
}  # fmt: skip
"""Protocol names of the API to IANA numbers."""

WITH_PORTS = {6: "tcp", 17: "udp", 33: "dccp", 132: "sctp", 136: "udplite"}
ICMP, ICMPV6 = 1, 58


@dataclass(frozen=True)
class Flow:
    """One flow by its first packet. For ICMP the ports are type and code."""

    source: str
    destination: str
    protocol: int
    source_port: int = 0
    destination_port: int = 0


def protocol_number(rule: SecurityRule) -> int | None:
    """The rule's IP protocol, None for any; `icmp` in an IPv6 rule means ICMPv6."""
    name = rule.protocol
    if name is None or name == "any":
        return None
    number = int(name) if name.isdigit() else PROTOCOLS[name.lower()]
    if number == 0:
        return None
    return ICMPV6 if number == ICMP and rule.ethertype == "IPv6" else number


def permitted(port: Port, direction: str, flow: Flow, groups: Mapping[str, SecurityGroup]) -> bool:
    """Whether the port's groups let the flow out (`egress`) or in (`ingress`)."""
    if not port.security or always_allowed(direction, flow):
        return True
    held = (groups[group_id] for group_id in port.security_group_ids if group_id in groups)
    return any(matches(rule, direction, flow, groups) for group in held for rule in group.rules)


def always_allowed(direction: str, flow: Flow) -> bool:
    """DHCP and neighbour discovery, which every guest needs."""
    if flow.protocol == 17:
        wanted = {(68, 67), (546, 547)} if direction == "egress" else {(67, 68), (547, 546)}
        return (flow.source_port, flow.destination_port) in wanted
    if flow.protocol != ICMPV6:
        return False
    kinds = {131, 132, 133, 135, 136, 143} if direction == "egress" else {130, 134, 135, 136}
    return flow.source_port in kinds


def matches(rule: SecurityRule, direction: str, flow: Flow, groups: Mapping[str, SecurityGroup]) -> bool:
    remote = ipaddress.ip_address(flow.source if direction == "ingress" else flow.destination)
    return (
        rule.direction == direction
        and rule.ethertype == f"IPv{remote.version}"
        and _protocol_matches(rule, flow)
        and _remote_matches(rule, remote, groups)
    )


def _protocol_matches(rule: SecurityRule, flow: Flow) -> bool:
    wanted = protocol_number(rule)
    if wanted is None:
        return True
    if wanted != flow.protocol:
        return False
    if wanted in (ICMP, ICMPV6):
        kind_fits = rule.port_min is None or rule.port_min == flow.source_port
        return kind_fits and (rule.port_max is None or rule.port_max == flow.destination_port)
    if wanted not in WITH_PORTS or rule.port_min is None:
        return True
    return rule.port_min <= flow.destination_port <= (rule.port_max or rule.port_min)


def _remote_matches(
    rule: SecurityRule,
    remote: ipaddress.IPv4Address | ipaddress.IPv6Address,
    groups: Mapping[str, SecurityGroup],
) -> bool:
    if rule.remote_cidr and remote not in ipaddress.ip_network(rule.remote_cidr, strict=False):
        return False
    if not rule.remote_group_id:
        return True
    group = groups.get(rule.remote_group_id)
    members = group.members if group else ()
    return any(remote in ipaddress.ip_network(one, strict=False) for one in members)
