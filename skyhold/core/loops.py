# SPDX-License-Identifier: Apache-2.0
"""Reconcilers: each compares what is wanted with what is, and acts; on a timer and on a bell.

Work that was asked for by a user is a saga (core/saga/); a loop takes no arguments and may be
run at any time. On a database shared by several processes a lease lets one run at a time.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa
import structlog

from skyhold.core import context
from skyhold.core.tables import LEASES

if TYPE_CHECKING:
    from skyhold.core.app import Core
    from skyhold.core.context import Context
    from skyhold.core.db.tx import Tx

log = structlog.get_logger("loop")

LEASE_S = 15.0


@dataclass(frozen=True)
class Loop:
    """`run(ctx)` every `every_s` seconds, and soon after `core.loops.ring(name)`.

    One that isn't `leased` runs in every process: it takes turns by itself. `on_news` rings it also when
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
        self._loops = loops
        self._bells = {loop.name: asyncio.Event() for loop in loops}
        self._tasks: list[asyncio.Task[None]] = []
        self._holder = str(uuid.uuid4())
        self._terms: dict[str, int] = {}
        self._since = core.clock()
        self._stopping = False

    def ring(self, name: str) -> None:
        bell = self._bells.get(name)
        if bell is not None:
            bell.set()

    def term(self, name: str) -> int:
        """When this process took the loop's lease, and has held it ever since: in microseconds of the
        database's clock, so that it fences off whoever held the lease before."""
        return self._terms.get(name, self._since)

    def outrun(self, name: str, heard: int) -> None:
        """A host heard a higher fence although the lease is ours: the clock was set back."""
        self._terms[name] = max(self.term(name), heard + 1)

    async def start(self) -> None:
        self._stopping = False
        for loop in self._loops:
            if loop.on_news:
                self._core.news.wake(self._bells[loop.name])
        self._tasks = [asyncio.create_task(self._forever(loop)) for loop in self._loops]

    async def stop(self) -> None:
        self._stopping = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._tasks and self._core.db.name != "sqlite":
            # So that another process need not wait until they expire.
            await context.internal(self._core).write(drop_leases, self._holder)

    async def run_once(self, name: str) -> None:
        """Run one loop now: for tests and the operator."""
        await next(loop for loop in self._loops if loop.name == name).run(context.internal(self._core))

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
        if self._core.db.name == "sqlite" or not loop.leased:
            await loop.run(ctx)
        elif await self._take(ctx, loop):
            await self._held(ctx, loop)

    async def _held(self, ctx: Context, loop: Loop) -> None:
        """Run as long as the lease is ours: a process that was paused may find that it has lost it."""
        work = asyncio.ensure_future(loop.run(ctx))
        keeper = asyncio.create_task(self._keep(ctx, loop))
        try:
            await asyncio.wait([work, keeper], return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                work.result()
                return
            log.warning("the loop's lease is another's: it goes on there")
        finally:
            work.cancel()
            keeper.cancel()
            await asyncio.gather(work, keeper, return_exceptions=True)

    async def _take(self, ctx: Context, loop: Loop) -> bool:
        term: int | None = await ctx.write(take_lease, loop.name, self._holder, lease_us(loop))
        if term:
            self._terms[loop.name] = term
        return term is not None

    async def _keep(self, ctx: Context, loop: Loop) -> None:
        """A run may take longer than its lease. Ends when the lease was lost."""
        kept = True
        while kept:
            await asyncio.sleep(lease_us(loop) / 3e6)
            try:
                kept = await ctx.write(keep_lease, loop.name, self._holder, lease_us(loop))
            except Exception:
                log.exception("a lease was not renewed")


def lease_us(loop: Loop) -> int:
    return int(max(loop.every_s * 3, LEASE_S) * 1e6)


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
    try:
        with tx.nested():
            tx.execute(LEASES.insert(), {"name": name, "holder": holder, "until": now + length_us})
    except sa.exc.IntegrityError:
        return None
    return now


def keep_lease(tx: Tx, ctx: Context, name: str, holder: str, length_us: int) -> bool:
    """Whether the lease is still the holder's; it is longer by then."""
    now = tx.clock()
    held = LEASES.update().where(LEASES.c.name == name, LEASES.c.holder == holder, LEASES.c.until >= now)
    return bool(tx.changed(held.values(until=now + length_us)))


def drop_leases(tx: Tx, ctx: Context, holder: str) -> None:
    tx.execute(LEASES.delete().where(LEASES.c.holder == holder))
