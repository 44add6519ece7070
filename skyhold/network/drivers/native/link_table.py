# SPDX-License-Identifier: Apache-2.0
"""What the responders of one link know: its network, subnets and ports, with the look-ups they need.

The responders are dhcp4.py, dhcp6.py, ra.py and dns.py; responder.py carries their frames.
A table is never changed: the engine hands over a new one, so an answer is made from one state.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from skyhold.network.drivers.base import Network, Port, Subnet

METADATA_IP = "169.254.169.254"
DEFAULT_DOMAIN = "openstacklocal"


class Seat(NamedTuple):
    """One fixed address of a port, with the subnet it belongs to."""

    port: Port
    ip: str
    subnet: Subnet


@dataclass(frozen=True)
class LinkTable:
    """`resolvers` are the machine's own name servers. `routers` maps the id of each subnet whose gateway
    address a router holds to the MAC of that router's leg: such a subnet gets metadata and router
    advertisements from the router. None means the engine doesn't say: a gateway address then counts as
    routed, and router advertisements offer prefixes but no default route. `lease_s` is for DHCPv4 and v6."""

    network: Network
    subnets: list[Subnet]
    ports: list[Port]
    resolvers: list[str] = field(default_factory=list)
    routers: dict[str, str] | None = None
    lease_s: int = 86400

    @cached_property
    def domain(self) -> str:
        return (self.network.dns_domain or DEFAULT_DOMAIN).strip(".").lower()

    @cached_property
    def subnets_by_id(self) -> dict[str, Subnet]:
        return {subnet.id: subnet for subnet in self.subnets}

    @cached_property
    def seats_by_mac(self) -> dict[str, list[Seat]]:
        """All fixed addresses of each port whose link is administratively up."""
        return {port.mac.lower(): self._seats(port) for port in self.ports if port.admin_up}

    def seat4(self, mac: str) -> Seat | None:
        """The one address DHCPv4 gives to `mac`, or None for strangers and subnets without DHCP."""
        return next((seat for seat in self.seats_by_mac.get(mac, []) if _serves4(seat.subnet)), None)

    def seats6(self, mac: str) -> list[Seat]:
        """The addresses stateful DHCPv6 gives to `mac`."""
        seats = self.seats_by_mac.get(mac, [])
        return [seat for seat in seats if seat.subnet.dhcp and address_mode(seat.subnet) == "dhcpv6-stateful"]

    def isolated(self, subnet: Subnet) -> bool:
        """True when no router answers at the subnet's gateway, so that DHCP's own address must."""
        if self.routers is None:
            return subnet.gateway_ip is None
        return subnet.id not in self.routers

    def name_servers(self, subnet: Subnet) -> list[str]:
        """The servers a guest is told: the subnet's, else our forwarder. `0.0.0.0` or `::` means none."""
        if any(server in ("0.0.0.0", "::") for server in subnet.dns):  # noqa: S104 - a wish for none
            return []
        own = [server for server in subnet.dns if is_ip(server, subnet.ip_version)]
        return own or ([subnet.dhcp_ip] if subnet.dhcp_ip else [])

    def _seats(self, port: Port) -> list[Seat]:
        known = self.subnets_by_id
        return [
            Seat(port, fixed.ip, known[fixed.subnet_id])
            for fixed in port.fixed_ips
            if fixed.subnet_id in known and known[fixed.subnet_id].network_id == self.network.id
        ]


def address_mode(subnet: Subnet) -> str | None:
    return subnet.address_mode or subnet.ra_mode


def hostname(seat: Seat) -> str:
    """The port's host name, or Neutron's default made from the address: `host-10-0-0-5`."""
    return seat.port.hostname or "host-" + seat.ip.replace(".", "-").replace(":", "-")


def is_ip(text: str, version: int | None = None) -> bool:
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return False
    return version is None or found.version == version


def _serves4(subnet: Subnet) -> bool:
    return subnet.ip_version == 4 and subnet.dhcp and subnet.dhcp_ip is not None
