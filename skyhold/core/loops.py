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
        self._stopping = False

    def ring(self, name: str) -> None:
        bell = self._bells.get(name)
        if bell is not None:
            bell.set()

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
            keeper = asyncio.create_task(self._keep(ctx, loop))
            try:
                await loop.run(ctx)
            finally:
                keeper.cancel()

    async def _take(self, ctx: Context, loop: Loop) -> bool:
        taken: bool = await ctx.write(take_lease, loop.name, self._holder, lease_us(loop))
        return taken

    async def _keep(self, ctx: Context, loop: Loop) -> None:
        """A run may take longer than its lease."""
        while True:
            await asyncio.sleep(lease_us(loop) / 3e6)
            await self._take(ctx, loop)


def lease_us(loop: Loop) -> int:
    return int(max(loop.every_s * 3, LEASE_S) * 1e6)


def take_lease(tx: Tx, ctx: Context, name: str, holder: str, length_us: int) -> bool:
    """Take or keep the lease `name`; False while another holds it."""
    now = tx.clock()
    statement = (
        LEASES.update()
        .where(LEASES.c.name == name, sa.or_(LEASES.c.holder == holder, LEASES.c.until < now))
        .values(holder=holder, until=now + length_us)
    )
    if tx.changed(statement):
        return True
    if tx.first(sa.select(LEASES.c.name).where(LEASES.c.name == name)) is not None:
        return False
    try:
        with tx.nested():
            tx.execute(LEASES.insert(), {"name": name, "holder": holder, "until": now + length_us})
    except sa.exc.IntegrityError:
        return False
    return True


def drop_leases(tx: Tx, ctx: Context, holder: str) -> None:
    tx.execute(LEASES.delete().where(LEASES.c.holder == holder))
