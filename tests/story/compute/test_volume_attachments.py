# SPDX-License-Identifier: Apache-2.0
"""Volumes that come to a server and leave it while it is there, NOV-07.

Servers that boot from volumes are test_boot_from_volume.py; what guests see of it tests/drivers/compute.
"""

from __future__ import annotations

import uuid
from typing import Any

from skyhold.compute.drivers.base import GuestFailed
from skyhold.core.context import internal
from skyhold.volume import facade
from tests.kit.cloud import Persona
from tests.kit.patience import until
from tests.story.compute.scene import Scene
from tests.story.compute.test_boot_from_volume import boot, delete, guest, on, shown, volume, volumes

SERVERS = "/compute/v2.1/servers"


def at(version: str) -> dict[str, str]:
    return {"OpenStack-API-Version": f"compute {version}"}


async def attach(
    scene: Scene, server: dict[str, Any], disk: dict[str, Any], *, status: int = 200, version: str = "2.90",
    settled: bool = True, **more: Any,
) -> Any:
    body = {"volumeAttachment": {"volumeId": disk["id"]} | more}
    path = f"{SERVERS}/{server['id']}/os-volume_attachments"
    answer = await scene.user.post(path, body, headers=at(version), status=status)
    if settled:
        await scene.settled()
    return answer.json.get("volumeAttachment", answer.json)


async def listed(scene: Scene, server: dict[str, Any], version: str = "2.90") -> list[dict[str, Any]]:
    path = f"{SERVERS}/{server['id']}/os-volume_attachments"
    return list((await scene.user.get(path, headers=at(version), status=200)).json["volumeAttachments"])


async def detach(scene: Scene, server: dict[str, Any], disk: dict[str, Any], status: int = 202) -> Any:
    answer = await scene.user.delete(f"{SERVERS}/{server['id']}/os-volume_attachments/{disk['id']}", status=status)
    await scene.settled()
    return answer.json if status != 202 else None


async def test_a_volume_comes_and_goes_nov_07(scene: Scene) -> None:
    server, disk = await scene.server("plain"), await volume(scene)
    made = await attach(scene, server, disk, device="/dev/vdx", tag="data")
    assert (made["volumeId"], made["serverId"], made["device"]) == (disk["id"], server["id"], "/dev/vdb")
    used = await shown(scene, disk["id"], "in-use")
    assert used["attachments"][0]["attachment_id"] == made["attachment_id"]
    assert (await guest(scene, server)).volumes == [disk["id"]]
    (one,) = await listed(scene, server)
    assert one == made | {"tag": "data", "delete_on_termination": False}
    seen = await scene.show(server)
    assert [each["id"] for each in seen["os-extended-volumes:volumes_attached"]] == [disk["id"]]
    await detach(scene, server, disk)
    await shown(scene, disk["id"], "available")
    assert (await guest(scene, server)).volumes == []
    assert await listed(scene, server) == []


async def test_what_each_version_shows(scene: Scene) -> None:
    server, disk = await scene.server("plain"), await volume(scene)
    old = await attach(scene, server, disk, version="2.1")
    assert set(old) == {"id", "volumeId", "serverId", "device"}
    keys = {version: set((await listed(scene, server, version))[0]) for version in ("2.70", "2.79", "2.88", "2.89")}
    assert keys["2.70"] == {*old, "tag"}
    assert keys["2.79"] == keys["2.88"] == {*old, "tag", "delete_on_termination"}
    assert keys["2.89"] == (keys["2.88"] - {"id"}) | {"attachment_id", "bdm_uuid"}
    path = f"{SERVERS}/{server['id']}/os-volume_attachments/{disk['id']}"
    one = (await scene.user.get(path, headers=at("2.1"), status=200)).json["volumeAttachment"]
    assert one == old


async def test_a_volume_stays_with_its_server_or_goes_as_was_said(scene: Scene) -> None:
    server = await scene.server("plain")
    stays, goes, changed = await volume(scene), await volume(scene), await volume(scene)
    await attach(scene, server, stays)
    await attach(scene, server, goes, delete_on_termination=True)
    await attach(scene, server, changed)
    path = f"{SERVERS}/{server['id']}/os-volume_attachments/{changed['id']}"
    wish = {"volumeAttachment": {"volumeId": changed["id"], "delete_on_termination": True}}
    await scene.user.put(path, wish, headers=at("2.85"), status=202)
    assert {each["device"] for each in await listed(scene, server)} == {"/dev/vdb", "/dev/vdc", "/dev/vdd"}
    await delete(scene, server)
    assert [each["id"] for each in await volumes(scene)] == [stays["id"]]
    await shown(scene, stays["id"], "available")


async def test_what_can_not_be_attached_or_detached_is_said(scene: Scene) -> None:
    server, disk = await scene.server("plain"), await volume(scene)
    missing = {"id": str(uuid.uuid4())}
    await attach(scene, server, missing, status=404)
    await attach(scene, server, {"id": "no-uuid"}, status=400)
    await attach(scene, server, disk, status=400, version="2.48", tag="x")
    await attach(scene, server, disk, status=400, version="2.78", delete_on_termination=True)
    await detach(scene, server, disk, 404)
    await attach(scene, server, disk)
    again = await attach(scene, server, disk, status=400)
    assert "available" in again["badRequest"]["message"]
    other = await scene.server("other")
    await attach(scene, other, disk, status=400)
    await detach(scene, other, disk, 404)


async def test_the_root_volume_stays(scene: Scene) -> None:
    root = await volume(scene, imageRef=scene.image_id)
    server = await boot(scene, on("volume", root["id"]))
    said = await detach(scene, server, root, 400)
    assert "root device volume" in said["badRequest"]["message"]


async def test_another_volume_in_its_place_is_refused_with_a_reason(scene: Scene) -> None:
    server, disk, other = await scene.server("plain"), await volume(scene), await volume(scene)
    await attach(scene, server, disk)
    path = f"{SERVERS}/{server['id']}/os-volume_attachments/{disk['id']}"
    swap = {"volumeAttachment": {"volumeId": other["id"]}}
    await scene.user.put(path, swap, status=403)
    said = await scene.cloud.admin.put(path, swap, status=400)
    assert "detach the one and attach the other" in said.json["badRequest"]["message"]
    same = {"volumeAttachment": {"volumeId": disk["id"]}}
    await scene.user.put(path, same, headers=at("2.85"), status=400)


async def test_a_stopped_server_takes_volumes_and_gives_them(scene: Scene) -> None:
    server, disk = await scene.server("plain"), await volume(scene)
    await scene.act(server, {"os-stop": None})
    await attach(scene, server, disk)
    await shown(scene, disk["id"], "in-use")
    await scene.act(server, {"os-start": None})
    assert (await guest(scene, server)).volumes == [disk["id"]]
    await scene.act(server, {"suspend": None})
    await detach(scene, server, disk, 409)


async def test_a_host_that_refuses_gives_the_volume_back(scene: Scene) -> None:
    server, disk = await scene.server("plain"), await volume(scene)
    scene.host.driver.fail_next("attach", GuestFailed("all places are taken"))
    await attach(scene, server, disk)
    await shown(scene, disk["id"], "available")
    path = f"{SERVERS}/{server['id']}/os-instance-actions"
    done = (await scene.user.get(path, headers=at("2.90"), status=200)).json["instanceActions"]
    assert done[0]["action"] == "attach_volume"
    assert done[0]["message"] == "Error"


async def test_a_guest_that_does_not_let_go_keeps_its_volume(scene: Scene) -> None:
    server, disk = await scene.server("plain"), await volume(scene)
    await attach(scene, server, disk)
    scene.host.driver.fail_next("detach", GuestFailed("it is mounted"))
    await detach(scene, server, disk)
    await shown(scene, disk["id"], "in-use")
    await detach(scene, server, disk)
    await shown(scene, disk["id"], "available")


async def test_deleting_a_server_wins_over_attaching(scene: Scene) -> None:
    server, disk = await scene.server("plain"), await volume(scene)
    scene.host.driver.delay("attach", 1.0)
    try:
        await attach(scene, server, disk, settled=False)
        await delete(scene, server)
    finally:
        scene.host.driver.delay("attach", 0)
    await shown(scene, disk["id"], "available")


async def test_cve_2023_2088_a_volume_is_not_free_while_its_guest_could_not_be_removed(scene: Scene) -> None:
    """Its server is deleted, but the guest still writes: whoever gets the volume next must be its only writer."""
    server, disk = await scene.server("plain"), await volume(scene)
    await attach(scene, server, disk)
    scene.host.driver.fail_next("absent", OSError("the process does not end"), times=2)
    await scene.user.delete(f"{SERVERS}/{server['id']}", status=204)
    await until(lambda: freed(scene, disk), "the volume to be free")
    assert disk["id"] not in await volumes_of_guests(scene)
    await scene.settled()
    await scene.user.get(f"{SERVERS}/{server['id']}", status=404)


async def test_cve_2023_2088_a_boot_that_fails_gives_up_its_volumes_after_its_guest(scene: Scene) -> None:
    disk = await volume(scene, imageRef=scene.image_id)
    scene.host.driver.fail_next("ensure", GuestFailed("it runs and says that it doesn't"))
    scene.host.driver.fail_next("absent", OSError("the process does not end"), times=2)
    lent = on("volume", disk["id"], delete_on_termination=False)
    wish = scene.wish("on a volume", imageRef="", block_device_mapping_v2=[lent])
    made = await scene.user.post(SERVERS, wish, status=202)
    await shown(scene, disk["id"], "reserved")
    await scene.settled()
    assert disk["id"] not in await volumes_of_guests(scene)
    assert (await scene.show(made.json["server"]))["status"] == "ERROR"
    await shown(scene, disk["id"], "available")


async def freed(scene: Scene, disk: dict[str, Any]) -> bool:
    return bool((await shown(scene, disk["id"]))["status"] == "available")


async def volumes_of_guests(scene: Scene) -> list[str]:
    return [id for guest in (await scene.host.driver.list()).guests for id in guest.volumes or ()]


async def test_a_volume_lies_on_its_server_s_host_or_is_refused(scene: Scene) -> None:
    """And a server goes where its volumes are, or nowhere."""
    server, disk = await scene.server("plain"), await volume(scene, imageRef=scene.image_id)
    await move(scene, disk["id"], "elsewhere")
    said = await attach(scene, server, disk, status=400)
    assert "another host" in said["badRequest"]["message"]
    lost = await boot(scene, on("volume", disk["id"]), expect="ERROR")
    assert "volumes are on another host" in lost["fault"]["message"]
    await delete(scene, lost)
    await move(scene, disk["id"], scene.host.host_id)


async def test_detached_behind_a_host_s_back_is_detached_there_later(scene: Scene) -> None:
    server, disk = await scene.server("plain"), await volume(scene)
    made = await attach(scene, server, disk)
    await internal(scene.cloud.core).write(facade.release, made["attachment_id"])
    assert (await guest(scene, server)).volumes == [disk["id"]]
    await scene.cloud.core.loops.run_once("compute.power_sync")
    assert (await guest(scene, server)).volumes == []


async def test_a_stranger_s_volume_is_not_there(scene: Scene, stranger: Persona) -> None:
    theirs = (await stranger.post("/volume/v3/volumes", {"volume": {"size": 1}}, status=202)).json["volume"]
    await scene.settled()
    server = await scene.server("plain")
    await attach(scene, server, theirs, status=404)


async def move(scene: Scene, volume_id: str, host_id: str) -> None:
    """As if it had been made on another host."""
    from skyhold.volume.tables import VOLUMES

    there = VOLUMES.update().where(VOLUMES.c.id == volume_id).values(host_id=host_id)
    await internal(scene.cloud.core).write(lambda tx, ctx: tx.execute(there))
