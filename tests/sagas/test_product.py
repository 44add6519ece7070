# SPDX-License-Identifier: Apache-2.0
"""Every saga of the product through every trouble at every step: at rest in time, and nothing left behind.

The troubles are kit.py's, the ways to set a saga going scenarios.py's.
"""

from __future__ import annotations

import pytest

from tests.sagas.kit import Mischief, Point, points, quiet, registered
from tests.sagas.scenarios import SCENARIOS, delete_all, drop, ids_of, nothing_is_left, nothing_is_stuck, servers
from tests.story.compute.scene import Scene

DELETED_WHILE_MADE = {("volume.create", "volumes"), ("volume.create_snapshot", "volumes")}
"""Points at which a user's delete, without force, is accepted."""


def test_every_saga_has_a_scenario() -> None:
    assert {saga.kind for saga in registered()} == set(SCENARIOS)


def test_every_step_and_undo_is_a_method() -> None:
    for saga in registered():
        steps = set(saga.steps)
        assert all(hasattr(saga, step) for step in steps), saga
        undone = {name.removeprefix("undo_") for name in vars(saga) if name.startswith("undo_")}
        assert undone <= steps, saga


@pytest.mark.parametrize("point", points(), ids=str)
async def test_nothing_sticks_and_nothing_is_left(scene: Scene, point: Point, monkeypatch: pytest.MonkeyPatch) -> None:
    core, scenario = scene.cloud.core, SCENARIOS[point.saga]
    server = await scene.server("before") if scenario.on_a_server else None

    async def delete() -> None:
        ids.update(each.id for each in await servers(scene))
        await delete_all(scene)

    async def drop_volumes() -> None:
        dropped.update(await drop(scene))

    async def abort(saga_id: str) -> None:
        await scene.cloud.admin.post(f"/admin/v1/sagas/{saga_id}/abort", {}, status=202)

    ids = {server["id"]} if server else set()
    dropped: set[str] = set()
    mischief = Mischief(core, point, delete, drop_volumes, abort)
    mischief.lie_in_wait(monkeypatch)
    await scenario.begin(scene, server)
    await quiet(core)
    assert mischief.met, "the step was never reached"
    await nothing_is_stuck(scene)
    left = await ids_of(scene, "volumes") | await ids_of(scene, "snapshots")
    assert not dropped & left, "what its user deleted is gone"
    assert dropped or (point.saga, point.trouble) not in DELETED_WHILE_MADE
    await delete()
    await quiet(core)
    await nothing_is_left(scene, ids)
