# SPDX-License-Identifier: Apache-2.0
"""Several control processes: one that doesn't end when it is told to is not left behind.

What a whole cloud of several goes through is tests/cluster/test_several_processes.py.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from skyhold.cmd import workers
from skyhold.core.settings.whole import Settings
from tests.kit.patience import PATIENCE_S

DEAF = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); signal.pause()"
GOOD = "import signal; print('good', flush=True); signal.pause()"


def started(program: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[workers.Worker, Any]:
    """A worker whose process is this program, once it is under way."""
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
    monkeypatch.setattr(workers, "start", lambda *args: process)
    worker = workers.Worker(Settings(home=tmp_path), 1, [], 0)
    worker.keep_alive()
    assert process.stdout is not None
    with process.stdout as out:
        assert out.readline()
    return worker, process


def test_one_that_ends_when_told_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    worker, process = started(GOOD, tmp_path, monkeypatch)
    worker.tell_to_end()
    worker.wait(PATIENCE_S)
    assert process.returncode == -signal.SIGTERM


@pytest.mark.parametrize("left_s", [0.1, -1.0])
def test_one_that_does_not_end_in_time_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, left_s: float
) -> None:
    """However little of the time the others left it."""
    worker, process = started(DEAF, tmp_path, monkeypatch)
    worker.tell_to_end()
    worker.wait(left_s)
    assert process.returncode == -signal.SIGKILL
