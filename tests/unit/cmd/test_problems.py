# SPDX-License-Identifier: Apache-2.0
"""A full disk is told in a sentence, by `up` and by the control plane; other errors are not called that.

/dev/full stands in for the disk: it opens, and takes nothing.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from skyhold.cmd import up
from skyhold.cmd.problems import disk_full
from skyhold.core.db.engine import full as full_database


def test_a_full_disk_has_a_sentence_and_other_errors_none(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No space left") as met, open("/dev/full", "w", buffering=1) as full:
        full.write("x\n")
    assert "is full" in str(disk_full(met.value, tmp_path))
    said = OperationalError("INSERT", {}, Exception("database or disk is full"))
    assert str(tmp_path) in str(disk_full(said, tmp_path))
    assert "is full" in str(disk_full(full_database("database"), tmp_path))
    assert disk_full(PermissionError(13, "no"), tmp_path) is None


def test_up_on_a_full_disk_ends_with_the_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home = tmp_path / "cloud"
    home.mkdir()
    (home / "skyhold.toml").symlink_to("/dev/full")

    def settle(*_: object, **__: object) -> None:
        (home / "skyhold.toml").write_text("x")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(up, "settled", settle)
        assert up.run(home, port=None, fake=True, demo=False, image=None) == 1
    told = capsys.readouterr()
    assert "is full: free some space" in told.out + told.err
