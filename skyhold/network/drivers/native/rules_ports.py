# SPDX-License-Identifier: Apache-2.0
"""The rules between guests: anti-spoofing, security groups and connection tracking zones.

Routers' and the machine's rules are in rules_routers.py. Bridge-family chains run before
br_netfilter and put the port's number into the mark; inet chains, which see only the bridge,
decide by that mark. A tap that is in none of the maps is cut off.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from skyhold.network.drivers.base import Port, SecurityGroup, SecurityRule
from skyhold.network.drivers.native import names
from skyhold.network.drivers.native.nft import Chain, Fragment, Key
from skyhold.network.drivers.native.verdict import ICMP, ICMPV6, WITH_PORTS, protocol_number


def base() -> Fragment:
    """The frame that all networks, ports and groups of the host hang their elements into."""
    return Fragment(
        sets={
            _bridge("in_mark"): "map type ifname : mark;",
            _bridge("out_mark"): "map type ifname : mark;",
            _bridge("open_ports"): "set type ifname;",
            _bridge("mac_ok"): "set type ifname . ether_addr;",
            _bridge("v4_ok"): "set type ifname . ether_addr . ipv4_addr; flags interval;",
            _bridge("v6_ok"): "set type ifname . ether_addr . ipv6_addr; flags interval;",
            _bridge("nd_check"): "map type ifname : verdict;",
            _inet("zones"): "map typeof iifname : ct zone;",
            _inet("port_eg"): "map type mark : verdict;",
            _inet("port_ig"): "map type mark : verdict;",
            _inet("stateless"): "set type mark;",
        },
        chains={
            _bridge("from_taps"): Chain(_FROM_TAPS, "type filter hook prerouting priority -10;"),
            _bridge("antispoof"): Chain(_ANTISPOOF),
            _bridge("to_taps"): Chain(_TO_TAPS, "type filter hook forward priority -10;"),
            _inet("ctzone"): Chain(
                ("ct zone set iifname map @zones",), "type filter hook prerouting priority -300;"
            ),
            _inet("from_guests"): Chain(
                _stateful("port_eg"), "type filter hook prerouting priority -150;"
            ),
            _inet("to_guests"): Chain(_stateful("port_ig"), "type filter hook forward priority 0;"),
            _inet("base_eg"): Chain(_BASE_EGRESS),
            _inet("base_ig"): Chain(_BASE_INGRESS),
        },
    )


def network(network_id: str, zone: int) -> Fragment:
    """Overlapping addresses of different networks are told apart by zone."""
    return Fragment(elements={(_inet("zones"), _quoted(names.bridge(network_id))): str(zone)})


def port(wanted: Port, mark: int, groups: Iterable[SecurityGroup]) -> Fragment:
    """`groups` are those of the port that the host knows; what it doesn't know allows nothing."""
    device = _quoted(names.tap(wanted.id))
    if not wanted.security:
        return Fragment(elements={(_bridge("open_ports"), device): None})
    held = sorted(groups, key=lambda group: group.id)
    chains, elements = _port_chains(wanted.id, mark, [group.id for group in held])
    elements[_bridge("in_mark"), device] = elements[_bridge("out_mark"), device] = str(mark)
    if held and not any(group.stateful for group in held):
        elements[_inet("stateless"), str(mark)] = None
    allowed = addresses_by_mac(wanted)
    for mac, (v4, v6) in allowed.items():
        elements[_bridge("mac_ok"), f"{device} . {mac}"] = None
        elements.update({(_bridge("v4_ok"), f"{device} . {mac} . {one}"): None for one in v4})
        elements.update({(_bridge("v6_ok"), f"{device} . {mac} . {one}"): None for one in v6})
    targets = [one for _, v6 in allowed.values() for one in v6]
    chains[_nd(wanted.id)] = Chain(_neighbour_rules(targets))
    elements[_bridge("nd_check"), device] = f"jump {_nd(wanted.id)[2]}"
    return Fragment(chains=chains, elements=elements)


def group(wanted: SecurityGroup, known: frozenset[str]) -> Fragment:
    """A chain for each direction and the members' addresses; `known` are the groups of the host."""
    chains = {
        _group_chain(wanted.id, direction): Chain(
            tuple(
                rule_text(rule)
                for rule in wanted.rules
                if rule.direction == direction and (rule.remote_group_id or wanted.id) in known
            )
        )
        for direction in ("egress", "ingress")
    }
    v4, v6 = collapsed(wanted.members)
    elements: dict[tuple[Key, str], str | None] = {}
    elements.update({(_members(wanted.id, 4), one): None for one in v4})
    elements.update({(_members(wanted.id, 6), one): None for one in v6})
    return Fragment(
        sets={
            _members(wanted.id, 4): "set type ipv4_addr; flags interval;",
            _members(wanted.id, 6): "set type ipv6_addr; flags interval;",
        },
        chains=chains,
        elements=elements,
    )


def rule_text(rule: SecurityRule) -> str:
    """One allowance as an nft rule."""
    family, end = ("ip", 4) if rule.ethertype == "IPv4" else ("ip6", 6)
    side = "saddr" if rule.direction == "ingress" else "daddr"
    parts = [f"meta nfproto ipv{end}"]
    if rule.remote_cidr and ipaddress.ip_network(rule.remote_cidr, strict=False).prefixlen:
        parts.append(f"{family} {side} {ipaddress.ip_network(rule.remote_cidr, strict=False)}")
    if rule.remote_group_id:
        parts.append(f"{family} {side} @{_members(rule.remote_group_id, end)[2]}")
    return " ".join([*parts, *_protocol_parts(rule), "accept"])


def addresses_by_mac(wanted: Port) -> dict[str, tuple[list[str], list[str]]]:
    """MAC to the IPv4 and IPv6 addresses the port may use with it, disjoint as the sets require."""
    collected: dict[str, list[str]] = {wanted.mac.lower(): [one.ip for one in wanted.fixed_ips]}
    for mac, ip in wanted.pairs:
        collected.setdefault((mac or wanted.mac).lower(), []).append(ip)
    for mac, ips in collected.items():
        ips.append(_link_local(mac))
    return {mac: collapsed(ips) for mac, ips in collected.items()}


def collapsed(addresses: Iterable[str]) -> tuple[list[str], list[str]]:
    """IPv4 and IPv6 networks that cover the addresses without overlap, hosts without a length."""
    parsed = [ipaddress.ip_network(one, strict=False) for one in addresses]
    v4 = ipaddress.collapse_addresses(one for one in parsed if isinstance(one, ipaddress.IPv4Network))
    v6 = ipaddress.collapse_addresses(one for one in parsed if isinstance(one, ipaddress.IPv6Network))
    return [_plain(one) for one in _halved(v4)], [_plain(one) for one in _halved(v6)]


_FROM_TAPS = (
    "meta mark set 0",
    "meta mark set iifname map @in_mark",
    "meta mark != 0 goto antispoof",
    "iifname @open_ports accept",
    'iifname "tap*" drop',
)

_TO_TAPS = (
    "meta mark set 0",
    "meta mark set oifname map @out_mark",
    # Tagged frames pass br_netfilter by, and with it the security groups.
    "meta mark != 0 ether type != { arp, ip, ip6 } drop",
    "meta mark != 0 accept",
    "oifname @open_ports accept",
    'oifname "tap*" drop',
)

_ANTISPOOF = (
    "iifname . ether saddr != @mac_ok drop",
    "ether type arp iifname . arp saddr ether . arp saddr ip @v4_ok accept",
    # An address probe (RFC 5227) has no sender yet.
    "ether type arp arp operation request arp saddr ip 0.0.0.0 iifname . arp saddr ether @mac_ok accept",
    "ether type ip ip saddr 0.0.0.0 udp sport 68 udp dport 67 accept",
    "ether type ip udp sport 67 udp dport 68 drop",
    "ether type ip iifname . ether saddr . ip saddr @v4_ok accept",
    "ether type ip6 icmpv6 type { nd-router-advert, nd-redirect } drop",
    "ether type ip6 udp sport 547 udp dport 546 drop",
    "ether type ip6 icmpv6 type nd-neighbor-advert iifname vmap @nd_check",
    "ether type ip6 ip6 saddr :: icmpv6 type "
    "{ nd-neighbor-solicit, nd-router-solicit, mld2-listener-report } accept",
    "ether type ip6 iifname . ether saddr . ip6 saddr @v6_ok accept",
    "drop",
)

_BASE_EGRESS = (
    "udp sport 68 udp dport 67 accept",
    "udp sport 546 udp dport 547 accept",
    "icmpv6 type { mld-listener-report, mld-listener-done, nd-router-solicit, nd-neighbor-solicit, "
    "nd-neighbor-advert, mld2-listener-report } accept",
)

_BASE_INGRESS = (
    "udp sport 67 udp dport 68 accept",
    # The question was multicast, so that conntrack doesn't know the answer.
    "udp sport 547 udp dport 546 accept",
    "icmpv6 type { mld-listener-query, nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert } accept",
)


def _stateful(verdicts: str) -> tuple[str, ...]:
    return (
        "meta mark 0 accept",
        f"meta mark @stateless meta mark vmap @{verdicts}",
        "meta mark @stateless drop",
        "ct state established,related accept",
        "ct state invalid drop",
        f"meta mark vmap @{verdicts}",
        "drop",
    )


def _port_chains(
    port_id: str, mark: int, group_ids: list[str]
) -> tuple[dict[Key, Chain], dict[tuple[Key, str], str | None]]:
    chains: dict[Key, Chain] = {}
    elements: dict[tuple[Key, str], str | None] = {}
    for direction, end in (("egress", "eg"), ("ingress", "ig")):
        own = _inet(f"p_{names.word(port_id)}_{end}")
        jumps = tuple(f"jump {_group_chain(one, direction)[2]}" for one in group_ids)
        chains[own] = Chain((f"jump base_{end}", *jumps, "drop"))
        elements[_inet(f"port_{end}"), str(mark)] = f"goto {own[2]}"
    return chains, elements


def _neighbour_rules(targets: list[str]) -> tuple[str, ...]:
    """Drop advertisements for addresses that aren't the port's; the target is behind 8 bytes."""
    if not targets:
        return ("drop",)
    return (*(_target_rule(ipaddress.IPv6Network(one)) for one in targets), "drop")


def _target_rule(network: ipaddress.IPv6Network) -> str:
    length = network.prefixlen
    value = int(network.network_address) >> (128 - length) if length else 0
    return f"@th,64,{length} 0x{value:x} return" if length else "return"


def _protocol_parts(rule: SecurityRule) -> list[str]:
    number = protocol_number(rule)
    if number is None:
        return []
    if number in (ICMP, ICMPV6):
        word = "icmp" if number == ICMP else "icmpv6"
        kind = [] if rule.port_min is None else [f"{word} type {rule.port_min}"]
        code = [] if rule.port_max is None else [f"{word} code {rule.port_max}"]
        return [f"meta l4proto {number}", *kind, *code]
    if number in WITH_PORTS and rule.port_min is not None:
        last = rule.port_max or rule.port_min
        wanted = f"{rule.port_min}-{last}" if last != rule.port_min else str(last)
        return [f"meta l4proto {number} th dport {wanted}"]
    return [f"meta l4proto {number}"]


def _link_local(mac: str) -> str:
    """The EUI-64 address every interface gives itself (RFC 4291, appendix A)."""
    raw = bytes.fromhex(mac.replace(":", ""))
    own = bytes([raw[0] ^ 2, *raw[1:3], 0xFF, 0xFE, *raw[3:]])
    return str(ipaddress.IPv6Address(b"\xfe\x80" + bytes(6) + own))


def _halved(networks: Iterable[ipaddress.IPv4Network | ipaddress.IPv6Network]) -> Iterable[
    ipaddress.IPv4Network | ipaddress.IPv6Network
]:
    """Interval sets of nft can't hold a prefix of length 0: give its two halves."""
    for one in networks:
        yield from one.subnets() if one.prefixlen == 0 else (one,)


def _plain(network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> str:
    return str(network.network_address) if network.prefixlen == network.max_prefixlen else str(network)


def _bridge(name: str) -> Key:
    return ("bridge", names.TABLE, name)


def _inet(name: str) -> Key:
    return ("inet", names.TABLE, name)


def _nd(port_id: str) -> Key:
    return _bridge(f"n_{names.word(port_id)}")


def _group_chain(group_id: str, direction: str) -> Key:
    return _inet(f"sg_{names.word(group_id)}_{'eg' if direction == 'egress' else 'ig'}")


def _members(group_id: str, version: int) -> Key:
    return _inet(f"m{version}_{names.word(group_id)}")


def _quoted(name: str) -> str:
    return f'"{name}"'
