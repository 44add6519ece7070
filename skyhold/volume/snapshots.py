# SPDX-License-Identifier: Apache-2.0
"""Snapshots: what a volume held at one instant, as a copy that stays whatever becomes of the volume.

Copying is the host's business (sagas/create_snapshot.py); metadata has its own paths in metadata.py. A snapshot lies
on the host of its volume and counts as gigabytes of its project.
"""

from __future__ import annotations

from typing import Any

from skyhold.core import errors, journal
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.http.routes import Routes
from skyhold.core.shapes import ABSENT, Absent, LooseBool, Page, Shape, TimeMicros, collection, envelope, field
from skyhold.core.store import Filter
from skyhold.volume import policy, states, versions
from skyhold.volume.paging import PageQuery, page
from skyhold.volume.quotas import QUOTA
from skyhold.volume.volumes.shape import KEY
from skyhold.volume.volumes.store import SNAPSHOTS_STORE, VOLUMES_STORE, copied_by, need

SORTABLE = {"id": "id", "created_at": "created_at", "updated_at": "updated_at", "name": "name",
            "display_name": "name", "status": "state", "volume_id": "volume_id", "volume_size": "size_gib",
            "size": "size_gib", "project_id": "project_id"}
DELETABLE = (states.AVAILABLE, states.ERROR, states.ERROR_DELETING, states.CREATING)

# ---- shape ---------------------------------------------------------------------------------


class SnapshotCreate(Shape):
    volume_id: str = field(format="uuid")
    name: str | None = field(max=255, default=None)
    display_name: str | None = field(max=255, default=None)
    description: str | None = field(max=255, default=None)
    display_description: str | None = field(max=255, default=None)
    force: LooseBool | Absent = field(optional=True)
    metadata: dict[str, str] | None = field(keys=KEY, max=255, default=None)


class SnapshotUpdate(Shape):
    name: str | Absent | None = field(max=255, optional=True)
    display_name: str | Absent | None = field(max=255, optional=True)
    description: str | Absent | None = field(max=255, optional=True)
    display_description: str | Absent | None = field(max=255, optional=True)


class Brief(Shape):
    id: str
    created_at: TimeMicros
    updated_at: TimeMicros | None
    name: str | None
    description: str | None
    volume_id: str
    status: str
    size: int
    metadata: dict[str, str]


class Snapshot(Brief):
    user_id: str = field(since="3.41")
    group_snapshot_id: str | None = field(since="3.14", default=None)
    consumes_quota: bool = field(since="3.65", default=True)
    progress: str = field("os-extended-snapshot-attributes:progress")
    project_id: str = field("os-extended-snapshot-attributes:project_id")


class SnapshotQuery(PageQuery):
    name: str | None = None
    status: str | None = None
    volume_id: str | None = None


class ResetStatus(Shape):
    status: str


ONE = envelope("snapshot", Snapshot)

# ---- routes --------------------------------------------------------------------------------

routes = Routes()
PATH = "/v3/snapshots"
SNAPSHOT = PATH + "/{snapshot_id}"
ACTION = SNAPSHOT + "/action"


@routes.get(
    PATH, policy=policy.SNAPSHOTS_LIST, query=SnapshotQuery,
    reply=collection("snapshots", Brief, links="snapshots_links"),
)
async def index(ctx: Context, query: SnapshotQuery) -> Page:
    """List snapshots."""
    return await ctx.read(listed, query, "snapshots", brief)


@routes.get(
    PATH + "/detail", policy=policy.SNAPSHOTS_LIST, query=SnapshotQuery,
    reply=collection("snapshots", Snapshot, links="snapshots_links"),
)
async def detail(ctx: Context, query: SnapshotQuery) -> Page:
    """List snapshots with details."""
    return await ctx.read(listed, query, "snapshots/detail", full)


@routes.post(
    PATH, policy=policy.SNAPSHOTS_CREATE, body=envelope("snapshot", SnapshotCreate), status=202, reply=ONE
)
async def create(ctx: Context, want: SnapshotCreate) -> Snapshot:
    """Create a snapshot of a volume."""
    return full(await ctx.write(insert, want))


@routes.get(SNAPSHOT, policy=policy.SNAPSHOTS_SHOW, reply=ONE)
async def show(ctx: Context, snapshot_id: str) -> Snapshot:
    """Show a snapshot."""
    return full(await ctx.read(get, snapshot_id))


@routes.put(
    SNAPSHOT, policy=policy.SNAPSHOTS_UPDATE, body=envelope("snapshot", SnapshotUpdate), reply=ONE
)
async def update(ctx: Context, snapshot_id: str, want: SnapshotUpdate) -> Snapshot:
    """Change a snapshot's name or description."""
    return full(await ctx.write(change, snapshot_id, want))


@routes.delete(SNAPSHOT, policy=policy.SNAPSHOTS_DELETE, status=202)
async def delete(ctx: Context, snapshot_id: str) -> None:
    """Delete a snapshot."""
    await ctx.write(remove, snapshot_id)


@routes.action(ACTION, "os-reset_status", policy=policy.SNAPSHOTS_RESET_STATUS, body=ResetStatus)
async def reset_status(ctx: Context, snapshot_id: str, want: ResetStatus) -> None:
    """Set a snapshot's state."""
    await ctx.write(reset, snapshot_id, want.status)


@routes.action(ACTION, "os-force_delete", policy=policy.SNAPSHOTS_FORCE_DELETE)
async def force_delete(ctx: Context, snapshot_id: str) -> None:
    """Delete a snapshot whatever its state."""
    await ctx.write(remove, snapshot_id, True)


# ---- operations ----------------------------------------------------------------------------


def insert(tx: Tx, ctx: Context, want: SnapshotCreate) -> Any:
    if want.force is False and ctx.version >= versions.SNAPSHOT_IN_USE:
        raise errors.Invalid("Since 3.66 snapshots are always made of volumes in use too: 'force' can't be false.")
    name = want.name if want.name is not None else want.display_name
    description = want.description if want.description is not None else want.display_description
    force = want.force is True or ctx.version >= versions.SNAPSHOT_IN_USE
    return add(tx, ctx, want.volume_id, name=name, description=description, metadata=want.metadata or {}, force=force)


def add(
    tx: Tx, ctx: Context, volume_id: str, *, name: str | None, force: bool, description: str | None = None,
    metadata: dict[str, str] | None = None,
) -> Any:
    """The new row with its quota taken and its saga started. Raises Invalid unless the volume is available, or in use
    with `force`; OverQuota."""
    from skyhold.volume.sagas.create_snapshot import CreateSnapshot

    volume = VOLUMES_STORE.get(tx, ctx, volume_id, may=policy.SNAPSHOTS_CREATE)
    need(tx, volume, (states.AVAILABLE, states.IN_USE) if force else (states.AVAILABLE,), "make a snapshot of it")
    QUOTA.take(tx, volume.project_id, snapshots=1, gigabytes=volume.size_gib)
    row = SNAPSHOTS_STORE.insert(
        tx, id=ctx.new_id(), project_id=volume.project_id, user_id=ctx.user_id, volume_id=volume.id,
        name=name and name.strip(), description=description, size_gib=volume.size_gib, state=states.CREATING,
        host_id=volume.host_id, metadata=metadata or {},
    )
    journal.record(tx, "snapshot.create.start", row)
    CreateSnapshot.start(tx, ctx, subject=row.id)
    return row


def change(tx: Tx, ctx: Context, snapshot_id: str, want: SnapshotUpdate) -> Any:
    row = get(tx, ctx, snapshot_id)
    named = {
        "name": want.name if want.name is not ABSENT else want.display_name,
        "description": want.description if want.description is not ABSENT else want.display_description,
    }
    values = {key: value and value.strip() for key, value in named.items() if value is not ABSENT}
    if not values:
        raise errors.Invalid("Nothing to change: give name or description.")
    row = SNAPSHOTS_STORE.update(tx, row, **values)
    journal.record(tx, "snapshot.update", row)
    return row


def remove(tx: Tx, ctx: Context, snapshot_id: str, force: bool = False) -> None:
    """Raises Invalid for one that is copied just now, or in a state that doesn't allow it."""
    row = get(tx, ctx, snapshot_id)
    if row.state == states.DELETING and force:
        return
    if row.state not in DELETABLE:
        raise errors.Invalid(
            f"Invalid snapshot: Snapshot {row.id} status must be {' or '.join(DELETABLE)} to delete it, but current "
            f"status is: {row.state}.", reason="wrong_state", state=row.state,
        )
    begin_delete(tx, ctx, row)


def begin_delete(tx: Tx, ctx: Context, row: Any) -> None:
    from skyhold.volume.sagas.delete_snapshot import DeleteSnapshot

    if copy := copied_by(tx, snapshot_id=row.id):
        raise errors.Invalid(f"Invalid snapshot: Volume {copy} is just being made of snapshot {row.id}: wait for it.")
    row = SNAPSHOTS_STORE.move(tx, row, row.state, states.DELETING)
    journal.record(tx, "snapshot.delete.start", row)
    DeleteSnapshot.start(tx, ctx, subject=row.id, supersede=True)


def reset(tx: Tx, ctx: Context, snapshot_id: str, state: str) -> None:
    from skyhold.core.saga import rows

    row = get(tx, ctx, snapshot_id)
    if state not in states.SNAPSHOT.resting:
        raise errors.Invalid(f"Must specify a valid status: one of {', '.join(sorted(states.SNAPSHOT.resting))}.")
    if kind := rows.live(tx, ctx, row.id):
        raise errors.Conflict(f"Snapshot {row.id} is busy: {kind} is under way and will end by itself.")
    journal.record(tx, "snapshot.reset_status", SNAPSHOTS_STORE.update(tx, row, state=state, fault=None))


# ---- queries -------------------------------------------------------------------------------


def get(tx: Tx, ctx: Context, snapshot_id: str) -> Any:
    return SNAPSHOTS_STORE.get(tx, ctx, snapshot_id)


def listed(tx: Tx, ctx: Context, query: SnapshotQuery, path: str, show: Any) -> Page:
    wishes = (("name", query.name), ("state", query.status), ("volume_id", query.volume_id))
    filters: list[Filter] = [(name, "eq", value) for name, value in wishes if value is not None]
    return page(
        tx, ctx, SNAPSHOTS_STORE, query, everyones=policy.SNAPSHOTS_LIST_ALL, filters=filters, path=path,
        sortable=SORTABLE, show=lambda rows: [show(row) for row in rows],
    )


def brief(row: Any) -> Brief:
    return Brief(**common(row))


def full(row: Any) -> Snapshot:
    progress = "0%" if row.state in (states.CREATING, states.ERROR) else "100%"
    return Snapshot(**common(row), progress=progress, project_id=row.project_id, user_id=row.user_id)


def common(row: Any) -> dict[str, Any]:
    return {
        "id": row.id, "created_at": row.created_at, "updated_at": row.updated_at, "name": row.name,
        "description": row.description, "volume_id": row.volume_id, "status": row.state, "size": row.size_gib,
        "metadata": row.metadata,
    }
