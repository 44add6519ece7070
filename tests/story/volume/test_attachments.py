# SPDX-License-Identifier: Apache-2.0
"""Attachments as a resource (CIN-04), and as the one row that compute and volume share (CIN-15)."""

from __future__ import annotations

from skyhold.core.context import Context, Credentials
from skyhold.volume import audit, facade
from tests.kit.cloud import Persona
from tests.story.volume.scene import LATEST, Scene, V, fresh_id


async def test_reserved_connected_completed_and_ended(scene: Scene, stranger: Persona) -> None:
    volume, server = await scene.make(), fresh_id()
    body = {"attachment": {"volume_uuid": volume["id"], "instance_uuid": server}}
    made = (await scene.user.post(f"{V}/attachments", body, headers=LATEST, status=200)).json["attachment"]
    assert (made["status"], made["instance"], made["connection_info"]) == ("reserved", server, {})
    assert (await scene.show(volume["id"]))["status"] == "reserved"
    await scene.user.post(f"{V}/attachments", body, headers=LATEST, status=400)
    path = f"{V}/attachments/{made['id']}"
    await stranger.get(path, headers=LATEST, status=404)
    await stranger.delete(path, headers=LATEST, status=404)
    await scene.user.post(path + "/action", {"os-complete": None}, headers=LATEST, status=400)
    told = {"attachment": {"connector": {"host": "somewhere", "secret": "s3cret"}}}
    connected = (await scene.user.put(path, told, headers=LATEST, status=200)).json["attachment"]
    assert (connected["status"], connected["connection_info"]["volume_id"]) == ("attaching", volume["id"])
    await scene.user.post(path + "/action", {"os-complete": None}, headers=LATEST, status=204)
    shown = await scene.show(volume["id"])
    assert (shown["status"], shown["attachments"][0]["host_name"]) == ("in-use", None)
    seen = (await scene.cloud.admin.get(f"{V}/volumes/{volume['id']}", headers=LATEST, status=200)).json["volume"]
    assert seen["attachments"][0]["host_name"] == "somewhere"
    listed = await scene.user.get(f"{V}/attachments/detail?instance_id={server}", headers=LATEST, status=200)
    assert [each["id"] for each in listed.json["attachments"]] == [made["id"]]
    await scene.user.get(f"{V}/attachments", headers={"OpenStack-API-Version": "volume 3.26"}, status=404)
    left = await scene.user.delete(path, headers=LATEST, status=200)
    assert left.json == {"attachments": []}
    assert (await scene.show(volume["id"]))["status"] == "available"
    for bad in ({}, {"volume_uuid": "x"}, {"volume_uuid": volume["id"], "mode": "wx"}):
        await scene.user.post(f"{V}/attachments", {"attachment": bad}, headers=LATEST, status=400)
    await scene.user.post(f"{V}/attachments", {"attachment": {"volume_uuid": fresh_id()}}, headers=LATEST, status=404)


def as_user(scene: Scene) -> Context:
    creds = Credentials(
        user_id=scene.user.user_id, project_id=scene.user.project_id, scope="project",
        roles=frozenset({"member", "reader"}),
    )
    return Context(scene.cloud.core, creds)


async def test_compute_attaches_and_releases_over_the_facade(scene: Scene) -> None:
    ctx, server = as_user(scene), fresh_id()
    made = await ctx.write(facade.create, size_gib=2, name="root", image_id=await scene.image())
    assert made.state == "creating"
    await scene.settled()
    volume = await ctx.read(facade.get, made.id)
    assert (volume.state, volume.bootable, volume.host_id) == ("available", True, scene.host.host_id)
    held = await ctx.write(facade.reserve, volume.id, server, boot_index=0, delete_on_termination=True, tag="root")
    assert (await ctx.read(facade.states, [volume.id])) == {volume.id: "reserved"}
    await ctx.write(facade.complete, held.id, "/dev/vda", scene.host.host_id)
    await ctx.write(facade.complete, held.id, "/dev/vda", scene.host.host_id)
    (seen,) = (await ctx.read(facade.attachments_of, [server, fresh_id()]))[server]
    assert (seen.attached, seen.device, seen.boot_index, seen.tag, seen.delete_on_termination) == (
        True, "/dev/vda", 0, "root", True)
    disk = (await ctx.read(facade.disk, [volume.id]))[volume.id]
    assert (disk.host_id, disk.format, disk.size_bytes) == (scene.host.host_id, "qcow2", 2 << 30)
    snapshot = await ctx.write(facade.snapshot, volume.id, "then")
    await scene.settled()
    assert (await ctx.read(facade.find_snapshot, snapshot.id)).state == "available"
    await ctx.write(facade.release, held.id)
    await ctx.write(facade.release, held.id)
    assert (await ctx.read(facade.states, [volume.id])) == {volume.id: "available"}
    await ctx.write(facade.delete_snapshot, snapshot.id)
    await scene.settled()
    await ctx.write(facade.delete, volume.id)
    await ctx.write(facade.delete, volume.id)
    await scene.settled()
    assert await ctx.read(facade.many, [volume.id]) == {}


async def test_cve_2023_2088_what_compute_holds_is_ended_by_compute_alone(scene: Scene) -> None:
    """Else a guest would keep a disk whose volume is somebody else's next."""
    ctx, server = as_user(scene), fresh_id()
    volume = await scene.make()
    held = await ctx.write(facade.reserve, volume["id"], server)
    await ctx.write(facade.complete, held.id, "/dev/vdb", scene.host.host_id)
    path = f"{V}/attachments/{held.id}"
    for who in (scene.user, scene.cloud.admin):
        await who.delete(path, headers=LATEST, status=409)
        await who.put(path, {"attachment": {"connector": {"host": "h"}}}, headers=LATEST, status=409)
        await who.post(path + "/action", {"os-complete": None}, headers=LATEST, status=409)
        for action in ({"os-detach": {}}, {"os-begin_detaching": None}, {"os-roll_detaching": None},
                       {"os-unreserve": None}, {"os-attach": {"host_name": "h", "mountpoint": "/dev/vdc"}}):
            await scene.act(volume, action, status=409, who=who)
    await scene.act(volume, {"os-force_delete": None}, status=400, who=scene.cloud.admin)
    await scene.act(volume, {"os-reset_status": {"status": "available"}}, status=400, who=scene.cloud.admin)
    await scene.delete(volume, status=400)
    assert (await scene.show(volume["id"]))["status"] == "in-use"
    await ctx.write(facade.release, held.id)
    await scene.delete(volume)


async def test_who_has_a_volume_is_not_told_on_which_machine_or_where_there(scene: Scene) -> None:
    """Only administrators see the host, and nobody a path: a server's driver finds the volume by its id."""
    ctx, server = as_user(scene), fresh_id()
    volume = await scene.make()
    held = await ctx.write(facade.reserve, volume["id"], server)
    await ctx.write(facade.complete, held.id, "/dev/vdb", scene.host.host_id)
    paths = [f"{V}/volumes/{volume['id']}", f"{V}/volumes/detail", f"{V}/attachments/{held.id}",
             f"{V}/attachments/detail", f"{V}/volumes/summary", "/events/v1/events"]
    for path in paths:
        told = (await scene.user.get(path, headers=LATEST, status=200)).body.decode()
        assert scene.host.name not in told and str(scene.host.state_dir) not in told, path
    for path in paths[:-1]:
        told = (await scene.cloud.admin.get(path + "?all_tenants=1", headers=LATEST, status=200)).body.decode()
        assert str(scene.host.state_dir) not in told
    (shown,) = (await scene.cloud.admin.get(paths[0], headers=LATEST, status=200)).json["volume"]["attachments"]
    assert shown["host_name"] == scene.host.name
    await ctx.write(facade.release, held.id)
    await scene.delete(volume)


async def test_an_audit_finds_what_does_not_fit(scene: Scene) -> None:
    volume = await scene.make()
    ctx = scene.cloud.core
    from skyhold.core.context import internal

    async def found() -> list[str]:
        return [each.sentence for each in await audit.run(internal(ctx)) if volume["id"] in each.sentence]

    assert await found() == []
    scene.host.volumes.lose(volume["id"])
    assert "no bytes" in (await found())[0]
    await scene.delete(volume)
    from skyhold.volume.drivers.base import VolumeSpec

    await scene.host.volumes.ensure(VolumeSpec(volume_id=volume["id"], size_bytes=1))
    assert "none of this cloud's" in (await found())[0]
    await scene.host.volumes.absent(volume["id"])
    assert await found() == []
