# SPDX-License-Identifier: Apache-2.0
"""Availability zones: names for parts of the cloud that fail apart from each other.

A host is in the zone that one of its aggregates names (aggregates.py), else in the default zone.
A zone is available while one of its hosts is enabled.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from skyhold.compute import hosts, policy
from skyhold.compute.tables import AGGREGATE_HOSTS, AGGREGATES
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.http.routes import Routes
from skyhold.core.shapes import Shape, TimeMicros, collection, field

ZONE_KEY = "availability_zone"
"""The item of an aggregate's metadata that names its hosts' zone."""

# ---- shape ---------------------------------------------------------------------------------


class ZoneState(Shape):
    available: bool


class ServiceState(Shape):
    active: bool
    available: bool
    updated_at: TimeMicros


class Zone(Shape):
    name: str = field("zoneName")
    state: ZoneState = field("zoneState")
    hosts: dict[str, dict[str, ServiceState]] | None = None


ZONES = collection("availabilityZoneInfo", Zone)

# ---- routes --------------------------------------------------------------------------------

routes = Routes()


@routes.get("/v2.1/os-availability-zone", policy=policy.ZONES_LIST, reply=ZONES)
async def index(ctx: Context) -> list[Zone]:
    """List availability zones."""
    return await ctx.read(zones, False)


@routes.get("/v2.1/os-availability-zone/detail", policy=policy.ZONES_DETAIL, reply=ZONES)
async def detail(ctx: Context) -> list[Zone]:
    """List availability zones with their hosts."""
    return await ctx.read(zones, True)


# ---- operations ----------------------------------------------------------------------------


def zones(tx: Tx, ctx: Context, with_hosts: bool) -> list[Zone]:
    """All zones by name; the default one exists even before its first host does."""
    grouped: dict[str, list[Any]] = {hosts.ZONE: []}
    named = zones_of_hosts(tx, ctx)
    for row in hosts.everyone(tx, ctx):
        grouped.setdefault(named.get(row.id, hosts.ZONE), []).append(row)
    return [
        Zone(
            name=name, state=ZoneState(available=any(row.enabled for row in rows)),
            hosts={row.name: {"nova-compute": state(ctx, row)} for row in rows} if with_hosts else None,
        )
        for name, rows in sorted(grouped.items())
        if rows or name == hosts.ZONE
    ]


def state(ctx: Context, row: Any) -> ServiceState:
    return ServiceState(active=row.enabled, available=hosts.is_up(row, ctx.now), updated_at=row.seen_at)


def zones_of_hosts(tx: Tx, ctx: Context) -> dict[str, str]:
    """Zone by host id, of the hosts that an aggregate puts into one; the others are in hosts.ZONE."""
    return {row.host_id: row.metadata[ZONE_KEY] for row in tx.all(NAMED) if ZONE_KEY in row.metadata}


def named_of(tx: Tx, host_ids: Sequence[str], *, without: str) -> list[str]:
    """The zones that these hosts are put into by aggregates other than `without`."""
    inside = NAMED.where(AGGREGATE_HOSTS.c.host_id.in_(list(host_ids)), AGGREGATES.c.id != without)
    return [row.metadata[ZONE_KEY] for row in tx.all(inside) if ZONE_KEY in row.metadata]


NAMED = sa.select(AGGREGATE_HOSTS.c.host_id, AGGREGATES.c.metadata).join(
    AGGREGATES, AGGREGATES.c.id == AGGREGATE_HOSTS.c.aggregate_id
)
