# SPDX-License-Identifier: Apache-2.0
"""Attachments: the one row about a volume in a server, for this API and for compute alike.

Plugging a disk into a guest is compute's business; here a volume is reserved, in use, or free again, and the row
says by whom. The one thing to know first: a row that compute made (`of_compute`) is ended by compute alone, or a
guest would keep a disk that its volume no longer knows of (CVE-2023-2088).
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from skyhold.core import errors, journal
from skyhold.core.context import Context
from skyhold.core.db.among import among
from skyhold.core.db.tx import Tx
from skyhold.core.http.routes import Routes
from skyhold.core.shapes import JsonObject, Page, Shape, TimeMicros, collection, envelope, field
from skyhold.core.store import Filter, Store
from skyhold.volume import policy, states
from skyhold.volume.paging import PageQuery, page
from skyhold.volume.tables import ATTACHMENTS
from skyhold.volume.volumes.store import VOLUMES_STORE, need

SORTABLE = {"id": "id", "created_at": "created_at", "status": "state", "volume_id": "volume_id",
            "instance_id": "server_id", "attach_status": "state"}
FREE = (states.AVAILABLE,)

# ---- shape ---------------------------------------------------------------------------------


class AttachmentCreate(Shape):
    volume_uuid: str = field(format="uuid")
    instance_uuid: str | None = field(format="uuid", default=None)
    connector: JsonObject | None = field(default=None)
    mode: str = field(since="3.54", enum=("rw", "ro"), default="rw")


class AttachmentUpdate(Shape):
    connector: JsonObject = field(min_items=1)


class Brief(Shape):
    id: str
    status: str
    instance: str | None
    volume_id: str


class Attachment(Brief):
    attach_mode: str
    attached_at: TimeMicros | None
    detached_at: TimeMicros | None = None
    connection_info: JsonObject


class AttachmentQuery(PageQuery):
    volume_id: str | None = None
    instance_id: str | None = None
    instance_uuid: str | None = None
    status: str | None = None


ONE = envelope("attachment", Attachment)

# ---- routes --------------------------------------------------------------------------------

routes = Routes()
PATH = "/v3/attachments"
ATTACHMENT = PATH + "/{attachment_id}"


@routes.get(
    PATH, since="3.27", policy=policy.ATTACHMENTS_READ, query=AttachmentQuery,
    reply=collection("attachments", Brief, links="attachments_links"),
)
async def index(ctx: Context, query: AttachmentQuery) -> Page:
    """List attachments."""
    return await ctx.read(listed, query, "attachments", brief)


@routes.get(
    PATH + "/detail", since="3.27", policy=policy.ATTACHMENTS_READ, query=AttachmentQuery,
    reply=collection("attachments", Attachment, links="attachments_links"),
)
async def detail(ctx: Context, query: AttachmentQuery) -> Page:
    """List attachments with details."""
    return await ctx.read(listed, query, "attachments/detail", full)


@routes.post(
    PATH, since="3.27", policy=policy.ATTACHMENTS_CREATE, body=envelope("attachment", AttachmentCreate), reply=ONE
)
async def create(ctx: Context, want: AttachmentCreate) -> Attachment:
    """Reserve a volume, for a server or for whoever connects."""
    return full(await ctx.write(insert, want))


@routes.get(ATTACHMENT, since="3.27", policy=policy.ATTACHMENTS_READ, reply=ONE)
async def show(ctx: Context, attachment_id: str) -> Attachment:
    """Show an attachment."""
    return full(await ctx.read(get, attachment_id))


@routes.put(
    ATTACHMENT, since="3.27", policy=policy.ATTACHMENTS_UPDATE, body=envelope("attachment", AttachmentUpdate),
    reply=ONE,
)
async def update(ctx: Context, attachment_id: str, want: AttachmentUpdate) -> Attachment:
    """Say who connects to a reserved volume."""
    return full(await ctx.write(connect, attachment_id, want.connector))


@routes.delete(ATTACHMENT, since="3.27", policy=policy.ATTACHMENTS_DELETE, status=200)
async def delete(ctx: Context, attachment_id: str) -> Any:
    """End an attachment; answers with those that are left of its volume."""
    left = await ctx.write(remove, attachment_id)
    return {"attachments": [
        {"id": row.id, "status": row.state, "instance": row.server_id, "volume_id": row.volume_id} for row in left
    ]}


@routes.action(
    ATTACHMENT + "/action", "os-complete", since="3.44", policy=policy.ATTACHMENTS_COMPLETE, status=204
)
async def complete(ctx: Context, attachment_id: str) -> None:
    """Say that a volume is attached."""
    await ctx.write(completed, attachment_id)


# ---- operations ----------------------------------------------------------------------------


def insert(tx: Tx, ctx: Context, want: AttachmentCreate) -> Any:
    row = reserve(
        tx, ctx, want.volume_uuid, want.instance_uuid, connector=want.connector, mode=want.mode, of_compute=False
    )
    return row


def reserve(
    tx: Tx, ctx: Context, volume_id: str, server_id: str | None, *, of_compute: bool,
    connector: dict[str, Any] | None = None, mode: str = "rw", **kept: Any,
) -> Any:
    """The new row, the volume reserved by it. Raises NotFound, and Invalid unless the volume is available."""
    volume = VOLUMES_STORE.get(tx, ctx, volume_id, may=policy.ATTACHMENTS_CREATE)
    need(tx, volume, FREE, "reserve")
    state = states.ATTACHING if connector else states.RESERVED
    row = store.insert(
        tx, id=ctx.new_id(), project_id=volume.project_id, user_id=ctx.user_id, volume_id=volume.id,
        server_id=server_id, state=state, of_compute=of_compute, mode=mode, connector=connector,
        delete_on_termination=kept.pop("delete_on_termination", False), **kept,
    )
    volume = VOLUMES_STORE.move(tx, volume, volume.state, state)
    journal.record(tx, "attachment.create", row)
    journal.record(tx, "volume.reserve", volume)
    return row


def connect(tx: Tx, ctx: Context, attachment_id: str, connector: dict[str, Any]) -> Any:
    row = get(tx, ctx, attachment_id)
    refuse_computes(row, "changed")
    if row.state == states.ATTACHED:
        raise errors.Invalid(f"Attachment {row.id} is complete: end it and make another to connect anew.")
    row = store.move(tx, row, row.state, states.ATTACHING, connector=connector)
    volume = VOLUMES_STORE.expect(tx, row.volume_id, lock=True)
    if volume.state == states.RESERVED:
        VOLUMES_STORE.move(tx, volume, states.RESERVED, states.ATTACHING)
    journal.record(tx, "attachment.update", row)
    return row


def completed(tx: Tx, ctx: Context, attachment_id: str) -> None:
    row = get(tx, ctx, attachment_id)
    refuse_computes(row, "completed")
    if row.state != states.ATTACHING:
        raise errors.Invalid(f"Attachment {row.id} is {row.state}: only one that is attaching is completed.")
    attach(tx, row, device=row.device, host_id=None, host_name=(row.connector or {}).get("host"))


def attach(tx: Tx, row: Any, *, device: str | None, host_id: str | None, host_name: str | None) -> Any:
    """The row is attached, its volume in use."""
    row = store.move(
        tx, row, row.state, states.ATTACHED, device=device, host_id=host_id,
        host_name=host_name[:255] if isinstance(host_name, str) else None, attached_at=tx.now,
    )
    volume = VOLUMES_STORE.expect(tx, row.volume_id, lock=True)
    volume = VOLUMES_STORE.move(tx, volume, volume.state, states.IN_USE)
    journal.record(tx, "attachment.complete", row)
    journal.record(tx, "volume.attach.end", volume)
    return row


def remove(tx: Tx, ctx: Context, attachment_id: str) -> list[Any]:
    row = get(tx, ctx, attachment_id)
    refuse_computes(row, "deleted")
    end(tx, row)
    return of_volume(tx, row.volume_id)


def end(tx: Tx, row: Any) -> None:
    """The row goes, and its volume is free again when it was the last."""
    store.delete(tx, row)
    journal.record(tx, "attachment.delete", row)
    volume = VOLUMES_STORE.expect(tx, row.volume_id, lock=True)
    if volume.state in (states.RESERVED, states.ATTACHING, states.IN_USE, states.DETACHING) and not of_volume(
        tx, row.volume_id
    ):
        volume = VOLUMES_STORE.move(tx, volume, volume.state, states.AVAILABLE)
        journal.record(tx, "volume.detach.end", volume)


def refuse_computes(row: Any, what: str) -> None:
    if row.of_compute:
        raise errors.Conflict(
            f"Attachment {row.id} is server {row.server_id}'s: it can't be {what} here. Detach the volume from the "
            "server (`openstack server remove volume`).", reason="held_by_compute",
        )


# ---- queries -------------------------------------------------------------------------------

store = Store(ATTACHMENTS, service="volume", kind="attachment", label="Attachment", states=states.ATTACHMENT,
              secrets=["connector"])
ATTACHED = sa.select(ATTACHMENTS).where(
    among(ATTACHMENTS.c.volume_id, "ids"), ATTACHMENTS.c.state == states.ATTACHED
).order_by(ATTACHMENTS.c.id)
ANY = sa.select(sa.literal(1)).select_from(ATTACHMENTS).limit(1)
OF_SERVERS = sa.select(ATTACHMENTS).where(among(ATTACHMENTS.c.server_id, "ids"), ATTACHMENTS.c.of_compute).order_by(
    ATTACHMENTS.c.created_at, ATTACHMENTS.c.id
)
OF_COMPUTE = sa.select(ATTACHMENTS).where(ATTACHMENTS.c.of_compute).order_by(ATTACHMENTS.c.id)


def get(tx: Tx, ctx: Context, attachment_id: str) -> Any:
    return store.get(tx, ctx, attachment_id)


def attached(tx: Tx, volume_ids: list[str]) -> dict[str, list[Any]]:
    """Those of these volumes that are complete, by volume: one query."""
    found: dict[str, list[Any]] = {}
    for row in tx.all(ATTACHED, {"ids": volume_ids}) if volume_ids else ():
        found.setdefault(row.volume_id, []).append(store.Row._make(row))
    return found


def of_servers(tx: Tx, server_ids: list[str]) -> dict[str, list[Any]]:
    """Those that compute made, by server, the oldest first: one query."""
    found: dict[str, list[Any]] = {}
    for row in tx.all(OF_SERVERS, {"ids": server_ids}) if server_ids else ():
        found.setdefault(row.server_id, []).append(store.Row._make(row))
    return found


def of_volume(tx: Tx, volume_id: str) -> list[Any]:
    rows = tx.all(sa.select(ATTACHMENTS).where(ATTACHMENTS.c.volume_id == volume_id).order_by(ATTACHMENTS.c.id))
    return [store.Row._make(row) for row in rows]


def listed(tx: Tx, ctx: Context, query: AttachmentQuery, path: str, show: Any) -> Page:
    wishes = (("volume_id", query.volume_id), ("server_id", query.instance_id or query.instance_uuid),
              ("state", query.status))
    filters: list[Filter] = [(name, "eq", value) for name, value in wishes if value is not None]
    return page(
        tx, ctx, store, query, everyones=policy.ATTACHMENTS_LIST_ALL, filters=filters, path=path, sortable=SORTABLE,
        show=lambda rows: [show(row) for row in rows],
    )


def brief(row: Any) -> Brief:
    return Brief(id=row.id, status=row.state, instance=row.server_id, volume_id=row.volume_id)


def full(row: Any) -> Attachment:
    return Attachment(
        id=row.id, status=row.state, instance=row.server_id, volume_id=row.volume_id, attach_mode=row.mode,
        attached_at=row.attached_at, connection_info=connection(row),
    )


def connection(row: Any) -> dict[str, Any]:
    """How to reach the volume: on its host, by whoever runs guests there. No path of a machine is told."""
    if row.state == states.RESERVED:
        return {}
    return {"driver_volume_type": "skyhold", "volume_id": row.volume_id, "attachment_id": row.id,
            "access_mode": row.mode}
