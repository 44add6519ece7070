# SPDX-License-Identifier: Apache-2.0
"""Hosts as compute knows them: rows kept by what the agents report.

The APIs that show them are services.py and hypervisors.py; what a host has room for is kept by
placement, in the same transaction. A host is its UUID: a changed name changes nothing else.
"""

from __future__ import annotations

from typing import Any

import msgspec
import sqlalchemy as sa

from skyhold.compute.drivers.base import HostInventory
from skyhold.compute.tables import HOSTS
from skyhold.core import context, errors, journal
from skyhold.core.app import Core
from skyhold.core.bus import Alive, Hello
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.store import Store
from skyhold.placement import facade as placement

STALE_US = 20_000_000
"""An agent speaks every five seconds; after twenty of silence its host counts as down."""
ZONE = "nova"
TRIES = 5

store = Store(HOSTS, service="compute", kind="host", label="Host")


def is_up(row: Any, now_us: int) -> bool:
    return bool(row.connected and not row.forced_down and now_us - row.seen_at < STALE_US)


def everyone(tx: Tx, ctx: Context) -> list[Any]:
    """All hosts by name, then number."""
    return [store.Row._make(row) for row in tx.all(sa.select(HOSTS).order_by(HOSTS.c.name, HOSTS.c.number))]


# ---- what agents report --------------------------------------------------------------------


async def hello(ctx: Context, host_id: str, greeting: Hello) -> None:
    await ctx.write(connect, host_id, greeting.name)
    greeted(ctx.core).add(host_id)
    ctx.core.loops.ring("compute.power_sync")


def greeted(core: Core) -> set[str]:
    """Hosts that connected and have not been told yet what changed while they were away."""
    return core.shelf.setdefault("compute.greeted", set())  # type: ignore[no-any-return]


async def gone(ctx: Context, host_id: str, greeting: Hello) -> None:
    # Heard after the hello of an agent that was restarted at once, this is no news.
    await ctx.write(mark, host_id, ctx.core.bus.connected(host_id))


async def alive(ctx: Context, host_id: str, _: Alive) -> None:
    await ctx.write(mark, host_id, True)


async def inventory(ctx: Context, host_id: str, offered: HostInventory) -> None:
    await ctx.write(take_inventory, host_id, offered)


async def forget_connections(core: Core) -> None:
    """At start nobody is connected yet, whatever the rows of the last run say; unless there are other
    control processes, whose rows they are. A host nobody hears of counts as down soon enough."""
    if core.db.name != "sqlite":
        return

    def clear(tx: Tx, ctx: Context) -> None:
        tx.execute(HOSTS.update().where(HOSTS.c.connected.is_(True)).values(connected=False))

    await context.internal(core).write(clear)


# ---- operations ----------------------------------------------------------------------------


def connect(tx: Tx, ctx: Context, host_id: str, name: str) -> None:
    """Each control process hears the greeting; what it says is news once."""
    row = store.find(tx, host_id, lock=True)
    known = row is not None and row.connected and row.name == name and tx.now - row.seen_at < STALE_US
    if row is not None:
        row = store.update(tx, row, name=name, connected=True, seen_at=tx.now)
    else:
        row = appear(tx, host_id, name)
    if not known:
        journal.record(tx, "host.connect", row)


def appear(tx: Tx, host_id: str, name: str) -> Any:
    """A row with the next number; two hosts may come at once."""
    for _ in range(TRIES):
        number = (tx.scalar(sa.select(sa.func.max(HOSTS.c.number))) or 0) + 1
        row = store.add(
            tx, id=host_id, number=number, name=name, enabled=True, forced_down=False, connected=True, seen_at=tx.now,
        )
        if row is not None:
            return row
    raise errors.Conflict(f"Host {name} could not get a number: too many hosts came at once.")


def mark(tx: Tx, ctx: Context, host_id: str, connected: bool) -> None:
    """No journal row: heartbeats never enter it."""
    tx.execute(HOSTS.update().where(HOSTS.c.id == host_id).values(connected=connected, seen_at=tx.now))


def take_inventory(tx: Tx, ctx: Context, host_id: str, offered: HostInventory) -> None:
    row = store.find(tx, host_id, lock=True)
    if row is None:
        return
    store.update(tx, row, inventory=msgspec.to_builtins(offered))
    host = ctx.core.settings.host
    placement.set_provider(
        tx, ctx, provider_id=host_id, name=row.name, traits=list(offered.traits),
        inventories={
            "VCPU": placement.Inventory(total=offered.vcpus, allocation_ratio=host.cpu_allocation_ratio),
            "MEMORY_MB": placement.Inventory(
                total=offered.ram_mb, reserved=min(offered.reserved_ram_mb, offered.ram_mb - 1),
                allocation_ratio=host.ram_allocation_ratio,
            ),
            "DISK_GB": placement.Inventory(
                total=max(1, offered.disk_gb), reserved=min(host.reserved_disk_gb, max(1, offered.disk_gb) - 1),
                allocation_ratio=host.disk_allocation_ratio,
            ),
        },
    )
