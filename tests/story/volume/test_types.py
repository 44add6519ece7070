# SPDX-License-Identifier: Apache-2.0
"""Volume types and their extra specs (CIN-03), quota, limits, services, pools and zones (CIN-05)."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from skyhold.volume import paging
from tests.kit.cloud import Persona
from tests.story.volume.scene import LATEST, Scene, V, fresh_id


async def make_type(admin: Persona, **more: object) -> dict:
    body = {"volume_type": {"name": "type-" + uuid.uuid4().hex[:8]} | more}
    return (await admin.post(f"{V}/types", body, status=200)).json["volume_type"]


async def test_the_default_type_is_always_there(scene: Scene) -> None:
    default = (await scene.user.get(f"{V}/types/default", status=200)).json["volume_type"]
    assert (default["name"], default["is_public"]) == ("__DEFAULT__", True)
    assert "extra_specs" not in default, "only administrators see them"
    admin = scene.cloud.admin
    await admin.delete(f"{V}/types/{default['id']}", status=400)
    await admin.put(f"{V}/types/{default['id']}", {"volume_type": {"name": "other"}}, status=400)


async def test_types_are_made_used_changed_and_deleted(scene: Scene) -> None:
    admin = scene.cloud.admin
    made = await make_type(admin, description="fast", extra_specs={"speed": "high"})
    assert made["extra_specs"] == {"speed": "high"}
    await scene.user.post(f"{V}/types", {"volume_type": {"name": "mine"}}, status=403)
    await admin.post(f"{V}/types", {"volume_type": {"name": made["name"]}}, status=409)
    private = {"volume_type": {"name": "p", "os-volume-type-access:is_public": False}}
    await admin.post(f"{V}/types", private, status=400)
    for bad in ({}, {"name": ""}, {"name": "x" * 256}, {"name": 5}):
        await admin.post(f"{V}/types", {"volume_type": bad}, status=400)
    volume = await scene.make(volume_type=made["name"])
    assert (volume["volume_type"], volume["volume_type_id"]) == (made["name"], made["id"])
    await admin.delete(f"{V}/types/{made['id']}", status=400)
    await scene.delete(volume)
    changed = await admin.put(f"{V}/types/{made['id']}", {"volume_type": {"description": "slow"}}, status=200)
    assert changed.json["volume_type"]["description"] == "slow"
    listed = (await scene.user.get(f"{V}/types?sort=name:asc", status=200)).json["volume_types"]
    assert made["id"] in [each["id"] for each in listed]
    await admin.delete(f"{V}/types/{made['id']}", status=202)
    await admin.get(f"{V}/types/{made['id']}", status=404)


async def test_extra_specs_have_their_own_paths(scene: Scene) -> None:
    admin = scene.cloud.admin
    path = f"{V}/types/{(await make_type(admin))['id']}/extra_specs"
    assert (await admin.post(path, {"extra_specs": {"a": "1", "b": "2"}}, status=200)).json["extra_specs"]["b"] == "2"
    assert (await admin.put(path + "/a", {"a": "3"}, status=200)).json == {"a": "3"}
    await admin.put(path + "/a", {"b": "3"}, status=400)
    await admin.put(path + "/a", {"a": "x" * 256}, status=400)
    assert (await admin.get(path + "/a", status=200)).json == {"a": "3"}
    await admin.delete(path + "/a", status=202)
    await admin.delete(path + "/a", status=404)
    assert (await admin.get(path, status=200)).json == {"extra_specs": {"b": "2"}}
    # What could not be asked for by its own path is not taken.
    for key in ("a/b", "a b", "é", ""):
        await admin.post(path, {"extra_specs": {key: "1"}}, status=400)
    await scene.user.get(path, status=403)


async def test_quota_is_shown_changed_and_given_back(scene: Scene, stranger: Persona) -> None:
    admin, path = scene.cloud.admin, f"{V}/os-quota-sets/{scene.user.project_id}"
    assert (await scene.user.get(path, status=200)).json["quota_set"]["volumes"] == 10
    await stranger.get(path, status=403)
    await scene.user.put(path, {"quota_set": {"volumes": 1}}, status=403)
    for bad in ({"volumes": -2}, {"volumes": "x"}, {"ravens": 1}, {"volumes": 2**31}, {"volumes": True}):
        await admin.put(path, {"quota_set": bad}, status=400)
    assert (await admin.put(path, {"quota_set": {"volumes": "3"}}, status=200)).json["quota_set"]["volumes"] == 3
    assert (await admin.get(path + "/defaults", status=200)).json["quota_set"]["volumes"] == 10
    await admin.delete(path, status=200)
    assert (await scene.user.get(path, status=200)).json["quota_set"]["volumes"] == 10
    classes = f"{V}/os-quota-class-sets/default"
    assert (await admin.get(classes, status=200)).json["quota_class_set"]["gigabytes"] == 1000
    await admin.put(classes, {"quota_class_set": {"gigabytes": 1000}}, status=200)
    await admin.put(f"{V}/os-quota-class-sets/raven", {"quota_class_set": {"gigabytes": 1}}, status=400)


async def test_services_pools_and_zones(scene: Scene) -> None:
    admin = scene.cloud.admin
    services = (await admin.get(f"{V}/os-services?binary=cinder-volume", status=200)).json["services"]
    mine = next(each for each in services if each["host"] == "host-1@skyhold")
    assert (mine["state"], mine["status"]) == ("up", "enabled")
    pools = (await admin.get(f"{V}/scheduler-stats/get_pools?detail=true", status=200)).json["pools"]
    pool = next(each for each in pools if each["name"] == "host-1@skyhold#skyhold")
    assert pool["capabilities"]["free_capacity_gb"] > 0
    zones = (await scene.user.get(f"{V}/os-availability-zone", status=200)).json["availabilityZoneInfo"]
    assert zones == [{"zoneName": "nova", "zoneState": {"available": True}}]
    assert (await scene.user.get(f"{V}/extensions", status=200)).json["extensions"]
    for path in ("/os-services", "/scheduler-stats/get_pools"):
        await scene.user.get(V + path, status=403)


async def test_a_disabled_host_gets_no_new_volumes(scene: Scene) -> None:
    admin, named = scene.cloud.admin, {"host": "host-1@skyhold", "binary": "cinder-volume"}
    told = await admin.put(f"{V}/os-services/disable-log-reason", named | {"disabled_reason": "broken"}, status=200)
    assert (told.json["status"], told.json["disabled_reason"]) == ("disabled", "broken")
    try:
        await scene.delete(await scene.make(expect="error"))
    finally:
        await admin.put(f"{V}/os-services/enable", named, status=200)
    await admin.put(f"{V}/os-services/disable", {"host": "nowhere", "binary": "cinder-volume"}, status=404)
    await scene.delete(await scene.make())


@pytest.mark.parametrize("path", ["/volume/", "/volume/v3/"])
async def test_versions_are_for_everybody(scene: Scene, path: str) -> None:
    answer = await scene.cloud.client().get(path)
    (found,) = answer.json["versions"]
    assert (found["id"], found["status"], found["version"]) == ("v3.0", "CURRENT", "3.70")


async def test_headers_say_the_version(scene: Scene) -> None:
    answer = await scene.user.get(f"{V}/volumes", headers=LATEST, status=200)
    assert answer.headers["openstack-api-version"] == "volume 3.70"
    await scene.user.get(f"{V}/volumes", headers={"OpenStack-API-Version": "volume 3.999"}, status=406)
    await scene.user.get(f"{V}/volumes/{fresh_id()}", status=404)


async def test_what_was_deleted_while_its_host_was_away_goes_when_it_is_back(scene: Scene) -> None:
    from skyhold.volume.sagas import asking

    volume = await scene.make()
    gone = fresh_id()
    from skyhold.volume.drivers.base import VolumeSpec

    await scene.host.volumes.ensure(VolumeSpec(volume_id=gone, size_bytes=1))
    await scene.write(asking.remember, scene.host.host_id, "volume", gone)
    await scene.write(asking.remember, scene.host.host_id, "volume", gone)
    await scene.cloud.core.loops.run_once("volume.remains")
    on = (await scene.on_host())[0]
    assert gone not in on and volume["id"] in on
    await scene.delete(volume)


async def test_what_two_hosts_have_that_were_away_goes_from_both(scene: Scene) -> None:
    """The first went away while it made the volume, the second when that was deleted."""
    from skyhold.volume.drivers.base import VolumeSpec
    from skyhold.volume.sagas import asking
    from skyhold.volume.tables import REMAINS

    gone, away = fresh_id(), fresh_id()
    await scene.host.volumes.ensure(VolumeSpec(volume_id=gone, size_bytes=1))
    for host_id in (away, scene.host.host_id):
        await scene.write(asking.remember, host_id, "volume", gone)
    await scene.cloud.core.loops.run_once("volume.remains")
    assert gone not in (await scene.on_host())[0]
    left = await scene.read(lambda tx, ctx: tx.all(REMAINS.select()))
    assert [(row.host_id, asking.what_remains(row)) for row in left if gone in row.id] == [(away, gone)]
    await scene.write(lambda tx, ctx: tx.execute(REMAINS.delete().where(REMAINS.c.host_id == away)))


async def test_pages_of_types_keep_their_order_and_filter(scene: Scene) -> None:
    for _ in range(2):
        await make_type(scene.cloud.admin)
    path, seen = f"{V}/types?limit=1&sort_key=name&sort_dir=asc", []
    while path:
        body = (await scene.user.get(path, status=200)).json
        seen += [each["name"] for each in body["volume_types"]]
        path = next((link["href"] for link in body.get("volume_type_links", ())), "")
        path = path[path.find("/volume/"):] if path else ""
    everyone = (await scene.user.get(f"{V}/types?sort=name:asc", status=200)).json["volume_types"]
    assert seen == [each["name"] for each in everyone] and len(seen) >= 3


async def test_a_list_that_is_cut_without_being_asked_to_says_so(scene: Scene, monkeypatch: Any) -> None:
    """Clients follow the link; without one they take what they got for all there is."""
    await scene.make()
    await scene.make()
    monkeypatch.setattr(paging, "page_size", lambda ctx, asked: 1)
    body = (await scene.user.get(f"{V}/volumes", status=200)).json
    assert len(body["volumes"]) == 1 and body["volumes_links"][0]["rel"] == "next"
