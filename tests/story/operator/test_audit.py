# SPDX-License-Identifier: Apache-2.0
"""The audit: a cloud that fits together has no findings, and every kind of orphan planted is one.

What is planted is taken away again, and then nothing is found any more.
"""

from __future__ import annotations

import ast
import asyncio
import sys
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa

from skyhold.compute.drivers import base as guests
from skyhold.compute.tables import SERVERS
from skyhold.core import context, journal
from skyhold.core.operator import audit
from skyhold.core.operator.findings import Finding
from skyhold.core.tables import QUOTA_USAGES, SAGAS
from skyhold.events.tables import WEBHOOKS
from skyhold.image import blobs
from skyhold.image.tables import IMAGES
from skyhold.network.loops import dataplane
from skyhold.network.tables import PORTS
from skyhold.object import audit as object_audit
from skyhold.object.tables import BLOBS, CONTAINERS, OBJECTS
from skyhold.placement import facade as placement
from skyhold.placement.tables import INVENTORIES
from skyhold.volume.drivers.base import VolumeList, VolumeSpec
from skyhold.volume.tables import ATTACHMENTS, VOLUMES
from tests.kit.cloud import Cloud
from tests.story.compute.scene import Scene

PRODUCT = Path(__file__).parents[3] / "skyhold"
PLANTED: set[tuple[str, int]] = set()
"""Where the findings of this file were made: file and line."""


@pytest.fixture(autouse=True)
def noted(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in list(sys.modules.values()):
        if getattr(module, "Finding", None) is Finding and module.__name__.startswith("skyhold."):
            monkeypatch.setattr(module, "Finding", note)


def note(*words: str) -> Finding:
    frame = sys._getframe(1)
    path = Path(frame.f_code.co_filename).relative_to(PRODUCT)
    # The line of a call is the one that it begins in, however many it has.
    begun = list(frame.f_code.co_positions())[frame.f_lasti // 2][0]
    assert begun is not None
    PLANTED.add((str(path), begun))
    return Finding(*words)


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "PAUSE_S", 0.05)


async def findings(cloud: Cloud) -> list[tuple[str, str]]:
    answer = await cloud.admin.get("/admin/v1/audit", status=200)
    assert all(one["sentence"].endswith(".") and one["remedy"] for one in answer.json["findings"])
    return [(one["kind"], one["id"]) for one in answer.json["findings"]]


@asynccontextmanager
async def planted(cloud: Cloud, plant: Any, restore: Any) -> AsyncIterator[None]:
    """Rows changed behind everybody's back, and put back."""
    await run(cloud, plant)
    try:
        yield
    finally:
        await run(cloud, restore)


async def run(cloud: Cloud, statement: Any) -> None:
    await context.internal(cloud.core).write(lambda tx, ctx: tx.execute(statement))


def change(table: sa.Table, id: str, **values: Any) -> Any:
    return table.update().where(table.c.id == id).values(**values)


async def found_then_clean(cloud: Cloud, plant: Any, restore: Any, wanted: Sequence[tuple[str, str]]) -> None:
    async with planted(cloud, plant, restore):
        found = await findings(cloud)
        assert set(wanted) <= set(found), found
    assert await findings(cloud) == []


async def test_a_cloud_with_servers_made_and_deleted_has_no_findings(scene: Scene) -> None:
    kept, gone = await scene.server("kept"), await scene.server("gone")
    await scene.act(kept, {"os-stop": None})
    await scene.user.delete(f"/compute/v2.1/servers/{gone['id']}", status=204)
    await scene.settled()
    assert await findings(scene.cloud) == []


async def test_only_administrators_may_look(scene: Scene) -> None:
    for path in ("/admin/v1/audit", "/admin/v1/sagas", "/admin/v1/trace/req-1"):
        await scene.user.get(path, status=403)
        await scene.cloud.client().get(path, status=401)


async def test_the_operators_service_stands_in_no_catalogue(scene: Scene) -> None:
    listed = await scene.cloud.admin.get("/identity/v3/services", status=200)
    assert not [one for one in listed.json["services"] if one["type"] in ("", "operator")]


async def test_a_guest_without_a_server_is_found(scene: Scene) -> None:
    server = await scene.server("orphan")
    now = scene.cloud.core.clock()
    await found_then_clean(
        scene.cloud, change(SERVERS, server["id"], deleted_at=now), change(SERVERS, server["id"], deleted_at=None),
        [("guest", server["id"]), ("allocation", server["id"]),
         ("quota", f"{scene.user.project_id}/compute:instances")],
    )


async def test_a_guest_that_this_database_never_had_is_not_promised_to_go(scene: Scene) -> None:
    server = await scene.server("another's")
    other = str(uuid.uuid4())
    there, away = (SERVERS.update().where(SERVERS.c.id == id) for id in (server["id"], other))
    async with planted(scene.cloud, there.values(id=other), away.values(id=server["id"])):
        told = (await scene.cloud.admin.get("/admin/v1/audit", status=200)).json["findings"]
        (guest,) = [one for one in told if (one["kind"], one["id"]) == ("guest", server["id"])]
        assert "left alone" in guest["remedy"]
        await scene.cloud.core.loops.run_once("compute.power_sync")
        assert server["id"] in {each.guest_id for each in (await scene.host.driver.list()).guests}
    assert await findings(scene.cloud) == []


async def test_a_guest_with_other_volumes_than_its_server_is_found(scene: Scene) -> None:
    server = (await scene.server("plugged"))["id"]
    path, volumes = f"/compute/v2.1/servers/{server}/os-volume_attachments", []
    for _ in range(2):
        made = await scene.user.post("/volume/v3/volumes", {"volume": {"size": 1}}, status=202)
        volumes.append(made.json["volume"]["id"])
    await scene.settled()
    await scene.user.post(path, {"volumeAttachment": {"volumeId": volumes[0]}}, status=200)
    await scene.settled()
    await scene.host.driver.detach(guests.GuestDetach(guest_id=server, volume_id=volumes[0]))
    assert [kind for kind, _ in await findings(scene.cloud)] == ["attachment"]
    await scene.act({"id": server}, {"reboot": {"type": "HARD"}})
    assert await findings(scene.cloud) == []
    other = guests.VolumeDisk(volume_id=volumes[1], format="qcow2", size_bytes=1 << 30)
    await scene.host.driver.attach(guests.GuestAttach(guest_id=server, volume=other))
    assert await findings(scene.cloud) == [("guest", server)]
    await scene.cloud.core.loops.run_once("compute.power_sync")
    assert await findings(scene.cloud) == []
    await scene.user.delete(f"/compute/v2.1/servers/{server}", status=204)
    await scene.settled()
    for id in volumes:
        await scene.user.delete(f"/volume/v3/volumes/{id}", status=202)
    await scene.settled()


async def test_a_server_without_a_guest_is_found(scene: Scene) -> None:
    server = await scene.server("hollow")
    await scene.host.driver.absent(server["id"])
    assert ("server", server["id"]) in await findings(scene.cloud)
    await scene.user.delete(f"/compute/v2.1/servers/{server['id']}", status=204)
    await scene.settled()
    assert await findings(scene.cloud) == []


async def test_what_hosts_have_left_over_is_found(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    real = scene.host.driver.list

    async def with_rubbish() -> guests.GuestList:
        seen = await real()
        return guests.GuestList(guests=seen.guests, leftovers=["/guests/of-nobody", "process 4711"])

    with monkeypatch.context() as patch:
        patch.setattr(scene.host.driver, "list", with_rubbish)
        found = await findings(scene.cloud)
    assert [kind for kind, _ in found] == ["leftover", "leftover"]
    assert await findings(scene.cloud) == []


async def test_what_the_data_plane_holds_too_much_or_lacks_is_found(scene: Scene) -> None:
    server = await scene.server("wired")
    ports = await scene.user.get("/network/v2.0/ports", {"device_id": server["id"]}, status=200)
    port_id = ports.json["ports"][0]["id"]
    held = scene.host.engine.objects.pop(("Port", port_id))
    found = await findings(scene.cloud)
    assert any(kind == "data plane" and port_id in id for kind, id in found), found
    scene.host.engine.objects["Port", port_id] = held
    assert await findings(scene.cloud) == []
    stray = str(uuid.uuid4())
    scene.host.engine.objects["Port", stray] = msgspec.structs.replace(held, id=stray)
    found = await findings(scene.cloud)
    assert any(kind == "data plane" and stray in id for kind, id in found), found
    del scene.host.engine.objects["Port", stray]
    assert await findings(scene.cloud) == []


async def test_a_transitional_server_without_a_saga_is_found(scene: Scene) -> None:
    server = await scene.server("stuck")
    await found_then_clean(
        scene.cloud, change(SERVERS, server["id"], task="rebooting"), change(SERVERS, server["id"], task=None),
        [("server", server["id"])],
    )


async def test_room_held_by_nobody_or_not_held_is_found(scene: Scene) -> None:
    server = await scene.server("roomy")
    ctx = context.internal(scene.cloud.core)
    nobody = str(uuid.uuid4())

    def claim(tx: Any, ctx: Any) -> None:
        assert placement.claim(tx, ctx, consumer_id=nobody, provider_id=scene.host.host_id,
                               resources={"VCPU": 1}, project_id="p", user_id="u")

    await ctx.write(claim)
    assert ("allocation", nobody) in await findings(scene.cloud)
    await ctx.write(placement.release, nobody)
    await ctx.write(placement.release, server["id"])
    assert ("allocation", server["id"]) in await findings(scene.cloud)
    await scene.user.delete(f"/compute/v2.1/servers/{server['id']}", status=204)
    await scene.settled()
    assert await findings(scene.cloud) == []


async def test_an_inventory_that_miscounts_is_found(scene: Scene) -> None:
    where = (INVENTORIES.c.provider_id == scene.host.host_id) & (INVENTORIES.c.resource_class == "VCPU")
    change = INVENTORIES.update().where(where)
    await found_then_clean(
        scene.cloud, change.values(used=INVENTORIES.c.used + 3), change.values(used=INVENTORIES.c.used - 3),
        [("inventory", f"{scene.host.host_id}/VCPU")],
    )


async def test_ports_of_servers_or_hosts_that_are_gone_are_found(scene: Scene) -> None:
    server = await scene.server("ported")
    ports = await scene.user.get("/network/v2.0/ports", {"device_id": server["id"]}, status=200)
    port_id = ports.json["ports"][0]["id"]
    for wrong in ({"device_id": str(uuid.uuid4())}, {"host_id": str(uuid.uuid4())}):
        right = {"device_id": server["id"], "host_id": scene.host.host_id}
        await found_then_clean(
            scene.cloud, change(PORTS, port_id, **wrong), change(PORTS, port_id, **right), [("port", port_id)]
        )


@pytest.mark.parametrize(
    "resource", ["compute:cores", "network:port", "network:security_group", "image:image_count_total",
                 "events:webhooks"]
)
async def test_a_quota_that_drifted_is_found(scene: Scene, resource: str) -> None:
    await scene.server("counted")
    wish = {"name": "counted", "url": "http://8.8.8.8/", "secret": "a-secret-of-some-length", "enabled": False}
    await scene.user.post("/events/v1/webhooks", {"webhook": wish}, status=201)
    project = scene.user.project_id
    row = QUOTA_USAGES.update().where(QUOTA_USAGES.c.project_id == project, QUOTA_USAGES.c.resource == resource)
    await found_then_clean(
        scene.cloud, row.values(used=QUOTA_USAGES.c.used + 1), row.values(used=QUOTA_USAGES.c.used - 1),
        [("quota", f"{project}/{resource}")],
    )


async def test_images_nobody_uploads_and_content_that_is_gone_are_found(scene: Scene) -> None:
    await found_then_clean(
        scene.cloud, change(IMAGES, scene.image_id, status="saving", blob="nowhere/1"),
        change(IMAGES, scene.image_id, status="active", blob=None), [("image", scene.image_id)],
    )
    ctx = context.internal(scene.cloud.core)
    (place,) = await ctx.read(
        lambda tx, ctx: tx.scalar(sa.select(IMAGES.c.locations).where(IMAGES.c.id == scene.image_id))
    )
    assert place["blob"] in set(blobs.stores_of(scene.cloud.core).get(place["store"]).keys())
    await found_then_clean(
        scene.cloud, change(IMAGES, scene.image_id, locations=[{**place, "blob": "elsewhere"}]),
        change(IMAGES, scene.image_id, locations=[place]), [("image", scene.image_id), ("image blob", place["blob"])],
    )


async def test_bytes_nobody_names_and_a_store_that_can_not_be_read_are_found(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = blobs.stores_of(scene.cloud.core).default
    key = f"{uuid.uuid4()}/{uuid.uuid4()}"
    writer = store.create(key)
    writer.write(b"stray")
    writer.commit()
    assert ("image bytes", key) in await findings(scene.cloud)
    store.delete(key)
    assert await findings(scene.cloud) == []

    def away() -> list[str]:
        raise OSError("the disk is not there")

    with monkeypatch.context() as patch:
        patch.setattr(store, "keys", away)
        assert await findings(scene.cloud) == [("image store", store.name)]
    assert await findings(scene.cloud) == []


async def test_webhooks_that_lost_events_or_are_ahead_of_the_journal_are_found(scene: Scene) -> None:
    wish = {"name": "w", "url": "http://8.8.8.8/", "secret": "a-secret-of-some-length", "enabled": False}
    made = (await scene.user.post("/events/v1/webhooks", {"webhook": wish}, status=201)).json["webhook"]
    id, there = made["id"], made["delivery"]["position"]
    # Not due for a long time, so that nobody tries to send anything.
    far = scene.cloud.core.clock() * 2
    await context.internal(scene.cloud.core).write(journal.forget, far)
    rested = change(WEBHOOKS, id, position=there, attempts=0, enabled=False)
    refused = change(WEBHOOKS, id, position=1, attempts=9, enabled=True, due_at=far)
    await found_then_clean(scene.cloud, refused, rested, [("webhook", id)])
    for harmless in ({"attempts": 0, "enabled": True, "due_at": far}, {"attempts": 9, "enabled": False}):
        async with planted(scene.cloud, change(WEBHOOKS, id, position=1, **harmless), rested):
            assert await findings(scene.cloud) == [], "it has nothing to tell, or shall not"
    await found_then_clean(
        scene.cloud, change(WEBHOOKS, id, position=there + 1_000_000), change(WEBHOOKS, id, position=there),
        [("webhook", id)],
    )
    await scene.user.delete(f"/events/v1/webhooks/{id}", status=204)


async def test_a_saga_past_its_deadline_is_found(scene: Scene) -> None:
    row = {
        "id": str(uuid.uuid4()), "kind": "compute.boot", "subject": "nothing", "lock_name": None, "state": "running",
        "step": "spawn", "round": 0, "done": [], "kept": {}, "due_at": None, "lease_until": 0, "fence": 1, "signal": "",
        "attempt": 3, "deadline_at": 1, "parent_id": None, "then": None, "request_id": "req-late", "actor": {},
        "error": "no answer", "created_at": 1, "ended_at": None,
    }
    plant = SAGAS.insert().values(**row)
    await found_then_clean(scene.cloud, plant, SAGAS.delete().where(SAGAS.c.id == row["id"]), [("saga", row["id"])])


async def test_a_host_that_does_not_answer_is_found_with_what_was_not_compared(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = await scene.server("afar")
    away = str(uuid.uuid4())
    await found_then_clean(
        scene.cloud, change(SERVERS, server["id"], host_id=away),
        change(SERVERS, server["id"], host_id=scene.host.host_id), [("host", away), ("guest", server["id"])],
    )

    async def broken(*_: Any) -> Any:
        raise guests.GuestFailed("netlink is asleep")

    async def silent(*_: Any) -> Any:
        await asyncio.sleep(60)

    monkeypatch.setattr(dataplane, "PATIENCE_S", 0.2)
    for reconcile in (broken, silent):
        with monkeypatch.context() as patch:
            patch.setattr(scene.host.engine, "reconcile", reconcile)
            assert await findings(scene.cloud) == [("host", scene.host.host_id)]
    assert await findings(scene.cloud) == []


async def test_objects_whose_bytes_or_counts_are_wrong_are_found(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud, core, name = scene.cloud, scene.cloud.core, f"audited-{uuid.uuid4()}"
    path = f"/object-store/v1/AUTH_{scene.user.project_id}/{name}"
    await scene.user.request("PUT", path, status=201)
    await scene.user.request("PUT", f"{path}/one", b"bytes", content_type="text/plain", status=201)
    held = sa.select(CONTAINERS.c.id, OBJECTS.c.blob_id).join(OBJECTS, OBJECTS.c.container_id == CONTAINERS.c.id)
    row = await context.internal(core).read(lambda tx, ctx: tx.first(held.where(CONTAINERS.c.name == name)))
    for table, id, counter, kind in (
        (CONTAINERS, row.id, "objects", "container"), (BLOBS, row.blob_id, "refs", "object blob"),
    ):
        wrong, right = change(table, id, **{counter: 2}), change(table, id, **{counter: 1})
        await found_then_clean(cloud, wrong, right, [(kind, id)])
    real = object_audit.on_disk

    async def without(ctx: context.Context) -> list[str]:
        return ["stray", *(each for each in await real(ctx) if each != row.blob_id)]

    async def away(ctx: context.Context) -> list[str]:
        raise OSError("the disk is not there")

    with monkeypatch.context() as patch:
        patch.setattr(object_audit, "on_disk", without)
        assert {("object bytes", "stray"), ("object bytes", row.blob_id)} <= set(await findings(cloud))
        patch.setattr(object_audit, "on_disk", away)
        assert [kind for kind, _ in await findings(cloud)] == ["object store"]
    await scene.user.request("DELETE", f"{path}/one", status=204)
    await scene.user.request("DELETE", path, status=204)
    assert await findings(cloud) == []


async def test_volumes_without_bytes_bytes_without_a_volume_and_what_nobody_holds_are_found(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud, there, path = scene.cloud, scene.host.volumes, "/volume/v3/volumes"
    made = (await scene.user.post(path, {"volume": {"size": 1}}, status=202)).json["volume"]["id"]
    server = (await scene.server("holder"))["id"]
    await scene.settled()
    await found_then_clean(
        cloud, change(VOLUMES, made, state="creating"), change(VOLUMES, made, state="available"), [("volume", made)]
    )
    there.lose(made)
    await there.ensure(VolumeSpec(volume_id="stray", size_bytes=1))
    assert {("volume", made), ("volume bytes", "stray")} <= set(await findings(cloud))
    await there.ensure(VolumeSpec(volume_id=made, size_bytes=1 << 30))
    await there.absent("stray")

    async def beside() -> VolumeList:
        return VolumeList(volumes=[made], snapshots=[], leftovers=["letter.txt"])

    with monkeypatch.context() as patch:
        patch.setattr(there, "list", beside)
        assert [kind for kind, _ in await findings(cloud)] == ["volume file"]
    wish = {"volumeAttachment": {"volumeId": made}}
    await scene.user.post(f"/compute/v2.1/servers/{server}/os-volume_attachments", wish, status=200)
    await scene.settled()
    of_it = sa.select(ATTACHMENTS).where(ATTACHMENTS.c.volume_id == made)
    held = await context.internal(cloud.core).read(lambda tx, ctx: tx.first(of_it))
    await found_then_clean(
        cloud, change(ATTACHMENTS, held.id, server_id=str(uuid.uuid4())),
        change(ATTACHMENTS, held.id, server_id=server), [("attachment", held.id)],
    )
    await found_then_clean(
        cloud, change(VOLUMES, made, state="available"), change(VOLUMES, made, state="in-use"), [("volume", made)]
    )
    away = str(uuid.uuid4())
    await found_then_clean(
        cloud, change(VOLUMES, made, host_id=away), change(VOLUMES, made, host_id=scene.host.host_id),
        [("host", away), ("volume bytes", made)],
    )
    project = scene.user.project_id
    for resource in ("volumes", "gigabytes"):
        counted = QUOTA_USAGES.update().where(
            QUOTA_USAGES.c.project_id == project, QUOTA_USAGES.c.resource == f"volume:{resource}"
        )
        await found_then_clean(
            cloud, counted.values(used=QUOTA_USAGES.c.used + 1), counted.values(used=QUOTA_USAGES.c.used - 1),
            [("quota", f"{project}/volume:{resource}")],
        )
    await scene.user.delete(f"/compute/v2.1/servers/{server}", status=204)
    await scene.settled()
    await scene.user.delete(f"{path}/{made}", status=202)
    await scene.settled()
    assert await findings(cloud) == []


async def test_every_finding_that_an_audit_may_print_was_planted_here(cloud: Cloud) -> None:
    """Each place of the product that makes one. The last of this file: alone it says nothing."""
    made = set()
    for path in PRODUCT.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Finding":
                made.add((str(path.relative_to(PRODUCT)), node.lineno))
    assert len(made) >= 25
    assert not made - PLANTED, sorted(made - PLANTED)
