# SPDX-License-Identifier: Apache-2.0
"""The list with details says of a server just what a look at it says, after every kind of change.

The list keeps servers as ready JSON, a look doesn't: whatever the one forgot to ask for would be old here.
"""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.story.compute.scene import Scene

NEWEST = {"OpenStack-API-Version": "compute latest"}
OLDEST = {"OpenStack-API-Version": "compute 2.1"}

Change = Callable[[Scene, dict[str, Any]], Awaitable[Any]]


def path(server: dict[str, Any], rest: str = "") -> str:
    return f"/compute/v2.1/servers/{server['id']}{rest}"


async def rename(scene: Scene, server: dict[str, Any]) -> None:
    await scene.user.put(path(server), {"server": {"name": "renamed"}}, status=200)


async def tag(scene: Scene, server: dict[str, Any]) -> None:
    await scene.user.put(path(server, "/tags"), {"tags": ["one", "two"]}, headers=NEWEST, status=200)


async def untag(scene: Scene, server: dict[str, Any]) -> None:
    await tag(scene, server)
    await seen(scene, server)
    await scene.user.delete(path(server, "/tags/one"), headers=NEWEST, status=204)


async def metadata(scene: Scene, server: dict[str, Any]) -> None:
    await scene.user.post(path(server, "/metadata"), {"metadata": {"k": "v"}}, status=200)


async def lock(scene: Scene, server: dict[str, Any]) -> None:
    await scene.act(server, {"lock": None})


async def stop(scene: Scene, server: dict[str, Any]) -> None:
    await scene.act(server, {"os-stop": None})


async def another_card(scene: Scene, server: dict[str, Any]) -> None:
    wish = {"interfaceAttachment": {"net_id": scene.network_id}}
    await scene.user.post(path(server, "/os-interface"), wish, status=200)
    await scene.settled()


async def no_card(scene: Scene, server: dict[str, Any]) -> None:
    card = (await scene.user.get(path(server, "/os-interface"), status=200)).json["interfaceAttachments"][0]
    await scene.user.delete(path(server, f"/os-interface/{card['port_id']}"), status=202)
    await scene.settled()


async def another_group(scene: Scene, server: dict[str, Any]) -> None:
    wish = {"security_group": {"name": "another"}}
    await scene.user.post("/network/v2.0/security-groups", wish, status=201)
    await scene.act(server, {"addSecurityGroup": {"name": "another"}})


async def group_renamed(scene: Scene, server: dict[str, Any]) -> None:
    await another_group(scene, server)
    await seen(scene, server)
    groups = (await scene.user.get("/network/v2.0/security-groups?name=another", status=200)).json["security_groups"]
    await scene.user.put(
        f"/network/v2.0/security-groups/{groups[0]['id']}", {"security_group": {"name": "other"}}, status=200
    )


async def network_renamed(scene: Scene, server: dict[str, Any]) -> None:
    wish = {"network": {"name": "net-" + uuid.uuid4().hex[:8]}}
    await scene.user.put(f"/network/v2.0/networks/{scene.network_id}", wish, status=200)


CHANGES = [
    rename, tag, untag, metadata, lock, stop, another_card, no_card, another_group, group_renamed, network_renamed,
]


async def seen(scene: Scene, server: dict[str, Any], headers: dict[str, str] = NEWEST) -> Any:
    listed = (await scene.user.get("/compute/v2.1/servers/detail", headers=headers, status=200)).json["servers"]
    return next(one for one in listed if one["id"] == server["id"])


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
async def test_a_change_is_in_the_list_at_once(scene: Scene, change: Change) -> None:
    server = await scene.server("listed")
    before = await seen(scene, server)
    await change(scene, server)
    after = await seen(scene, server)
    assert after != before
    assert after == (await scene.user.get(path(server), headers=NEWEST, status=200)).json["server"]


async def test_a_host_that_is_disabled_shows_with_its_servers(scene: Scene) -> None:
    server, admin = await scene.server("hosted"), scene.cloud.admin
    everything = "/compute/v2.1/servers/detail?all_tenants=1"

    async def status() -> str:
        listed = (await admin.get(everything, headers=NEWEST, status=200)).json["servers"]
        return next(str(one["host_status"]) for one in listed if one["id"] == server["id"])

    services = (await admin.get("/compute/v2.1/os-services?binary=nova-compute", headers=NEWEST, status=200)).json
    service = f"/compute/v2.1/os-services/{services['services'][0]['id']}"
    assert await status() == "UP"
    await admin.put(service, {"status": "disabled"}, headers=NEWEST, status=200)
    assert await status() == "MAINTENANCE"
    await admin.put(service, {"status": "enabled"}, headers=NEWEST, status=200)
    assert await status() == "UP"


async def test_each_version_and_each_right_has_its_own_list(scene: Scene) -> None:
    server, admin = await scene.server("shown"), scene.cloud.admin
    for headers in (NEWEST, OLDEST, NEWEST):
        alone = (await scene.user.get(path(server), headers=headers, status=200)).json["server"]
        assert await seen(scene, server, headers) == alone
        assert "OS-EXT-SRV-ATTR:host" not in alone
        listed = (await admin.get("/compute/v2.1/servers/detail?all_tenants=1", headers=headers, status=200)).json
        mine = next(one for one in listed["servers"] if one["id"] == server["id"])
        assert mine == (await admin.get(path(server), headers=headers, status=200)).json["server"]
        assert "OS-EXT-SRV-ATTR:host" in mine


async def test_a_deleted_server_is_listed_as_it_ended(scene: Scene) -> None:
    server, admin = await scene.server("ended"), scene.cloud.admin
    await seen(scene, server)
    await scene.user.delete(path(server), status=204)
    await scene.settled()
    listed = (await scene.user.get("/compute/v2.1/servers/detail", headers=NEWEST, status=200)).json["servers"]
    assert server["id"] not in [one["id"] for one in listed]
    ended = (await admin.get("/compute/v2.1/servers/detail?all_tenants=1&deleted=1", headers=NEWEST, status=200)).json
    mine = next(one for one in ended["servers"] if one["id"] == server["id"])
    assert (mine["status"], mine["addresses"]) == ("DELETED", {})
