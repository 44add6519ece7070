# SPDX-License-Identifier: Apache-2.0
"""The rules of a router's namespace, of a network's service namespace and of the machine itself.

Rules between guests are in rules_ports.py. Everything that changes often (floating IPs) is an
element of a map, so that adding one never rewrites a rule.
"""

from __future__ import annotations

import ipaddress

from skyhold.network.drivers.base import FloatingIp, RouterGateway
from skyhold.network.drivers.native import names
from skyhold.network.drivers.native.nft import Chain, Fragment, Key

NAT_IN, NAT_OUT = "type nat hook prerouting priority -100;", "type nat hook postrouting priority 100;"


def router(gateway: RouterGateway | None) -> Fragment:
    """Translation of floating IPs, of everybody else's source, and the way to metadata."""
    return Fragment(
        sets={
            _inet("fip_dnat"): "map type ipv4_addr : ipv4_addr;",
            _inet("fip_snat"): "map type ipv4_addr : ipv4_addr;",
        },
        chains={
            _inet("pre"): Chain(
                (
                    f'iifname "qr-*" ip daddr {names.METADATA_IP} tcp dport 80 '
                    f"redirect to :{names.METADATA_PORT}",
                    "dnat ip to ip daddr map @fip_dnat",
                ),
                NAT_IN,
            ),
            _inet("post"): Chain(_source_rules(gateway), NAT_OUT),
            _inet("guard_in"): Chain(
                (f'iifname "qg-*" tcp dport {names.METADATA_PORT} drop',),
                "type filter hook input priority 0;",
            ),
            # What conntrack refuses isn't translated: it would leave with a tenant's address.
            _inet("guard_out"): Chain(
                ('oifname "qg-*" ct state invalid drop',), "type filter hook forward priority 0;"
            ),
        },
    )


def floating(wanted: FloatingIp) -> Fragment:
    return Fragment(
        elements={
            (_inet("fip_dnat"), wanted.floating_ip): wanted.fixed_ip,
            (_inet("fip_snat"), wanted.fixed_ip): wanted.floating_ip,
        }
    )


def service() -> Fragment:
    """The responder answers DHCP from a packet socket; the kernel must not refuse it by ICMP."""
    return Fragment(
        chains={
            _inet("quiet"): Chain(("udp dport { 67, 547 } drop",), "type filter hook input priority 0;")
        }
    )


def machine(table: str, prefix: str, cidrs: list[str]) -> Fragment:
    """Translate what leaves the external subnets for elsewhere, and let nothing else leave."""
    if not cidrs:
        return Fragment()
    ours = f'"{prefix}*"'
    v4 = [one for one in cidrs if ipaddress.ip_network(one).version == 4]
    v6 = [one for one in cidrs if ipaddress.ip_network(one).version == 6]
    guard = [f"iifname {ours} meta nfproto ipv4 ip saddr != {{ {', '.join(v4)} }} drop"] if v4 else []
    guard += [f"iifname {ours} meta nfproto ipv6 ip6 saddr != {{ {', '.join(v6)} }} drop"] if v6 else []
    hide = [f"ip saddr {one} oifname != {ours} masquerade" for one in v4]
    hide += [f"ip6 saddr {one} oifname != {ours} masquerade" for one in v6]
    return Fragment(
        chains={
            ("inet", table, "guard"): Chain(tuple(guard), "type filter hook forward priority -10;"),
            ("inet", table, "post"): Chain(tuple(hide), NAT_OUT),
        }
    )


def _source_rules(gateway: RouterGateway | None) -> tuple[str, ...]:
    """Hairpin traffic takes a public source too, else the answer would pass the router by."""
    ways = ('oifname "qg-*"', 'iifname "qr-*" oifname "qr-*" ct status dnat')
    fixed = [f"{way} snat ip to ip saddr map @fip_snat" for way in ways]
    if gateway is None or not gateway.snat:
        return tuple(fixed)
    addresses = [ipaddress.ip_interface(one).ip for one in gateway.addresses]
    own = next((one for one in addresses if one.version == 4), None)
    return (*fixed, *(f"{way} snat ip to {own}" for way in ways if own))


def _inet(name: str) -> Key:
    return ("inet", names.TABLE, name)
