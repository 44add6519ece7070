# SPDX-License-Identifier: Apache-2.0
"""Services as operators see them: one `nova-compute` for each host's agent.

The hosts' rows are kept by hosts.py; what they have room for is shown by hypervisors.py. Control
processes are not listed: they are one program, and it is up or nothing answers. A service's number
is its host's (to 2.52), its UUID as well (since 2.53).
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from skyhold.compute import hosts, policy, versions
from skyhold.compute.tables import AGGREGATE_HOSTS, HOSTS, SERVERS
from skyhold.compute.zones import zones_of_hosts
from skyhold.core import errors, journal
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.http.routes import Routes
from skyhold.core.shapes import ABSENT, Absent, LooseBool, Shape, TimeMicros, collection, envelope, field
from skyhold.placement import facade as placement

BINARY = "nova-compute"
HOST_NAME = r"^[a-zA-Z0-9-._]*$"

# ---- shape ---------------------------------------------------------------------------------


class Service(Shape):
    id: Any
    binary: str = BINARY
    host: str
    zone: str
    status: str
    state: str
    updated_at: TimeMicros
    disabled_reason: str | None
    forced_down: bool = field(since="2.11")


class ServiceQuery(Shape, extra="ignore"):
    host: str | None = None
    binary: str | None = None


class Named(Shape):
    host: str = field(min=1, max=255, pattern=HOST_NAME)
    binary: str = field(min=1, max=255)


class Reasoned(Named):
    disabled_reason: str = field(min=1, max=255, pattern=r"\S")


class Forced(Named):
    forced_down: LooseBool


class Change(Shape):
    status: str | Absent = field(optional=True, enum=("enabled", "disabled"))
    disabled_reason: str | Absent = field(optional=True, min=1, max=255, pattern=r"\S")
    forced_down: LooseBool | Absent = field(optional=True)


ONE = envelope("service", Service)

# ---- routes --------------------------------------------------------------------------------

routes = Routes()
PATH = "/v2.1/os-services"


@routes.get(PATH, policy=policy.SERVICES_LIST, query=ServiceQuery, reply=collection("services", Service))
async def index(ctx: Context, query: ServiceQuery) -> list[Service]:
    """List services."""
    return await ctx.read(list_all, query)


@routes.put(PATH + "/enable", until="2.52", policy=policy.SERVICES_UPDATE, body=Named)
async def enable(ctx: Context, want: Named) -> Any:
    """Let the scheduler use a host again."""
    return answer(want, await ctx.write(change_named, want, {"enabled": True, "disabled_reason": None}), "status")


@routes.put(PATH + "/disable", until="2.52", policy=policy.SERVICES_UPDATE, body=Named)
async def disable(ctx: Context, want: Named) -> Any:
    """Keep the scheduler from using a host."""
    return answer(want, await ctx.write(change_named, want, {"enabled": False, "disabled_reason": None}), "status")


@routes.put(PATH + "/disable-log-reason", until="2.52", policy=policy.SERVICES_UPDATE, body=Reasoned)
async def disable_with_reason(ctx: Context, want: Reasoned) -> Any:
    """Keep the scheduler from using a host, and say why."""
    row = await ctx.write(change_named, want, {"enabled": False, "disabled_reason": want.disabled_reason})
    return answer(want, row, "status", "disabled_reason")


@routes.put(PATH + "/force-down", since="2.11", until="2.52", policy=policy.SERVICES_UPDATE, body=Forced)
async def force_down(ctx: Context, want: Forced) -> Any:
    """Declare a host down, or no longer."""
    return answer(want, await ctx.write(change_named, want, {"forced_down": want.forced_down}), "forced_down")


@routes.put(PATH + "/{service_id}", since="2.53", policy=policy.SERVICES_UPDATE, body=Change, reply=ONE)
async def update(ctx: Context, service_id: str, want: Change) -> Service:
    """Enable, disable or force down a service."""
    return await ctx.write(change, service_id, want)


@routes.delete(PATH + "/{service_id}", policy=policy.SERVICES_DELETE)
async def delete(ctx: Context, service_id: str) -> None:
    """Forget a host that is gone for good."""
    await ctx.write(forget, service_id)


def answer(want: Named, row: Any, *shown: str) -> Any:
    values = {
        "status": "enabled" if row.enabled else "disabled", "disabled_reason": row.disabled_reason,
        "forced_down": row.forced_down,
    }
    return {"service": {"host": want.host, "binary": want.binary} | {name: values[name] for name in shown}}


# ---- operations ----------------------------------------------------------------------------


def list_all(tx: Tx, ctx: Context, query: ServiceQuery) -> list[Service]:
    if query.binary not in (None, BINARY):
        return []
    zones = zones_of_hosts(tx, ctx)
    rows = [row for row in hosts.everyone(tx, ctx) if query.host in (None, row.name)]
    return [shown(ctx, row, zones) for row in rows]


def shown(ctx: Context, row: Any, zones: dict[str, str]) -> Service:
    return Service(
        id=row.id if ctx.version >= versions.HOSTS_BY_UUID else row.number, host=row.name,
        zone=zones.get(row.id, hosts.ZONE), status="enabled" if row.enabled else "disabled",
        state="up" if hosts.is_up(row, ctx.now) else "down", updated_at=row.seen_at,
        disabled_reason=row.disabled_reason, forced_down=row.forced_down,
    )


def change_named(tx: Tx, ctx: Context, want: Named, values: dict[str, Any]) -> Any:
    """Raises NotFound for a host or binary that isn't there; hosts of one name are changed alike."""
    named = tx.all(sa.select(HOSTS.c.id).where(HOSTS.c.name == want.host)) if want.binary == BINARY else []
    rows = [row for found in named if (row := hosts.store.find(tx, found.id, lock=True)) is not None]
    if not rows:
        raise errors.NotFound(f"Could not find binary {want.binary} on host {want.host}.")
    return [keep(tx, row, values) for row in rows][-1]


def change(tx: Tx, ctx: Context, service_id: str, want: Change) -> Service:
    if want.disabled_reason is not ABSENT and want.status != "disabled":
        raise errors.Invalid("Specifying disabled_reason requires that status is set to 'disabled'.")
    values: dict[str, Any] = {}
    if want.status is not ABSENT:
        reason = None if want.disabled_reason is ABSENT else want.disabled_reason
        values = {"enabled": want.status == "enabled", "disabled_reason": reason}
    if want.forced_down is not ABSENT:
        values["forced_down"] = want.forced_down
    if not values:
        raise errors.Invalid("No updates were requested. Fields 'status' or 'forced_down' should be specified.")
    return shown(ctx, keep(tx, by_id(tx, service_id), values), zones_of_hosts(tx, ctx))


def keep(tx: Tx, row: Any, values: dict[str, Any]) -> Any:
    row = hosts.store.update(tx, row, **values)
    journal.record(tx, "service.update", row)
    tx.after_commit(lambda: tx.ctx.core.loops.ring("compute.power_sync"))
    return row


def forget(tx: Tx, ctx: Context, service_id: str) -> None:
    """Raises Conflict while servers are on the host, or its agent would bring it back at once."""
    row = by_id(tx, service_id)
    on_it = sa.select(sa.func.count()).where(SERVERS.c.host_id == row.id, SERVERS.c.deleted_at.is_(None))
    if number := tx.scalar(on_it):
        raise errors.Conflict(
            "Unable to delete compute service that is hosting instances. Migrate or delete the instances first: host "
            f"{row.name} has {number}."
        )
    if row.connected:
        raise errors.Conflict(f"The agent of host {row.name} is connected: stop it first.", reason="agent_connected")
    placement.remove_provider(tx, ctx, row.id)
    tx.execute(AGGREGATE_HOSTS.delete().where(AGGREGATE_HOSTS.c.host_id == row.id))
    hosts.store.delete(tx, row)
    journal.record(tx, "service.delete", row)


def by_id(tx: Tx, service_id: str) -> Any:
    """By UUID, or since old clients know no other, by number."""
    row = hosts.store.find(tx, service_id, lock=tx.writing)
    if row is None and service_id.isascii() and service_id.isdigit() and len(service_id) < 19:
        found = tx.first(sa.select(HOSTS.c.id).where(HOSTS.c.number == int(service_id)))
        row = hosts.store.find(tx, found.id, lock=tx.writing) if found else None
    if row is None:
        raise errors.NotFound(f"Service {service_id} not found.")
    return row
