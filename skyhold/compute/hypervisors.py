# SPDX-License-Identifier: Apache-2.0
"""Hypervisors: each host with what it is, what it has and what is used of it.

Whether a host is up is hosts.py's word, what it has room for placement's. Since 2.88 the numbers
are only in placement; how long a machine has been up its agent tells, and before it did uptime is null or 501.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from skyhold.compute import hosts, policy, versions
from skyhold.compute.links import next_links, page_size
from skyhold.compute.services import by_id
from skyhold.compute.tables import SERVERS
from skyhold.core import errors
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.http.routes import Routes
from skyhold.core.shapes import ABSENT, Absent, LooseBool, Page, Shape, collection, envelope, field
from skyhold.placement import facade as placement
from skyhold.placement.facade import RoomOf

# ---- shape ---------------------------------------------------------------------------------


class Guest(Shape):
    name: str
    uuid: str


class Brief(Shape):
    id: Any
    hypervisor_hostname: str
    state: str
    status: str
    servers: list[Guest] | Absent = field(optional=True)


class Host(Shape):
    id: Any
    host: str
    disabled_reason: str | None


class Hypervisor(Brief):
    hypervisor_type: str
    hypervisor_version: int
    host_ip: str
    service: Host
    uptime: str | None = field(since="2.88", default=None)
    cpu_info: Any = field(until="2.87")
    vcpus: int = field(until="2.87")
    vcpus_used: int = field(until="2.87")
    memory_mb: int = field(until="2.87")
    memory_mb_used: int = field(until="2.87")
    free_ram_mb: int = field(until="2.87")
    local_gb: int = field(until="2.87")
    local_gb_used: int = field(until="2.87")
    free_disk_gb: int = field(until="2.87")
    disk_available_least: int | None = field(until="2.87")
    running_vms: int = field(until="2.87")
    current_workload: int = field(until="2.87")


class ListQuery(Shape, extra="ignore"):
    limit: int | None = field(since="2.33", min=0, default=None)
    marker: str | None = field(since="2.33", default=None)
    pattern: str | None = field("hypervisor_hostname_pattern", since="2.53", default=None)
    with_servers: LooseBool = field(since="2.53", default=False)


class ShowQuery(Shape, extra="ignore"):
    with_servers: LooseBool = field(since="2.53", default=False)


SUMMED = (
    "vcpus", "vcpus_used", "memory_mb", "memory_mb_used", "free_ram_mb", "local_gb", "local_gb_used",
    "free_disk_gb", "disk_available_least", "running_vms", "current_workload",
)

# ---- routes --------------------------------------------------------------------------------

routes = Routes()
PATH = "/v2.1/os-hypervisors"
ONE = PATH + "/{hypervisor_id}"


@routes.get(
    PATH, policy=policy.HYPERVISORS_LIST, query=ListQuery,
    reply=collection("hypervisors", Brief, links="hypervisors_links"),
)
async def index(ctx: Context, query: ListQuery) -> Page:
    """List hypervisors."""
    return await ctx.read(briefs, query)


@routes.get(
    PATH + "/detail", policy=policy.HYPERVISORS_DETAIL, query=ListQuery,
    reply=collection("hypervisors", Hypervisor, links="hypervisors_links"),
)
async def detail(ctx: Context, query: ListQuery) -> Page:
    """List hypervisors with details."""
    return await ctx.read(details, query)


@routes.get(PATH + "/statistics", until="2.87", policy=policy.HYPERVISORS_STATISTICS)
async def statistics(ctx: Context) -> Any:
    """Sum up all hypervisors."""
    return {"hypervisor_statistics": await ctx.read(sums)}


@routes.get(
    ONE, policy=policy.HYPERVISORS_SHOW, query=ShowQuery, reply=envelope("hypervisor", Hypervisor)
)
async def show(ctx: Context, hypervisor_id: str, query: ShowQuery) -> Hypervisor:
    """Show a hypervisor."""
    return await ctx.read(show_one, hypervisor_id, query.with_servers)


@routes.get(ONE + "/uptime", until="2.87", policy=policy.HYPERVISORS_UPTIME)
async def uptime(ctx: Context, hypervisor_id: str) -> Any:
    """Show how long a hypervisor has been up."""
    row = await ctx.read(found, hypervisor_id)
    up = up_for(ctx, row)
    if up is None:
        raise errors.NotImplementedHere("Virt driver does not implement uptime function.")
    return {"hypervisor": outline(ctx, row) | {"uptime": up}}


@routes.get(
    ONE + "/search", until="2.52", policy=policy.HYPERVISORS_SEARCH, reply=collection("hypervisors", Brief)
)
async def search(ctx: Context, pattern: str) -> list[Brief]:
    """Find hypervisors by a part of their name."""
    return await ctx.read(matching, pattern, False)


@routes.get(
    ONE + "/servers", until="2.52", policy=policy.HYPERVISORS_SERVERS, reply=collection("hypervisors", Brief)
)
async def servers(ctx: Context, pattern: str) -> list[Brief]:
    """Find hypervisors by a part of their name, with their servers."""
    return await ctx.read(matching, pattern, True)


# ---- operations ----------------------------------------------------------------------------


def briefs(tx: Tx, ctx: Context, query: ListQuery) -> Page:
    rows, following = rows_of(tx, ctx, query, "os-hypervisors")
    return Page(brief_all(tx, ctx, rows, query.with_servers), following)


def details(tx: Tx, ctx: Context, query: ListQuery) -> Page:
    rows, following = rows_of(tx, ctx, query, "os-hypervisors/detail")
    return Page(full(tx, ctx, rows, query.with_servers), following)


def sums(tx: Tx, ctx: Context) -> dict[str, int]:
    every = full(tx, ctx, hosts.everyone(tx, ctx), False)
    return {"count": len(every)} | {name: sum(getattr(one, name) or 0 for one in every) for name in SUMMED}


def show_one(tx: Tx, ctx: Context, hypervisor_id: str, with_servers: bool) -> Hypervisor:
    return full(tx, ctx, [found(tx, ctx, hypervisor_id)], with_servers)[0]


def matching(tx: Tx, ctx: Context, pattern: str, with_servers: bool) -> list[Brief]:
    return brief_all(tx, ctx, named_like(tx, ctx, pattern), with_servers)


# ---- queries -------------------------------------------------------------------------------


def found(tx: Tx, ctx: Context, hypervisor_id: str) -> Any:
    try:
        return by_id(tx, hypervisor_id)
    except errors.NotFound:
        raise errors.NotFound(f"Hypervisor with ID '{hypervisor_id}' could not be found.") from None


def rows_of(tx: Tx, ctx: Context, query: ListQuery, path: str) -> tuple[list[Any], Any]:
    """One page in the order of the hosts' numbers; a pattern and paging exclude each other, as upstream."""
    if query.pattern is not None:
        if query.limit is not None or query.marker is not None:
            raise errors.Invalid("Paging over hypervisors with the hypervisor_hostname_pattern is not supported.")
        return named_like(tx, ctx, query.pattern), None
    rows = sorted(hosts.everyone(tx, ctx), key=lambda row: row.number)
    if query.marker is not None:
        at = next((i for i, row in enumerate(rows) if query.marker in (row.id, str(row.number))), None)
        if at is None:
            raise errors.Invalid(f"marker [{query.marker[:100]}] not found", reason="marker_not_found")
        rows = rows[at + 1 :]
    size = page_size(ctx, query.limit)
    kept = {"limit": query.limit, "with_servers": query.with_servers or None}
    return rows[:size], next_links(ctx, path, kept, size, [str(number_of(ctx, row)) for row in rows[:size]])


def named_like(tx: Tx, ctx: Context, pattern: str) -> list[Any]:
    rows = [row for row in hosts.everyone(tx, ctx) if pattern in row.name]
    if not rows:
        raise errors.NotFound(f"No hypervisor matching '{pattern[:255]}' could be found.")
    return rows


def brief_all(tx: Tx, ctx: Context, rows: list[Any], with_servers: bool) -> list[Brief]:
    on = guests(tx, rows) if with_servers else {}
    return [Brief(**outline(ctx, row), servers=listed(ctx, row, on, with_servers)) for row in rows]


def full(tx: Tx, ctx: Context, rows: list[Any], with_servers: bool) -> list[Hypervisor]:
    """Whole forms, in a constant number of queries."""
    on = guests(tx, rows)
    rooms = {room.provider_id: room.inventories for room in placement.rooms(tx, ctx, [row.id for row in rows])}
    return [
        Hypervisor(
            **outline(ctx, row), **machine(ctx, row), **numbers(rooms.get(row.id, {}), on.get(row.id, [])),
            servers=listed(ctx, row, on, with_servers),
        )
        for row in rows
    ]


def outline(ctx: Context, row: Any) -> dict[str, Any]:
    return {
        "id": number_of(ctx, row), "hypervisor_hostname": row.name,
        "state": "up" if hosts.is_up(row, ctx.now) else "down",
        "status": "enabled" if row.enabled else "disabled",
    }


def number_of(ctx: Context, row: Any) -> Any:
    return row.id if ctx.version >= versions.HOSTS_BY_UUID else row.number


def machine(ctx: Context, row: Any) -> dict[str, Any]:
    """What the host is, by its last inventory; before the first it is of no type."""
    offered = row.inventory or {}
    cpu = {
        "arch": offered.get("arch", ""), "model": offered.get("cpu_model", ""), "vendor": "",
        "features": [], "topology": {},
    }
    return {
        "hypervisor_type": offered.get("hypervisor_type", ""),
        "hypervisor_version": offered.get("hypervisor_version", 0), "host_ip": offered.get("host_ip", ""),
        "uptime": up_for(ctx, row),
        "cpu_info": cpu if ctx.version >= versions.CPU_INFO_OBJECT else json.dumps(cpu),
        "service": Host(id=number_of(ctx, row), host=row.name, disabled_reason=row.disabled_reason),
    }


def up_for(ctx: Context, row: Any) -> str | None:
    """As the command `uptime` begins its line: the time there, in UTC, and how long it has been up."""
    booted_at_s = (row.inventory or {}).get("booted_at_s", 0)
    if not booted_at_s:
        return None
    minutes = max(0, ctx.now // 1_000_000 - booted_at_s) // 60
    days, hours = minutes // 1440, minutes // 60 % 24
    said = f"{days} day{'s' if days != 1 else ''}, " if days else ""
    return f" {datetime.fromtimestamp(ctx.now / 1e6, UTC):%H:%M:%S} up {said}{hours:2}:{minutes % 60:02}"


NO_ROOM = RoomOf(total=0, reserved=0, allocation_ratio=1.0, min_unit=1, max_unit=1, step_size=1, used=0)


def numbers(room: dict[str, RoomOf], servers: list[Any]) -> dict[str, Any]:
    """In upstream's sense: what the machine keeps for itself counts as used memory."""
    cpu, ram, disk = (room.get(name, NO_ROOM) for name in ("VCPU", "MEMORY_MB", "DISK_GB"))
    ram_used, disk_used = ram.used + ram.reserved, disk.used + disk.reserved
    return {
        "vcpus": cpu.total, "vcpus_used": cpu.used, "memory_mb": ram.total, "memory_mb_used": ram_used,
        "free_ram_mb": ram.total - ram_used, "local_gb": disk.total, "local_gb_used": disk_used,
        "free_disk_gb": disk.total - disk_used, "disk_available_least": disk.total - disk_used,
        "running_vms": len(servers), "current_workload": sum(server.task is not None for server in servers),
    }


def listed(ctx: Context, row: Any, on: dict[str, list[Any]], asked: bool) -> Any:
    """Absent unless asked for; up to 2.74 also for a host without servers."""
    here = on.get(row.id, [])
    if not asked or (not here and ctx.version < versions.NUMBERS_ALWAYS):
        return ABSENT
    return [Guest(name=f"instance-{server.id[:8]}", uuid=server.id) for server in here]


def guests(tx: Tx, rows: list[Any]) -> dict[str, list[Any]]:
    statement = (
        sa.select(SERVERS.c.id, SERVERS.c.host_id, SERVERS.c.task)
        .where(SERVERS.c.host_id.in_([row.id for row in rows]), SERVERS.c.deleted_at.is_(None))
        .order_by(SERVERS.c.created_at, SERVERS.c.id)
    )
    grouped: dict[str, list[Any]] = {}
    for row in tx.all(statement):
        grouped.setdefault(row.host_id, []).append(row)
    return grouped
