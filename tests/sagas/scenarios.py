# SPDX-License-Identifier: Apache-2.0
"""How each saga of the product is set going by a user, and the audit of what is left afterwards.

The troubles on the way are kit.py's. `prepare` makes what must be there before, `begin` starts the saga.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from skyhold.compute import states
from skyhold.compute.tables import SERVERS
from skyhold.core.context import Context, internal
from skyhold.core.db.tx import Tx
from skyhold.core.saga import rows
from skyhold.placement import facade as placement
from tests.story.compute.scene import Scene

Server = dict[str, Any]
ATTACHED = (200, 404, 409)
"""This request waits for its saga: a trouble on the way is a conflict, a delete meanwhile a 404."""


async def boot(scene: Scene, server: Server | None) -> None:
    await scene.user.post("/compute/v2.1/servers", scene.wish("made"), status=202)


async def stop(scene: Scene, server: Server | None) -> None:
    await action(scene, server, {"os-stop": None})


async def reboot(scene: Scene, server: Server | None) -> None:
    await action(scene, server, {"reboot": {"type": "HARD"}})


async def create_image(scene: Scene, server: Server | None) -> None:
    await action(scene, server, {"createImage": {"name": "copy"}})


async def delete(scene: Scene, server: Server | None) -> None:
    assert server is not None
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


async def action(scene: Scene, server: Server | None, body: dict[str, Any]) -> None:
    assert server is not None
    await scene.user.post(f"/compute/v2.1/servers/{server['id']}/action", body, status=202)


@dataclass(frozen=True)
class Scenario:
    begin: Callable[[Scene, Server | None], Awaitable[None]]
    on_a_server: bool = True


SCENARIOS = {
    "compute.boot": Scenario(boot, on_a_server=False),
    "compute.change_power": Scenario(stop),
    "compute.reboot": Scenario(reboot),
    "compute.create_image": Scenario(create_image),
    "compute.delete": Scenario(delete),
    "compute.attach_port": Scenario(attach),
    "compute.detach_port": Scenario(detach),
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


async def nothing_is_stuck(scene: Scene) -> None:
    for server in await servers(scene):
        assert server.state in states.SERVER.resting, server
        assert server.task is None, server
    assert await scene.used() == await recount(scene)
    for image in (await scene.user.get("/image/v2/images", {"owner": scene.user.project_id})).json["images"]:
        assert image["status"] == "active", image


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
    assert await scene.used() == {"instances": 0, "cores": 0, "ram": 0}
    ports = await scene.user.get("/network/v2.0/ports", {"device_owner": "compute:nova"}, status=200)
    assert ports.json["ports"] == []
    held = await internal(core).read(placement.allocations, sorted(ids))
    assert not any(held.values()), held
    guests = {guest.guest_id for guest in (await scene.host.driver.list()).guests}
    assert not guests & ids
    assert not (await internal(core).read(rows.live_subjects)) & ids
