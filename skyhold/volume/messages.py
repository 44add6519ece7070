# SPDX-License-Identifier: Apache-2.0
"""Messages: in words for its owner, why something that was asked of a volume or a snapshot went wrong later.

The sagas write the words down where they end, with every host's own reason if no host would do. The one thing to know
first: a message is no row of its own but the `fault` of a volume or snapshot, and has its id; it goes with it, or when
something else that is asked of it goes well.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from skyhold.core import errors, journal
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.http.routes import Routes
from skyhold.core.policy.rules import Rule
from skyhold.core.shapes import Page, Shape, TimeMicros, collection, envelope
from skyhold.core.store import Store
from skyhold.core.tables import JOURNAL
from skyhold.volume import policy, states
from skyhold.volume.links import links, next_link
from skyhold.volume.paging import PageQuery, page_size, sorting
from skyhold.volume.volumes.store import SNAPSHOTS_STORE, VOLUMES_STORE

STORES: dict[str, Store] = {"VOLUME": VOLUMES_STORE, "VOLUME_SNAPSHOT": SNAPSHOTS_STORE}
"""By the type of the resource, as upstream calls it."""
LEVEL = "ERROR"
SORTABLE = {"id": "id", "created_at": "at", "resource_uuid": "id", "resource_type": "type"}

# What was going on, and what was in the way, by upstream's numbers.
ALLOCATE, UPLOAD, EXTEND, MAKE, SNAP, UNSNAP = "001", "003", "007", "008", "009", "010"
UNKNOWN, NOWHERE = "001", "003"

# ---- shape ---------------------------------------------------------------------------------


class Message(Shape):
    id: str
    request_id: str
    resource_type: str
    resource_uuid: str
    event_id: str
    message_level: str
    user_message: str
    created_at: TimeMicros
    links: list[dict[str, str]]


class MessageQuery(PageQuery):
    resource_uuid: str | None = None
    resource_type: str | None = None
    message_level: str | None = None


ONE = envelope("message", Message)

# ---- routes --------------------------------------------------------------------------------

routes = Routes()
PATH = "/v3/messages"
MESSAGE = PATH + "/{message_id}"


@routes.get(
    PATH, since="3.3", policy=policy.MESSAGES_LIST, query=MessageQuery,
    reply=collection("messages", Message, links="messages_links"),
)
async def index(ctx: Context, query: MessageQuery) -> Page:
    """List messages, the newest first."""
    return await ctx.read(listed, query)


@routes.get(MESSAGE, since="3.3", policy=policy.MESSAGES_SHOW, reply=ONE)
async def show(ctx: Context, message_id: str) -> Message:
    """Show a message."""
    return await ctx.read(get, message_id)


@routes.delete(MESSAGE, since="3.3", policy=policy.MESSAGES_DELETE)
async def delete(ctx: Context, message_id: str) -> None:
    """Delete a message; what it is about stays."""
    await ctx.write(remove, message_id)


# ---- operations ----------------------------------------------------------------------------


def get(tx: Tx, ctx: Context, message_id: str) -> Message:
    found = said(ctx, policy.MESSAGES_SHOW)
    row = tx.first(sa.select(found).where(found.c.id == message_id))
    if row is None:
        raise gone(message_id)
    return dressed(tx, ctx, [row])[0]


def remove(tx: Tx, ctx: Context, message_id: str) -> None:
    store, row = find(tx, ctx, message_id)
    journal.record(tx, f"{store.kind}.message.delete", store.update(tx, row, fault=None))


def find(tx: Tx, ctx: Context, message_id: str) -> tuple[Store, Any]:
    """Of which kind it is, and its row. Raises NotFound, also for what nothing is wrong with."""
    for store in STORES.values():
        try:
            row = store.get(tx, ctx, message_id)
        except errors.NotFound:
            continue
        if row.fault is not None:
            return store, row
    raise gone(message_id)


def gone(message_id: str) -> errors.NotFound:
    return errors.NotFound(f"Message {message_id} could not be found.", kind="message", id=message_id)


# ---- queries -------------------------------------------------------------------------------


def listed(tx: Tx, ctx: Context, query: MessageQuery) -> Page:
    """Raises Invalid for a marker or a sort key that makes no sense."""
    found, size = said(ctx, policy.MESSAGES_LIST), page_size(ctx, query.limit)
    if size == 0:
        return Page([], None)
    (key, direction), down = sorting(query, SORTABLE)[0], sa.desc
    column, order = found.c[key], down if direction == "desc" else sa.asc
    statement = sa.select(found).order_by(order(column), order(found.c.id)).limit(size).offset(query.offset)
    for name, value in (("id", query.resource_uuid), ("type", query.resource_type)):
        statement = statement.where(found.c[name] == value) if value is not None else statement
    if query.message_level not in (None, LEVEL):
        statement = statement.where(sa.false())
    if query.marker is not None:
        last = tx.first(sa.select(found).where(found.c.id == query.marker))
        if last is None:
            raise errors.Invalid(f"marker [{query.marker[:50]}] not found")
        at = getattr(last, key)
        beyond, further = (column < at, found.c.id < last.id) if direction == "desc" else (
            column > at, found.c.id > last.id
        )
        statement = statement.where(sa.or_(beyond, sa.and_(column == at, further)))
    rows = tx.all(statement)
    asked = {name: getattr(query, name) for name in query.__struct_fields__}
    following = next_link(ctx, "messages", asked, rows[-1].id) if len(rows) == size else None
    return Page(dressed(tx, ctx, rows), following)


def said(ctx: Context, rule: Rule) -> sa.Subquery:
    """What is wrong with whatever the caller may know of."""
    each = [
        sa.select(
            store.table.c.id, sa.literal(kind).label("type"), store.table.c.fault, store.table.c.state,
            store.table.c.host_id, sa.func.coalesce(store.table.c.updated_at, store.table.c.created_at).label("at"),
        ).where(store.table.c.fault.is_not(None), store.visible(ctx, rule))
        for kind, store in STORES.items()
    ]
    return sa.union_all(*each).subquery()


def dressed(tx: Tx, ctx: Context, rows: Sequence[Any]) -> list[Message]:
    asked = requests_of(tx, [row.id for row in rows])
    return [
        Message(
            id=row.id, request_id=asked.get(row.id, ""), resource_type=row.type, resource_uuid=row.id,
            event_id=f"VOLUME_{row.type}_{'_'.join(event(row))}", message_level=LEVEL, user_message=row.fault,
            created_at=row.at, links=links(ctx, "messages", row.id),
        ) for row in rows
    ]


def requests_of(tx: Tx, ids: list[str]) -> dict[str, str]:
    """Under which request each of them last went wrong, for as long as the journal is kept."""
    if not ids:
        return {}
    wrong = sa.select(JOURNAL.c.resource_id, JOURNAL.c.request_id).where(
        JOURNAL.c.resource_id.in_(ids), JOURNAL.c.service == "volume", JOURNAL.c.action.like("%.error")
    )
    return {row.resource_id: row.request_id for row in tx.all(wrong.order_by(JOURNAL.c.id))}


def event(row: Any) -> tuple[str, str]:
    """What was going on, as far as the state tells it, and the detail."""
    if row.type == "VOLUME_SNAPSHOT":
        return (UNSNAP if row.state == states.ERROR_DELETING else SNAP), UNKNOWN
    if row.state == states.AVAILABLE:
        return UPLOAD, UNKNOWN
    if row.state == states.ERROR_EXTENDING:
        return EXTEND, UNKNOWN
    return (ALLOCATE, NOWHERE) if row.host_id is None else (MAKE, UNKNOWN)
