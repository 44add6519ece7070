# SPDX-License-Identifier: Apache-2.0
"""What starting and stopping a cloud leaves behind, where no cloud is needed to see it.

The whole of it is tests/e2e.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from skyhold.cmd import prepare, processes, up
from skyhold.cmd.problems import CannotStart
from skyhold.core.settings.load import load


@pytest.mark.parametrize("password", ["plain", "it's", "$(touch /tmp/no) \"`$HOME`\" \\"])
def test_a_shell_reads_the_password_as_it_is(tmp_path: Path, password: str) -> None:
    auth = {"auth_url": "https://cloud.test/identity", "username": "demo", "password": password, "project_name": "demo"}
    (tmp_path / "openrc").write_text(prepare.openrc({"auth": auth}, "here"))
    told = subprocess.run(
        ["sh", "-c", '. ./openrc && printf %s "$OS_PASSWORD"'], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert told.stdout == password


def test_a_process_that_ends_just_before_it_is_told_to_is_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = load(tmp_path)
    seen = iter([4_194_305, None])
    monkeypatch.setattr(processes, "running", lambda *_: next(seen))

    def gone(*_: Any) -> None:
        raise ProcessLookupError

    monkeypatch.setattr(os, "kill", gone)
    assert processes.stop(settings, "serve")


def test_a_start_that_fails_is_told_in_its_own_words_not_those_of_its_former_life(tmp_path: Path) -> None:
    settings = load(tmp_path)
    settings.log_dir.mkdir(parents=True)
    log = settings.log_dir / "no-such-command.log"
    log.write_text("of a former life\n" * 5)
    since = processes.start(settings, "no-such-command")
    with pytest.raises(CannotStart) as told:
        up.wait(settings, "no-such-command", lambda: False, since)
    assert "No such command" in str(told.value) and "former life" not in str(told.value)
    assert log.read_text().startswith("of a former life"), "it is all still there to be read"
