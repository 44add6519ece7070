# SPDX-License-Identifier: Apache-2.0
"""A saga over a world that is a dict, with a plan of what goes wrong: for tests of the runner itself.

The product's sagas are tested by kit.py. `Build` makes three things one after another and undoes them;
`Remove` supersedes it; `Parent` waits for a child.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, ClassVar

import sqlalchemy as sa

from skyhold.core.app import Core
from skyhold.core.context import Context, internal
from skyhold.core.db.columns import metadata, number, table, text
from skyhold.core.db.tx import Tx
from skyhold.core.saga.base import Again, Kept, Outcome, Saga
from skyhold.core.saga.runner import Run, Runner
from skyhold.core.tables import SAGAS
from tests.kit.patience import PATIENCE_S

RESULTS = table(
    "test_saga_results",
    sa.Column("subject", text(64), primary_key=True),
    sa.Column("step", text(64), primary_key=True),
    sa.Column("times", number(), nullable=False),
)
metadata.remove(RESULTS)

Trouble = Outcome | Exception | Callable[[Run], Awaitable[Outcome]]


class World:
    """What is outside of the database. `plan[name]` are troubles for the visits of a step, in order."""

    def __init__(self) -> None:
        self.things: dict[str, str] = {}
        self.history: list[str] = []
        self.plan: dict[str, list[Trouble]] = {}

    async def visit(self, name: str, s: Run) -> Outcome:
        self.history.append(name)
        waiting = self.plan.get(name)
        if not waiting:
            return None
        trouble = waiting.pop(0)
        if isinstance(trouble, Exception):
            raise trouble
        return await trouble(s) if callable(trouble) else trouble


world = World()


def count(tx: Tx, ctx: Context, subject: str, step: str, n: int) -> None:
    same = (RESULTS.c.subject == subject) & (RESULTS.c.step == step)
    if not tx.changed(RESULTS.update().where(same).values(times=RESULTS.c.times + n)):
        tx.execute(RESULTS.insert(), {"subject": subject, "step": step, "times": n})


def results(tx: Tx, ctx: Context, subject: str) -> dict[str, int]:
    found = tx.all(sa.select(RESULTS).where(RESULTS.c.subject == subject))
    return {row.step: row.times for row in found if row.times}


class BuildKept(Kept, kw_only=True):
    seen: list[str] = []


class Build(Saga):
    kind = "toy.build"
    steps: ClassVar[list[str]] = ["one", "two", "three"]
    Kept = BuildKept

    async def one(self, s: Run) -> Outcome:
        return await self._do("one", s)

    async def two(self, s: Run) -> Outcome:
        return await self._do("two", s)

    async def three(self, s: Run) -> Outcome:
        return await self._do("three", s)

    async def undo_one(self, s: Run) -> Outcome:
        return await self._undo("one", s)

    async def undo_two(self, s: Run) -> Outcome:
        return await self._undo("two", s)

    async def undo_three(self, s: Run) -> Outcome:
        return await self._undo("three", s)

    async def _do(self, name: str, s: Run) -> Outcome:
        """The outside effect first, as every saga has it; trouble comes after it."""
        world.things[f"{s.subject}/{name}"] = s.key
        outcome = await world.visit(name, s)
        if outcome is None:
            s.kept.seen = [*s.kept.seen, name]
            s.then(count, s.subject, name, 1)
        return outcome

    async def _undo(self, name: str, s: Run) -> Outcome:
        outcome = await world.visit("undo_" + name, s)
        if outcome is None:
            world.things.pop(f"{s.subject}/{name}", None)
            s.then(clear, s.subject, name)
        return outcome

    def ended(self, tx: Tx, ctx: Context, s: Run) -> None:
        count(tx, ctx, s.subject, "ended", 1)

    def failed(self, tx: Tx, ctx: Context, s: Run) -> None:
        count(tx, ctx, s.subject, "failed", 1)

    def cancelled(self, tx: Tx, ctx: Context, s: Run) -> None:
        count(tx, ctx, s.subject, "cancelled", 1)


def clear(tx: Tx, ctx: Context, subject: str, step: str) -> None:
    tx.execute(RESULTS.delete().where(RESULTS.c.subject == subject, RESULTS.c.step == step))


class Hasty(Build):
    kind = "toy.hasty"
    deadline_s = 0.5


class Remove(Saga):
    kind = "toy.remove"
    steps: ClassVar[list[str]] = ["remove"]

    async def remove(self, s: Run) -> Outcome:
        for name in list(world.things):
            if name.startswith(s.subject + "/"):
                del world.things[name]
        return await world.visit("remove", s)

    def ended(self, tx: Tx, ctx: Context, s: Run) -> None:
        count(tx, ctx, s.subject, "removed", 1)


class ParentKept(Kept, kw_only=True):
    child_id: str = ""


class Parent(Saga):
    kind = "toy.parent"
    steps: ClassVar[list[str]] = ["begin", "wait"]
    Kept = ParentKept

    async def begin(self, s: Run) -> None:
        s.then(begin_child, s)

    async def wait(self, s: Run) -> Outcome:
        from skyhold.core.saga import rows

        ended, _ = await s.read(rows.ending, s.kept.child_id)
        outcome = await world.visit("wait", s)
        # An hour: only being woken brings it to its end within a test.
        return outcome if ended else Again(3600)

    def ended(self, tx: Tx, ctx: Context, s: Run) -> None:
        count(tx, ctx, s.subject, "ended", 1)


def begin_child(tx: Tx, ctx: Context, s: Run) -> None:
    s.kept.child_id = Build.start(tx, ctx, subject=s.subject + "-child", parent_id=s.id)


STEPS = ["one", "two", "three"]
BUILT = {"one": 1, "two": 1, "three": 1, "ended": 1}
"""What `Build` has done, once it is at its end."""

SAGAS_OF_TOY: list[type[Saga]] = [Build, Hasty, Remove, Parent]


# ---- what tests do with them ----------------------------------------------------------------


async def begin(core: Core, saga: type[Saga], subject: str, **options: Any) -> str:
    def start(tx: Tx, ctx: Context) -> str:
        return saga.start(tx, ctx, subject=subject, **options)

    return str(await internal(core).write(start))


async def row_of(core: Core, saga_id: str) -> Any:
    return await internal(core).read(lambda tx, ctx: tx.first(sa.select(SAGAS).where(SAGAS.c.id == saga_id)))


async def outcome_of(core: Core, subject: str) -> dict[str, int]:
    found: dict[str, int] = await internal(core).read(results, subject)
    return found


async def change_row(core: Core, saga_id: str, **values: Any) -> None:
    await internal(core).write(lambda tx, ctx: tx.execute(SAGAS.update().where(SAGAS.c.id == saga_id).values(**values)))


async def kill(runner: Runner) -> None:
    """End a runner as SIGKILL would: nothing is given back."""
    tasks = [*runner._tasks, *(task for task, _ in runner._running.values())]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    runner._running.clear()


async def quiet(core: Core) -> None:
    assert await core.sagas.idle(PATIENCE_S), world.history


async def wait_for(gate: asyncio.Event) -> None:
    await gate.wait()
