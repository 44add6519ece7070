# SPDX-License-Identifier: Apache-2.0
"""Keeps true that each webhook has got every event it wants, in order.

What a webhook is, is webhooks.py. The one thing to know first: an event counts as delivered when the
receiver answered 2xx *and* that is committed; until then it is sent again after a crash, with the same
position, and nothing later is sent before it. A webhook is sent to by one sender at a time, whose fence
goes with each commit, so one that was paused and is behind stops silently. When the program ends, what is on its way
gets a few seconds to be acknowledged.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import orjson
import sqlalchemy as sa
import structlog

from skyhold.core import errors
from skyhold.core.app import Core
from skyhold.core.context import Context, internal
from skyhold.core.db.clock import CLOCK
from skyhold.core.db.tx import Tx
from skyhold.core.loops import Loop
from skyhold.core.outbound import Outbound
from skyhold.core.shapes import writer
from skyhold.core.tables import JOURNAL
from skyhold.core.versions import Version
from skyhold.events import listening, reading, webhooks
from skyhold.events.logic import signing
from skyhold.events.reading import Event, Wanted
from skyhold.events.tables import WEBHOOKS
from skyhold.identity import facade as identity

log = structlog.get_logger("webhook")

TIMEOUT_S = 10.0
LEASE_US = 30_000_000
"""Longer than one attempt may take; renewed with each acknowledgement."""
LAST_S = 5.0
"""What an attempt under way gets when the program ends: less than what requests get, and all of it in `skyhold down`'s
patience (cmd/processes.py)."""
BATCH = 50
AT_ONCE = 32
EVERY_S = 1.0
PAUSE_S = 0.02
WRITE = writer(Event, Version(1, 0))
LISTENING = sa.select(WEBHOOKS.c.id).where(WEBHOOKS.c.enabled).limit(1)
DUE = (
    sa.select(WEBHOOKS.c.id)
    .where(
        WEBHOOKS.c.enabled, WEBHOOKS.c.due_at <= CLOCK, WEBHOOKS.c.lease_until <= CLOCK,
        sa.exists().where(
            JOURNAL.c.position > WEBHOOKS.c.position,
            sa.or_(WEBHOOKS.c.all_projects, JOURNAL.c.project_id == WEBHOOKS.c.project_id),
        ),
    )
    .order_by(WEBHOOKS.c.due_at, WEBHOOKS.c.id)
    .limit(AT_ONCE)
)


@dataclass(frozen=True, slots=True)
class Turn:
    """One sender's hold on a webhook. `events` come after what was acknowledged, in order."""

    webhook: Any
    fence: int
    events: list[Event]


async def run(ctx: Context) -> None:
    """Send to all webhooks that are due, at once; ends when none is. Rung by the journal while it runs."""
    memory = listening.listening(ctx.core)
    if memory.nobody():
        return
    sending: dict[str, asyncio.Task[None]] = {}
    ending = asyncio.Event()
    try:
        with ctx.core.news.heard() as news:
            while True:
                news.clear()
                for id in await ctx.read(due, list(sending), AT_ONCE - len(sending)):
                    sending[id] = asyncio.create_task(deliver(ctx.core, id, ending))
                if not sending:
                    before = memory.before()
                    if not await ctx.read(somebody_listens):
                        memory.remember_nobody(before)
                    # A burst of commits is looked at once, not one by one.
                    await asyncio.sleep(PAUSE_S)
                    return
                await first_of(news, sending.values())
                for id in [id for id, task in sending.items() if task.done()]:
                    finish(sending.pop(id), id)
    finally:
        ending.set()
        await finished(list(sending.values()))


async def finished(tasks: list[asyncio.Task[None]]) -> None:
    """As soon as none of them sends any more; those that still wait for their receiver then are cancelled, and their
    event comes again after the start."""
    try:
        if tasks:
            await asyncio.wait(tasks, timeout=LAST_S)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def first_of(news: asyncio.Event, tasks: Any) -> None:
    heard = asyncio.create_task(news.wait())
    try:
        await asyncio.wait({heard, *tasks}, timeout=EVERY_S, return_when=asyncio.FIRST_COMPLETED)
    finally:
        heard.cancel()


def finish(task: asyncio.Task[None], id: str) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("a webhook could not be served; it is tried again", webhook=id, error=repr(error))


async def deliver(core: Core, id: str, ending: asyncio.Event) -> None:
    """Send what this webhook has not acknowledged, until there is nothing more, an attempt fails or all ends."""
    ctx = internal(core)
    outbound = Outbound(core.settings)
    while not ending.is_set() and (turn := await ctx.write(take, id)) is not None and turn.events:
        try:
            if not await send(ctx, outbound, turn, ending):
                return
        except asyncio.CancelledError:
            # Else whoever comes next would wait until the lease has ended.
            await ctx.write(let_go, id, turn.fence)
            raise
        await ctx.write(let_go, id, turn.fence)


async def send(ctx: Context, outbound: Outbound, turn: Turn, ending: asyncio.Event) -> bool:
    """Whether all that was sent was acknowledged, and the turn is still ours."""
    id = turn.webhook.id
    for event in turn.events:
        if ending.is_set():
            break
        problem = await attempt(ctx, outbound, turn.webhook, event)
        if problem is not None:
            await ctx.write(failed, id, turn.fence, problem)
            return False
        if not await ctx.write(acknowledged, id, turn.fence, event.position):
            return False
    return True


async def attempt(ctx: Context, outbound: Outbound, webhook: Any, event: Event) -> str | None:
    """None when it was acknowledged, else what went wrong, in a sentence for the webhook's owner."""
    body = orjson.dumps({"webhook_id": webhook.id, "event": WRITE(event)})
    try:
        secret, url = ctx.core.keyring.open(webhook.secret), webhooks.address_of(ctx, webhook)
        headers = signing.headers(secret, webhook.id, event.position, ctx.now // 1_000_000, body)
        answer = await outbound.request(
            "POST", url, headers=headers, body=body, redirects=0, timeout_s=TIMEOUT_S
        )
    except ValueError:
        return "The URL or the secret can no longer be opened: set both anew."
    except errors.TooLarge:
        return "The receiver's answer was too long."
    except errors.Error as error:
        return error.message
    if 200 <= answer.status < 300:
        return None
    return f"The receiver answered {answer.status}."


# ---- operations ----------------------------------------------------------------------------


def somebody_listens(tx: Tx, ctx: Context) -> bool:
    return tx.first(LISTENING) is not None


def due(tx: Tx, ctx: Context, busy: list[str], room: int) -> list[str]:
    """Webhooks that may be sent to now, and for whose project something was written down."""
    if room <= 0:
        return []
    # Those that are busy may be due still, until their sender has taken them; there are at most AT_ONCE of both.
    return [row.id for row in tx.all(DUE, {"now": tx.now}) if row.id not in busy][:room]


def take(tx: Tx, ctx: Context, id: str) -> Turn | None:
    """Hold the webhook and read what comes next; None when another sender was first.

    Without anything wanted it only moves on past what is not, and holds nothing.
    """
    row = webhooks.store.find(tx, id, lock=True)
    now = tx.clock()
    if row is None or not row.enabled or row.lease_until > now or row.due_at > now:
        return None
    project = identity.projects(tx, ctx, [row.project_id]).get(row.project_id)
    if project is None:
        webhooks.discard(tx, row)
        return None
    if not project.enabled:
        webhooks.store.update(tx, row, due_at=now + signing.LONGEST_WAIT_S * 1_000_000)
        return None
    events, upto = unread(tx, row)
    fence = row.fence + 1
    values = {"lease_until": now + LEASE_US, "fence": fence} if events else {"position": upto}
    if events and not row.attempts:
        # What it does not want is behind it. After a try in vain it stands still, so that an audit sees what it lost.
        values["position"] = events[0].position - 1
    tx.execute(WEBHOOKS.update().where(WEBHOOKS.c.id == id).values(**values))
    return Turn(row, fence, events)


def unread(tx: Tx, row: Any) -> tuple[list[Event], int]:
    scope = True if row.all_projects else reading.of_project(row.project_id)
    wanted, whole = Wanted(**row.wanted), row.all_projects
    try:
        return reading.page(tx, scope, wanted, row.position, BATCH, whole)
    except errors.Gone as gone:
        # Longer unreachable than events are kept: what is left of them follows.
        after = int(gone.extra["oldest"]) - 1  # type: ignore[call-overload]
        return reading.page(tx, scope, wanted, after, BATCH, whole)


def acknowledged(tx: Tx, ctx: Context, id: str, fence: int, position: int) -> bool:
    """Whether we were still its sender."""
    now = tx.clock()
    return held(tx, id, fence, position=position, attempts=0, last_error=None, acknowledged_at=now,
                lease_until=now + LEASE_US)


def failed(tx: Tx, ctx: Context, id: str, fence: int, problem: str) -> None:
    row = webhooks.store.find(tx, id, lock=True)
    if row is None:
        return
    attempts = row.attempts + 1
    due_at = tx.clock() + signing.wait_s(attempts) * 1_000_000
    held(tx, id, fence, attempts=attempts, last_error=problem, due_at=due_at, lease_until=0)


def let_go(tx: Tx, ctx: Context, id: str, fence: int) -> None:
    held(tx, id, fence, lease_until=0)


def held(tx: Tx, id: str, fence: int, **values: Any) -> bool:
    """Change a webhook as its sender: not when another one has taken it since."""
    return tx.changed(
        WEBHOOKS.update().where(WEBHOOKS.c.id == id, WEBHOOKS.c.fence == fence).values(**values)
    ) == 1


async def forget_leases(core: Core) -> None:
    """On SQLite there is one process: whoever held a webhook before is dead."""
    if core.db.name == "sqlite":
        await internal(core).write(forget)


def forget(tx: Tx, ctx: Context) -> None:
    tx.execute(WEBHOOKS.update().where(WEBHOOKS.c.lease_until > 0).values(lease_until=0))


LOOP = Loop(listening.DELIVER, EVERY_S, run, on_news=True)
