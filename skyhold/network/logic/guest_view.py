# SPDX-License-Identifier: Apache-2.0
"""A server's ports as compute and the guest see them: views, and network_data.json made of them.

Rows become views in skyhold/network/facade.py. The document follows Nova's published schema
(api-ref, "network_data.json"): links, networks on them, and name servers.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Any

import msgspec


class FixedIpView(msgspec.Struct, frozen=True, kw_only=True):
    """`routes` are (destination CIDR, next hop); `dns` what the guest is told."""

    subnet_id: str
    ip: str
    version: int
    cidr: str
    gateway_ip: str | None = None
    dns: list[str] = []
    routes: list[tuple[str, str]] = []
    dhcp: bool = True
    address_mode: str | None = None
    floating_ip: str | None = None


class PortView(msgspec.Struct, frozen=True, kw_only=True):
    """`made_by_compute`: it goes when the server goes."""

    id: str
    network_id: str
    network_name: str
    mac: str
    mtu: int
    fixed_ips: list[FixedIpView]
    security_group_ids: list[str]
    security_group_names: list[str]
    tag: str | None
    made_by_compute: bool
    status: str
    host_id: str | None


def network_data(views: Sequence[PortView]) -> dict[str, Any]:
    networks: list[dict[str, Any]] = []
    for view in views:
        for fixed in view.fixed_ips:
            networks.append(network(len(networks), view, fixed))
    servers = list(dict.fromkeys(each for view in views for fixed in view.fixed_ips for each in fixed.dns))
    return {
        "links": [link(view) for view in views],
        "networks": networks,
        "services": [{"type": "dns", "address": each} for each in servers],
    }


def link(view: PortView) -> dict[str, Any]:
    return {
        "id": link_id(view), "vif_id": view.id, "type": "bridge", "mtu": view.mtu, "ethernet_mac_address": view.mac,
    }


def link_id(view: PortView) -> str:
    return "tap" + view.id[:11]


def network(index: int, view: PortView, fixed: FixedIpView) -> dict[str, Any]:
    entry = {"id": f"network{index}", "type": kind(fixed), "link": link_id(view), "network_id": view.network_id}
    if entry["type"] == "ipv4_dhcp":
        return entry
    net = ipaddress.ip_network(fixed.cidr)
    routes = [{"network": any_of(net), "netmask": any_of(net), "gateway": fixed.gateway_ip}] if fixed.gateway_ip else []
    for destination, hop in fixed.routes:
        to = ipaddress.ip_network(destination)
        routes.append({"network": str(to.network_address), "netmask": str(to.netmask), "gateway": hop})
    return entry | {
        "ip_address": fixed.ip, "netmask": str(net.netmask), "routes": routes,
        "services": [{"type": "dns", "address": each} for each in fixed.dns],
    }


def kind(fixed: FixedIpView) -> str:
    if fixed.version == 4:
        return "ipv4_dhcp" if fixed.dhcp else "ipv4"
    if fixed.address_mode == "slaac":
        return "ipv6_slaac"
    if fixed.address_mode in ("dhcpv6-stateful", "dhcpv6-stateless"):
        return "ipv6_" + fixed.address_mode
    return "ipv6_dhcp" if fixed.dhcp else "ipv6"


def any_of(net: ipaddress.IPv4Network | ipaddress.IPv6Network) -> str:
    """The address of everything, as a route's destination and mask."""
    return str(ipaddress.ip_address(0) if net.version == 4 else ipaddress.IPv6Address(0))
