# SPDX-License-Identifier: Apache-2.0
"""A database whose disk is full: reading goes on, changes are refused with the reason, and then all is well again.

SQLite is told that it may not grow, which it answers like a full disk; real ones are tests/cluster/test_full_disk.py.
"""

from __future__ import annotations

import asyncio
import base64
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from skyhold.core.db.sqlite import SqliteDatabase
from tests.story.compute.scene import Scene


@contextmanager
def full(scene: Scene) -> Iterator[None]:
    """Not one page more than there are."""
    database = scene.cloud.core.db
    assert isinstance(database, SqliteDatabase)
    driver = database._writes
    pages = driver.execute("PRAGMA page_count").fetchone()[0]
    limit = driver.execute("PRAGMA max_page_count").fetchone()[0]
    driver.execute(f"PRAGMA max_page_count={pages}")
    try:
        yield
    finally:
        driver.execute(f"PRAGMA max_page_count={limit}")


async def fill(scene: Scene) -> Counter[int]:
    """Changes of every service until each of them was refused."""
    user, n, seen = scene.user, 0, Counter[int]()
    big = base64.b64encode(b"x" * 40_000).decode()
    refused: set[str] = set()
    while len(refused) < 5:
        n += 1
        assert n < 400, f"never full: {seen}"
        for path, body in (
            ("/compute/v2.1/servers", scene.wish(f"full-{n}", user_data=big)),
            ("/compute/v2.1/os-keypairs", {"keypair": {"name": f"full-{n}"}}),
            ("/network/v2.0/networks", {"network": {"name": f"full-{n}", "description": "x" * 255}}),
            ("/image/v2/images", {"name": f"full-{n}", "disk_format": "raw", "container_format": "bare"}),
            ("/events/v1/webhooks", {"webhook": {"name": f"f{n}", "url": "http://8.8.8.8/", "secret": "s" * 200}}),
        ):
            # Quotas end too; whoever is refused for that is not what this is about.
            answer = await user.post(path, body, status=tuple(range(200, 600)))
            seen[answer.status] += 1
            assert answer.status in (200, 201, 202, 403, 413, 507), answer.body
            if answer.status == 507:
                refused.add(path)
                assert b"storage_full" in answer.body and b"try again when the operator has made room" in answer.body
            elif answer.status in (403, 413):
                refused.add(path)
    return seen


async def test_a_full_database_refuses_with_a_reason_and_goes_on_when_there_is_room(scene: Scene) -> None:
    """On the database servers, a full disk is simulated by nothing that we could tell them."""
    if scene.cloud.core.db.name != "sqlite":
        return
    before = await scene.server("before")
    with full(scene):
        seen = await fill(scene)
        assert seen[507] > 0
        for path in ("/compute/v2.1/servers/detail", "/network/v2.0/networks", "/image/v2/images"):
            await scene.cloud.admin.get(path, status=200)
        # Sagas that were begun wait; none is given up because of the disk.
        await asyncio.sleep(0.5)
        sagas = (await scene.cloud.admin.get("/admin/v1/sagas", status=200)).json["sagas"]
        assert all(not saga["signal"] and saga["state"] == "running" for saga in sagas)
    assert await scene.cloud.core.sagas.idle(40), "all that was begun comes to its end"
    listed = (await scene.user.get("/compute/v2.1/servers/detail", status=200)).json["servers"]
    assert {server["status"] for server in listed} == {"ACTIVE"}
    for server in listed:
        await scene.user.delete(f"/compute/v2.1/servers/{server['id']}", status=204)
    assert await scene.cloud.core.sagas.idle(40)
    assert (await scene.cloud.admin.get("/admin/v1/audit", status=200)).json["findings"] == []
    assert before["id"] in {server["id"] for server in listed}


@pytest.mark.parametrize("words", ["No space left on device", "Disk quota exceeded"])
async def test_a_full_state_directory_is_507_too(scene: Scene, monkeypatch: pytest.MonkeyPatch, words: str) -> None:
    number = {"No space left on device": 28, "Disk quota exceeded": 122}[words]

    def no_room(*_: object) -> None:
        raise OSError(number, words)

    monkeypatch.setattr("skyhold.core.keyring.KeySet.rotate", no_room)
    refused = await scene.cloud.admin.post("/admin/v1/rotate-keys", {}, status=507)
    assert b"The disk of the state directory is full" in refused.body
