# SPDX-License-Identifier: Apache-2.0
"""Volumes, from made to deleted (CIN-01)."""

from __future__ import annotations

import asyncio

import pytest

from skyhold.volume.drivers.base import NoRoom, VolumeFailed
from tests.kit.cloud import Persona
from tests.story.volume.scene import LATEST, Scene, V, fresh_id


async def test_a_blank_volume_is_made_shown_and_deleted(scene: Scene) -> None:
    volume = await scene.make(size=3, name=" books ", description="mine", metadata={"color": "blue"})
    assert volume["name"] == "books"
    assert (volume["size"], volume["bootable"], volume["volume_type"]) == (3, "false", "__DEFAULT__")
    assert volume["metadata"] == {"color": "blue"}
    assert volume["attachments"] == []
    assert volume["os-vol-tenant-attr:tenant_id"] == scene.user.project_id
    assert "os-vol-host-attr:host" not in volume
    assert await scene.used() == {"volumes": 1, "snapshots": 0, "gigabytes": 3}
    assert volume["id"] in (await scene.on_host())[0]
    await scene.delete(volume)
    await scene.user.get(f"{V}/volumes/{volume['id']}", status=404)
    assert await scene.used() == {"volumes": 0, "snapshots": 0, "gigabytes": 0}
    assert volume["id"] not in (await scene.on_host())[0]


async def test_paths_with_and_without_the_project(scene: Scene) -> None:
    volume = await scene.make()
    shown = await scene.user.get(f"{V}/{scene.user.project_id}/volumes/{volume['id']}", status=200)
    assert shown.json["volume"]["id"] == volume["id"]
    assert "volume_type_id" not in shown.json["volume"], "that came with 3.63"
    await scene.delete(volume)


async def test_lists_pages_and_filters(scene: Scene) -> None:
    first, second = await scene.make(name="one"), await scene.make(name="two", size=2)
    newest = await scene.user.get(f"{V}/volumes/detail", status=200)
    assert [each["name"] for each in newest.json["volumes"]] == ["two", "one"]
    page = (await scene.user.get(f"{V}/volumes?limit=1&sort=size:asc", status=200)).json
    assert [each["name"] for each in page["volumes"]] == ["one"]
    following = page["volumes_links"][0]["href"].partition("/volume/")[2]
    rest = (await scene.user.get(f"/volume/{following}", status=200)).json
    assert [each["id"] for each in rest["volumes"]] == [second["id"]]
    offset = (await scene.user.get(f"{V}/volumes?offset=1&sort=size:asc", status=200)).json
    assert [each["id"] for each in offset["volumes"]] == [second["id"]]
    named = (await scene.user.get(f"{V}/volumes?name=one&status=available&bootable=false", status=200)).json
    assert [each["id"] for each in named["volumes"]] == [first["id"]]
    counted = (await scene.user.get(f"{V}/volumes?limit=1&with_count=true", headers=LATEST, status=200)).json
    assert counted["count"] == 2
    summary = (await scene.user.get(f"{V}/volumes/summary", headers=LATEST, status=200)).json["volume-summary"]
    assert summary == {"total_count": 2, "total_size": 3, "metadata": {}}
    for bad in ("sort=raven:asc", "sort=name:sideways", "limit=-1", "marker=" + fresh_id(), "bootable=perhaps"):
        await scene.user.get(f"{V}/volumes?{bad}", status=400)


async def test_others_do_not_see_it(scene: Scene, stranger: Persona) -> None:
    volume = await scene.make()
    for path in (f"{V}/volumes/{volume['id']}", f"{V}/volumes/{volume['id']}/metadata"):
        assert "itemNotFound" in (await stranger.get(path, status=404)).json
    await stranger.delete(f"{V}/volumes/{volume['id']}", status=404)
    listed = await stranger.get(f"{V}/volumes?all_tenants=1", status=200)
    assert listed.json["volumes"] == []
    everyones = await scene.cloud.admin.get(f"{V}/volumes/detail?all_tenants=1&project_id={scene.user.project_id}")
    assert [each["id"] for each in everyones.json["volumes"]] == [volume["id"]]
    assert everyones.json["volumes"][0]["os-vol-host-attr:host"] == "host-1@skyhold#skyhold"


async def test_name_and_description_change(scene: Scene) -> None:
    volume = await scene.make(name="one")
    body = {"volume": {"name": "two", "description": "d", "metadata": {"a": "b"}}}
    changed = (await scene.user.put(f"{V}/volumes/{volume['id']}", body, status=200)).json["volume"]
    assert (changed["name"], changed["description"], changed["metadata"]) == ("two", "d", {"a": "b"})
    await scene.user.put(f"{V}/volumes/{volume['id']}", {"volume": {}}, status=400)


@pytest.mark.parametrize(("wish", "status"), [
    ({"size": 0}, 400), ({"size": -1}, 400), ({"size": "x"}, 400), ({"size": None}, 400), ({"size": 2**31}, 400),
    ({"name": "x" * 256}, 400), ({"name": 5}, 400), ({"metadata": {"k": 5}}, 400),
    ({"metadata": {"k": "x" * 256}}, 400),
    ({"volume_type": "ravens"}, 404), ({"snapshot_id": fresh_id()}, 404), ({"source_volid": fresh_id()}, 404),
    ({"imageRef": fresh_id()}, 404), ({"snapshot_id": "no uuid"}, 400), ({"availability_zone": "mars"}, 400),
    ({"multiattach": True}, 400), ({"backup_id": fresh_id()}, 400), ({"group_id": fresh_id()}, 400),
    ({"snapshot_id": fresh_id(), "imageRef": fresh_id()}, 400), ({"raven": 1}, 400),
])
async def test_what_makes_no_sense_is_refused(scene: Scene, wish: dict, status: int) -> None:
    body = {"volume": {"size": 1} | wish}
    await scene.user.post(f"{V}/volumes", body, headers=LATEST, status=status)
    assert await scene.used() == {"volumes": 0, "snapshots": 0, "gigabytes": 0}


async def test_quota_is_taken_and_refused_as_413(scene: Scene) -> None:
    await scene.quota(volumes=1, gigabytes=2, per_volume_gigabytes=2)
    for size in (3, 4):
        refused = await scene.user.post(f"{V}/volumes", {"volume": {"size": size}}, status=413)
        assert "overLimit" in refused.json
    volume = await scene.make(size=2)
    await scene.user.post(f"{V}/volumes", {"volume": {"size": 1}}, status=413)
    limits = (await scene.user.get(f"{V}/limits", status=200)).json["limits"]["absolute"]
    assert (limits["maxTotalVolumes"], limits["totalVolumesUsed"], limits["totalGigabytesUsed"]) == (1, 1, 2)
    await scene.delete(volume)


async def test_a_host_without_room_is_passed_over_with_its_reason(scene: Scene) -> None:
    scene.host.volumes.fail_next("ensure", NoRoom("its disk is full"))
    volume = await scene.make(expect="error")
    await scene.delete(volume)
    scene.host.volumes.fail_next("ensure", VolumeFailed("The image is not what it says."))
    await scene.delete(await scene.make(expect="error"))
    await scene.quota(gigabytes=-1)
    await scene.delete(await scene.make(size=200_000, expect="error"))
    assert await scene.used() == {"volumes": 0, "snapshots": 0, "gigabytes": 0}


async def test_deleting_one_that_is_being_made_stops_the_making(scene: Scene) -> None:
    scene.host.volumes.delay("ensure", 5)
    try:
        made = await scene.user.post(f"{V}/volumes", {"volume": {"size": 1}}, status=202)
        await asyncio.sleep(0.2)
        await scene.delete(made.json["volume"])
    finally:
        scene.host.volumes.delay("ensure", 0)
    await scene.user.get(f"{V}/volumes/{made.json['volume']['id']}", status=404)
    assert made.json["volume"]["id"] not in (await scene.on_host())[0]
    assert await scene.used() == {"volumes": 0, "snapshots": 0, "gigabytes": 0}


async def test_of_an_image(scene: Scene) -> None:
    image = await scene.image(min_disk=2, hw_disk_bus="scsi")
    await scene.user.post(f"{V}/volumes", {"volume": {"size": 1, "imageRef": image}}, status=400)
    volume = await scene.make(size=2, imageRef=image)
    assert volume["bootable"] == "true"
    said = volume["volume_image_metadata"]
    assert (said["image_id"], said["min_disk"], said["hw_disk_bus"]) == (image, "2", "scsi")
    await scene.delete(volume)


async def test_of_a_volume_and_of_a_snapshot(scene: Scene) -> None:
    source = await scene.make(size=2, imageRef=await scene.image())
    copy = await scene.make(size=None, source_volid=source["id"])
    assert (copy["size"], copy["bootable"], copy["source_volid"]) == (2, "true", source["id"])
    snapshot = await scene.snapshot(source, name="then")
    third = await scene.make(size=3, snapshot_id=snapshot["id"])
    assert (third["size"], third["bootable"], third["snapshot_id"]) == (3, "true", snapshot["id"])
    too_small = {"volume": {"size": 1, "snapshot_id": snapshot["id"]}}
    await scene.user.post(f"{V}/volumes", too_small, status=400)
    assert await scene.used() == {"volumes": 3, "snapshots": 1, "gigabytes": 9}
    await scene.delete(source, status=400)
    await scene.delete(source, query="?cascade=true")
    assert await scene.used() == {"volumes": 2, "snapshots": 0, "gigabytes": 5}
    assert snapshot["id"] not in (await scene.on_host())[1]
    assert (await scene.show(third["id"]))["status"] == "available", "a child outlives what it was made of"


async def test_what_is_copied_just_now_stays(scene: Scene) -> None:
    source = await scene.make()
    snapshot = await scene.snapshot(source)
    scene.host.volumes.delay("ensure", 1)
    try:
        await scene.user.post(f"{V}/volumes", {"volume": {"snapshot_id": snapshot["id"]}}, status=202)
        await scene.user.delete(f"{V}/snapshots/{snapshot['id']}", status=400)
        await scene.user.delete(f"{V}/volumes/{source['id']}?cascade=true", status=400)
    finally:
        scene.host.volumes.delay("ensure", 0)
    await scene.settled()
    await scene.user.delete(f"{V}/snapshots/{snapshot['id']}", status=202)
