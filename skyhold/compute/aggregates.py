# SPDX-License-Identifier: Apache-2.0
"""Aggregates: hosts that an operator names together, and what is said of them.

An aggregate whose metadata has `availability_zone` makes its hosts that zone (zones.py). Users see
only zones. An aggregate is known by its number, as in Nova; its UUID is only printed (since 2.41).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from skyhold.compute import hosts, policy, zones
from skyhold.compute.tables import AGGREGATE_HOSTS, AGGREGATES, HOSTS, SERVERS
from skyhold.core import errors, journal
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.http.routes import Routes
from skyhold.core.shapes import ABSENT, Absent, Name, Shape, TimeMicros, collection, envelope, field
from skyhold.core.store import Store

ZONE_KEY = zones.ZONE_KEY
ZONE_NAME = r"^[^:]+$"

# ---- shape ---------------------------------------------------------------------------------


class Create(Shape):
    name: Name
    availability_zone: str | None = field(min=1, max=255, pattern=ZONE_NAME, default=None)


class Update(Shape):
    name: Name | Absent = field(optional=True)
    availability_zone: str | Absent | None = field(optional=True, min=1, max=255, pattern=ZONE_NAME)


class HostNamed(Shape):
    host: str = field(min=1, max=255, pattern=r"^[a-zA-Z0-9-._]*$")


class MetadataChange(Shape):
    metadata: dict[str, str | None] = field(keys=r"^[a-zA-Z0-9-_:. ]{1,255}$", max=255)


class Aggregate(Shape):
    id: int
    uuid: str = field(since="2.41")
    name: str
    availability_zone: str | None
    hosts: list[str] | Absent = field(optional=True)
    metadata: dict[str, str] | Absent = field(optional=True)
    created_at: TimeMicros
    updated_at: TimeMicros | None
    deleted: bool = False
    deleted_at: str | None = None


ONE = envelope("aggregate", Aggregate)
NUMBER_TRIES = 50

# ---- routes --------------------------------------------------------------------------------

routes = Routes()
PATH = "/v2.1/os-aggregates"
ITEM = PATH + "/{aggregate_id}"
ACTION = ITEM + "/action"


@routes.get(PATH, policy=policy.AGGREGATES_INDEX, reply=collection("aggregates", Aggregate))
async def index(ctx: Context) -> list[Aggregate]:
    """List aggregates."""
    return await ctx.read(list_all)


@routes.post(PATH, policy=policy.AGGREGATES_CREATE, body=envelope("aggregate", Create), reply=ONE)
async def create(ctx: Context, want: Create) -> Aggregate:
    """Create an aggregate."""
    return await ctx.write(insert, want)


@routes.get(ITEM, policy=policy.AGGREGATES_SHOW, reply=ONE)
async def show(ctx: Context, aggregate_id: str) -> Aggregate:
    """Show an aggregate."""
    return await ctx.read(show_one, aggregate_id)


@routes.put(ITEM, policy=policy.AGGREGATES_UPDATE, body=envelope("aggregate", Update), reply=ONE)
async def update(ctx: Context, aggregate_id: str, want: Update) -> Aggregate:
    """Rename an aggregate, or change its zone."""
    return await ctx.write(change, aggregate_id, want)


@routes.delete(ITEM, policy=policy.AGGREGATES_DELETE, status=200)
async def delete(ctx: Context, aggregate_id: str) -> None:
    """Delete an aggregate without hosts."""
    await ctx.write(remove, aggregate_id)


@routes.action(ACTION, "add_host", policy=policy.AGGREGATES_ADD_HOST, body=HostNamed, reply=ONE, status=200)
async def add_host(ctx: Context, aggregate_id: str, want: HostNamed) -> Aggregate:
    """Add a host to an aggregate."""
    return await ctx.write(take_host, aggregate_id, want.host)


@routes.action(
    ACTION, "remove_host", policy=policy.AGGREGATES_REMOVE_HOST, body=HostNamed, reply=ONE, status=200
)
async def remove_host(ctx: Context, aggregate_id: str, want: HostNamed) -> Aggregate:
    """Take a host out of an aggregate."""
    return await ctx.write(drop_host, aggregate_id, want.host)


@routes.action(
    ACTION, "set_metadata", policy=policy.AGGREGATES_METADATA, body=MetadataChange, reply=ONE, status=200
)
async def set_metadata(ctx: Context, aggregate_id: str, want: MetadataChange) -> Aggregate:
    """Set or, with null, delete items of an aggregate's metadata."""
    return await ctx.write(change_metadata, aggregate_id, want.metadata)


# ---- operations ----------------------------------------------------------------------------


def list_all(tx: Tx, ctx: Context) -> list[Aggregate]:
    rows = [store.Row._make(row) for row in tx.all(sa.select(AGGREGATES).order_by(AGGREGATES.c.number))]
    return printed(tx, rows)


def show_one(tx: Tx, ctx: Context, aggregate_id: str) -> Aggregate:
    return printed(tx, [by_number(tx, aggregate_id)])[0]


def insert(tx: Tx, ctx: Context, want: Create) -> Aggregate:
    """Upstream prints neither hosts nor metadata of a new aggregate. Raises Conflict for a taken name."""
    metadata = {ZONE_KEY: want.availability_zone} if want.availability_zone else {}
    row = insert_with_number(tx, id=ctx.new_id(), name=want.name, metadata=metadata)
    journal.record(tx, "aggregate.create", row)
    return Aggregate(**outline(row))


def insert_with_number(tx: Tx, **values: Any) -> Any:
    """The next number may be another's who asks at the same moment: then the one after it is next."""
    for _ in range(NUMBER_TRIES):
        if tx.first(sa.select(AGGREGATES.c.id).where(AGGREGATES.c.name == values["name"])):
            raise name_taken(values["name"])
        number = (tx.scalar(sa.select(sa.func.max(AGGREGATES.c.number))) or 0) + 1
        if (row := store.add(tx, number=number, **values)) is not None:
            return row
    raise errors.Conflict(f"Aggregate {values['name']} found no free number among all that are made now; try again.")


def change(tx: Tx, ctx: Context, aggregate_id: str, want: Update) -> Aggregate:
    row = by_number(tx, aggregate_id)
    values: dict[str, Any] = {}
    if want.name is not ABSENT:
        values["name"] = want.name
    if want.availability_zone is not ABSENT:
        metadata = merged(row.metadata, {ZONE_KEY: want.availability_zone})
        refuse_moving(tx, row, metadata)
        values["metadata"] = metadata
    if not values:
        raise errors.Invalid("Invalid input for field/attribute aggregate: name or availability_zone is needed.")
    try:
        with tx.nested():
            row = store.update(tx, row, **values)
    except sa.exc.IntegrityError:
        raise name_taken(str(want.name)) from None
    return done(tx, "aggregate.update", row)


def remove(tx: Tx, ctx: Context, aggregate_id: str) -> None:
    row = by_number(tx, aggregate_id)
    if held := hosts_in(tx, [row.id]):
        names = ", ".join(host.name for host in held[:3]) + (", …" if len(held) > 3 else "")
        raise errors.Invalid(f"Cannot delete aggregate {row.number}: Host aggregate is not empty. It has {names}.")
    store.delete(tx, row)
    journal.record(tx, "aggregate.delete", row)


def take_host(tx: Tx, ctx: Context, aggregate_id: str, name: str) -> Aggregate:
    """Raises NotFound, Conflict when it is in already or would be in two zones at once."""
    row, host = by_number(tx, aggregate_id), named_host(tx, name)
    zone = row.metadata.get(ZONE_KEY)
    before = zones.zones_of_hosts(tx, ctx).get(host.id)
    if zone and before not in (None, zone):
        raise errors.Conflict(f"Cannot add host {name} in aggregate {row.number}: it is in zone {before}.")
    if zone and before is None and has_servers(tx, [host.id]):
        raise errors.Conflict(
            f"Cannot add host {name} in aggregate {row.number}: it has servers, which would change their zone."
        )
    if not tx.add(AGGREGATE_HOSTS, {"aggregate_id": row.id, "host_id": host.id}):
        raise errors.Conflict(f"Aggregate {row.number} already has host {name}.")
    return done(tx, "aggregate.add_host", store.update(tx, row))


def drop_host(tx: Tx, ctx: Context, aggregate_id: str, name: str) -> Aggregate:
    row, host = by_number(tx, aggregate_id), named_host(tx, name)
    same = (AGGREGATE_HOSTS.c.aggregate_id == row.id) & (AGGREGATE_HOSTS.c.host_id == host.id)
    if not tx.first(sa.select(AGGREGATE_HOSTS.c.host_id).where(same)):
        raise errors.NotFound(f"Cannot remove host {name} in aggregate {row.number}: it is not in it.")
    if row.metadata.get(ZONE_KEY) and has_servers(tx, [host.id]):
        raise errors.Conflict(
            f"Cannot remove host {name} in aggregate {row.number}: it has servers, which would change their zone."
        )
    tx.execute(AGGREGATE_HOSTS.delete().where(same))
    return done(tx, "aggregate.remove_host", store.update(tx, row))


def change_metadata(tx: Tx, ctx: Context, aggregate_id: str, given: dict[str, str | None]) -> Aggregate:
    row = by_number(tx, aggregate_id)
    metadata = merged(row.metadata, given)
    refuse_moving(tx, row, metadata)
    return done(tx, "aggregate.update_metadata", store.update(tx, row, metadata=metadata))


def merged(kept: dict[str, str], given: dict[str, str | None]) -> dict[str, str]:
    return {name: value for name, value in {**kept, **given}.items() if value is not None}


def refuse_moving(tx: Tx, row: Any, metadata: dict[str, str]) -> None:
    """A server's zone may not change under it, nor a host come to be in two zones."""
    after = metadata.get(ZONE_KEY)
    if after == row.metadata.get(ZONE_KEY):
        return
    if after is not None and ":" in after:
        raise errors.Invalid("The name of an availability zone must not contain ':'.")
    inside = [host.id for host in hosts_in(tx, [row.id])]
    # Locked as by take_host: meanwhile no other aggregate puts one of them into a zone.
    tx.all(sa.select(HOSTS.c.id).where(HOSTS.c.id.in_(inside)).order_by(HOSTS.c.id).with_for_update())
    if has_servers(tx, inside):
        raise errors.Invalid(f"Cannot update aggregate {row.number}: One or more hosts contain instances in this zone.")
    elsewhere = [zone for zone in zones.named_of(tx, inside, without=row.id) if zone != after]
    if after is not None and elsewhere:
        raise errors.Invalid(f"Cannot update aggregate {row.number}: a host of it is in zone {elsewhere[0]}.")


# ---- queries -------------------------------------------------------------------------------

store = Store(AGGREGATES, service="compute", kind="aggregate", label="Aggregate")


def by_number(tx: Tx, aggregate_id: str) -> Any:
    """By number only. Raises Invalid for what is none, NotFound."""
    digits = aggregate_id.removeprefix("-")
    if not (digits.isascii() and digits.isdigit() and len(digits) < 19):
        raise errors.Invalid(f"Invalid aggregate id {aggregate_id[:50]!r}: it is a number.")
    found = tx.first(sa.select(AGGREGATES.c.id).where(AGGREGATES.c.number == int(aggregate_id)))
    row = store.find(tx, found.id, lock=tx.writing) if found else None
    if row is None:
        raise errors.NotFound(f"Aggregate {aggregate_id} could not be found.")
    return row


def named_host(tx: Tx, name: str) -> Any:
    found = tx.first(sa.select(HOSTS.c.id).where(HOSTS.c.name == name).order_by(HOSTS.c.number))
    if found is None:
        raise errors.NotFound(f"Compute host {name} could not be found.")
    return hosts.store.find(tx, found.id, lock=tx.writing)


def hosts_in(tx: Tx, aggregate_ids: Sequence[str]) -> list[Any]:
    """(aggregate_id, id, name) of the hosts in these aggregates, by name."""
    return list(tx.all(
        sa.select(AGGREGATE_HOSTS.c.aggregate_id, HOSTS.c.id, HOSTS.c.name)
        .join(HOSTS, HOSTS.c.id == AGGREGATE_HOSTS.c.host_id)
        .where(AGGREGATE_HOSTS.c.aggregate_id.in_(list(aggregate_ids)))
        .order_by(HOSTS.c.name, HOSTS.c.number)
    ))


def has_servers(tx: Tx, host_ids: Sequence[str]) -> bool:
    there = SERVERS.c.host_id.in_(list(host_ids)) & SERVERS.c.deleted_at.is_(None)
    return tx.first(sa.select(SERVERS.c.id).where(there).limit(1)) is not None


def done(tx: Tx, action: str, row: Any) -> Aggregate:
    journal.record(tx, action, row)
    return printed(tx, [row])[0]


def printed(tx: Tx, rows: Sequence[Any]) -> list[Aggregate]:
    inside: dict[str, list[str]] = {}
    for host in hosts_in(tx, [row.id for row in rows]):
        inside.setdefault(host.aggregate_id, []).append(host.name)
    return [Aggregate(**outline(row), hosts=inside.get(row.id, []), metadata=row.metadata) for row in rows]


def outline(row: Any) -> dict[str, Any]:
    return {
        "id": row.number, "uuid": row.id, "name": row.name, "availability_zone": row.metadata.get(ZONE_KEY),
        "created_at": row.created_at, "updated_at": row.updated_at,
    }


def name_taken(name: str) -> errors.Conflict:
    return errors.Conflict(f"Aggregate {name} already exists.")
