# SPDX-License-Identifier: Apache-2.0
"""Which addresses a port gets: those asked for, else one of each family, in upstream's way.

Taking a single address is skyhold/network/addresses.py. On subnets where guests make their own
address from their MAC (SLAAC), that address is written down and cannot be chosen.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from skyhold.core import errors
from skyhold.core.db.tx import Tx
from skyhold.network import addresses
from skyhold.network.logic import addresses as logic


class Wish(NamedTuple):
    """One entry of fixed_ips: at least one of both."""

    subnet_id: str | None
    ip: str | None


def give(tx: Tx, port: Any, subnets: Sequence[Any], wishes: Sequence[Wish] | None) -> list[dict[str, str]]:
    """Give the port its addresses. None wishes: whatever the network has. Raises Invalid or Conflict."""
    if wishes is None:
        return give_usual(tx, port, serving(subnets, port.device_owner))
    chosen = [resolve(port, subnets, wish) for wish in wishes]
    if len({(subnet.id, ip) for subnet, ip in chosen if ip}) < len([ip for _, ip in chosen if ip]):
        raise errors.Invalid("Invalid input for fixed_ips. Reason: Duplicate IP address.")
    given = [
        entry(subnet, take(tx, subnet, port, ip, rank)) for rank, (subnet, ip) in enumerate(chosen)
    ]
    if not wishes or port.device_owner.startswith("network:"):
        return given
    have = {each["subnet_id"] for each in given}
    return given + [
        entry(subnet, own_address(tx, subnet, port, len(given) + i))
        for i, subnet in enumerate(each for each in subnets if automatic(each) and each.id not in have)
    ]


def give_usual(tx: Tx, port: Any, subnets: Sequence[Any]) -> list[dict[str, str]]:
    given: list[dict[str, str]] = []
    for version in (4, 6):
        candidates = [each for each in subnets if each.ip_version == version and not automatic(each)]
        if candidates:
            given.append(first_free(tx, port, candidates, len(given)))
    for subnet in subnets:
        if automatic(subnet):
            given.append(entry(subnet, own_address(tx, subnet, port, len(given))))
    return given


def first_free(tx: Tx, port: Any, subnets: Sequence[Any], rank: int) -> dict[str, str]:
    for subnet in subnets:
        ip = addresses.take_next(tx, subnet, port.id, rank)
        if ip is not None:
            return entry(subnet, ip)
    raise exhausted(port.network_id, subnets)


def take(tx: Tx, subnet: Any, port: Any, ip: str | None, rank: int) -> str:
    if ip is not None:
        return addresses.take(tx, subnet, port.id, ip, rank)
    if automatic(subnet) and not port.device_owner.startswith("network:router"):
        return own_address(tx, subnet, port, rank)
    found = addresses.take_next(tx, subnet, port.id, rank)
    if found is None:
        raise exhausted(port.network_id, [subnet])
    return found


def own_address(tx: Tx, subnet: Any, port: Any, rank: int) -> str:
    return addresses.take(tx, subnet, port.id, logic.eui64(subnet.cidr, port.mac), rank)


def resolve(port: Any, subnets: Sequence[Any], wish: Wish) -> tuple[Any, str | None]:
    """The subnet meant, and the address when one was named. Raises Invalid in upstream's kinds."""
    ip = logic.read_ip(wish.ip) if wish.ip else None
    if wish.subnet_id:
        subnet = next((each for each in subnets if each.id == wish.subnet_id), None)
        if subnet is None:
            raise errors.Invalid(
                f"Invalid input for operation: Failed to create port on network {port.network_id}, because "
                f"fixed_ips included invalid subnet {wish.subnet_id}.", kind="InvalidInput",
            )
        if ip is not None and not valid(subnet, ip):
            raise errors.Invalid(
                f"IP address {ip} is not a valid IP for the specified subnet.", kind="InvalidIpForSubnet"
            )
    elif ip is None:
        raise errors.Invalid("Invalid input for operation: IP allocation requires subnet_id or ip_address.",
                             kind="InvalidInput")
    else:
        subnet = next((each for each in subnets if valid(each, ip)), None)
        if subnet is None:
            raise errors.Invalid(
                f"IP address {ip} is not a valid IP for any of the subnets on the specified network.",
                kind="InvalidIpForNetwork",
            )
    if ip is not None and automatic(subnet) and ip != logic.eui64(subnet.cidr, port.mac) and (
        not port.device_owner.startswith("network:router")
    ):
        raise errors.Invalid(
            f"IPv6 address {ip} can not be directly assigned to a port on subnet {subnet.id} as the subnet is "
            f"configured for automatic addresses", kind="AllocationOnAutoAddressSubnet",
        )
    return subnet, ip


def valid(subnet: Any, ip: str) -> bool:
    """Inside, and neither the network's nor the broadcast address."""
    if not logic.contains(subnet.cidr, ip):
        return False
    spot, allowed = logic.place(subnet.cidr, ip), logic.usable(subnet.cidr)
    return spot is None or allowed.first <= spot <= allowed.last


def automatic(subnet: Any) -> bool:
    return subnet.address_mode in logic.SLAAC


def serving(subnets: Sequence[Any], device_owner: str) -> list[Any]:
    """Subnets reserved for other kinds of ports are left out; if any is made for this kind, only those serve."""
    meant = [each for each in subnets if device_owner and device_owner in each.service_types]
    return meant or [each for each in subnets if not each.service_types]


def entry(subnet: Any, ip: str) -> dict[str, str]:
    return {"subnet_id": subnet.id, "ip_address": ip}


def exhausted(network_id: str, subnets: Sequence[Any]) -> errors.Conflict:
    full = ", ".join(f"{subnet.id} ({subnet.cidr})" for subnet in subnets)
    return errors.Conflict(
        f"No more IP addresses available on network {network_id}. Every address in the allocation pools of {full} is "
        "in use.", kind="IpAddressGenerationFailure",
    )
