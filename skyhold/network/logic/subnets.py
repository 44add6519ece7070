# SPDX-License-Identifier: Apache-2.0
"""What a subnet may be: IPv6 modes, gateway, name servers and routes, in upstream's words.

Ranges and pools are logic/addresses.py; rows are skyhold/network/subnets.py. A combination that
upstream refuses is refused here with the same kind of error.
"""

from __future__ import annotations

import ipaddress

from skyhold.core import errors
from skyhold.network.logic import addresses


def check_modes(version: int, dhcp: bool, ra: str | None, address: str | None, cidr: str) -> None:
    """RFC 4861/4862 as far as the combination can work at all. Raises Invalid."""
    if ra is None and address is None:
        return
    if version == 4:
        raise bad("ipv6_ra_mode and ipv6_address_mode are not valid for ip_version 4")
    if not dhcp:
        raise bad("ipv6_ra_mode or ipv6_address_mode cannot be set when enable_dhcp is set to False")
    if ra and address and ra != address:
        raise bad(f"ipv6_ra_mode set to '{ra}' with ipv6_address_mode set to '{address}' is not valid. "
                  f"If both attributes are set, they must be the same value")
    if (ra in addresses.SLAAC or address in addresses.SLAAC) and addresses.prefix_length(cidr) != 64:
        raise bad(f"Invalid CIDR {cidr} for IPv6 address mode. OpenStack uses the EUI-64 address format, "
                  f"which requires the prefix to be /64")


def gateway(cidr: str, text: str | None) -> str | None:
    """The canonical gateway address; None for none. Raises Invalid."""
    if text is None:
        return None
    ip = addresses.read_ip(text, "gateway_ip")
    net = addresses.network(cidr)
    if addresses.version_of(ip) != net.version:
        raise bad(f"gateway_ip '{ip}' does not match the ip_version '{net.version}'")
    if addresses.contains(cidr, ip):
        spot = int(ipaddress.ip_address(ip)) - int(net[0])
        allowed = addresses.usable(cidr)
        if net.version == 4 and not allowed.first <= spot <= allowed.last:
            raise bad("Gateway is not valid on subnet")
    return ip


def name_servers(texts: list[str]) -> list[str]:
    found = [addresses.read_ip(text, "dns_nameservers") for text in texts]
    if len(set(found)) != len(found):
        raise errors.Invalid("Invalid input for dns_nameservers. Reason: Duplicate nameserver.")
    return found


def host_routes(routes: list[tuple[str, str]]) -> list[dict[str, str]]:
    found = []
    for destination, nexthop in routes:
        hop = addresses.read_ip(nexthop, "nexthop")
        cidr = addresses.read_cidr(destination, addresses.version_of(hop), "destination")
        found.append({"destination": cidr, "nexthop": hop})
    return found


def bad(reason: str) -> errors.Invalid:
    return errors.Invalid(f"Invalid input for operation: {reason}.", kind="InvalidInput")
