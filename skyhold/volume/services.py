# SPDX-License-Identifier: Apache-2.0
"""What operators see of the hosts that hold volumes: a `cinder-volume` each, and its pool.

The rows are kept by pools.py from what agents report. There is one `cinder-scheduler` too, for clients look for it:
it is this program, and up whenever it answers.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from skyhold.core import errors, journal
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.http.routes import Routes
from skyhold.core.shapes import ABSENT, Absent, LooseBool, Shape, TimeMicros, collection, field
from skyhold.volume import policy, pools
from skyhold.volume.tables import POOLS
from skyhold.volume.volumes.views import BACKEND, full_host

BINARY, SCHEDULER = "cinder-volume", "cinder-scheduler"

# ---- shape ---------------------------------------------------------------------------------


class Service(Shape):
    binary: str
    host: str
    zone: str = pools.ZONE
    status: str
    state: str
    updated_at: TimeMicros | None
    disabled_reason: str | None = None
    cluster: str | None = field(since="3.7", default=None)
    backend_state: str | Absent = field(since="3.49", optional=True)
    replication_status: str | None = field(default=None)
    active_backend_id: str | None = field(default=None)
    frozen: bool = False


class ServiceQuery(Shape, extra="ignore"):
    host: str | None = None
    binary: str | None = None


class Named(Shape):
    host: str = field(min=1, max=255)
    binary: str | Absent = field(min=1, max=255, optional=True)
    service: str | Absent = field(min=1, max=255, optional=True)


class Reasoned(Named):
    disabled_reason: str = field(min=1, max=255, pattern=r"\S")


class PoolQuery(Shape, extra="ignore"):
    detail: LooseBool = False


# ---- routes --------------------------------------------------------------------------------

routes = Routes()
PATH = "/v3/os-services"


@routes.get(PATH, policy=policy.SERVICES_LIST, query=ServiceQuery, reply=collection("services", Service))
async def index(ctx: Context, query: ServiceQuery) -> list[Service]:
    """List services."""
    return await ctx.read(list_all, query)


@routes.put(PATH + "/enable", policy=policy.SERVICES_UPDATE, body=Named)
async def enable(ctx: Context, want: Named) -> Any:
    """Let new volumes be made on a host again."""
    return await ctx.write(change, want, True, None)


@routes.put(PATH + "/disable", policy=policy.SERVICES_UPDATE, body=Named)
async def disable(ctx: Context, want: Named) -> Any:
    """Keep new volumes from a host."""
    return await ctx.write(change, want, False, None)


@routes.put(PATH + "/disable-log-reason", policy=policy.SERVICES_UPDATE, body=Reasoned)
async def disable_with_reason(ctx: Context, want: Reasoned) -> Any:
    """Keep new volumes from a host, and say why."""
    return await ctx.write(change, want, False, want.disabled_reason)


@routes.get("/v3/scheduler-stats/get_pools", policy=policy.POOLS_LIST, query=PoolQuery)
async def get_pools(ctx: Context, query: PoolQuery) -> Any:
    """List the pools that volumes are made in."""
    return {"pools": await ctx.read(list_pools, query.detail)}


# ---- operations ----------------------------------------------------------------------------


def list_all(tx: Tx, ctx: Context, query: ServiceQuery) -> list[Service]:
    found = [Service(binary=SCHEDULER, host="skyhold", status="enabled", state="up", updated_at=ctx.now,
                     backend_state=ABSENT)]
    found += [shown(ctx, room) for room in pools.rooms(tx, ctx)]
    return [each for each in found if query.binary in (None, each.binary) and query.host in (None, each.host)]


def shown(ctx: Context, room: pools.Room) -> Service:
    pool, state = room.pool, "up" if room.up else "down"
    return Service(
        binary=BINARY, host=host_of(pool.name), status="enabled" if pool.enabled else "disabled", state=state,
        updated_at=ctx.now if room.up else pool.seen_at, disabled_reason=pool.disabled_reason, backend_state=state,
    )


def host_of(name: str) -> str:
    return f"{name}@{BACKEND}"


def change(tx: Tx, ctx: Context, want: Named, enabled: bool, reason: str | None) -> dict[str, Any]:
    """Raises NotFound for a host or binary that isn't there; hosts of one name are changed alike."""
    binary = want.binary or want.service or BINARY
    rows = tx.all(sa.select(POOLS).where(POOLS.c.name == want.host.partition("@")[0]).with_for_update())
    if binary != BINARY or not rows:
        raise errors.NotFound(f"Service {binary} could not be found on host {want.host}.")
    for row in rows:
        changed = pools.store.update(tx, pools.store.Row._make(row), enabled=enabled, disabled_reason=reason)
        journal.record(tx, "pool.update", changed)
    told = {"host": want.host, "service": binary, "binary": binary, "disabled": not enabled,
            "status": "enabled" if enabled else "disabled"}
    return told | ({"disabled_reason": reason} if reason else {})


def list_pools(tx: Tx, ctx: Context, detail: bool) -> list[dict[str, Any]]:
    return [
        {"name": full_host(room.pool.name)} | ({"capabilities": capabilities(room)} if detail else {})
        for room in pools.rooms(tx, ctx)
    ]


def capabilities(room: pools.Room) -> dict[str, Any]:
    return {
        "volume_backend_name": BACKEND, "driver_version": "1", "storage_protocol": room.pool.backend,
        "vendor_name": "Skyhold", "total_capacity_gb": round(room.pool.total_bytes / pools.GIB, 2),
        "free_capacity_gb": round(room.pool.free_bytes / pools.GIB, 2), "allocated_capacity_gb": room.promised_gib,
        "provisioned_capacity_gb": room.promised_gib, "reserved_percentage": 0,
        "max_over_subscription_ratio": str(pools.PROMISED_TIMES), "thin_provisioning_support": True,
        "thick_provisioning_support": False, "multiattach": False, "QoS_support": False,
        "backend_state": "up" if room.up else "down",
    }
