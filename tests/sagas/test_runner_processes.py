# SPDX-License-Identifier: Apache-2.0
"""The runner of sagas when processes are killed, stopped, paused, or several, and when commits and leases are lost.

What one process does in peace is test_runner.py's. The sagas here are toy.py's.
"""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import pytest

from skyhold.core import errors
from skyhold.core.app import Core
from skyhold.core.bus import StaleFence
from skyhold.core.context import Context, internal
from skyhold.core.saga import rows, runner
from skyhold.core.saga.base import Again, Outcome
from skyhold.core.saga.runner import Run, Runner
from tests.kit.patience import PATIENCE_S, until
from tests.sagas import toy
from tests.sagas.toy import (
    BUILT,
    STEPS,
    Build,
    Remove,
    begin,
    change_row,
    outcome_of,
    quiet,
    row_of,
    wait_for,
    world,
)


@pytest.mark.parametrize("step", STEPS)
async def test_killed_after_the_effect_the_step_is_done_again(toys: Core, subject: str, step: str) -> None:
    reached, never = asyncio.Event(), asyncio.Event()

    async def hang(s: Run) -> Outcome:
        reached.set()
        await never.wait()
        return None

    world.plan[step] = [hang]
    saga = await begin(toys, Build, subject)
    await asyncio.wait_for(reached.wait(), PATIENCE_S)
    await toy.kill(toys.sagas)
    await change_row(toys, saga, lease_until=1)
    toys.sagas = Runner(toys, toy.SAGAS_OF_TOY)
    await toys.sagas.start()
    await quiet(toys)
    assert await outcome_of(toys, subject) == BUILT
    assert world.history.count(step) == 2


async def test_a_graceful_stop_lets_the_next_process_go_on_at_once(toys: Core, subject: str) -> None:
    reached, never = asyncio.Event(), asyncio.Event()

    async def hang(s: Run) -> Outcome:
        reached.set()
        await never.wait()
        return None

    world.plan["two"] = [hang]
    await begin(toys, Build, subject)
    await asyncio.wait_for(reached.wait(), PATIENCE_S)
    await toys.sagas.stop()
    toys.sagas = Runner(toys, toy.SAGAS_OF_TOY)
    await toys.sagas.start()
    await quiet(toys)
    assert await outcome_of(toys, subject) == BUILT


async def test_a_stop_without_the_database_fails_nobody_and_loses_nothing(
    toys: Core, subject: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The saga goes on when its lease has ended."""
    reached, never = asyncio.Event(), asyncio.Event()

    async def hang(s: Run) -> Outcome:
        reached.set()
        await never.wait()
        return None

    async def away(*args: Any) -> None:
        raise errors.Unavailable("The database does not answer now; try again.", reason="database")

    world.plan["two"] = [hang]
    saga = await begin(toys, Build, subject)
    await asyncio.wait_for(reached.wait(), PATIENCE_S)
    with monkeypatch.context() as patch:
        patch.setattr(toys.db, "write", away)
        await toys.sagas.stop()
    await change_row(toys, saga, lease_until=1)
    toys.sagas = Runner(toys, toy.SAGAS_OF_TOY)
    await toys.sagas.start()
    await quiet(toys)
    assert await outcome_of(toys, subject) == BUILT


@pytest.mark.parametrize("step", STEPS)
async def test_a_paused_process_that_wakes_up_changes_nothing(toys: Core, subject: str, step: str) -> None:
    """Its lease ended and another went on: the commit of its step is refused, with all effects."""
    reached, go_on = asyncio.Event(), asyncio.Event()

    async def pause(s: Run) -> Outcome:
        reached.set()
        await go_on.wait()
        return None

    world.plan[step] = [pause]
    saga = await begin(toys, Build, subject)
    await asyncio.wait_for(reached.wait(), PATIENCE_S)
    other = Runner(toys, toy.SAGAS_OF_TOY)
    other._tasks = [asyncio.create_task(other._claim_forever())]
    await change_row(toys, saga, lease_until=1)
    assert await other.wait(saga, 10) is None
    go_on.set()
    await until(lambda: not toys.sagas._running, "the process that was paused to let go")
    assert await outcome_of(toys, subject) == BUILT
    await other.stop()


async def test_two_processes_share_the_work_and_do_each_saga_once(toys: Core) -> None:
    other = Runner(toys, toy.SAGAS_OF_TOY)
    other._tasks = [asyncio.create_task(other._claim_forever())]
    subjects = [uuid.uuid4().hex for _ in range(40)]
    await asyncio.gather(*[begin(toys, Build, subject) for subject in subjects])
    other.ring()
    await quiet(toys)
    async with asyncio.timeout(PATIENCE_S):
        while other._running:
            await asyncio.sleep(0.01)
    for subject in subjects:
        assert await outcome_of(toys, subject) == BUILT
    assert len(world.history) == 3 * len(subjects)
    await other.stop()


async def test_a_lease_is_renewed_while_a_step_takes_long(
    toys: Core, subject: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "RENEW_S", 0.02)
    await toys.sagas.stop()
    await toys.sagas.start()

    async def long(s: Run) -> Outcome:
        first = (await row_of(toys, s.id)).lease_until

        async def renewed() -> bool:
            return bool((await row_of(toys, s.id)).lease_until > first)

        await until(renewed, "the lease to be longer")
        return None

    world.plan["one"] = [long]
    await begin(toys, Build, subject)
    await quiet(toys)
    assert await outcome_of(toys, subject) == BUILT
    assert world.history.count("one") == 1


async def test_a_host_that_heard_a_higher_fence_is_outrun(toys: Core, subject: str) -> None:
    """The clock was set back between two sagas about one subject."""
    heard = 2**60
    fences: list[int] = []

    async def ask(s: Run) -> Outcome:
        fences.append(s.fence)
        if s.fence < heard:
            raise StaleFence("old", heard)
        return None

    world.plan["one"] = [ask, ask]
    await begin(toys, Build, subject)
    await quiet(toys)
    assert await outcome_of(toys, subject) == BUILT
    assert fences[1] > heard


async def test_a_saga_that_follows_has_the_higher_fence(toys: Core, subject: str) -> None:
    async def trouble(s: Run) -> Outcome:
        deleted.append(await begin(toys, Remove, subject, supersede=True))
        await change_row(toys, s.id, fence=2**60)
        s.row["fence"] = s.fence = 2**60
        return None

    deleted: list[str] = []
    world.plan["two"] = [trouble]
    await begin(toys, Build, subject)
    await quiet(toys)
    assert (await row_of(toys, deleted[0])).fence > 2**60


async def test_live_sagas_are_known_by_their_subject(toys: Core, subject: str) -> None:
    gate = asyncio.Event()
    world.plan["one"] = [lambda s: wait_for(gate)]
    await begin(toys, Build, subject)
    assert await internal(toys).read(rows.live, subject)
    assert subject in await internal(toys).read(rows.live_subjects)
    gate.set()
    await quiet(toys)
    assert not await internal(toys).read(rows.live, subject)


async def test_a_bell_that_was_lost_costs_a_second_at_most(toys: Core, subject: str) -> None:
    toys.sagas.ring = lambda: None  # type: ignore[method-assign]
    await begin(toys, Build, subject)
    await quiet(toys)
    assert await outcome_of(toys, subject) == BUILT


async def test_a_bell_between_looking_and_waiting_is_heard(
    toys: Core, subject: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The saga is committed when the runner has just found nothing due, and before it begins to wait."""
    await quiet(toys)
    monkeypatch.setattr(runner, "IDLE_S", 3600)
    begun, claim = asyncio.Event(), toys.sagas._claim

    async def claim_and_be_overtaken(free: int) -> float:
        wait_s = await claim(free)
        if not begun.is_set():
            await begin(toys, Build, subject)
            begun.set()
        return wait_s

    monkeypatch.setattr(toys.sagas, "_claim", claim_and_be_overtaken)
    toys.sagas.ring()
    await asyncio.wait_for(begun.wait(), PATIENCE_S)
    await quiet(toys)
    assert await outcome_of(toys, subject) == BUILT


async def test_a_lease_that_ends_while_its_holder_lives_costs_a_step_and_loses_nothing(
    toys: Core, subject: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Renewing failed, or the loop stood still: the very same process claims the saga again, beside itself."""
    monkeypatch.setattr(runner, "RENEW_S", 3600)
    reached, go_on = asyncio.Event(), asyncio.Event()

    async def pause(s: Run) -> Outcome:
        reached.set()
        await go_on.wait()
        return None

    world.plan["one"] = [pause]
    saga = await begin(toys, Build, subject)
    await asyncio.wait_for(reached.wait(), PATIENCE_S)
    await change_row(toys, saga, lease_until=1)
    assert await toys.sagas.wait(saga, 10) is None
    go_on.set()
    await quiet(toys)
    assert await outcome_of(toys, subject) == BUILT
    assert world.history == ["one", "one", "two", "three"]


@pytest.mark.parametrize("step", STEPS)
async def test_a_commit_of_which_nobody_knows_is_not_gone_back_behind(
    toys: Core, subject: str, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection broke when the step had just been committed: the row is read anew, not written over."""
    write, broken = toys.db.write, []

    async def write_unheard(ctx: Context, operation: Any, *args: Any, **kw: Any) -> Any:
        answer = await write(ctx, operation, *args, **kw)
        if operation == toys.sagas._commit and args[0].row["step"] == step and not broken:
            broken.append(1)
            # As it is when its lease has ended.
            await write(ctx, rows.release, [(args[0].id, args[0].fence)])
            raise errors.OutcomeUnknown("lost")
        return answer

    monkeypatch.setattr(toys.db, "write", write_unheard)
    await begin(toys, Build, subject)
    await quiet(toys)
    assert broken and await outcome_of(toys, subject) == BUILT
    assert world.history == STEPS


async def test_a_process_whose_clock_is_ahead_asks_no_more_often(
    toys: Core, subject: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it puts off is due later by the database's clock, which decides: it waits for that."""
    whole, asked, clock = rows.claim, [], toys.clock

    def counting(*args: Any) -> Any:
        asked.append(1)
        return whole(*args)

    monkeypatch.setattr(rows, "claim", counting)
    monkeypatch.setattr(runner, "IDLE_S", 10.0)
    monkeypatch.setattr(toys, "clock", lambda: clock() + 1_500_000)
    world.plan["two"] = [Again(0.1)]
    await begin(toys, Build, subject)
    await quiet(toys)
    assert await outcome_of(toys, subject) == BUILT
    assert len(asked) < 20


async def test_claims_that_fail_are_tried_again(toys: Core, subject: str, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, failed = rows.claim, []

    def fail(*args: Any) -> Any:
        failed.append(1)
        raise OSError("the disk went away")

    monkeypatch.setattr(rows, "claim", fail)
    await begin(toys, Build, subject)
    async with asyncio.timeout(PATIENCE_S):
        while len(failed) < 3:
            await asyncio.sleep(0.01)
    monkeypatch.setattr(rows, "claim", whole)
    await quiet(toys)
    assert await outcome_of(toys, subject) == BUILT
