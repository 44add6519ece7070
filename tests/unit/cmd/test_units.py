# SPDX-License-Identifier: Apache-2.0
"""The systemd units that operators copy: systemd takes every line of them, and what they start is there.

How a cloud lives under them is docs/operate/systemd.md.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path

import pytest

from skyhold.cmd.main import main

REPO = Path(__file__).parents[3]
REQUESTS_END_S = 10
"""Requests get that long to end (core/http/server.py)."""
UNITS = sorted((REPO / "docs/operate/systemd").glob("*.service"))


def read(path: Path) -> ConfigParser:
    unit = ConfigParser(strict=True, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(path)
    return unit


def test_there_is_one_for_each_process() -> None:
    assert [path.name for path in UNITS] == ["skyhold-host.service", "skyhold.service"]
    for path in UNITS:
        words = read(path)["Service"]["ExecStart"].split()
        assert words[:3] == ["/opt/skyhold/.venv/bin/python", "-m", "skyhold"] and words[3] in main.commands
        assert read(path)["Service"]["Environment"] == "SKYHOLD_HOME=/var/lib/skyhold"


def test_guests_outlive_the_agent_and_requests_have_their_time() -> None:
    host, control = (read(path)["Service"] for path in UNITS)
    assert (host["KillMode"], host["Delegate"], host["TasksMax"]) == ("process", "yes", "infinity")
    assert host["Restart"] == "always" and control["Restart"] == "on-failure"
    assert int(control["TimeoutStopSec"]) > REQUESTS_END_S


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd isn't installed")
def test_systemd_takes_every_line(tmp_path: Path) -> None:
    for path in UNITS:
        text = path.read_text().replace("/opt/skyhold/.venv/bin/python", sys.executable)
        (tmp_path / path.name).write_text(text.replace("/opt/skyhold", str(REPO)))
    done = subprocess.run(
        ["systemd-analyze", "verify", *[str(tmp_path / path.name) for path in UNITS]], capture_output=True, text=True,
        check=False,
    )
    ours = [line for line in (done.stdout + done.stderr).splitlines() if "skyhold" in line]
    assert (done.returncode, ours) == (0, []), done.stderr
