# SPDX-License-Identifier: Apache-2.0
"""Loops: on a timer and on a bell, one at a time by lease, and never ended by an error.

What each keeps true is its service's test. Leases are tested on every database of the run.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from skyhold.core import loops
from skyhold.core.app import Core
from skyhold.core.context import Context, internal
from skyhold.core.db.engine import unreachable
from skyhold.core.loops import Loop, Loops, drop_leases, keep_leases, take_lease
from skyhold.core.siblings import Siblings
from tests.kit.patience import PATIENCE_S

SECOND = 1_000_000


async def until(count: list[int], n: int) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while len(count) < n:
            await asyncio.sleep(0.005)


async def test_a_loop_runs_at_once_and_on_its_timer(core: Core) -> None:
    ran: list[int] = []

    async def run(ctx: Context) -> None:
        ran.append(1)

    made = Loops(core, [Loop("toy", 0.02, run)])
    await made.start()
    await until(ran, 3)
    await made.stop()


async def test_a_bell_is_heard_at_once_also_while_running(core: Core) -> None:
    ran: list[int] = []

    async def run(ctx: Context) -> None:
        ran.append(1)
        if len(ran) == 1:
            made.ring("toy")

    made = Loops(core, [Loop("toy", 3600, run)])
    await made.start()
    await until(ran, 2)
    made.ring("toy")
    made.ring("nobody")
    await until(ran, 3)
    await made.stop()


async def test_an_error_does_not_end_a_loop(core: Core) -> None:
    ran: list[int] = []

    async def run(ctx: Context) -> None:
        ran.append(1)
        raise RuntimeError("no")

    made = Loops(core, [Loop("toy", 0.01, run)])
    await made.start()
    await until(ran, 3)
    await made.stop()


async def test_a_stop_goes_on_when_the_database_is_away(core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise nothing behind the loops would be stopped; the leases expire."""
    ran: list[int] = []

    async def run(ctx: Context) -> None:
        ran.append(1)

    async def away(*args: object) -> None:
        raise unreachable()

    made = Loops(core, [Loop("toy", 0.01, run)])
    await made.start()
    await until(ran, 1)
    monkeypatch.setattr(core.db, "write", away)
    await made.stop()


async def test_each_run_has_a_request_id_of_its_own(core: Core) -> None:
    ids: list[str] = []

    async def run(ctx: Context) -> None:
        ids.append(ctx.request_id)

    made = Loops(core, [Loop("toy", 3600, run)])
    await made.run_once("toy")
    await made.run_once("toy")
    assert len(set(ids)) == 2


async def test_a_lease_is_held_by_one_and_kept_by_its_holder(core: Core) -> None:
    ctx = internal(core)
    assert await ctx.write(take_lease, "l", "a", 10 * SECOND)
    assert await ctx.write(take_lease, "l", "a", 10 * SECOND) == 0, "kept, not taken anew"
    assert await ctx.write(take_lease, "l", "b", 10 * SECOND) is None
    assert await ctx.write(take_lease, "other", "b", 10 * SECOND)


async def test_a_lease_that_ended_or_was_dropped_is_free(core: Core) -> None:
    ctx = internal(core)
    first = await ctx.write(take_lease, "l", "a", -1)
    second = await ctx.write(take_lease, "l", "b", 10 * SECOND)
    assert second > first, "who comes later has the higher term"
    await ctx.write(drop_leases, "b")
    assert await ctx.write(take_lease, "l", "a", 10 * SECOND)


async def test_of_many_one_takes_a_lease(core: Core) -> None:
    ctx = internal(core)
    taken = await asyncio.gather(*[ctx.write(take_lease, "l", f"h{i}", 10 * SECOND) for i in range(10)])
    assert sum(term is not None for term in taken) == 1


async def test_two_processes_never_run_a_loop_at_once(core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run longer than the lease keeps it; SQLite has one process and asks for none."""
    if core.db.name == "sqlite":
        return
    monkeypatch.setattr(loops, "LEASE_S", 1.0)
    inside, worst, ran = 0, 0, []

    async def run(ctx: Context) -> None:
        nonlocal inside, worst
        inside += 1
        worst = max(worst, inside)
        try:
            await asyncio.sleep(1.5)
            ran.append(1)
        finally:
            inside -= 1

    pair = [Loops(core, [Loop("toy", 0.02, run)]) for _ in range(2)]
    for made in pair:
        await made.start()
    await until(ran, 2)
    await pair[0].stop()
    await pair[1].stop()
    assert worst == 1


async def test_leases_are_kept_all_at_once_and_what_nobody_holds_is_seen(core: Core) -> None:
    ctx = internal(core)
    for name, holder, length in (("l", "a", 10), ("m", "a", 10), ("n", "b", 10), ("gone", "b", -1), ("mine", "a", -1)):
        await ctx.write(take_lease, name, holder, length * SECOND)
    kept, free = await ctx.write(keep_leases, "a", 10 * SECOND)
    assert (kept, free) == ({"l", "m"}, {"gone", "mine"}), "one that ended is not the holder's any more"


async def test_a_bell_rung_in_one_process_is_heard_in_the_one_that_runs_the_loop(core: Core, tmp_path: Path) -> None:
    if core.db.name == "sqlite":
        return
    ran: dict[str, list[int]] = {"first": [], "second": []}
    async with two_processes(core, tmp_path, ran) as (first, second):
        await until(ran["first"], 1)
        second.ring("toy")
        await until(ran["first"], 2)
        first.ring("toy")
        await until(ran["first"], 3)
        assert ran["second"] == [], "it is the other's"


async def test_a_loop_of_a_process_that_was_killed_goes_on_elsewhere_although_its_timer_is_slow(
    core: Core, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    if core.db.name == "sqlite":
        return
    monkeypatch.setattr(loops, "LEASE_S", 0.5)
    ran: dict[str, list[int]] = {"first": [], "second": []}
    async with two_processes(core, tmp_path, ran) as (first, second):
        await until(ran["first"], 1)
        before = first.term("toy")
        for task in first._tasks:
            task.cancel()
        await until(ran["second"], 1)
        assert second.term("toy") > before


@asynccontextmanager
async def two_processes(core: Core, place: Path, ran: dict[str, list[int]]) -> AsyncIterator[tuple[Loops, Loops]]:
    """Both have the loop `toy`, whose timer never comes; the first holds its lease."""
    def noting(name: str) -> Callable[[Context], Awaitable[None]]:
        async def run(ctx: Context) -> None:
            ran[name].append(1)

        return run

    own, made, told = core.siblings, [], [Siblings(place, number, 2) for number in (1, 2)]
    try:
        for siblings, name in zip(told, ran, strict=True):
            await siblings.start()
            core.siblings = siblings
            made.append(Loops(core, [Loop("toy", 3600, noting(name))]))
            await made[-1].start()
            await until(ran["first"], 1)
        yield made[0], made[1]
    finally:
        core.siblings = own
        for process, siblings in zip(made, told, strict=False):
            await process.stop()
            await siblings.stop()
