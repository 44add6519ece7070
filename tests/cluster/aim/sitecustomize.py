# SPDX-License-Identifier: Apache-2.0
"""Loaded by Python itself at the start of each process of an aimed cloud: strikes when a saga is at one given step.

Who aims is tests/cluster/aimed.py, by the file that SKYHOLD_TEST_AIM names; the product knows nothing of it. A control
process is struck when the step has had its effect and nothing of it is written down. A host is paused before it is told
anything, and killed when it has done what it was told and not yet answered; where the step tells it nothing, then.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

AIM = os.environ.get("SKYHOLD_TEST_AIM", "")


class Finder(importlib.abc.MetaPathFinder):
    """Lets these modules be imported as always, and then takes them in hand."""

    def __init__(self) -> None:
        self._wanted = {"skyhold.core.saga.runner": take_runner, "skyhold.host.agent": take_agent}

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        take = self._wanted.pop(name, None)
        if take is None:
            return None
        spec = importlib.util.find_spec(name)
        assert spec is not None and spec.loader is not None
        execute = spec.loader.exec_module

        def exec_module(module: Any) -> None:
            execute(module)
            take(module)

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def take_runner(runner: Any) -> None:
    honest, again = runner.Runner._step, runner.Again

    async def step(self: Any, run: Any, forward: bool) -> Any:
        saga, name = run.row["kind"], run.row["step"]
        if forward:
            strike(name, "host", "pause", saga)
        outcome, problem = await honest(self, run, forward)
        # A step that only waits is not done yet: its effect may still be missing.
        if forward and problem is None and not isinstance(outcome, again):
            for deed in ("kill", "pause"):
                strike(name, "serve", deed, saga)
            strike(name, "host", "kill", saga)
        return outcome, problem

    runner.Runner._step = step


def take_agent(agent: Any) -> None:
    honest = agent.Agent._perform

    async def perform(self: Any, call: Any, verb: Any) -> Any:
        answer = await honest(self, call, verb)
        _, step, _, state = call.key.split(":") if call.key else ("", "", "", "")
        if state == "running":
            strike(step, "host", "kill")
        return answer

    agent.Agent._perform = perform


def strike(step: str, victim: str, deed: str, saga: str = "") -> None:
    """A host knows the step that asks it, and not which saga's."""
    aim = Path(AIM)
    try:
        wanted = json.loads(aim.read_text())
    except (OSError, ValueError):
        return
    if (wanted["step"], wanted["victim"], wanted["deed"]) != (step, victim, deed) or saga not in ("", wanted["saga"]):
        return
    # Once: whoever does the step again is left alone. The name it gets says that it was met, and by whom.
    wanted["by"] = "host" if not saga else "serve"
    met = aim.with_suffix(".met")
    met.with_suffix(".half").write_text(json.dumps(wanted))
    try:
        aim.unlink()
    except FileNotFoundError:
        return
    met.with_suffix(".half").rename(met)
    pid = os.getpid() if victim == "serve" or not saga else int((aim.parent / "host.pid").read_text())
    os.kill(pid, signal.SIGKILL if deed == "kill" else signal.SIGSTOP)


if AIM:
    sys.meta_path.insert(0, Finder())
