# SPDX-License-Identifier: Apache-2.0
"""Keys: sealed and opened, rotated without losing what is sealed, readable by the owner alone."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from skyhold.core.keyring import Damaged, KeySet


def test_what_is_sealed_can_be_opened_and_looks_like_nothing(tmp_path: Path) -> None:
    keys = KeySet(tmp_path / "keys")
    sealed = keys.seal(b"secret")
    assert "secret" not in sealed
    assert keys.open(sealed) == b"secret"
    assert KeySet(tmp_path / "keys").open(sealed) == b"secret"


def test_rotation_keeps_old_seals_until_their_key_is_gone(tmp_path: Path) -> None:
    keys = KeySet(tmp_path)
    sealed = keys.seal(b"secret")
    for _ in range(2):
        keys.rotate(keep=3)
        assert keys.open(sealed) == b"secret"
    keys.rotate(keep=3)
    assert len(keys.keys) == 3
    with pytest.raises(ValueError, match="unknown key"):
        keys.open(sealed)


def test_the_newest_key_seals(tmp_path: Path) -> None:
    keys = KeySet(tmp_path)
    newest = keys.keys[0]
    keys.rotate()
    assert keys.keys[1] == newest
    sealed = keys.seal(b"x")
    keys.rotate(keep=2)
    assert keys.open(sealed) == b"x"


def test_another_process_sees_a_rotation_by_itself(tmp_path: Path) -> None:
    one, two = KeySet(tmp_path), KeySet(tmp_path)
    one.rotate()
    assert two.open(one.seal(b"x")) == b"x"
    one.rotate(keep=1)
    assert one.open(two.seal(b"y")) == b"y", "sealed with the newest key, although nothing had to be opened before"


def test_processes_that_start_or_rotate_at_once_lose_no_key(tmp_path: Path) -> None:
    def life(_: int) -> str:
        keys = KeySet(tmp_path)
        keys.rotate(keep=100)
        return keys.seal(b"x")

    with ThreadPoolExecutor(8) as pool:
        sealed = list(pool.map(life, range(8)))
    assert len(KeySet(tmp_path).keys) == 9
    assert all(KeySet(tmp_path).open(each) == b"x" for each in sealed)


def test_derived_bytes_survive_a_rotation(tmp_path: Path) -> None:
    """A guest's random seed must not change because the operator rotated the keys."""
    keys = KeySet(tmp_path)
    before = keys.derive("seed", 64)
    assert (len(before), before) == (64, KeySet(tmp_path).derive("seed", 64))
    assert keys.derive("other", 64) != before
    for _ in range(4):
        keys.rotate(keep=2)
    assert keys.derive("seed", 64) == before


@pytest.mark.parametrize("noise", ["", "gAAAA", "x" * 100, "ü"])
def test_what_was_never_sealed_is_refused(tmp_path: Path, noise: str) -> None:
    with pytest.raises(ValueError, match="unknown key"):
        KeySet(tmp_path).open(noise)


def test_files_are_the_owners_alone(tmp_path: Path) -> None:
    keys = KeySet(tmp_path / "keys")
    keys.rotate()
    assert (tmp_path / "keys").stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "keys").iterdir()} == {0o600}


def test_a_key_half_written_by_a_power_cut_is_not_one(tmp_path: Path) -> None:
    keys = KeySet(tmp_path)
    sealed = keys.seal(b"x")
    (tmp_path / ".1").write_bytes(b"half")
    again = KeySet(tmp_path)
    assert again.open(sealed) == b"x"
    again.rotate()
    assert again.open(sealed) == b"x"


def test_a_key_that_is_a_link_to_nowhere_is_damaged(tmp_path: Path) -> None:
    """And not looked for again and again, as one is that another process takes away at this moment."""
    keys = KeySet(tmp_path)
    (tmp_path / "1").symlink_to(tmp_path / "not-mounted")
    with pytest.raises(Damaged, match="backup"):
        keys.reload()
