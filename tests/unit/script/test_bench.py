# SPDX-License-Identifier: Apache-2.0
"""What the benchmark makes of its figures: what counts as reached, how two databases are compared, whose CPU counts."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path
from typing import Any

import pytest

BENCH = Path(__file__).parents[3] / "script" / "lib" / "bench"


def module(name: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(BENCH))
    spec = importlib.util.spec_from_file_location(f"bench_{name}", BENCH / f"{name}.py")
    assert spec is not None and spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, made)
    spec.loader.exec_module(made)
    return made


@pytest.mark.parametrize(("small", "large", "times", "met"), [
    (10.0, 40.0, 4.0, True), (10.0, 40.1, 4.01, False), (None, 40.0, None, None), (10.0, None, None, None),
    (0.0, 1.0, None, None),
])
def test_a_pair_says_how_many_times_the_cpu(
    small: float | None, large: float | None, times: float | None, met: bool | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    figures = module("figures", monkeypatch)
    goal = figures.Goal("cpu_ms", 25, "<= 25 ms CPU")
    pair = figures.Pair(figures.Figure("a", goal, cpu_ms=small), figures.Figure("a", goal, cpu_ms=large))
    assert pair.times == (None if times is None else pytest.approx(times))
    assert pair.met is met
    assert pair.plain()["met"] is met
    assert pair.row().startswith("a ")


def test_a_database_servers_cpu_is_that_of_all_its_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    cloud = module("cloud", monkeypatch)
    assert cloud.Database().cpu_s() == 0
    spent = sum(os.times()[:2])
    assert cloud.Database("postgresql", "url", os.getpid()).cpu_s() >= spent - 0.02


def test_what_lies_in_the_current_directory_is_not_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cloud = module("cloud", monkeypatch)
    (tmp_path / "skyhold").mkdir()
    (tmp_path / "skyhold" / "__init__.py").touch()
    (tmp_path / "skyhold" / "__main__.py").write_text('print("another program")')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(BENCH.parents[2]))
    assert "another program" not in cloud.Cloud.fake().skyhold("down", "--destroy")
