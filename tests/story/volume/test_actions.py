# SPDX-License-Identifier: Apache-2.0
"""What is done to a volume (CIN-01): grown, made bootable, described, uploaded, and set right by an administrator."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import sqlalchemy as sa

from skyhold.core.context import internal
from skyhold.core.saga import asking
from skyhold.core.tables import JOURNAL
from skyhold.image.drivers.hosts import CantSend
from skyhold.image.drivers.sending import Refused, send
from skyhold.volume.drivers.base import NoRoom, VolumeFailed
from skyhold.volume.drivers.fake import FakeVolumes
from skyhold.volume.loops import remains
from tests.kit.cloud import Persona
from tests.kit.patience import PATIENCE_S
from tests.story.volume.scene import LATEST, Scene, V, fresh_id


async def test_extended_while_available(scene: Scene) -> None:
    volume = await scene.make(size=1)
    for size in (1, 0, -1, "x", None):
        await scene.act(volume, {"os-extend": {"new_size": size}}, status=400)
    await scene.act(volume, {"os-extend": {"new_size": "3"}})
    assert (await scene.show(volume["id"]))["size"] == 3
    assert (await scene.used())["gigabytes"] == 3
    await scene.quota(gigabytes=4)
    await scene.act(volume, {"os-extend": {"new_size": 5}}, status=413)
    await scene.delete(volume)
    assert (await scene.used())["gigabytes"] == 0


async def test_an_extension_that_fails_gives_its_gigabytes_back(scene: Scene) -> None:
    volume = await scene.make(size=1)
    scene.host.volumes.fail_next("ensure", NoRoom("its disk is full"))
    await scene.act(volume, {"os-extend": {"new_size": 3}})
    shown = await scene.show(volume["id"])
    assert (shown["status"], shown["size"]) == ("error_extending", 1)
    told = (await scene.user.get(f"{V}/messages", headers=LATEST, status=200)).json["messages"]
    (said,) = [each["user_message"] for each in told if each["resource_uuid"] == volume["id"]]
    assert said.startswith("The volume's host can't do this now: its disk is full. Delete what")
    assert (await scene.used())["gigabytes"] == 1
    await scene.act(volume, {"os-reset_status": {"status": "available"}}, status=403)
    await scene.act(volume, {"os-reset_status": {"status": "available"}}, who=scene.cloud.admin)
    scene.host.volumes.lose(volume["id"])
    await scene.act(volume, {"os-extend": {"new_size": 3}})
    assert (await scene.show(volume["id"]))["status"] == "error_extending", "lost bytes are not replaced by empty ones"
    await scene.delete(volume)
    assert (await scene.used())["gigabytes"] == 0


async def test_an_extension_aborted_when_its_host_was_at_it_has_succeeded(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is shrunk again, so the volume is what it is on its host, and its gigabytes are counted."""
    volume = await scene.make()
    abort_during(scene, monkeypatch, "ensure", "volume.extend")
    await scene.act(volume, {"os-extend": {"new_size": 3}})
    shown = await scene.show(volume["id"])
    assert (shown["status"], shown["size"]) == ("available", 3)
    assert (await scene.used())["gigabytes"] == 3


async def test_bootable_and_image_metadata(scene: Scene) -> None:
    volume = await scene.make()
    await scene.act(volume, {"os-set_bootable": {"bootable": "true"}}, status=200)
    said = await scene.act(volume, {"os-set_image_metadata": {"metadata": {"hw_rng": "yes"}}}, status=200)
    assert said == {"metadata": {"hw_rng": "yes"}}
    shown = await scene.show(volume["id"])
    assert (shown["bootable"], shown["volume_image_metadata"]) == ("true", {"hw_rng": "yes"})
    assert await scene.act(volume, {"os-show_image_metadata": None}, status=200) == {"metadata": {"hw_rng": "yes"}}
    await scene.act(volume, {"os-unset_image_metadata": {"key": "raven"}}, status=404)
    await scene.act(volume, {"os-unset_image_metadata": {"key": "hw_rng"}}, status=200)
    assert "volume_image_metadata" not in await scene.show(volume["id"])


@pytest.mark.parametrize("form", ["raw", "qcow2"])
async def test_uploaded_to_an_image(scene: Scene, form: str) -> None:
    volume = await scene.make(size=1, imageRef=await scene.image(hw_disk_bus="scsi"))
    wish = {"image_name": "of-volume", "disk_format": form, "container_format": "bare", "protected": True}
    told = (await scene.act(volume, {"os-volume_upload_image": wish}))["os-volume_upload_image"]
    assert (told["status"], told["disk_format"], told["volume_type"]["name"]) == ("uploading", form, "__DEFAULT__")
    assert (await scene.show(volume["id"]))["status"] == "available"
    image = (await scene.user.get(f"/image/v2/images/{told['image_id']}", status=200)).json
    assert (image["status"], image["name"], image["hw_disk_bus"]) == ("active", "of-volume", "scsi")
    assert (image["protected"], image["visibility"]) == (True, "private")


async def test_what_an_image_said_of_its_own_bytes_is_not_said_of_another(scene: Scene) -> None:
    """A signature of the image that the volume was made of is none of what a guest has made of it since."""
    volume = await scene.make()
    names = ("", "_hash_method", "_key_type", "_certificate_uuid")
    signed = {f"img_signature{name}": fresh_id() for name in names} | {"hw_disk_bus": "scsi"}
    await scene.act(volume, {"os-set_image_metadata": {"metadata": signed}}, status=200)
    told = (await scene.act(volume, {"os-volume_upload_image": {"image_name": "i"}}))["os-volume_upload_image"]
    image = (await scene.user.get(f"/image/v2/images/{told['image_id']}", status=200)).json
    assert image["status"] == "active" and image["hw_disk_bus"] == "scsi"
    assert not [key for key in image if key.startswith("img_signature")]


@pytest.mark.parametrize("name", ["owner", "status", "visibility", "id", "os_glance_import", "checksum", "locations"])
async def test_what_a_volume_says_of_an_image_never_stands_for_what_the_image_is(scene: Scene, name: str) -> None:
    volume = await scene.make()
    await scene.act(volume, {"os-set_image_metadata": {"metadata": {name: "another's"}}}, status=200)
    path = f"{V}/volumes/{volume['id']}/action"
    answer = await scene.user.post(path, {"os-volume_upload_image": {"image_name": "i"}}, headers=LATEST)
    await scene.settled()
    if answer.status < 400:
        made = answer.json["os-volume_upload_image"]["image_id"]
        image = (await scene.user.get(f"/image/v2/images/{made}", status=200)).json
        assert (image["owner"], image["status"]) == (scene.user.project_id, "active")
        assert (image["id"], image["visibility"]) == (made, "private")
    else:
        assert answer.status in (400, 403) and name in answer.body.decode()
        assert (await scene.show(volume["id"]))["status"] == "available"


async def test_an_upload_that_fails_takes_its_image_away(scene: Scene) -> None:
    volume = await scene.make()
    scene.host.volumes.fail_next("upload", VolumeFailed("The image service refused the image with status 403."))
    told = await scene.act(volume, {"os-volume_upload_image": {"image_name": "i"}})
    assert (await scene.show(volume["id"]))["status"] == "available"
    await scene.user.get(f"/image/v2/images/{told['os-volume_upload_image']['image_id']}", status=404)


async def test_an_upload_that_breaks_off_is_sent_again(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    volume, sent = await scene.make(), 0
    monkeypatch.setattr(asking, "RETRY_S", 0.01)

    async def break_off_once(*told: Any) -> None:
        nonlocal sent
        sent += 1
        if sent == 1:
            raise CantSend("The image could not be sent: Server disconnected.")
        await send(*told)

    monkeypatch.setattr("skyhold.volume.drivers.fake.send", break_off_once)
    told = await scene.act(volume, {"os-volume_upload_image": {"image_name": "i"}})
    image_id = told["os-volume_upload_image"]["image_id"]
    assert (await scene.user.get(f"/image/v2/images/{image_id}", status=200)).json["status"] == "active"
    assert (await scene.show(volume["id"]))["status"] == "available"


async def test_an_upload_aborted_when_its_image_was_active_has_succeeded(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The operator's word came between the last byte and the saga's end: the image is there, and that is said."""
    volume = await scene.make()

    async def send_and_abort(*told: Any) -> None:
        await send(*told)
        await abort(scene, "volume.upload")

    monkeypatch.setattr("skyhold.volume.drivers.fake.send", send_and_abort)
    told = await scene.act(volume, {"os-volume_upload_image": {"image_name": "i"}})
    image_id = told["os-volume_upload_image"]["image_id"]
    assert (await scene.user.get(f"/image/v2/images/{image_id}", status=200)).json["status"] == "active"
    assert (await scene.show(volume["id"]))["status"] == "available"
    assert await told_of(scene, volume["id"]) == "volume.upload.end"


async def test_an_upload_aborted_before_its_image_was_active_leaves_none(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    volume, refused = await scene.make(), asyncio.Event()

    async def abort_and_send(*told: Any) -> None:
        await abort(scene, "volume.upload")
        await scene.settled()
        with pytest.raises(Refused, match="404"):
            await send(*told)
        refused.set()

    monkeypatch.setattr("skyhold.volume.drivers.fake.send", abort_and_send)
    told = await scene.act(volume, {"os-volume_upload_image": {"image_name": "i"}})
    await scene.user.get(f"/image/v2/images/{told['os-volume_upload_image']['image_id']}", status=404)
    assert (await scene.show(volume["id"]))["status"] == "available"
    assert await told_of(scene, volume["id"]) == "volume.upload.error"
    await asyncio.wait_for(refused.wait(), PATIENCE_S)


async def abort(scene: Scene, kind: str) -> None:
    """By the operator, of the one saga of this kind."""
    live = (await scene.cloud.admin.get("/admin/v1/sagas", status=200)).json["sagas"]
    (saga,) = [each["id"] for each in live if each["kind"] == kind]
    await scene.cloud.admin.post(f"/admin/v1/sagas/{saga}/abort", {}, status=202)


def abort_during(scene: Scene, monkeypatch: pytest.MonkeyPatch, verb: str, kind: str) -> None:
    """The next time that the host does `verb`, which it goes on with."""
    honest = FakeVolumes._act

    async def act(driver: FakeVolumes, told: str) -> None:
        await honest(driver, told)
        if told == verb:
            monkeypatch.setattr(FakeVolumes, "_act", honest)
            await abort(scene, kind)

    monkeypatch.setattr(FakeVolumes, "_act", act)


async def told_of(scene: Scene, volume_id: str) -> str:
    """What the journal says last."""
    of_it = sa.select(JOURNAL.c.action).where(JOURNAL.c.resource_id == volume_id).order_by(JOURNAL.c.id.desc())
    return str(await scene.read(lambda tx, ctx: tx.scalar(of_it.limit(1))))


@pytest.mark.parametrize(("wish", "status"), [
    ({}, 400), ({"image_name": ""}, 400), ({"image_name": "i", "disk_format": "vmdk"}, 400),
    ({"image_name": "i", "container_format": "docker"}, 400), ({"image_name": "i", "visibility": "raven"}, 400),
    ({"image_name": "i", "visibility": "public"}, 403),
])
async def test_an_upload_that_makes_no_sense(scene: Scene, wish: dict, status: int) -> None:
    volume = await scene.make()
    await scene.act(volume, {"os-volume_upload_image": wish}, status=status)
    assert (await scene.show(volume["id"]))["status"] == "available"


async def test_attached_by_hand_and_detached(scene: Scene) -> None:
    volume = await scene.make()
    await scene.act(volume, {"os-reserve": None})
    assert (await scene.show(volume["id"]))["status"] == "attaching"
    await scene.act(volume, {"os-reserve": None}, status=400)
    await scene.act(volume, {"os-unreserve": None})
    await scene.act(volume, {"os-unreserve": None})
    assert (await scene.show(volume["id"]))["status"] == "available"
    server = fresh_id()
    await scene.act(volume, {"os-attach": {"mountpoint": "/dev/vdc"}}, status=400)
    await scene.act(volume, {"os-attach": {"instance_uuid": server, "mountpoint": "/dev/vdc"}})
    shown = await scene.show(volume["id"])
    (held,) = shown["attachments"]
    assert (shown["status"], held["server_id"], held["device"]) == ("in-use", server, "/dev/vdc")
    await scene.delete(volume, status=400)
    await scene.act(volume, {"os-begin_detaching": None})
    assert (await scene.show(volume["id"]))["status"] == "detaching"
    await scene.act(volume, {"os-roll_detaching": None})
    await scene.act(volume, {"os-detach": {"attachment_id": fresh_id()}}, status=400)
    await scene.act(volume, {"os-detach": {"attachment_id": held["attachment_id"]}})
    shown = await scene.show(volume["id"])
    assert (shown["status"], shown["attachments"]) == ("available", [])
    await scene.delete(volume)


async def test_administrators_force_and_reset(scene: Scene) -> None:
    volume = await scene.make()
    await scene.act(volume, {"os-reset_status": {"status": "raven"}}, status=400, who=scene.cloud.admin)
    await scene.act(volume, {"os-reset_status": {"status": "in-use"}}, who=scene.cloud.admin)
    await scene.delete(volume, status=400)
    await scene.delete(volume, query="?force=true", status=403)
    await scene.act(volume, {"os-force_delete": None}, status=403)
    await scene.act(volume, {"os-force_delete": None}, who=scene.cloud.admin)
    await scene.user.get(f"{V}/volumes/{volume['id']}", status=404)


async def test_actions_that_are_not_there_say_so(scene: Scene) -> None:
    volume = await scene.make()
    for name in ("os-retype", "os-reimage", "os-migrate_volume", "revert", "raven"):
        answer = await scene.act(volume, {name: {}}, status=400)
        assert name in answer["badRequest"]["message"]
    await scene.act(volume, {"os-reserve": None, "os-unreserve": None}, status=400)


async def test_metadata_has_its_own_paths(scene: Scene, stranger: Persona) -> None:
    volume = await scene.make()
    snapshot = await scene.snapshot(volume)
    for path in (f"{V}/volumes/{volume['id']}/metadata", f"{V}/snapshots/{snapshot['id']}/metadata"):
        assert (await scene.user.post(path, {"metadata": {"a": "1"}}, status=200)).json == {"metadata": {"a": "1"}}
        assert (await scene.user.put(f"{path}/b", {"meta": {"b": "2"}}, status=200)).json == {"meta": {"b": "2"}}
        await scene.user.put(f"{path}/b", {"meta": {"c": "2"}}, status=400)
        assert (await scene.user.get(path, status=200)).json == {"metadata": {"a": "1", "b": "2"}}
        assert (await scene.user.get(f"{path}/a", status=200)).json == {"meta": {"a": "1"}}
        await scene.user.delete(f"{path}/a", status=200)
        await scene.user.delete(f"{path}/a", status=404)
        await scene.user.put(path, {"metadata": {}}, status=200)
        assert (await scene.user.get(path, status=200)).json == {"metadata": {}}
        await scene.user.post(path, {"metadata": {"k": "x" * 256}}, status=400)
        await scene.user.post(path, {"metadata": {f"k{i}": "" for i in range(129)}}, status=413)
        await stranger.post(path, {"metadata": {"a": "1"}}, status=404)


async def test_snapshots_are_made_shown_changed_and_deleted(scene: Scene, stranger: Persona) -> None:
    """CIN-02."""
    volume = await scene.make(size=2)
    snapshot = await scene.snapshot(volume, name="then", description="d", metadata={"a": "b"})
    assert (snapshot["size"], snapshot["volume_id"], snapshot["metadata"]) == (2, volume["id"], {"a": "b"})
    assert snapshot["os-extended-snapshot-attributes:progress"] == "100%"
    assert await scene.used() == {"volumes": 1, "snapshots": 1, "gigabytes": 4}
    path = f"{V}/snapshots/{snapshot['id']}"
    changed = await scene.user.put(path, {"snapshot": {"name": "now"}}, status=200)
    assert changed.json["snapshot"]["name"] == "now"
    listed = await scene.user.get(f"{V}/snapshots/detail?volume_id={volume['id']}&limit=1", status=200)
    assert [each["id"] for each in listed.json["snapshots"]] == [snapshot["id"]]
    await stranger.get(path, status=404)
    await stranger.post(f"{V}/snapshots", {"snapshot": {"volume_id": volume["id"]}}, status=404)
    await scene.delete(volume, status=400)
    await scene.user.delete(path, status=202)
    await scene.settled()
    await scene.user.get(path, status=404)
    assert snapshot["id"] not in (await scene.on_host())[1]
    assert await scene.used() == {"volumes": 1, "snapshots": 0, "gigabytes": 2}


async def test_a_snapshot_that_fails_rests_in_error(scene: Scene) -> None:
    volume = await scene.make()
    scene.host.volumes.fail_next("snapshot", VolumeFailed("A running guest has the volume open."))
    snapshot = await scene.snapshot(volume, expect="error")
    again = f"{V}/snapshots/{snapshot['id']}/action"
    await scene.user.post(again, {"os-reset_status": {"status": "available"}}, status=403)
    await scene.cloud.admin.post(again, {"os-reset_status": {"status": "raven"}}, status=400)
    await scene.cloud.admin.post(again, {"os-reset_status": {"status": "available"}}, status=202)
    await scene.cloud.admin.post(again, {"os-force_delete": None}, status=202)
    await scene.settled()
    assert (await scene.used())["snapshots"] == 0


async def test_a_snapshot_in_error_has_no_bytes_on_its_host(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """The copy was made though the saga was told to unwind: it goes with the failure, not with the user's delete."""
    volume = await scene.make()
    abort_during(scene, monkeypatch, "snapshot", "volume.create_snapshot")
    snapshot = await scene.snapshot(volume, expect="error")
    assert snapshot["id"] not in (await scene.on_host())[1]


async def test_snapshots_of_volumes_in_use_are_forced_before_3_66(scene: Scene) -> None:
    volume = await scene.make()
    await scene.act(volume, {"os-attach": {"instance_uuid": fresh_id(), "mountpoint": "/dev/vdc"}})
    body = {"snapshot": {"volume_id": volume["id"]}}
    await scene.user.post(f"{V}/snapshots", body, status=400)
    await scene.user.post(f"{V}/snapshots", {"snapshot": body["snapshot"] | {"force": True}}, status=202)
    unforced = {"snapshot": body["snapshot"] | {"force": False}}
    await scene.user.post(f"{V}/snapshots", unforced, headers=LATEST, status=400)
    await scene.user.post(f"{V}/snapshots", body, headers=LATEST, status=202)
    await scene.settled()
    for bad in ({}, {"volume_id": None}, {"volume_id": "x"}, {"volume_id": fresh_id(), "raven": 1}):
        await scene.user.post(f"{V}/snapshots", {"snapshot": bad}, status=400)
    await scene.user.post(f"{V}/snapshots", {"snapshot": {"volume_id": fresh_id()}}, status=404)


async def test_what_is_left_on_a_host_that_never_comes_back_stops_no_other(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remains, "AT_ONCE", 1)
    at = {"there": scene.host.host_id, "never": "host-that-is-no-more"}
    left = [{"id": fresh_id(), "host_id": at[where], "kind": "volume", "created_at": 1}
            for where in ("never", "there", "never", "there")]
    ctx = internal(scene.cloud.core)
    await ctx.write(lambda tx, ctx: tx.execute(remains.REMAINS.insert(), left))
    await remains.run(ctx)
    # Other stories have left something too.
    ours = remains.REMAINS.c.id.in_([row["id"] for row in left])
    kept = await ctx.read(lambda tx, ctx: [row.host_id for row in tx.all(remains.REMAINS.select().where(ours))])
    assert kept == ["host-that-is-no-more"] * 2
    await ctx.write(lambda tx, ctx: tx.execute(remains.REMAINS.delete().where(ours)))
