# SPDX-License-Identifier: Apache-2.0
"""The runner of sagas: whatever happens at whichever step, the end is one of two clean ones.

The sagas here are toy.py's; those of the product are run through the same troubles by kit.py, processes
that die test_runner_processes.py's. Every test runs on each database of the run.
"""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import pytest

from skyhold.core import errors
from skyhold.core.app import Core
from skyhold.core.bus import HostUnreachable
from skyhold.core.context import Context, internal
from skyhold.core.db.tx import LookAgain, Tx
from skyhold.core.saga import rows
from skyhold.core.saga.base import Abort, Again, Outcome, Rewind
from skyhold.core.saga.runner import Run
from tests.kit.patience import PATIENCE_S
from tests.sagas import toy
from tests.sagas.toy import (
    BUILT,
    STEPS,
    Build,
    Hasty,
    Parent,
    Remove,
    begin,
    outcome_of,
    quiet,
    row_of,
    wait_for,
    world,
)


def things() -> set[str]:
    return {name.partition("/")[2] for name in world.things}


# ---- forward --------------------------------------------------------------------------------


async def test_steps_run_in_order_and_end(toys: Core, subject: str) -> None:
    saga = await begin(toys, Build, subject)
    assert await toys.sagas.wait(saga, 10) is None
    assert world.history == STEPS
    assert await outcome_of(toys, subject) == BUILT
    row = await row_of(toys, saga)
    assert (row.state, row.lock_name, row.kept) == ("ended", None, {"seen": STEPS})


@pytest.mark.parametrize("step", STEPS)
async def test_a_step_that_is_not_ready_is_asked_again(toys: Core, subject: str, step: str) -> None:
    world.plan[step] = [Again(0.01), Again(0)]
    await begin(toys, Build, subject)
    await quiet(toys)
    assert world.history.count(step) == 3
    assert await outcome_of(toys, subject) == BUILT


@pytest.mark.parametrize("step", STEPS)
async def test_a_step_that_breaks_is_tried_again_until_it_works(toys: Core, subject: str, step: str) -> None:
    world.plan[step] = [RuntimeError("first"), KeyError("second")]
    await begin(toys, Build, subject)
    await quiet(toys)
    assert await outcome_of(toys, subject) == BUILT
    assert things() == set(STEPS)


@pytest.mark.parametrize("step", STEPS)
async def test_a_commit_that_breaks_is_tried_again(toys: Core, subject: str, step: str) -> None:
    """An error in what was handed to `then` must not wait for the lease to end."""
    broken = [True]

    def fail_once(tx: Any, ctx: Context) -> None:
        if broken:
            broken.pop()
            raise RuntimeError("constraint")

    async def trouble(s: Run) -> Outcome:
        s.then(fail_once)
        return None

    world.plan[step] = [trouble]
    await begin(toys, Build, subject)
    await quiet(toys)
    assert await outcome_of(toys, subject) == BUILT
    assert world.history.count(step) == 2


@pytest.mark.parametrize("step", STEPS)
async def test_what_a_commit_that_is_tried_again_kept_is_kept_once(toys: Core, subject: str, step: str) -> None:
    """An effect may change what is kept; with its transaction goes that, too."""
    tries: list[bool] = []

    def effect(tx: Tx, ctx: Context, s: Run) -> None:
        s.kept.seen.append(f"{step} in the commit")
        tries.append(tx.careful)
        if not tx.careful:
            raise LookAgain

    async def commit_twice(s: Run) -> Outcome:
        s.then(effect, s)
        return None

    world.plan[step] = [commit_twice]
    saga = await begin(toys, Build, subject)
    assert await toys.sagas.wait(saga, 10) is None
    assert tries == ([True] if toys.db.name == "sqlite" else [False, True])
    assert (await row_of(toys, saga)).kept["seen"].count(f"{step} in the commit") == 1


@pytest.mark.parametrize("step", STEPS)
async def test_an_outcome_may_come_from_the_commit(toys: Core, subject: str, step: str) -> None:
    decided = [Again(0)]

    async def trouble(s: Run) -> Outcome:
        s.then(lambda tx, ctx: decided.pop() if decided else None)
        return None

    world.plan[step] = [trouble]
    await begin(toys, Build, subject)
    await quiet(toys)
    assert world.history.count(step) == 2


async def test_what_ended_long_ago_is_forgotten_and_nothing_else(toys: Core, subject: str) -> None:
    ended = await begin(toys, Build, subject)
    assert await toys.sagas.wait(ended, 10) is None
    hanging = asyncio.Event()

    async def hang(s: Run) -> Outcome:
        await hanging.wait()
        return None

    world.plan["one"] = [hang]
    live = await begin(toys, Build, subject)
    assert await internal(toys).write(rows.forget, (await row_of(toys, ended)).ended_at) == 0
    assert await internal(toys).write(rows.forget, (await row_of(toys, ended)).ended_at + 1) == 1
    assert await row_of(toys, ended) is None
    hanging.set()
    assert await toys.sagas.wait(live, 10) is None


# ---- back -----------------------------------------------------------------------------------


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("problem", [Abort("no room"), errors.Conflict("no room")])
async def test_giving_up_undoes_everything_backwards(toys: Core, subject: str, step: str, problem: Exception) -> None:
    world.plan[step] = [problem]
    saga = await begin(toys, Build, subject)
    assert await toys.sagas.wait(saga, 10) == "no room"
    done = STEPS[: STEPS.index(step) + 1]
    assert world.history == [*done, *("undo_" + name for name in reversed(done))]
    assert things() == set()
    assert await outcome_of(toys, subject) == {"failed": 1}


@pytest.mark.parametrize("step", STEPS)
async def test_giving_up_inside_the_commit_keeps_nothing_of_it(toys: Core, subject: str, step: str) -> None:
    def refuse(tx: Any, ctx: Context) -> None:
        toy.count(tx, ctx, subject, "half", 1)
        raise errors.OverQuota("no more", resource="things", used=1, limit=1, asked=1)

    async def trouble(s: Run) -> Outcome:
        s.then(refuse)
        return None

    world.plan[step] = [trouble]
    saga = await begin(toys, Build, subject)
    assert await toys.sagas.wait(saga, 10) == "no more"
    assert await outcome_of(toys, subject) == {"failed": 1}


@pytest.mark.parametrize("undo", ["undo_one", "undo_two", "undo_three"])
@pytest.mark.parametrize("trouble", [Again(0.01), RuntimeError("host away"), Abort("odd")])
async def test_undo_may_wait_but_never_fails(toys: Core, subject: str, undo: str, trouble: Any) -> None:
    world.plan = {"three": [Abort("no")], undo: [trouble, trouble]}
    await begin(toys, Build, subject)
    await quiet(toys)
    assert things() == set()
    assert await outcome_of(toys, subject) == {"failed": 1}


@pytest.mark.parametrize("source", STEPS)
@pytest.mark.parametrize("target", STEPS)
async def test_a_rewind_undoes_to_its_target_and_goes_on_in_a_new_round(
    toys: Core, subject: str, source: str, target: str
) -> None:
    world.plan[source] = [Rewind(target)]
    if STEPS.index(target) > STEPS.index(source):
        # Not a rewind at all: a mistake in a saga, which ends at its deadline at the latest.
        world.plan[source] = [Rewind(target), Rewind(target)]
    saga = await begin(toys, Build, subject)
    await quiet(toys)
    assert await outcome_of(toys, subject) == BUILT
    if STEPS.index(target) <= STEPS.index(source):
        back = STEPS[STEPS.index(target) : STEPS.index(source) + 1]
        assert [name for name in world.history if name.startswith("undo")] == [
            "undo_" + name for name in reversed(back)
        ]
        row = await row_of(toys, saga)
        assert row.round == 1
        key = world.things[f"{subject}/{source}"]
        assert key.split(":")[2] == "1"


async def test_a_deadline_undoes_and_says_so(toys: Core, subject: str) -> None:
    world.plan["two"] = [Again(0.05)] * 100
    saga = await begin(toys, Hasty, subject)
    error = await toys.sagas.wait(saga, 10)
    assert error is not None
    assert "took longer than" in error
    assert things() == set()


async def test_a_deadline_is_not_slept_through(toys: Core, subject: str) -> None:
    world.plan["two"] = [Again(3600)]
    saga = await begin(toys, Hasty, subject)
    assert await toys.sagas.wait(saga, 10)


async def test_a_step_that_hangs_does_not_hold_its_saga_beyond_the_deadline(toys: Core, subject: str) -> None:
    world.plan["two"] = [lambda s: wait_for(asyncio.Event())]
    saga = await begin(toys, Hasty, subject)
    error = await toys.sagas.wait(saga, 10)
    assert error is not None and error.startswith("This took longer than")
    assert things() == set() and not toys.sagas._running


async def test_a_deadline_names_the_last_trouble(toys: Core, subject: str) -> None:
    world.plan["two"] = [HostUnreachable("the host is on fire")] * 1000
    saga = await begin(toys, Hasty, subject)
    assert "on fire" in str(await toys.sagas.wait(saga, 10))


async def test_a_deadline_does_not_tell_users_what_was_not_written_for_them(toys: Core, subject: str) -> None:
    world.plan["two"] = [RuntimeError("no such file: /srv/secret")] * 1000
    saga = await begin(toys, Hasty, subject)
    told = str(await toys.sagas.wait(saga, 10))
    row = await row_of(toys, saga)
    assert "/srv/secret" not in told
    assert row.request_id in told


# ---- locks and signals ----------------------------------------------------------------------


async def test_a_second_saga_on_the_same_lock_is_refused(toys: Core, subject: str) -> None:
    gate = asyncio.Event()
    world.plan["one"] = [lambda s: wait_for(gate)]
    await begin(toys, Build, subject)
    with pytest.raises(errors.Conflict, match=r"toy\.build is under way"):
        await begin(toys, Build, subject)
    await begin(toys, Build, subject, lock="another")
    gate.set()
    await quiet(toys)
    await begin(toys, Build, subject)
    await quiet(toys)



async def test_of_many_starts_at_once_one_wins(toys: Core, subject: str) -> None:
    gate = asyncio.Event()
    world.plan["one"] = [lambda s: wait_for(gate)]
    results = await asyncio.gather(*[begin(toys, Build, subject) for _ in range(8)], return_exceptions=True)
    gate.set()
    assert sum(isinstance(result, str) for result in results) == 1
    assert sum(isinstance(result, errors.Conflict) for result in results) == 7


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("outcome", [None, Again(3600), Rewind("one"), RuntimeError("oops"), Abort("no")])
async def test_delete_wins_at_every_step(toys: Core, subject: str, step: str, outcome: Any) -> None:
    async def trouble(s: Run) -> Outcome:
        deleted.append(await begin(toys, Remove, subject, supersede=True))
        if isinstance(outcome, Exception):
            raise outcome
        return outcome  # type: ignore[no-any-return]

    deleted: list[str] = []
    world.plan[step] = [trouble]
    await begin(toys, Build, subject)
    await quiet(toys)
    assert things() == set()
    assert world.history[-1] == "remove"
    assert (await row_of(toys, deleted[0])).state == "ended"
    # The result of the last step may stay as it is undone: what counts is that it ended once, removed.
    found = await outcome_of(toys, subject)
    assert found == {"cancelled": 1, "removed": 1}


@pytest.mark.parametrize("undo", ["undo_one", "undo_two"])
async def test_delete_wins_while_unwinding(toys: Core, subject: str, undo: str) -> None:
    async def trouble(s: Run) -> Outcome:
        await begin(toys, Remove, subject, supersede=True)
        return None

    world.plan = {"two": [Abort("no")], undo: [trouble]}
    await begin(toys, Build, subject)
    await quiet(toys)
    assert await outcome_of(toys, subject) == {"cancelled": 1, "removed": 1}


async def test_delete_twice_is_one_delete(toys: Core, subject: str) -> None:
    async def trouble(s: Run) -> Outcome:
        wishes = [begin(toys, Remove, subject, supersede=True) for _ in range(5)]
        ids.update(await asyncio.gather(*wishes))
        return None

    ids: set[str] = set()
    world.plan["two"] = [trouble]
    await begin(toys, Build, subject)
    await quiet(toys)
    assert len(ids) == 1
    assert world.history.count("remove") == 1


async def test_delete_wakes_a_sleeping_saga(toys: Core, subject: str) -> None:
    world.plan["two"] = [Again(3600)]
    saga = await begin(toys, Build, subject)
    await sleeping(toys, saga)
    await begin(toys, Remove, subject, supersede=True)
    await quiet(toys)
    assert await outcome_of(toys, subject) == {"cancelled": 1, "removed": 1}


async def sleeping(core: Core, saga: str) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while (await row_of(core, saga)).lease_until or (await row_of(core, saga)).step != "two":
            await asyncio.sleep(0.01)


async def test_deletes_racing_with_the_end_are_never_lost(toys: Core) -> None:
    """Whichever comes first in the database: the delete runs, and runs once."""
    subjects = [uuid.uuid4().hex for _ in range(40)]

    async def race(subject: str, pause_s: float) -> None:
        await begin(toys, Build, subject)
        await asyncio.sleep(pause_s)
        await begin(toys, Remove, subject, supersede=True)

    await asyncio.gather(*[race(subject, i * 0.003) for i, subject in enumerate(subjects)])
    await quiet(toys)
    assert world.things == {}
    assert world.history.count("remove") == len(subjects)
    for subject in subjects:
        assert (await outcome_of(toys, subject))["removed"] == 1


# ---- parents --------------------------------------------------------------------------------


async def test_a_child_that_ends_wakes_its_parent(toys: Core, subject: str) -> None:
    world.plan["two"] = [Again(0.05)]
    await begin(toys, Parent, subject)
    await quiet(toys)
    assert await outcome_of(toys, subject) == {"ended": 1}


async def test_a_child_that_ends_during_the_parents_very_step_still_wakes_it(toys: Core, subject: str) -> None:
    async def trouble(s: Run) -> Outcome:
        """The parent has looked and seen nothing; now the child ends, and only then the parent sleeps."""
        gate.set()
        await toys.sagas.wait(s.kept.child_id, 10)
        return None

    gate = asyncio.Event()
    world.plan = {"wait": [trouble], "one": [lambda s: wait_for(gate)]}
    await begin(toys, Parent, subject)
    await quiet(toys)
    assert await outcome_of(toys, subject) == {"ended": 1}
