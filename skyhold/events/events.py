# SPDX-License-Identifier: Apache-2.0
"""Events: the journal by position, in pages or as a stream of server-sent events.

What an event shows is reading.py; who wakes a stream is following.py. The one thing to know first: a
position is never given twice and never filled in later, so whoever remembers the last one misses nothing.
The stream follows the HTML Living Standard, section "Server-sent events".
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlencode

import orjson

from skyhold.core import errors, journal
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.http.routes import Reply, Routes
from skyhold.core.shapes import Page, Shape, collection, field, writer
from skyhold.core.versions import Version
from skyhold.events import policy, reading
from skyhold.events.following import ANY_PROJECT, followers
from skyhold.events.reading import Event, Wanted

STREAM = "text/event-stream"
HEARTBEAT_S = 15.0
LOOK_S = 1.0
BATCH = 200
LAST_EVENT = "Last-Event-ID"

# ---- shape ---------------------------------------------------------------------------------


class EventQuery(Shape, extra="ignore"):
    after: int | None = field(min=0, default=None)
    limit: int = field(min=1, max=1000, default=100)
    kind: list[str] = field(default_factory=list, max_items=20, min=1, max=64)
    action: list[str] = field(default_factory=list, max_items=20, min=1, max=128)
    resource: list[str] = field(default_factory=list, max_items=20, min=1, max=64)
    project_id: str | None = field(default=None, max=64)


# ---- routes --------------------------------------------------------------------------------

routes = Routes()


@routes.get(
    "/v1/events", policy=policy.EVENTS_LIST, query=EventQuery, headers=("Accept", LAST_EVENT),
    reply=collection("events", Event, links="events_links"),
)
async def index(ctx: Context, query: EventQuery, headers: dict[str, str | None]) -> Page | Reply:
    """Read events after a position, or follow them with `Accept: text/event-stream`."""
    await journal.catch_up(ctx.core)
    if STREAM in (headers["Accept"] or ""):
        return await follow(ctx, query, headers[LAST_EVENT])
    events, position = await ctx.read(read_page, query, query.after or 0, query.limit)
    return Page(events, next_link(ctx, query, events), {"position": position})


def next_link(ctx: Context, query: EventQuery, events: list[Event]) -> Any:
    if len(events) < query.limit:
        return None
    asked: dict[str, Any] = {
        "limit": query.limit, "kind": query.kind, "action": query.action, "resource": query.resource,
        "after": events[-1].position,
    }
    asked |= {"project_id": query.project_id} if query.project_id else {}
    return [{"rel": "next", "href": f"{ctx.core.settings.public_url}/events/v1/events?{urlencode(asked, doseq=True)}"}]


# ---- the stream ----------------------------------------------------------------------------


async def follow(ctx: Context, query: EventQuery, last_id: str | None) -> Reply:
    """From the event that the client saw last, else from `after`, else from now on."""
    project_id = watched_project(ctx, query)
    followers(ctx.core).check_room(ctx.project_id)
    position = read_position(last_id) if last_id else query.after
    if position is None:
        position = await ctx.read(journal.last_position)
    await ctx.read(lambda tx, ctx: reading.check_retained(tx, position))
    return Reply(
        stream(ctx, query, position, project_id), content_type=STREAM, endless=True,
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


def watched_project(ctx: Context, query: EventQuery) -> str:
    """The project whose events can concern this stream; empty for all."""
    if ctx.allows(policy.EVENTS_STATE):
        return query.project_id or ANY_PROJECT
    return ctx.project_id


def read_position(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise errors.Invalid(f"{LAST_EVENT} must be a position, a whole number.")
    return int(text)


async def stream(ctx: Context, query: EventQuery, position: int, project_id: str) -> AsyncIterator[bytes]:
    """Ends when the token does. A client that doesn't read is dropped by the server (core/http/server.py);
    nothing is kept for it here, since each round reads the journal from the position it has reached."""
    try:
        with followers(ctx.core).follow(ctx.project_id, project_id) as bell:
            yield b"retry: 2000\n\n"
            while await still_allowed(ctx):
                bell.clear()
                events, position = await ctx.read(read_page, query, position, BATCH)
                if events:
                    yield b"".join(map(sent, events))
                if len(events) == BATCH:
                    # SQLite answers at once: a client as fast would keep the event loop to itself.
                    await asyncio.sleep(0)
                    continue
                async for _ in until(bell):
                    yield b""
                if not bell.is_set():
                    # The id moves on past events that the client does not want to see.
                    yield b"id: %d\n: heartbeat\n\n" % position
    except errors.Error as error:
        yield b"event: end\ndata: " + orjson.dumps({"message": error.message, "reason": error.reason}) + b"\n\n"


async def until(bell: asyncio.Event) -> AsyncIterator[None]:
    """Until the bell or the next heartbeat; now and then a moment to see whether anybody is still there."""
    for _ in range(max(1, round(HEARTBEAT_S / LOOK_S))):
        try:
            async with asyncio.timeout(min(LOOK_S, HEARTBEAT_S)):
                await bell.wait()
            return
        except TimeoutError:
            yield None


async def still_allowed(ctx: Context) -> bool:
    """Whether the token is still good: it is asked each time, for it may be revoked. Raises Unauthorized."""
    now = await ctx.core.authenticate(ctx.creds.token)
    return ctx.core.policy.possible(policy.EVENTS_LIST.name, now)


def sent(event: Event) -> bytes:
    body = orjson.dumps(WRITE(event))
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (event.position, event.action.encode(), body)


WRITE = writer(Event, Version(1, 0))

# ---- queries -------------------------------------------------------------------------------


def read_page(tx: Tx, ctx: Context, query: EventQuery, after: int, limit: int) -> tuple[list[Event], int]:
    wanted = Wanted(kinds=query.kind, actions=query.action, resources=query.resource)
    whole = ctx.allows(policy.EVENTS_STATE)
    return reading.page(tx, reading.store.scope(ctx), wanted, after, limit, whole, project_id=query.project_id or "")
