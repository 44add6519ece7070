# SPDX-License-Identifier: Apache-2.0
"""Loaded by Python itself at the start of each process of an aimed cloud: strikes when a saga is at one given step.

Who aims is tests/cluster/aimed.py, by the file that SKYHOLD_TEST_AIM names; the product knows nothing of it. A control
process is struck when the step has had its effect and nothing of it is written down, a host before it is told anything.
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
RUNNER = "skyhold.core.saga.runner"


class Finder(importlib.abc.MetaPathFinder):
    """Lets the runner of sagas be imported as always, and then takes its `_step` in hand."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        if name != RUNNER:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        assert spec is not None and spec.loader is not None
        execute = spec.loader.exec_module

        def exec_module(module: Any) -> None:
            execute(module)
            take_in_hand(module)

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def take_in_hand(runner: Any) -> None:
    honest, again = runner.Runner._step, runner.Again

    async def step(self: Any, run: Any, forward: bool) -> Any:
        at = (run.row["kind"], run.row["step"])
        if forward:
            strike(*at, "host")
        outcome, problem = await honest(self, run, forward)
        # A step that only waits is not done yet: its effect may still be missing.
        if forward and problem is None and not isinstance(outcome, again):
            strike(*at, "serve")
        return outcome, problem

    runner.Runner._step = step


def strike(saga: str, step: str, victim: str) -> None:
    aim = Path(AIM)
    try:
        wanted = json.loads(aim.read_text())
    except (OSError, ValueError):
        return
    if (wanted["saga"], wanted["step"], wanted["victim"]) != (saga, step, victim):
        return
    # Once: whoever does the step again is left alone. The name it gets says that it was met.
    aim.rename(aim.with_suffix(".met"))
    pid = os.getpid() if victim == "serve" else int((aim.parent / "host.pid").read_text())
    os.kill(pid, signal.SIGKILL if wanted["deed"] == "kill" else signal.SIGSTOP)


if AIM:
    sys.meta_path.insert(0, Finder())
