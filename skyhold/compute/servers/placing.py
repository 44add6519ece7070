# SPDX-License-Identifier: Apache-2.0
"""Giving a server a host, and taking it back: reads hosts, claims room, binds ports, in one commit.

The choice itself is logic/scheduling.py. When no host fits, the reasons of every host become the
server's fault, so that nobody has to ask the operator why.
"""

from __future__ import annotations

import math
from typing import Any

from skyhold.compute import hosts, server_groups, states, zones
from skyhold.compute.logic import scheduling
from skyhold.compute.servers.store import SERVERS_STORE
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.saga.base import Abort
from skyhold.network import facade as network
from skyhold.placement import facade as placement

RETURNS_US = 10_000_000
"""How long a boot waits for a host that may be back in a moment."""
CONSIDERED = 100
"""How many hosts with room are ranked; more cost time and change little."""


def place(tx: Tx, ctx: Context, server_id: str, excluded: list[str], homes: list[str]) -> str | None:
    """Claim a host for the server and bind its ports there; the host's id. `homes` are the hosts that hold its
    volumes. Raises Abort.

    None when nothing fits now, but a host that was there a moment ago may be back in another.
    """
    server = SERVERS_STORE.expect(tx, server_id, lock=True)
    ask = ask_of(server, excluded, server_groups.hosts_of(tx, ctx, server.id), homes)
    fitting = placement.candidates(
        tx, ctx, ask.resources, required=ask.required_traits, forbidden=ask.forbidden_traits, limit=CONSIDERED
    )
    ranked, reasons = scheduling.rank(ask, places(tx, ctx, fitting))
    for host in ranked:
        claimed = placement.claim(
            tx, ctx, consumer_id=server.id, provider_id=host.id, resources=ask.resources,
            project_id=server.project_id, user_id=server.user_id,
        )
        if claimed:
            SERVERS_STORE.update(tx, server, host_id=host.id, task=states.SPAWNING, availability_zone=host.zone)
            network.bind(tx, ctx, server.id, host.id)
            return host.id
        reasons[host.name] = "its room was taken by another server at the same moment"
    if any(returning(ctx, row) for row in hosts.everyone(tx, ctx)):
        return None
    # Nobody is left: now every host's own reason is worth its cost.
    reasons = scheduling.rank(ask, places(tx, ctx, None))[1] | reasons
    raise Abort(scheduling.no_valid_host(reasons))


def returning(ctx: Context, row: Any) -> bool:
    """Whether a host is away only because its agent, or this control plane, was just restarted."""
    if row.connected or row.forced_down or not row.enabled or row.inventory is None:
        return False
    known_since = max(int(row.seen_at), ctx.core.started_at)
    return ctx.now - known_since < RETURNS_US


def unplace(tx: Tx, ctx: Context, server_id: str) -> None:
    placement.release(tx, ctx, server_id)
    server = SERVERS_STORE.find(tx, server_id, lock=True)
    if server is not None and server.host_id is not None:
        SERVERS_STORE.update(tx, server, host_id=None)


def ask_of(
    server: Any, excluded: list[str], groups: list[scheduling.Group], homes: list[str]
) -> scheduling.Ask:
    required, forbidden = scheduling.traits(server.flavor, server.properties)
    return scheduling.Ask(
        resources=scheduling.resources(server.flavor, root_on_volume=not server.image_id),
        required_traits=required, forbidden_traits=forbidden,
        zone=server.pinned_zone, host_name=server.properties.get("skyhold:host"),
        architecture=server.properties.get("hw_architecture") or server.properties.get("architecture"),
        excluded=excluded, groups=groups, homes=homes,
    )


def places(tx: Tx, ctx: Context, ids: list[str] | None) -> list[scheduling.Place]:
    """These hosts (or all) with the room they have."""
    rows = [row for row in hosts.everyone(tx, ctx) if ids is None or row.id in ids]
    rooms = {room.provider_id: room for room in placement.rooms(tx, ctx, [row.id for row in rows])}
    named = zones.zones_of_hosts(tx, ctx)
    return [place_of(row, rooms.get(row.id), named.get(row.id, hosts.ZONE), tx.now) for row in rows]


def place_of(row: Any, room: placement.Room | None, zone: str, now_us: int) -> scheduling.Place:
    offered = row.inventory or {}
    return scheduling.Place(
        id=row.id, name=row.name, up=hosts.is_up(row, now_us), enabled=row.enabled, zone=zone,
        architecture=offered.get("arch", ""), traits=room.traits if room else frozenset(),
        room={name: free_of(kept) for name, kept in room.inventories.items()} if room else {},
    )


def free_of(kept: Any) -> tuple[int, int, int]:
    capacity = math.floor((kept.total - kept.reserved) * kept.allocation_ratio)
    return capacity - kept.used, min(kept.max_unit, capacity), kept.step_size
