# SPDX-License-Identifier: Apache-2.0
"""Reconcilers: each compares what is wanted with what is, and acts; on a timer and on a bell.

Work that was asked for by a user is a saga (core/saga/); a loop takes no arguments and may be
run at any time. On a database shared by several processes a lease lets one run at a time; it is that
process's as long as it lives, and bells that are rung in another are passed on to it.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import sqlalchemy as sa
import structlog

from skyhold.core import context, errors
from skyhold.core.tables import LEASES

if TYPE_CHECKING:
    from skyhold.core.app import Core
    from skyhold.core.context import Context
    from skyhold.core.db.tx import Tx

log = structlog.get_logger("loop")

LEASE_S = 15.0
"""Leases are renewed thrice in that time; what a killed process held goes on elsewhere a third of it later at most."""
LOOK_S = 1.0

KEEP = (
    LEASES.update()
    .where(LEASES.c.holder == sa.bindparam("by"), LEASES.c.until >= sa.bindparam("now"))
    .values(until=sa.bindparam("longer"))
)
MINE_OR_FREE = sa.select(LEASES).where(
    sa.or_(LEASES.c.holder == sa.bindparam("by"), LEASES.c.until < sa.bindparam("now"))
)


@dataclass(frozen=True)
class Loop:
    """`run(ctx)` every `every_s` seconds, and soon after `core.loops.ring(name)`.

    One that isn't `leased` runs in every process: any number may run it at once. `on_news` rings it also when
    there is more to read in the journal.
    """

    name: str
    every_s: float
    run: Callable[[Context], Awaitable[object]]
    leased: bool = True
    on_news: bool = False


class Loops:
    def __init__(self, core: Core, loops: list[Loop]) -> None:
        self._core = core
        self._siblings = core.siblings
        self._loops = {loop.name: loop for loop in loops}
        self._bells = {loop.name: asyncio.Event() for loop in loops}
        self._tasks: list[asyncio.Task[None]] = []
        self._holder = str(uuid.uuid4())
        self._terms: dict[str, int] = {}
        self._until: dict[str, float] = {}
        """By loop, the monotonic time until which the lease is surely ours."""
        self._since = core.clock()
        self._stopping = False
        for loop in loops:
            self._siblings.on(passed_on(loop.name), partial(self._wake, loop.name))

    def ring(self, name: str) -> None:
        """Run it soon, here or in the process that holds its lease."""
        if name in self._bells and not self._wake(name):
            self._siblings.tell(passed_on(name))

    def _wake(self, name: str) -> bool:
        """Whether it is for this process to run it."""
        ours = not self._shared(self._loops[name]) or self._left_s(name) > 0
        if ours:
            self._bells[name].set()
        return ours

    def _shared(self, loop: Loop) -> bool:
        return loop.leased and self._core.db.name != "sqlite"

    def _left_s(self, name: str) -> float:
        return self._until.get(name, 0.0) - time.monotonic()

    def term(self, name: str) -> int:
        """When this process took the loop's lease, and has held it ever since: in microseconds of the
        database's clock, so that it fences off whoever held the lease before."""
        return self._terms.get(name, self._since)

    def outrun(self, name: str, heard: int) -> None:
        """A host heard a higher fence although the lease is ours: the clock was set back."""
        self._terms[name] = max(self.term(name), heard + 1)

    async def start(self) -> None:
        self._stopping = False
        for loop in self._loops.values():
            if loop.on_news:
                self._core.news.wake(partial(self._wake, loop.name))
        self._tasks = [asyncio.create_task(self._forever(loop)) for loop in self._loops.values()]
        if self._core.db.name != "sqlite":
            self._tasks.append(asyncio.create_task(self._keep_forever()))

    async def stop(self) -> None:
        self._stopping = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._tasks and self._core.db.name != "sqlite":
            # So that another process need not wait until they expire.
            self._until.clear()
            try:
                await context.internal(self._core).write(drop_leases, self._holder)
            except errors.Unavailable as error:
                log.warning("leases were not dropped: they expire", error=error.message)

    async def run_once(self, name: str) -> None:
        """Run one loop now: for tests and the operator."""
        await self._loops[name].run(context.internal(self._core))

    async def _forever(self, loop: Loop) -> None:
        bell = self._bells[loop.name]
        while True:
            bell.clear()
            ctx = context.internal(self._core)
            structlog.contextvars.bind_contextvars(request_id=ctx.request_id, loop=loop.name)
            try:
                await self._run(ctx, loop)
            except Exception:
                if not self._stopping:
                    log.exception("loop failed; it runs again")
                    await asyncio.sleep(min(loop.every_s, 1.0))
            if self._stopping:
                # MariaDB's driver answers a cancellation while it connects with an error of its own.
                return
            try:
                # Not wait_for: before Python 3.12 it swallows a cancellation that comes with the bell.
                async with asyncio.timeout(loop.every_s):
                    await bell.wait()
            except TimeoutError:
                continue

    async def _run(self, ctx: Context, loop: Loop) -> None:
        if not self._shared(loop):
            await loop.run(ctx)
        elif await self._take(ctx, loop.name):
            await self._held(ctx, loop)

    async def _held(self, ctx: Context, loop: Loop) -> None:
        """Run as long as the lease is ours: a process that was paused may find that it has lost it."""
        work = asyncio.ensure_future(loop.run(ctx))
        try:
            while not work.done() and (left_s := self._left_s(loop.name)) > 0:
                await asyncio.wait([work], timeout=min(left_s, LOOK_S))
            if work.done():
                work.result()
                return
            log.warning("the loop's lease is another's: it goes on there")
        finally:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)

    async def _take(self, ctx: Context, name: str) -> bool:
        """Whether the lease is ours, for some time to come."""
        if self._left_s(name) > LEASE_S / 3:
            return True
        before = time.monotonic()
        term: int | None = await ctx.write(take_lease, name, self._holder, int(LEASE_S * 1e6))
        if term is None:
            self._until.pop(name, None)
            return False
        if term:
            self._terms[name] = term
        self._until[name] = before + LEASE_S
        return True

    async def _keep_forever(self) -> None:
        while True:
            await asyncio.sleep(LEASE_S / 3)
            try:
                await self._keep(list(self._until))
            except Exception:
                if not self._stopping:
                    log.exception("leases were not renewed")

    async def _keep(self, held: list[str]) -> None:
        """Renew what is held, whether it runs or waits, and take up what another process left."""
        before = time.monotonic()
        kept, free = await context.internal(self._core).write(keep_leases, self._holder, int(LEASE_S * 1e6))
        for name in held:
            if name in kept:
                self._until[name] = before + LEASE_S
            else:
                self._until.pop(name, None)
        for name in free:
            if name in self._loops and self._loops[name].leased:
                self._bells[name].set()


def passed_on(name: str) -> str:
    """The word for it among control processes."""
    return f"loop {name}"


def take_lease(tx: Tx, ctx: Context, name: str, holder: str, length_us: int) -> int | None:
    """Take or keep the lease `name`: None while another holds it, 0 when it was the holder's all the time,
    else when it was taken."""
    if keep_lease(tx, ctx, name, holder, length_us):
        return 0
    now = tx.clock()
    over = LEASES.update().where(LEASES.c.name == name, sa.or_(LEASES.c.holder == holder, LEASES.c.until < now))
    if tx.changed(over.values(holder=holder, until=now + length_us)):
        return now
    if tx.first(sa.select(LEASES.c.name).where(LEASES.c.name == name)) is not None:
        return None
    return now if tx.add(LEASES, {"name": name, "holder": holder, "until": now + length_us}) else None


def keep_lease(tx: Tx, ctx: Context, name: str, holder: str, length_us: int) -> bool:
    """Whether the lease is still the holder's; it is longer by then."""
    now = tx.clock()
    held = LEASES.update().where(LEASES.c.name == name, LEASES.c.holder == holder, LEASES.c.until >= now)
    return bool(tx.changed(held.values(until=now + length_us)))


def keep_leases(tx: Tx, ctx: Context, holder: str, length_us: int) -> tuple[set[str], set[str]]:
    """The leases that are still the holder's, longer by then; and those that are nobody's any more."""
    now = tx.clock()
    tx.execute(KEEP, {"by": holder, "now": now, "longer": now + length_us})
    rows = tx.all(MINE_OR_FREE, {"by": holder, "now": now})
    kept = {row.name for row in rows if row.holder == holder and row.until >= now}
    return kept, {row.name for row in rows} - kept


def drop_leases(tx: Tx, ctx: Context, holder: str) -> None:
    tx.execute(LEASES.update().where(LEASES.c.holder == holder).values(until=0))
