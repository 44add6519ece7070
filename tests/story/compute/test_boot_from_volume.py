# SPDX-License-Identifier: Apache-2.0
"""Servers on volumes, NOV-06: what may be booted from, where volumes go with a server and where they stay.

Attaching to a server that is there is test_volume_attachments.py.
"""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest

from skyhold.compute.drivers.base import GuestFailed
from skyhold.core.context import internal
from skyhold.core.operator import audit
from skyhold.volume.drivers.base import VolumeFailed
from tests.story.compute.scene import Scene

V = "/volume/v3"
SERVERS = "/compute/v2.1/servers"
OLD = {"OpenStack-API-Version": "compute 2.1"}


async def volume(scene: Scene, **wish: Any) -> dict[str, Any]:
    made = await scene.user.post(f"{V}/volumes", {"volume": {"size": 1} | wish}, status=202)
    await scene.settled()
    return await shown(scene, made.json["volume"]["id"], "available")


async def shown(scene: Scene, volume_id: str, expect: str | None = None) -> dict[str, Any]:
    found = (await scene.user.get(f"{V}/volumes/{volume_id}", status=200)).json["volume"]
    assert found["status"] == (expect or found["status"])
    return dict(found)


async def volumes(scene: Scene) -> list[dict[str, Any]]:
    found = await scene.user.get(f"{V}/volumes/detail", status=200)
    return list(found.json["volumes"])


def on(source: str, id: str | None = None, **more: Any) -> dict[str, Any]:
    base = {"source_type": source, "destination_type": "volume", "boot_index": 0, "delete_on_termination": True}
    return base | ({"uuid": id} if id else {}) | more


async def boot(scene: Scene, *devices: dict[str, Any], expect: str = "ACTIVE", **more: Any) -> dict[str, Any]:
    wish = {"imageRef": "", "block_device_mapping_v2": list(devices)} | more
    made = await scene.user.post(SERVERS, scene.wish("on a volume", **wish), status=202)
    await scene.settled()
    server = await scene.show(made.json["server"])
    assert server["status"] == expect, server.get("fault")
    return server


async def refused(scene: Scene, *devices: dict[str, Any], says: str, version: str = "2.90", **more: Any) -> None:
    wish = {"imageRef": "", "block_device_mapping_v2": list(devices)} | more
    headers = {"OpenStack-API-Version": f"compute {version}"}
    answer = await scene.user.post(SERVERS, scene.wish("refused", **wish), headers=headers, status=400)
    assert says in answer.json["badRequest"]["message"]


async def delete(scene: Scene, server: dict[str, Any]) -> None:
    await scene.user.delete(f"{SERVERS}/{server['id']}", status=204)
    await scene.settled()


async def guest(scene: Scene, server: dict[str, Any]) -> Any:
    found = {each.guest_id: each for each in (await scene.host.driver.list()).guests}
    return found[server["id"]]


async def test_a_server_boots_from_a_volume_that_is_there_nov_06(scene: Scene) -> None:
    root = await volume(scene, imageRef=scene.image_id)
    server = await boot(scene, on("volume", root["id"], delete_on_termination=False))
    assert server["image"] == ""
    assert server["os-extended-volumes:volumes_attached"] == [{"id": root["id"], "delete_on_termination": False}]
    used = await shown(scene, root["id"], "in-use")
    assert [(each["server_id"], each["device"]) for each in used["attachments"]] == [(server["id"], "/dev/vda")]
    assert (await guest(scene, server)).volumes == [root["id"]]
    await delete(scene, server)
    assert (await shown(scene, root["id"], "available"))["attachments"] == []


async def test_a_volume_is_made_of_an_image_and_goes_with_its_server(scene: Scene) -> None:
    server = await boot(scene, on("image", scene.image_id, volume_size=2))
    (root,) = await volumes(scene)
    assert (root["size"], root["status"], root["bootable"]) == (2, "in-use", "true")
    assert server["image"] == ""
    await delete(scene, server)
    assert await volumes(scene) == []


async def test_a_made_volume_stays_when_it_is_not_to_go(scene: Scene) -> None:
    server = await boot(scene, on("image", scene.image_id, volume_size=1, delete_on_termination=False))
    await delete(scene, server)
    (root,) = await volumes(scene)
    assert root["status"] == "available"
    again = await boot(scene, on("volume", root["id"]))
    await delete(scene, again)
    assert await volumes(scene) == []


async def test_a_server_boots_from_a_snapshot_with_blank_disks_besides(scene: Scene) -> None:
    root = await volume(scene, imageRef=scene.image_id)
    body = {"snapshot": {"volume_id": root["id"], "name": "kept"}}
    snapshot = (await scene.user.post(f"{V}/snapshots", body, status=202)).json["snapshot"]
    server = await boot(
        scene, on("snapshot", snapshot["id"]), on("blank", boot_index=None, volume_size=3),
        on("blank", boot_index=-1, volume_size=4, delete_on_termination=False),
    )
    attached = {each["id"]: each for each in await volumes(scene) if each["id"] != root["id"]}
    assert sorted(each["size"] for each in attached.values()) == [1, 3, 4]
    found = await scene.user.get(f"{SERVERS}/{server['id']}/os-volume_attachments", status=200)
    names = {each["device"]: attached[each["volumeId"]]["size"] for each in found.json["volumeAttachments"]}
    assert names == {"/dev/vda": 1, "/dev/vdb": 3, "/dev/vdc": 4}
    await delete(scene, server)
    assert sorted(each["size"] for each in await volumes(scene)) == [1, 4]


async def test_an_image_may_be_the_local_root_and_volumes_come_besides(scene: Scene) -> None:
    data = await volume(scene)
    local = {"source_type": "image", "destination_type": "local", "boot_index": 0, "uuid": scene.image_id}
    server = await boot(scene, local, on("volume", data["id"], boot_index=None), imageRef=scene.image_id)
    assert server["image"]["id"] == scene.image_id
    assert (await shown(scene, data["id"], "in-use"))["attachments"][0]["device"] == "/dev/vdb"
    await delete(scene, server)
    assert await volumes(scene) == []


async def test_the_elder_form_of_the_list_works_too(scene: Scene) -> None:
    root, data = await volume(scene, imageRef=scene.image_id), await volume(scene)
    listed = [
        {"device_name": "vdb", "volume_id": data["id"], "delete_on_termination": "1"},
        {"device_name": "/dev/vda", "volume_id": root["id"], "delete_on_termination": False},
    ]
    wish = scene.wish("elder", imageRef="", block_device_mapping=listed)
    made = await scene.user.post(SERVERS, wish, status=202)
    await scene.settled()
    server = await scene.show(made.json["server"])
    assert server["status"] == "ACTIVE", server.get("fault")
    assert (await guest(scene, server)).volumes == [root["id"], data["id"]]
    await delete(scene, server)
    assert [each["id"] for each in await volumes(scene)] == [root["id"]]


async def test_what_can_not_be_meant_is_refused(scene: Scene) -> None:
    root, blank = await volume(scene, imageRef=scene.image_id), await volume(scene)
    some = str(uuid.uuid4())
    order = "Boot sequence"
    await refused(scene, on("volume", root["id"], boot_index=None), says=order)
    await refused(scene, on("volume", root["id"], boot_index=1), says=order)
    await refused(scene, on("volume", root["id"]), on("blank", volume_size=1), says=order)
    await refused(scene, on("volume", root["id"], boot_index=None), says=order, imageRef=scene.image_id)
    await refused(scene, says="Missing imageRef")
    await refused(scene, on("volume", some), says=f"failed to get volume {some}")
    await refused(scene, on("snapshot", some), says=f"failed to get snapshot {some}")
    await refused(scene, on("image", some, volume_size=1), says=f"Can not find requested image {some}")
    await refused(scene, on("image", scene.image_id), says="non-zero size")
    await refused(scene, on("volume", root["id"]), on("blank", boot_index=None), says="non-zero size")
    await refused(scene, on("volume", blank["id"]), says=f"Block Device {blank['id']} is not bootable")
    await refused(scene, on("blank", volume_size=1), says="can't be booted from")
    await refused(scene, on("volume"), says="Missing device UUID")
    await refused(scene, on("blank", some, volume_size=1), says="Invalid device UUID")
    await refused(scene, on("volume", root["id"], destination_type="local"), says="destination_type 'volume'")
    await refused(scene, on("image", scene.image_id, destination_type="local"), says="image to local")
    await refused(
        scene, on("image", some, destination_type="local"), imageRef=scene.image_id, says="name one of them"
    )
    await refused(scene, on("volume", root["id"], disk_bus="floppy"), says="hw_disk_bus")
    await refused(scene, on("volume", root["id"], device_type="cdrom"), says="cdrom")
    await refused(scene, on("volume", root["id"]), min_count=2, says="to multiple instances")
    await refused(
        scene, on("volume", root["id"]), block_device_mapping=[{"volume_id": root["id"]}], says="different"
    )
    swap = {"source_type": "blank", "destination_type": "local", "guest_format": "swap", "volume_size": 1}
    await refused(scene, on("volume", root["id"]), swap, says="Swap drive requested is larger")
    await refused(scene, on("volume", root["id"], volume_type="fast"), version="2.66", says="volume_type")
    await refused(scene, on("volume", root["id"], tag="x"), version="2.41", says="tag")
    assert (await shown(scene, root["id"]))["status"] == "available"


async def test_a_volume_in_use_is_not_booted_from(scene: Scene) -> None:
    root = await volume(scene, imageRef=scene.image_id)
    server = await boot(scene, on("volume", root["id"]))
    await refused(scene, on("volume", root["id"]), says="available")
    assert (await shown(scene, root["id"]))["attachments"][0]["server_id"] == server["id"]


async def test_several_servers_get_a_volume_each(scene: Scene) -> None:
    wish = scene.wish(
        "many", imageRef="", min_count=3, block_device_mapping_v2=[on("image", scene.image_id, volume_size=1)]
    )
    await scene.user.post(SERVERS, wish, status=202)
    await scene.settled()
    listed = (await scene.user.get(f"{SERVERS}/detail", status=200)).json["servers"]
    mine = [server["os-extended-volumes:volumes_attached"][0]["id"] for server in listed]
    assert len(set(mine)) == 3
    assert sorted(mine) == sorted(each["id"] for each in await volumes(scene))


async def test_old_clients_see_only_the_ids_of_volumes(scene: Scene) -> None:
    server = await boot(scene, on("image", scene.image_id, volume_size=1))
    old = (await scene.user.get(f"{SERVERS}/{server['id']}", headers=OLD, status=200)).json["server"]
    assert [set(each) for each in old["os-extended-volumes:volumes_attached"]] == [{"id"}]


async def test_a_boot_that_fails_takes_back_what_it_made_and_frees_what_it_was_given(scene: Scene) -> None:
    data = await volume(scene)
    scene.host.driver.fail_next("ensure", GuestFailed("no such luck"))
    given = on("volume", data["id"], boot_index=None, delete_on_termination=False)
    server = await boot(scene, on("image", scene.image_id, volume_size=1), given, expect="ERROR")
    assert "no such luck" in server["fault"]["message"]
    assert [each["id"] for each in await volumes(scene)] == [data["id"]]
    await shown(scene, data["id"], "available")
    await delete(scene, server)
    await shown(scene, data["id"], "available")


async def test_a_given_volume_that_goes_with_its_server_stays_the_failed_servers_and_goes_with_it(scene: Scene) -> None:
    """Nova's reference: "when the server is destroyed". A server in ERROR is not, and its owner may still change it."""
    data, spared, kept = [await volume(scene) for _ in range(3)]
    scene.host.driver.fail_next("ensure", GuestFailed("no such luck"))
    server = await boot(
        scene, on("image", scene.image_id, volume_size=1), on("volume", data["id"], boot_index=None),
        on("volume", spared["id"], boot_index=None),
        on("volume", kept["id"], boot_index=None, delete_on_termination=False), expect="ERROR",
    )
    await shown(scene, kept["id"], "available")
    for each in (data, spared):
        held = (await shown(scene, each["id"], "reserved"))["attachments"]
        assert held == [] or held[0]["server_id"] == server["id"]
    listed = {each["id"] for each in server["os-extended-volumes:volumes_attached"]}
    assert listed == {data["id"], spared["id"]}
    assert [each for each in await audit.look(internal(scene.cloud.core)) if data["id"] in each.sentence] == []
    body = {"volumeAttachment": {"volumeId": spared["id"], "delete_on_termination": False}}
    path = f"{SERVERS}/{server['id']}/os-volume_attachments/{spared['id']}"
    await scene.user.put(path, body, headers={"OpenStack-API-Version": "compute 2.85"}, status=202)
    await delete(scene, server)
    assert {each["id"]: each["status"] for each in await volumes(scene)} == {
        spared["id"]: "available", kept["id"]: "available"
    }


async def test_a_volume_that_can_not_be_made_fails_the_server_with_its_reason(scene: Scene) -> None:
    scene.host.volumes.fail_next("ensure", VolumeFailed("the bytes are not what was promised"))
    server = await boot(scene, on("image", scene.image_id, volume_size=1), expect="ERROR")
    assert "the bytes are not what was promised" in server["fault"]["message"]
    assert await volumes(scene) == []


async def test_quota_of_volumes_is_kept_to(scene: Scene) -> None:
    path = f"{V}/os-quota-sets/{scene.user.project_id}"
    await scene.cloud.admin.put(path, {"quota_set": {"volumes": 1}}, status=200)
    await volume(scene)
    server = await boot(scene, on("image", scene.image_id, volume_size=1), expect="ERROR")
    assert "volumes" in server["fault"]["message"].lower()
    assert len(await volumes(scene)) == 1


async def test_a_server_on_a_volume_takes_no_local_disk(scene: Scene) -> None:
    server = await boot(scene, on("image", scene.image_id, volume_size=1))
    path = f"/placement/allocations/{server['id']}"
    held = (await scene.cloud.admin.get(path, status=200)).json["allocations"]
    assert [sorted(each["resources"]) for each in held.values()] == [["MEMORY_MB", "VCPU"]]


async def test_an_image_of_a_server_on_volumes_boots_another(scene: Scene) -> None:
    server = await boot(
        scene, on("image", scene.image_id, volume_size=1), on("blank", boot_index=None, volume_size=2)
    )
    path = f"{SERVERS}/{server['id']}/action"
    made = await scene.user.post(path, {"createImage": {"name": "both", "metadata": {"a": "b"}}}, status=202)
    image_id = made.headers["location"].rpartition("/")[2]
    image = (await scene.user.get(f"/image/v2/images/{image_id}", status=200)).json
    assert (image["status"], image["size"], image["bdm_v2"], image["a"]) == ("active", 0, "True", "b")
    assert image["root_device_name"] == "/dev/vda"
    listed = json.loads(image["block_device_mapping"])
    assert [(d["boot_index"], d["volume_size"], d["source_type"]) for d in listed] == [
        (0, 1, "snapshot"), (None, 2, "snapshot")
    ]
    # Not waited for: whoever boots from it does.
    again = await scene.user.post(SERVERS, scene.wish("again", imageRef=image_id), status=202)
    await scene.settled()
    second = await scene.show(again.json["server"])
    assert second["status"] == "ACTIVE", second.get("fault")
    assert second["image"] == ""
    assert len(second["os-extended-volumes:volumes_attached"]) == 2
    for each in (server, second):
        await delete(scene, each)
    # Snapshots were made of the first one's volumes: they stay until those are gone. The copies go.
    assert len(await volumes(scene)) == 2
    for disk in listed:
        await scene.user.delete(f"{V}/snapshots/{disk['snapshot_id']}", status=202)
    await scene.settled()


@pytest.mark.parametrize("written", ["{", "7", "[7]", "null x", '[{"source_type": "void"}]', "[{}]", "[" * 5000,
                                     '[{"source_type": "snapshot", "boot_index": "zero"}]',
                                     '[{"source_type": "volume", "boot_index": 0, "volume_id": ["a"]}]'])
async def test_an_image_may_say_anything_in_its_properties(scene: Scene, written: str) -> None:
    body = {
        "name": "strange", "disk_format": "raw", "container_format": "bare", "bdm_v2": "True",
        "block_device_mapping": written,
    }
    image = (await scene.user.post("/image/v2/images", body, status=201)).json
    content = {"content_type": "application/octet-stream"}
    await scene.user.put(f"/image/v2/images/{image['id']}/file", bytes(512), status=204, **content)
    answer = await scene.user.post(SERVERS, scene.wish("strange", imageRef=image["id"]), status=400)
    assert "Block Device Mapping is Invalid" in answer.json["badRequest"]["message"]


async def test_an_image_does_not_open_somebody_elses_snapshot(scene: Scene) -> None:
    """A property of a public image may name any snapshot: it is looked up as the one who boots."""
    root = await volume(scene, imageRef=scene.image_id)
    body = {"snapshot": {"volume_id": root["id"]}}
    snapshot = (await scene.user.post(f"{V}/snapshots", body, status=202)).json["snapshot"]
    await scene.settled()
    listed = json.dumps([{
        "source_type": "snapshot", "destination_type": "volume", "boot_index": 0, "snapshot_id": snapshot["id"]
    }])
    image = {"name": "bait", "disk_format": "raw", "container_format": "bare", "bdm_v2": "True",
             "block_device_mapping": listed}
    stranger = await scene.cloud.project(["member", "reader"])
    made = (await stranger.post("/image/v2/images", image, status=201)).json
    await stranger.put(f"/image/v2/images/{made['id']}/file", bytes(512), status=204,
                       content_type="application/octet-stream")
    wish = {"server": {"name": "thief", "imageRef": made["id"], "flavorRef": scene.flavor_id, "networks": "none"}}
    answer = await stranger.post(SERVERS, wish, headers={"OpenStack-API-Version": "compute 2.90"}, status=400)
    assert f"failed to get snapshot {snapshot['id']}" in answer.json["badRequest"]["message"]
