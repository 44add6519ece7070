# SPDX-License-Identifier: Apache-2.0
"""Sagas in the operator's hands: seen without secrets, tried again at once, aborted.

The stuck one is a boot whose step fails for a reason that may pass.
"""

from __future__ import annotations

from typing import Any

import pytest

from skyhold.compute.sagas.boot import Boot
from skyhold.core.context import internal
from skyhold.core.saga.runner import Run
from skyhold.core.tables import SAGAS as SAGA_ROWS
from tests.kit.patience import until
from tests.story.compute.scene import Scene

SAGAS = "/admin/v1/sagas"
HOUR_US = 3_600_000_000


class Stuck(Exception):
    """Not the driver's word that it can't: the saga tries again, later and later."""


@pytest.fixture
def troubled(monkeypatch: pytest.MonkeyPatch) -> dict[str, bool]:
    """While `broken`, no boot gets through its step `spawn`."""
    state, real = {"broken": True}, Boot.spawn

    async def spawn(self: Boot, s: Run) -> Any:
        if state["broken"]:
            raise Stuck("the disk is asleep")
        return await real(self, s)

    monkeypatch.setattr(Boot, "spawn", spawn)
    return state


async def stuck_boot(scene: Scene) -> tuple[str, dict[str, Any]]:
    """A server under construction, and its saga once it has met trouble."""
    wish = scene.wish("stuck", adminPass="very-secret-word")
    made = await scene.user.post("/compute/v2.1/servers", wish, status=202)
    id = made.json["server"]["id"]

    async def troubled() -> list[dict[str, Any]]:
        listed = (await scene.cloud.admin.get(SAGAS, status=200)).json["sagas"]
        return [one for one in listed if one["subject"] == id and one["attempt"] >= 1]

    [mine] = await until(troubled, "the saga to meet its trouble")
    assert mine["request_id"] == made.headers["x-openstack-request-id"]
    return id, mine


async def status_of(scene: Scene, id: str) -> str:
    return str((await scene.user.get(f"/compute/v2.1/servers/{id}", status=200)).json["server"]["status"])


async def test_a_stuck_saga_is_seen_and_goes_on_when_retried(scene: Scene, troubled: dict[str, bool]) -> None:
    id, saga = await stuck_boot(scene)
    shown = await scene.cloud.admin.get(f"{SAGAS}/{saga['id']}", status=200)
    one = shown.json["saga"]
    assert (one["kind"], one["state"], one["step"]) == (saga["kind"], "running", "spawn")
    assert one["done"] and "the disk is asleep" in one["error"] and one["age_s"] >= 0
    assert b"very-secret-word" not in shown.body
    troubled["broken"] = False
    again = await scene.cloud.admin.post(f"{SAGAS}/{saga['id']}/retry", {}, status=202)
    assert again.json["saga"]["attempt"] == 0
    await scene.settled()
    assert await status_of(scene, id) == "ACTIVE"
    ended = (await scene.cloud.admin.get(f"{SAGAS}/{saga['id']}", status=200)).json["saga"]
    assert ended["state"] == "ended" and ended["ended_at"]
    await scene.cloud.admin.post(f"{SAGAS}/{saga['id']}/abort", {}, status=409)


async def test_meters_tell_how_old_the_oldest_saga_of_each_kind_is(scene: Scene, troubled: dict[str, bool]) -> None:
    id, saga = await stuck_boot(scene)
    hour_ago = SAGA_ROWS.update().where(SAGA_ROWS.c.id == saga["id"]).values(created_at=saga["created_at"] - HOUR_US)
    await internal(scene.cloud.core).write(lambda tx, ctx: tx.execute(hour_ago))
    other, _ = await stuck_boot(scene)
    told = await meters(scene)
    assert told['skyhold_sagas_under_way{kind="compute.boot"}'] == 2
    assert 3600 <= told['skyhold_saga_age_seconds{kind="compute.boot"}'] < 3700
    troubled["broken"] = False
    for one in (id, other):
        await scene.user.delete(f"/compute/v2.1/servers/{one}", status=204)
    await scene.settled()
    assert not [name for name in await meters(scene) if name.startswith("skyhold_saga_age")]


async def test_meters_are_told_though_the_database_is_not_there(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    async def gone(*args: Any, **kw: Any) -> Any:
        raise OSError("gone")

    monkeypatch.setattr(scene.cloud.core.db, "read", gone)
    told = await meters(scene)
    assert 'skyhold_hosts_up{process="1"}' in told and not [name for name in told if "saga_age" in name]


async def meters(scene: Scene) -> dict[str, float]:
    text = (await scene.cloud.client().get("/metrics", status=200)).body.decode()
    samples = [line.rpartition(" ") for line in text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in samples}


async def test_an_aborted_saga_unwinds_and_leaves_nothing_stuck(scene: Scene, troubled: dict[str, bool]) -> None:
    id, saga = await stuck_boot(scene)
    await scene.cloud.admin.post(f"{SAGAS}/{saga['id']}/abort", {}, status=202)
    await scene.settled()
    assert await status_of(scene, id) == "ERROR"
    fault = (await scene.show({"id": id}))["fault"]
    assert "Aborted by an operator." in str(fault)
    assert (await scene.cloud.admin.get("/admin/v1/audit", status=200)).json["findings"] == []
    await scene.user.delete(f"/compute/v2.1/servers/{id}", status=204)
    await scene.settled()


async def test_a_delete_wins_over_an_abort(scene: Scene, troubled: dict[str, bool]) -> None:
    id, saga = await stuck_boot(scene)
    await scene.user.delete(f"/compute/v2.1/servers/{id}", status=204)
    await scene.cloud.admin.post(f"{SAGAS}/{saga['id']}/abort", {}, status=(202, 409))
    await scene.settled()
    await scene.user.get(f"/compute/v2.1/servers/{id}", status=404)
    assert (await scene.cloud.admin.get("/admin/v1/audit", status=200)).json["findings"] == []


async def test_what_is_no_saga_is_404_and_strangers_get_403(scene: Scene) -> None:
    for verb in ("retry", "abort"):
        await scene.cloud.admin.post(f"{SAGAS}/nothing/{verb}", {}, status=404)
        await scene.user.post(f"{SAGAS}/nothing/{verb}", {}, status=403)
    await scene.cloud.admin.get(f"{SAGAS}/nothing", status=404)


async def test_a_trace_tells_journal_and_sagas_of_a_request(scene: Scene) -> None:
    made = await scene.user.post("/compute/v2.1/servers", scene.wish("told"), status=202)
    request_id = made.headers["x-openstack-request-id"]
    await scene.settled()
    told = (await scene.cloud.admin.get(f"/admin/v1/trace/{request_id}", status=200)).json
    id = made.json["server"]["id"]
    assert [one["subject"] for one in told["sagas"]] == [id]
    assert any(one["resource_id"] == id and one["service"] == "compute" for one in told["journal"])
    said = [one["what"] for one in told["services"]]
    assert said[0] == f"create of {id} begins", "as the server's owner sees it in `server event list`"
    assert any(line.startswith("compute__do_build_and_run_instance") and ": Success on " in line for line in said)
    unknown = (await scene.cloud.admin.get("/admin/v1/trace/req-unknown", status=200)).json
    assert (unknown["journal"], unknown["sagas"]) == ([], [])
