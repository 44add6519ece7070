# SPDX-License-Identifier: Apache-2.0
"""How each saga of the product is set going by a user, and the audit of what is left afterwards.

The troubles on the way are kit.py's. `prepare` makes what must be there before, `begin` starts the saga.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from skyhold.compute import states
from skyhold.compute.tables import SERVERS
from skyhold.core.app import Core
from skyhold.core.context import Context, internal
from skyhold.core.db.tx import Tx
from skyhold.core.operator import audit
from skyhold.core.outbound import Outbound
from skyhold.core.saga import rows
from skyhold.image import blobs
from skyhold.image import states as image_states
from skyhold.image.drivers.fake import FakeStore
from skyhold.image.drivers.http import HttpStore
from skyhold.image.loops import uploads
from skyhold.image.tables import TASKS
from skyhold.placement import facade as placement
from skyhold.volume import states as volume_states
from tests.story.compute.scene import Scene

Server = dict[str, Any]
QUIET_S = 30.0
"""The house's promise: so soon everything is at rest."""
CONTENT = bytes(range(256)) * 500
IMPORTED = {"name": "imported", "disk_format": "raw", "container_format": "bare"}
V = "/volume/v3"
ATTACHED = (200, 404, 409)
"""This request waits for its saga: a trouble on the way is a conflict, a delete meanwhile a 404."""


async def boot(scene: Scene, server: Server | None) -> None:
    """With two volumes that were there, one that stays and one that goes with the server, and one made, which goes."""
    named, given = await a_volume(scene), str((await volume(scene, name="given"))["id"])
    await scene.settled()
    root = {"source_type": "image", "destination_type": "local", "boot_index": 0, "uuid": scene.image_id}
    kept = {"source_type": "volume", "destination_type": "volume", "uuid": named}
    going = {"source_type": "volume", "destination_type": "volume", "uuid": given, "delete_on_termination": True}
    made = {"source_type": "blank", "destination_type": "volume", "volume_size": 2, "delete_on_termination": True}
    wish = scene.wish("made", block_device_mapping_v2=[root, kept, going, made])
    await scene.user.post("/compute/v2.1/servers", wish, status=202)


async def a_volume(scene: Scene) -> str:
    """There before the saga that is tried."""
    made = await volume(scene, name="kept")
    await scene.settled()
    return str(made["id"])


async def attach_volume(scene: Scene, server: Server | None) -> None:
    assert server is not None
    body = {"volumeAttachment": {"volumeId": await a_volume(scene)}}
    await scene.user.post(f"/compute/v2.1/servers/{server['id']}/os-volume_attachments", body, status=200)


async def detach_volume(scene: Scene, server: Server | None) -> None:
    assert server is not None
    await attach_volume(scene, server)
    await scene.settled()
    path = f"/compute/v2.1/servers/{server['id']}/os-volume_attachments"
    (held,) = (await scene.user.get(path, status=200)).json["volumeAttachments"]
    await scene.user.delete(f"{path}/{held['volumeId']}", status=202)


async def stop(scene: Scene, server: Server | None) -> None:
    await action(scene, server, {"os-stop": None})


async def reboot(scene: Scene, server: Server | None) -> None:
    await action(scene, server, {"reboot": {"type": "HARD"}})


async def create_image(scene: Scene, server: Server | None) -> None:
    await action(scene, server, {"createImage": {"name": "copy"}})


async def delete(scene: Scene, server: Server | None) -> None:
    """With a volume, which stays."""
    assert server is not None
    await attach_volume(scene, server)
    await scene.settled()
    await scene.user.delete(f"/compute/v2.1/servers/{server['id']}", status=204)


async def attach(scene: Scene, server: Server | None) -> None:
    assert server is not None
    body = {"interfaceAttachment": {"net_id": scene.network_id}}
    await scene.user.post(f"/compute/v2.1/servers/{server['id']}/os-interface", body, status=ATTACHED)


async def detach(scene: Scene, server: Server | None) -> None:
    assert server is not None
    ports = await scene.user.get("/network/v2.0/ports", {"device_id": server["id"]}, status=200)
    path = f"/compute/v2.1/servers/{server['id']}/os-interface/{ports.json['ports'][0]['id']}"
    await scene.user.delete(path, status=202)


async def import_image(scene: Scene, server: Server | None) -> None:
    """From the web, into two stores."""
    has = blobs.stores_of(scene.cloud.core)
    if "second" not in has.names:
        put_stores(scene, FakeStore(name="second"))
    made = await scene.user.post("/image/v2/images", IMPORTED, status=201)
    wish = {"method": {"name": "web-download", "uri": await web_server()}, "all_stores": True}
    await scene.user.post(f"/image/v2/images/{made.json['id']}/import", wish, status=202)


async def hash_location(scene: Scene, server: Server | None) -> None:
    put_stores(scene, HttpStore(Outbound(scene.cloud.core.settings), "web"))
    made = await scene.user.post("/image/v2/images", IMPORTED, status=201)
    wish = {"url": await web_server(), "validation_data": {
        "os_hash_algo": "sha256", "os_hash_value": hashlib.sha256(CONTENT).hexdigest(),
    }}
    await scene.user.post(f"/image/v2/images/{made.json['id']}/locations", wish, status=202)


async def create_volume(scene: Scene, server: Server | None) -> None:
    await volume(scene, imageRef=scene.image_id)


async def delete_volume(scene: Scene, server: Server | None) -> None:
    """With a snapshot that goes too."""
    made = await volume(scene)
    assert await scene.cloud.core.sagas.idle()
    await snapshot(scene, made)
    assert await scene.cloud.core.sagas.idle()
    await scene.user.delete(f"{V}/volumes/{made['id']}?cascade=true", status=202)


async def extend_volume(scene: Scene, server: Server | None) -> None:
    await on_a_volume(scene, {"os-extend": {"new_size": 3}})


async def upload_volume(scene: Scene, server: Server | None) -> None:
    await on_a_volume(scene, {"os-volume_upload_image": {"image_name": "uploaded"}})


async def create_snapshot(scene: Scene, server: Server | None) -> None:
    made = await volume(scene)
    assert await scene.cloud.core.sagas.idle()
    await snapshot(scene, made)


async def delete_snapshot(scene: Scene, server: Server | None) -> None:
    made = await volume(scene)
    assert await scene.cloud.core.sagas.idle()
    of_it = await snapshot(scene, made)
    assert await scene.cloud.core.sagas.idle()
    await scene.user.delete(f"{V}/snapshots/{of_it['id']}", status=202)


async def volume(scene: Scene, **wish: Any) -> Any:
    return (await scene.user.post(f"{V}/volumes", {"volume": {"size": 1} | wish}, status=202)).json["volume"]


async def snapshot(scene: Scene, made: Any) -> Any:
    body = {"snapshot": {"volume_id": made["id"]}}
    return (await scene.user.post(f"{V}/snapshots", body, status=202)).json["snapshot"]


async def on_a_volume(scene: Scene, body: dict[str, Any]) -> None:
    made = await volume(scene)
    assert await scene.cloud.core.sagas.idle()
    await scene.user.post(f"{V}/volumes/{made['id']}/action", body, status=202)


def put_stores(scene: Scene, *more: Any) -> None:
    """The cloud's own store and these."""
    core = scene.cloud.core
    has = blobs.stores_of(core)
    kept = [blobs.Configured(has.get(name)) for name in has.names if name not in {each.name for each in more}]
    core.shelf["image.stores"] = blobs.Stores(
        [*kept, *(blobs.Configured(each) for each in more)], has.default.name, has.get(blobs.STAGING)
    )


async def web_server() -> str:
    """A URL with content, for as long as the test's loop runs."""
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = await reader.readuntil(b"\r\n\r\n")
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(CONTENT)}\r\nConnection: close\r\n\r\n".encode()
        writer.write(head + (b"" if asked.startswith(b"HEAD") else CONTENT))
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    return f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/disk"


async def action(scene: Scene, server: Server | None, body: dict[str, Any]) -> None:
    assert server is not None
    await scene.user.post(f"/compute/v2.1/servers/{server['id']}/action", body, status=202)


@dataclass(frozen=True)
class Scenario:
    begin: Callable[[Scene, Server | None], Awaitable[None]]
    on_a_server: bool = True


SCENARIOS = {
    "image.import": Scenario(import_image, on_a_server=False),
    "image.hash_location": Scenario(hash_location, on_a_server=False),
    "compute.boot": Scenario(boot, on_a_server=False),
    "compute.change_power": Scenario(stop),
    "compute.reboot": Scenario(reboot),
    "compute.create_image": Scenario(create_image),
    "compute.delete": Scenario(delete),
    "compute.attach_port": Scenario(attach),
    "compute.detach_port": Scenario(detach),
    "compute.attach_volume": Scenario(attach_volume),
    "compute.detach_volume": Scenario(detach_volume),
    "volume.create": Scenario(create_volume, on_a_server=False),
    "volume.delete": Scenario(delete_volume, on_a_server=False),
    "volume.extend": Scenario(extend_volume, on_a_server=False),
    "volume.upload": Scenario(upload_volume, on_a_server=False),
    "volume.create_snapshot": Scenario(create_snapshot, on_a_server=False),
    "volume.delete_snapshot": Scenario(delete_snapshot, on_a_server=False),
}


# ---- the audit ------------------------------------------------------------------------------


async def servers(scene: Scene) -> list[Any]:
    def read(tx: Tx, ctx: Context) -> list[Any]:
        mine = (SERVERS.c.project_id == scene.user.project_id) & SERVERS.c.deleted_at.is_(None)
        return list(tx.all(sa.select(SERVERS).where(mine)))

    found: list[Any] = await internal(scene.cloud.core).read(read)
    return found


async def delete_all(scene: Scene) -> None:
    """Whoever is being deleted already may be told again."""
    for server in await servers(scene):
        await scene.user.delete(f"/compute/v2.1/servers/{server.id}", status=(204, 404))
    await delete_volumes(scene)
    for name in ("imported", "uploaded"):
        for image in (await scene.user.get("/image/v2/images", {"name": name}, status=200)).json["images"]:
            await scene.user.delete(f"/image/v2/images/{image['id']}", status=(204, 404))


async def delete_volumes(scene: Scene) -> None:
    """By force, with their snapshots; one whose snapshot is at work loses that first."""
    admin = scene.cloud.admin
    for made in (await scene.user.get(f"{V}/volumes", status=200)).json["volumes"]:
        path = f"{V}/volumes/{made['id']}?cascade=true&force=true"
        if (await admin.delete(path, status=(202, 400, 404))).status == 400:
            listed = await scene.user.get(f"{V}/snapshots", {"volume_id": made["id"]}, status=200)
            for each in listed.json["snapshots"]:
                await admin.post(f"{V}/snapshots/{each['id']}/action", {"os-force_delete": None}, status=(202, 404))


async def drop(scene: Scene) -> set[str]:
    """Volumes and snapshots by their user, without force: the ids of those whose deletion was accepted."""
    accepted = set()
    for kind in ("snapshots", "volumes"):
        for id in sorted(await ids_of(scene, kind)):
            if (await scene.user.delete(f"{V}/{kind}/{id}", status=(202, 400))).status == 202:
                accepted.add(id)
    return accepted


async def ids_of(scene: Scene, kind: str) -> set[str]:
    return {each["id"] for each in (await scene.user.get(f"{V}/{kind}", status=200)).json[kind]}


async def volumes_rest(scene: Scene) -> None:
    for kind, table in (("volumes", volume_states.VOLUME), ("snapshots", volume_states.SNAPSHOT)):
        for each in (await scene.user.get(f"{V}/{kind}/detail", status=200)).json[kind]:
            assert each["status"] in table.resting, each


async def nothing_is_stuck(scene: Scene) -> None:
    for server in await servers(scene):
        assert server.state in states.SERVER.resting, server
        assert server.task is None, server
    assert await scene.used() == await recount(scene)
    await volumes_rest(scene)
    alive = {server.id for server in await servers(scene)}
    for each in await volumes(scene):
        assert {held["server_id"] for held in each["attachments"]} <= alive, each
    for image in (await scene.user.get("/image/v2/images", {"owner": scene.user.project_id})).json["images"]:
        # An import that failed leaves the image waiting for another; a copy that failed leaves none.
        resting = image_states.IMAGE.resting if image["name"] == "imported" else ("active",)
        assert image["status"] in resting, image
    await nothing_is_found(scene.cloud.core)


async def nothing_is_found(core: Core) -> None:
    """The operator's audit of everything, once it is known which writers of images were killed. What hosts repair by
    themselves when a bell rings may take its moment; the sweep of images, every ten minutes, is not waited for."""
    ctx = internal(core)
    await ctx.write(uploads.requeue, ctx.now + 1)
    await asyncio.gather(*blobs.DISCARDING)
    end = time.monotonic() + QUIET_S
    while found := await audit.look(ctx):
        assert time.monotonic() < end, found
        await asyncio.sleep(0.05)


async def volumes(scene: Scene) -> list[dict[str, Any]]:
    return list((await scene.user.get(f"{V}/volumes/detail", status=200)).json["volumes"])


async def recount(scene: Scene) -> dict[str, int]:
    flavors = [server.flavor for server in await servers(scene)]
    return {
        "instances": len(flavors),
        "cores": sum(flavor["vcpus"] for flavor in flavors),
        "ram": sum(flavor["ram_mb"] for flavor in flavors),
    }


async def nothing_is_left(scene: Scene, ids: set[str]) -> None:
    """After every server was deleted: on the host, in placement, in the network and in quota."""
    core = scene.cloud.core
    assert await servers(scene) == []
    for each in await volumes(scene):
        # It was its server's until that was gone; what was to go with the server is not here any more.
        assert (each["name"], each["status"], each["attachments"]) == ("kept", "available", []), each
        await scene.user.delete(f"{V}/volumes/{each['id']}", status=202)
    await scene.settled()
    for kind in ("volumes", "snapshots"):
        assert (await scene.user.get(f"{V}/{kind}", status=200)).json[kind] == []
    # No row is left, so whatever bytes were would be found as strays.
    await volumes_rest(scene)
    await no_work_is_left(core)
    assert await scene.used() == {"instances": 0, "cores": 0, "ram": 0}
    ports = await scene.user.get("/network/v2.0/ports", {"device_owner": "compute:nova"}, status=200)
    assert ports.json["ports"] == []
    held = await internal(core).read(placement.allocations, sorted(ids))
    assert not any(held.values()), held
    guests = {guest.guest_id for guest in (await scene.host.driver.list()).guests}
    assert not guests & ids
    assert not (await internal(core).read(rows.live_subjects)) & ids


async def no_work_is_left(core: Core) -> None:
    await nothing_is_found(core)
    tasks = await internal(core).read(lambda tx, ctx: tx.all(sa.select(TASKS.c.status)))
    assert {task.status for task in tasks} <= image_states.TASK.resting
