# SPDX-License-Identifier: Apache-2.0
"""Instance actions: what was done to a server, when, by whom, and how it went.

Operations and sagas record here with `begin`, `event` and `fail`, in their own transactions; the
rest is the API that shows it. Actions outlive their server: a deleted one still tells its story.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import sqlalchemy as sa

from skyhold.compute import links, policy, versions
from skyhold.compute.servers import store, views
from skyhold.compute.tables import ACTION_EVENTS, ACTIONS, HOSTS
from skyhold.core import errors
from skyhold.core.context import Context
from skyhold.core.db.among import among
from skyhold.core.db.tx import Tx
from skyhold.core.http.routes import Routes
from skyhold.core.operator.trace import Told
from skyhold.core.shapes import ABSENT, Absent, Page, Shape, Time, TimeMicros, collection, envelope, field

FAILED = "Error"
"""The only message that upstream's API ever prints for an action."""

# ---- recording -----------------------------------------------------------------------------


def begin(tx: Tx, ctx: Context, server: Any, action: str) -> int:
    """Write down that `action` (`create`, `reboot`) was asked of the server; the action's number."""
    result = tx.execute(ACTIONS.insert(), {
        "server_id": server.id, "project_id": ctx.project_id or server.project_id, "user_id": ctx.user_id,
        "request_id": ctx.request_id, "action": action, "started_at": tx.now, "updated_at": tx.now,
    })
    key: Any = result.inserted_primary_key
    return int(key[0])


def event(
    tx: Tx, ctx: Context, action_id: int, event: str, *, host_id: str | None = None, started_at: int,
    result: Literal["Success", "Error"] = "Success", detail: str | None = None,
) -> None:
    """Write down one finished part of an action; `started_at` in microseconds. `detail` is a sentence
    that the server's owner may read."""
    tx.execute(ACTION_EVENTS.insert(), {
        "action_id": action_id, "event": event, "host_id": host_id, "started_at": started_at,
        "finished_at": tx.now, "result": result, "detail": detail,
    })
    tx.execute(ACTIONS.update().where(ACTIONS.c.id == action_id).values(updated_at=tx.now))


def fail(tx: Tx, ctx: Context, action_id: int, message: str) -> None:
    """The action as a whole failed. `message` is kept; the API prints only "Error", as upstream."""
    changes = {"message": FAILED, "detail": message, "updated_at": tx.now}
    tx.execute(ACTIONS.update().where(ACTIONS.c.id == action_id).values(changes))


def told(tx: Tx, ctx: Context, request_id: str, ids: list[str]) -> list[Told]:
    """The actions and their parts that a request began, for the operator's trace of it."""
    begun = sa.select(ACTIONS).where(among(ACTIONS.c.server_id, "ids"), ACTIONS.c.request_id == request_id)
    found = {row.id: row for row in tx.all(begun, {"ids": ids})}
    parts = tx.all(sa.select(ACTION_EVENTS).where(ACTION_EVENTS.c.action_id.in_(list(found))))
    lines = [(row.started_at, f"{row.action} of {row.server_id} begins") for row in found.values()]
    lines += [
        (row.finished_at or row.started_at, f"{row.event} of {found[row.action_id].server_id}: "
         f"{row.result or 'under way'}{' on ' + row.host_id if row.host_id else ''}"
         f"{': ' + row.detail if row.detail else ''}")
        for row in parts
    ]
    lines += [
        (row.updated_at, f"{row.action} of {row.server_id} failed: {row.detail or row.message}")
        for row in found.values() if row.message
    ]
    return [Told(at, "compute", what) for at, what in sorted(lines)]


# ---- shape ---------------------------------------------------------------------------------


class Event(Shape):
    event: str
    start_time: TimeMicros
    finish_time: TimeMicros | None
    result: str | None
    traceback: str | Absent | None = field(optional=True)
    host_hash: str = field("hostId", since="2.62")
    host: str | Absent | None = field(since="2.62", optional=True)
    details: str | Absent | None = field(since="2.84", optional=True)


class Brief(Shape):
    action: str
    instance_uuid: str
    request_id: str
    user_id: str
    project_id: str
    start_time: TimeMicros
    message: str | None
    updated_at: TimeMicros = field(since="2.58")


class Action(Brief):
    events: list[Event] | Absent = field(optional=True)


class ActionQuery(Shape, extra="ignore"):
    limit: int | None = field(since="2.58", min=0, default=None)
    marker: str | None = field(since="2.58", default=None)
    changes_since: Time | None = field("changes-since", since="2.58", default=None)
    changes_before: Time | None = field("changes-before", since="2.66", default=None)


# ---- routes --------------------------------------------------------------------------------

routes = Routes()
PATH = "/v2.1/servers/{server_id}/os-instance-actions"


@routes.get(
    PATH, policy=policy.ACTIONS_LIST, query=ActionQuery,
    reply=collection("instanceActions", Brief, links="links"),
)
async def index(ctx: Context, server_id: str, query: ActionQuery) -> Page:
    """List what was done to a server, the latest first."""
    return await ctx.read(list_page, server_id, query)


@routes.get(PATH + "/{request_id}", policy=policy.ACTIONS_SHOW, reply=envelope("instanceAction", Action))
async def show(ctx: Context, server_id: str, request_id: str) -> Action:
    """Show one thing that was done to a server, and how it went."""
    return await ctx.read(show_one, server_id, request_id)


# ---- queries -------------------------------------------------------------------------------


def list_page(tx: Tx, ctx: Context, server_id: str, query: ActionQuery) -> Page:
    server = server_of(tx, ctx, server_id)
    statement = sa.select(ACTIONS).where(ACTIONS.c.server_id == server.id, *between(query))
    if query.marker is not None:
        marker = found(tx, server.id, query.marker)
        if marker is None:
            raise errors.Invalid(f"marker [{query.marker[:100]}] not found", reason="marker_not_found")
        statement = statement.where(ACTIONS.c.id < marker.id)
    size = links.page_size(ctx, query.limit)
    rows = tx.all(statement.order_by(ACTIONS.c.id.desc()).limit(size))
    return Page([Brief(**outline(row)) for row in rows], next_links(ctx, server.id, query, size, rows))


def between(query: ActionQuery) -> list[Any]:
    since, before = query.changes_since, query.changes_before
    if since is not None and before is not None and since > before:
        raise errors.Invalid("The value of changes-since must be less than or equal to changes-before.")
    after = [] if since is None else [ACTIONS.c.updated_at >= since]
    return after if before is None else [*after, ACTIONS.c.updated_at <= before]


def next_links(ctx: Context, server_id: str, query: ActionQuery, size: int, rows: Any) -> Any:
    """Only where pages exist: since 2.58."""
    if ctx.version < versions.PAGED_ACTIONS:
        return None
    asked: dict[str, Any] = {"limit": query.limit}
    for name, at in (("changes-since", query.changes_since), ("changes-before", query.changes_before)):
        asked[name] = None if at is None else utc(at)
    path = f"servers/{server_id}/os-instance-actions"
    return links.next_links(ctx, path, asked, size, [row.request_id for row in rows])


def utc(at_us: int) -> str:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at_us)).isoformat()


def show_one(tx: Tx, ctx: Context, server_id: str, request_id: str) -> Action:
    server = server_of(tx, ctx, server_id)
    row = found(tx, server.id, request_id)
    if row is None:
        raise errors.NotFound(f"Action {request_id[:100]} not found.")
    target = server._asdict()
    operator = ctx.allows(policy.ACTIONS_EVENTS, target)
    if ctx.version < versions.EVENTS_FOR_OWNERS and not operator:
        return Action(**outline(row))
    return Action(**outline(row), events=events_of(tx, ctx, server, row.id, operator))


def events_of(tx: Tx, ctx: Context, server: Any, action_id: int, operator: bool) -> list[Event]:
    detailed = ctx.allows(policy.ACTIONS_DETAILS, server._asdict())
    statement = (
        sa.select(ACTION_EVENTS, HOSTS.c.name.label("host_name"))
        .select_from(ACTION_EVENTS.outerjoin(HOSTS, HOSTS.c.id == ACTION_EVENTS.c.host_id))
        .where(ACTION_EVENTS.c.action_id == action_id)
        .order_by(ACTION_EVENTS.c.id)
    )
    return [
        Event(
            event=row.event, start_time=row.started_at, finish_time=row.finished_at, result=row.result,
            traceback=None if operator else ABSENT, host_hash=views.host_hash(server.project_id, row.host_id),
            host=row.host_name if operator else ABSENT, details=row.detail if detailed else ABSENT,
        )
        for row in tx.all(statement)
    ]


def outline(row: Any) -> dict[str, Any]:
    return {
        "action": row.action, "instance_uuid": row.server_id, "request_id": row.request_id,
        "user_id": row.user_id, "project_id": row.project_id, "start_time": row.started_at,
        "message": row.message, "updated_at": row.updated_at,
    }


def found(tx: Tx, server_id: str, request_id: str) -> Any:
    """One request may act on a server only once, so its id names the action."""
    same = (ACTIONS.c.server_id == server_id) & (ACTIONS.c.request_id == request_id)
    return tx.first(sa.select(ACTIONS).where(same).order_by(ACTIONS.c.id))


def server_of(tx: Tx, ctx: Context, server_id: str) -> Any:
    """The server if the caller may see it; since 2.21 also after it was deleted."""
    kind = store.ALL_STORE if ctx.version >= versions.ACTIONS_OF_DELETED else store.SERVERS_STORE
    return kind.get(tx, ctx, server_id)
