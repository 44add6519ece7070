# SPDX-License-Identifier: Apache-2.0
"""Troubles for any saga of the product, met at any of its steps, and what must be true afterwards.

How each saga is set going is scenarios.py; toy.py and test_runner.py test the runner itself. A new saga
inherits all of this by its scenario alone, and test_product.py fails while it has none.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest

from skyhold.cmd.compose import services
from skyhold.core.app import Core
from skyhold.core.saga.base import Abort, Again, Kept, Outcome, Saga
from skyhold.core.saga.runner import Run, Runner, undoing
from tests.sagas.toy import kill

TROUBLES = ("repeat", "break", "abort", "operator", "delete", "volumes", "kill")
UNDO = "undo "
BACKWARDS = tuple(UNDO + trouble for trouble in ("repeat", "break", "operator", "delete", "kill"))
"""After an abort at the step, while it is being undone."""


@dataclass(frozen=True)
class Point:
    """One trouble at one step of one saga."""

    saga: str
    step: str
    trouble: str

    def __str__(self) -> str:
        return f"{self.saga}-{self.step}-{self.trouble}".replace(" ", "-")

    @property
    def backwards(self) -> bool:
        return self.trouble.startswith(UNDO)


def registered() -> list[type[Saga]]:
    return [saga for service in services() for saga in service.sagas]


def points() -> list[Point]:
    return [
        Point(saga.kind, step, trouble)
        for saga in registered() for step in saga.steps
        for trouble in (*TROUBLES, *(BACKWARDS if hasattr(saga, f"undo_{step}") else ()))
    ]


@dataclass
class Mischief:
    """Makes the trouble of a point when its step, or its undoing, has had its outside effect, once.

    `delete` is of all there is, `drop_volumes` its user's of the volumes alone, as far as that is allowed; `abort` is
    the operator's, of the saga of this id.
    """

    core: Core
    point: Point
    delete: Callable[[], Awaitable[Any]]
    drop_volumes: Callable[[], Awaitable[Any]]
    abort: Callable[[str], Awaitable[Any]]
    met: bool = False
    _turned: bool = False
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def lie_in_wait(self, monkeypatch: pytest.MonkeyPatch) -> None:
        honest = Runner._step

        async def step(runner: Runner, run: Run, forward: bool) -> tuple[Outcome, Exception | None]:
            name = run.row["step"] if forward else undoing(run.row)
            here = (run.row["kind"], name) == (self.point.saga, self.point.step)
            before = msgspec.structs.replace(run.kept)
            outcome, problem = await honest(runner, run, forward)
            # A step that only waits is not done yet: its effect may still be missing.
            if not here or self.met or problem is not None or isinstance(outcome, Again):
                return outcome, problem
            if self.point.backwards and forward and not self._turned:
                self._turned = True
                run.take_effects()
                return None, Abort("made by a test")
            if forward is self.point.backwards:
                return outcome, problem
            self.met = True
            return await self._trouble(run, before, outcome)

        monkeypatch.setattr(Runner, "_step", step)

    async def _trouble(self, run: Run, before: Kept, outcome: Outcome) -> tuple[Outcome, Exception | None]:
        match self.point.trouble.removeprefix(UNDO):
            case "repeat":
                run.take_effects()
                # Nothing that was not committed is remembered.
                run.kept = before
                return Again(0), None
            case "break":
                run.take_effects()
                return None, RuntimeError("made by a test")
            case "abort":
                run.take_effects()
                return None, Abort("made by a test")
            case "operator":
                await self.abort(run.id)
                return outcome, None
            case "delete":
                await self.delete()
                return outcome, None
            case "volumes":
                await self.drop_volumes()
                return outcome, None
            case _:
                self._tasks.append(asyncio.create_task(self._kill_and_restart()))
                await asyncio.Event().wait()
                raise AssertionError("unreachable")

    async def _kill_and_restart(self) -> None:
        await kill(self.core.sagas)
        await self.core.sagas.start()


async def quiet(core: Core) -> None:
    """The house's promise: at rest within thirty seconds, whatever happened."""
    assert await core.sagas.idle(), "something is still going on"
