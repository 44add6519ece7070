# SPDX-License-Identifier: Apache-2.0
"""A state directory that is full, or was torn by a power cut: sentences and no tracebacks, and all is well afterwards.

The disk is a small tmpfs, so it needs root. What SQLite alone does is tests/story/operator/test_full_disk.py.
"""

from __future__ import annotations

import base64
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from skyhold.cmd import processes
from tests.cluster.cloud import Processes, command, environment

pytestmark = pytest.mark.cluster

C, N, I = "/compute/v2.1", "/network/v2.0", "/image/v2/images"  # noqa: E741
DISK_MB = 64
ROUNDS = 40


class Disk:
    """`full` leaves not one block free; `free` gives all of it back."""

    def __init__(self, place: Path) -> None:
        self.ballast = place / "ballast"

    def full(self) -> None:
        with self.ballast.open("ab", buffering=0) as file:
            for size in (1024 * 1024, 4096):
                try:
                    while file.write(b"x" * size) == size:
                        pass
                except OSError:
                    continue

    def free(self) -> None:
        self.ballast.unlink()


@pytest.fixture
def small(tmp_path: Path) -> Iterator[tuple[Processes, Disk]]:
    place = tmp_path / "sky"
    place.mkdir(mode=0o700)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m,mode=0700", "tmpfs", str(place)], check=True)
    try:
        cloud = Processes(tmp_path)
        yield cloud, Disk(place)
        cloud.close()
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


@pytest.mark.root
def test_a_full_disk_is_told_and_room_on_it_is_enough_to_go_on(small: tuple[Processes, Disk]) -> None:
    cloud, disk = small
    image, network = cloud.wanted(f"{I}?name=tiny", "images"), cloud.wanted(f"{N}/networks?name=private", "networks")
    flavor = cloud.wanted(f"{C}/flavors", "flavors")
    disk.full()
    answers: Counter[int] = Counter()
    reasons: Counter[str] = Counter()
    for n in range(ROUNDS):
        wish = {
            "name": f"full-{n}", "imageRef": image, "flavorRef": flavor, "networks": [{"uuid": network}],
            "user_data": base64.b64encode(b"x" * 30_000).decode(),
        }
        for path, body in (
            (f"{C}/servers", {"server": wish}), (f"{C}/os-keypairs", {"keypair": {"name": f"full-{n}"}}),
            (f"{N}/networks", {"network": {"name": f"full-{n}"}}),
            (I, {"name": f"full-{n}", "disk_format": "raw", "container_format": "bare"}),
        ):
            status, answer = cloud.call("POST", path, body)
            answers[status] += 1
            reasons[str(answer)] += status == 507
            assert status not in (0, 500), (status, answer)
    assert answers[507] > 0, answers
    assert all("storage_full" in reason for reason, count in reasons.items() if count)
    for path in (f"{C}/servers/detail", f"{N}/networks", I):
        assert cloud.call("GET", path)[0] == 200
    down = cloud.skyhold("down")
    assert "Traceback" not in down.stdout + down.stderr, down.stderr
    assert processes.running(cloud.settings, "serve") is None, "it is stopped, whatever else it could not do"
    disk.full()
    up = cloud.skyhold("up")
    assert "Traceback" not in up.stdout + up.stderr, up.stdout + up.stderr
    if up.returncode:
        assert "full" in up.stdout + up.stderr, up.stdout + up.stderr
    disk.free()
    cloud.up()
    for listed in (f"{I}?status=queued", I):
        for one in cloud.call("GET", listed)[1]["images"]:
            if one["name"].startswith("full-"):
                cloud.call("DELETE", f"{I}/{one['id']}")
    cloud.rest()
    for row in cloud.users_servers():
        assert cloud.call("DELETE", f"{C}/servers/{row.id}")[0] == 204
    cloud.rest()
    assert not cloud.users_servers()


@pytest.mark.root
def test_down_on_a_full_disk_without_a_cloud_is_a_sentence(tmp_path: Path) -> None:
    place = tmp_path / "sky"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k,mode=0700", "tmpfs", str(place)], check=True)
    try:
        (place / "hosts").mkdir()
        Disk(place).full()
        for words in ("down", "up", "doctor", "host", "serve"):
            done = command(place, environment(tmp_path), words)
            assert "Traceback" not in done.stdout + done.stderr, done.stderr
    finally:
        subprocess.run(["umount", str(place)], check=True)


@pytest.fixture
def torn(tmp_path: Path) -> Iterator[Processes]:
    """A cloud that lost its power a moment ago, with a server."""
    cloud = Processes(tmp_path)
    cloud.rest()
    for name in ("serve", "host"):
        cloud.signal(name, signal.SIGKILL)
    yield cloud
    cloud.close()


def test_a_log_of_the_database_that_was_cut_off_costs_its_last_commit_only(torn: Processes) -> None:
    log = torn.home / "skyhold.db-wal"
    content = log.read_bytes()
    log.write_bytes(content[:-1000])
    (torn.home / "skyhold.db-shm").write_bytes(b"\xff" * 100)
    for half in ("keys/master/.7", "keys/fernet/.7", "skyhold.toml.new", "admin-password.new", "run/serve.pid"):
        (torn.home / half).write_bytes(b"ha")
    (torn.home / "hosts/local/fences").open("ab").write(b'["torn')
    for book in torn.home.glob("hosts/local/**/guests.jsonl"):
        book.open("ab").write(b'{"id": "to')
    torn.up()
    torn.sign_in()
    torn.rest()
    assert torn.call("GET", f"{C}/servers/detail")[1]["servers"][0]["status"] == "ACTIVE"


@pytest.mark.parametrize(("file", "words"), [
    ("skyhold.db", "is damaged"), ("keys/master/0", "is damaged"), ("keys/fernet/0", "is damaged"),
    ("skyhold.toml", "can't be read"), ("policy.yaml", "can't be read"),
])
def test_what_was_damaged_is_named_in_a_sentence(torn: Processes, file: str, words: str) -> None:
    path = torn.home / file
    before = path.read_bytes() if path.exists() else b""
    path.write_bytes(b"\x00{: [" + before[5:-10])
    for rest in ("-wal", "-shm"):
        if file == "skyhold.db":
            (torn.home / f"skyhold.db{rest}").unlink(missing_ok=True)
    up = torn.skyhold("up")
    said = up.stdout + up.stderr
    assert up.returncode == 1 and words in said and str(path) in said.replace("\n", ""), said
    assert "Traceback" not in said
    path.write_bytes(before)
    if not before:
        path.unlink()
    if file != "skyhold.db":
        torn.up()
        torn.rest()
