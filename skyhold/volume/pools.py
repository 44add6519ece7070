# SPDX-License-Identifier: Apache-2.0
"""Pools: the room for volumes on each host, as its agent reports it, and choosing one for a new volume.

The APIs that show them are services.py and zones.py. A host has one pool and both have the host's id. Files are
made sparse, so more may be promised than there is, but no volume that could not be filled right now.
"""

from __future__ import annotations

from typing import Any

import msgspec
import sqlalchemy as sa

from skyhold.core.bus import Hello
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.store import Store
from skyhold.volume.drivers.base import VolumePool
from skyhold.volume.tables import POOLS, SNAPSHOTS, VOLUMES

GIB = 1024**3
ZONE = "nova"
PROMISED_TIMES = 20
"""How often the room of a pool may be promised, Cinder's usual ratio for thin pools."""
OUR_LOOP = "volume.remains"

store = Store(POOLS, service="volume", kind="pool", label="Pool")


class Room(msgspec.Struct, frozen=True, kw_only=True):
    """One pool and what is promised of it."""

    pool: Any
    promised_gib: int
    up: bool


# ---- what agents report --------------------------------------------------------------------


async def hello(ctx: Context, host_id: str, greeting: Hello) -> None:
    ctx.core.loops.ring(OUR_LOOP)


async def report(ctx: Context, host_id: str, offered: VolumePool) -> None:
    name = next((host.name for host in ctx.core.bus.hosts() if host.host_id == host_id), host_id)
    await ctx.write(keep, host_id, name, offered)


def keep(tx: Tx, ctx: Context, host_id: str, name: str, offered: VolumePool) -> None:
    """No journal row: how full a disk is never enters it."""
    told = {
        "name": name, "backend": offered.backend, "total_bytes": offered.total_bytes,
        "free_bytes": offered.free_bytes, "seen_at": tx.now,
    }
    if tx.changed(POOLS.update().where(POOLS.c.id == host_id).values(**told)):
        return
    if store.add(tx, id=host_id, enabled=True, **told) is None:
        # Another control process heard the same first report.
        tx.execute(POOLS.update().where(POOLS.c.id == host_id).values(**told))


# ---- queries -------------------------------------------------------------------------------


def rooms(tx: Tx, ctx: Context) -> list[Room]:
    """Every pool by name, with what is promised of it."""
    promised: dict[str, int] = {}
    for table in (VOLUMES, SNAPSHOTS):
        size = sa.func.coalesce(VOLUMES.c.growing_gib, VOLUMES.c.size_gib) if table is VOLUMES else SNAPSHOTS.c.size_gib
        held = sa.select(table.c.host_id, sa.func.sum(size).label("gib")).group_by(table.c.host_id)
        for row in tx.all(held.where(table.c.host_id.is_not(None))):
            promised[row.host_id] = promised.get(row.host_id, 0) + int(row.gib)
    return [
        Room(pool=pool, promised_gib=promised.get(pool.id, 0), up=ctx.core.bus.connected(pool.id))
        for pool in tx.all(sa.select(POOLS).order_by(POOLS.c.name, POOLS.c.id))
    ]


def choose(
    tx: Tx, ctx: Context, size_gib: int, *, only: str | None, without: list[str], reasons: dict[str, str]
) -> tuple[str | None, str]:
    """The host with the most room for so much, or None and a sentence that gives every host's reason.

    `only` is the one that may be chosen, where a source lies there; `reasons` are those of hosts in `without`.
    """
    told, fitting = [], []
    for room in rooms(tx, ctx):
        why = reasons.get(room.pool.id) if room.pool.id in without else refusal(room, size_gib, only)
        if why is None:
            fitting.append(room)
        else:
            told.append(f"{room.pool.name}: {why}")
    if fitting:
        return max(fitting, key=lambda room: (room.pool.free_bytes, room.pool.id)).pool.id, ""
    sentence = f"No host can hold a volume of {size_gib} GiB."
    if not told:
        return None, f"{sentence} No host reports any room for volumes: start a host agent."
    return None, f"{sentence} {'; '.join(told)}. Ask for less, or delete volumes and snapshots that nobody needs."


def refusal(room: Room, size_gib: int, only: str | None) -> str | None:
    """Why this pool can't be it; None when it can."""
    pool = room.pool
    if only is not None and pool.id != only:
        return "the volume must lie on another host, where its source or its server is"
    if not room.up:
        return "its agent is not connected"
    if not pool.enabled:
        return "it is disabled" + (f" ({pool.disabled_reason})" if pool.disabled_reason else "")
    if pool.free_bytes < size_gib * GIB:
        return f"it has {pool.free_bytes / GIB:.1f} GiB free"
    if (room.promised_gib + size_gib) * GIB > pool.total_bytes * PROMISED_TIMES:
        return f"it has promised {room.promised_gib} GiB already"
    return None


def name_of(tx: Tx, host_id: str | None) -> str | None:
    return tx.scalar(sa.select(POOLS.c.name).where(POOLS.c.id == host_id)) if host_id else None


def names(tx: Tx, host_ids: set[str]) -> dict[str, str]:
    if not host_ids:
        return {}
    rows = tx.all(sa.select(POOLS.c.id, POOLS.c.name).where(POOLS.c.id.in_(sorted(host_ids))))
    return {row.id: row.name for row in rows}
