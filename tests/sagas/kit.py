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

import pytest

from skyhold.cmd.compose import services
from skyhold.core.app import Core
from skyhold.core.saga.base import Abort, Again, Outcome, Saga
from skyhold.core.saga.runner import Run, Runner
from tests.sagas.toy import kill

TROUBLES = ("repeat", "break", "abort", "delete", "kill")


@dataclass(frozen=True)
class Point:
    """One trouble at one step of one saga."""

    saga: str
    step: str
    trouble: str

    def __str__(self) -> str:
        return f"{self.saga}-{self.step}-{self.trouble}"


def registered() -> list[type[Saga]]:
    return [saga for service in services() for saga in service.sagas]


def points() -> list[Point]:
    return [Point(saga.kind, step, trouble) for saga in registered() for step in saga.steps for trouble in TROUBLES]


@dataclass
class Mischief:
    """Makes the trouble of a point when its step has had its outside effect, once."""

    core: Core
    point: Point
    delete: Callable[[], Awaitable[Any]]
    met: bool = False
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def lie_in_wait(self, monkeypatch: pytest.MonkeyPatch) -> None:
        honest = Runner._step

        async def step(runner: Runner, run: Run, forward: bool) -> tuple[Outcome, Exception | None]:
            name = run.row["step"]
            outcome, problem = await honest(runner, run, forward)
            here = forward and (run.row["kind"], name) == (self.point.saga, self.point.step)
            # A step that only waits is not done yet: its effect may still be missing.
            if not here or self.met or problem is not None or isinstance(outcome, Again):
                return outcome, problem
            self.met = True
            return await self._trouble(run, outcome)

        monkeypatch.setattr(Runner, "_step", step)

    async def _trouble(self, run: Run, outcome: Outcome) -> tuple[Outcome, Exception | None]:
        match self.point.trouble:
            case "repeat":
                run.take_effects()
                return Again(0), None
            case "break":
                run.take_effects()
                return None, RuntimeError("made by a test")
            case "abort":
                run.take_effects()
                return None, Abort("made by a test")
            case "delete":
                await self.delete()
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
    assert await core.sagas.idle(30), "something is still going on"
