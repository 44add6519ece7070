# SPDX-License-Identifier: Apache-2.0
"""Which host gets a server: filters that say why a host falls out, weighers that rank the rest.

Reading hosts and claiming room is compute/servers/placing.py. Every filter is a pure function
from (ask, host) to a reason or None, under its name in Nova; the reasons reach the user.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

import msgspec

Group = tuple[str, int, dict[str, int]]
"""A server group as seen from one member: policy, most members a host may have (0: as the policy says),
and how many other members each host has, by host id."""


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """What a server needs. `resources` by resource class, as placement counts them."""

    resources: dict[str, int]
    required_traits: list[str] = []
    forbidden_traits: list[str] = []
    zone: str | None = None
    host_name: str | None = None
    architecture: str | None = None
    excluded: list[str] = []
    """Hosts that were tried already, by id."""
    groups: list[Group] = []
    homes: list[str] = []
    """Hosts that hold volumes of the server, by id: it can only be where all are."""


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """One host: `room` maps a resource class to (free, most for one server, step)."""

    id: str
    name: str
    up: bool
    enabled: bool
    zone: str
    architecture: str
    traits: frozenset[str]
    room: dict[str, tuple[int, int, int]]


Reason = str | None
Filter = Callable[[Ask, Place], Reason]


def compute_filter(ask: Ask, host: Place) -> Reason:
    if not host.up:
        return "its agent is not connected"
    return None if host.enabled else "it is disabled"


def retry_filter(ask: Ask, host: Place) -> Reason:
    return "it was tried and could not take the server" if host.id in ask.excluded else None


def volumes_filter(ask: Ask, host: Place) -> Reason:
    if len(ask.homes) > 1:
        return "the server's volumes lie on different hosts"
    return None if not ask.homes or host.id in ask.homes else "the server's volumes are on another host"


def requested_host_filter(ask: Ask, host: Place) -> Reason:
    return None if ask.host_name in (None, host.name) else f"host {ask.host_name} was asked for"


def zone_filter(ask: Ask, host: Place) -> Reason:
    return None if ask.zone in (None, host.zone) else f"it is in zone {host.zone}, not {ask.zone}"


def image_properties_filter(ask: Ask, host: Place) -> Reason:
    if ask.architecture in (None, host.architecture):
        return None
    return f"the image needs {ask.architecture}, it has {host.architecture}"


def traits_filter(ask: Ask, host: Place) -> Reason:
    missing = [trait for trait in ask.required_traits if trait not in host.traits]
    if missing:
        return f"it lacks {', '.join(missing)}"
    unwanted = [trait for trait in ask.forbidden_traits if trait in host.traits]
    return f"it has {', '.join(unwanted)}" if unwanted else None


def group_filter(ask: Ask, host: Place) -> Reason:
    for policy, most, counts in ask.groups:
        if policy == "anti-affinity" and counts.get(host.id, 0) >= (most or 1):
            return "it has as many servers of the server group as may be there"
        if policy == "affinity" and counts and host.id not in counts:
            return "the servers of the server group are on another host"
    return None


def room_filter(ask: Ask, host: Place) -> Reason:
    short = [text for name, amount in ask.resources.items() if (text := shortage(name, amount, host))]
    return "; ".join(short) or None


def shortage(name: str, amount: int, host: Place) -> str | None:
    if name not in host.room:
        return f"it offers no {name}"
    free, most, step = host.room[name]
    words = WORDS.get(name, f"{name} {{}}")
    if amount > most:
        return f"asked {words.format(amount)}, at most {words.format(most)} for one server"
    if amount > free:
        return f"asked {words.format(amount)}, free {words.format(max(0, free))}"
    return f"{name} comes in steps of {step}" if amount % step else None


WORDS = {"VCPU": "{} vCPUs", "MEMORY_MB": "{} MiB of RAM", "DISK_GB": "{} GiB of disk"}

FILTERS: dict[str, Filter] = {
    "ComputeFilter": compute_filter,
    "RetryFilter": retry_filter,
    "RequestedHostFilter": requested_host_filter,
    "AvailabilityZoneFilter": zone_filter,
    "ImagePropertiesFilter": image_properties_filter,
    "TraitsFilter": traits_filter,
    "ServerGroupFilter": group_filter,
    "VolumesFilter": volumes_filter,
    "ResourcesFilter": room_filter,
}

AMOUNT = re.compile("[0-9]{1,255}")
MOST_ASKED = 2**31 - 1
"""Of a resource: no host has more, and databases count no further."""
WEIGHTS = {"MEMORY_MB": 1.0, "VCPU": 1.0, "DISK_GB": 1.0}
"""More room ranks higher: servers spread, as Nova's default weighers have it."""


def rank(ask: Ask, hosts: list[Place]) -> tuple[list[Place], dict[str, str]]:
    """Hosts that pass, best first; and for each that fell out the first reason, by name."""
    passed, reasons = [], {}
    for host in hosts:
        reason = next((text for check in FILTERS.values() if (text := check(ask, host))), None)
        if reason is None:
            passed.append(host)
        else:
            reasons[host.name] = reason
    most = {name: max((free(host, name) for host in passed), default=0) or 1 for name in WEIGHTS}
    passed.sort(key=lambda host: (
        unwanted(ask, host), -sum(w * free(host, n) / most[n] for n, w in WEIGHTS.items()), host.id
    ))
    return passed, reasons


def unwanted(ask: Ask, host: Place) -> int:
    """How much soft groups speak against a host: more than any difference in room."""
    against = {"soft-anti-affinity": 1, "soft-affinity": -1}
    return sum(against.get(policy, 0) * counts.get(host.id, 0) for policy, _, counts in ask.groups)


def free(host: Place, name: str) -> int:
    return host.room.get(name, (0, 0, 1))[0]


def no_valid_host(reasons: dict[str, str]) -> str:
    """The sentence a user reads in the fault of a server that found no host."""
    if not reasons:
        return "No valid host was found. This cloud has no hosts yet."
    table = "; ".join(f"{name}: {reason}" for name, reason in sorted(reasons.items())[:20])
    more = f" (and {len(reasons) - 20} more)" if len(reasons) > 20 else ""
    return f"No valid host was found. {table}{more}."


def resources(flavor: dict[str, Any], *, root_on_volume: bool = False) -> dict[str, int]:
    """What a flavor takes from a host; `resources:X` extra specs override, 0 leaves a class out. The flavor's root
    disk isn't made for a server that boots from a volume."""
    root_gb = 0 if root_on_volume else flavor["disk_gb"]
    disk_gb = root_gb + flavor["ephemeral_gb"] + math.ceil(flavor["swap_mb"] / 1024)
    wanted = {"VCPU": flavor["vcpus"], "MEMORY_MB": flavor["ram_mb"], "DISK_GB": disk_gb}
    for key, value in flavor["extra_specs"].items():
        if key.startswith("resources:") and AMOUNT.fullmatch(str(value)):
            wanted[key.removeprefix("resources:")] = min(int(value), MOST_ASKED)
    return {name: amount for name, amount in wanted.items() if amount > 0}


def traits(flavor: dict[str, Any], properties: dict[str, Any]) -> tuple[list[str], list[str]]:
    """(required, forbidden) traits of a flavor's extra specs and an image's properties."""
    asked = {**flavor["extra_specs"], **properties}
    named = {key.removeprefix("trait:"): value for key, value in asked.items() if key.startswith("trait:")}
    return (
        [trait for trait, value in named.items() if value == "required"],
        [trait for trait, value in named.items() if value == "forbidden"],
    )
