# SPDX-License-Identifier: Apache-2.0
"""What a host's agent tells of its machine, and what is mended when it was away while things changed.

The APIs over hosts are test_services.py; an agent's own behaviour is tests/unit/host/.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from skyhold.compute.servers import describe
from skyhold.core.context import internal
from skyhold.host.metadata.server import MetadataServer
from skyhold.host.shelf import MetadataShelf
from tests.story.compute.scene import Scene

C = "/compute/v2.1"
LATEST = {"OpenStack-API-Version": "compute latest"}
UPTIME = re.compile(r" \d\d:\d\d:\d\d up (\d+ days?, )?[ \d]\d:\d\d")


async def test_a_hypervisor_shows_its_address_and_how_long_it_has_been_up(scene: Scene) -> None:
    admin, name = scene.cloud.admin, scene.host.name
    shown = (await admin.get(f"{C}/os-hypervisors/{scene.host.host_id}", headers=LATEST, status=200)).json["hypervisor"]
    assert UPTIME.fullmatch(shown["uptime"]) and re.fullmatch(r"[\d.]+", shown["host_ip"])
    listed = (await admin.get(f"{C}/os-hypervisors/detail", status=200)).json["hypervisors"]
    [old] = [each for each in listed if each["hypervisor_hostname"] == name]
    assert old["host_ip"] == shown["host_ip"] and "uptime" not in old
    own = (await admin.get(f"{C}/os-hypervisors/{old['id']}/uptime", status=200)).json["hypervisor"]
    assert own["hypervisor_hostname"] == name and own["state"] == "up" and UPTIME.fullmatch(own["uptime"])


async def test_a_port_detached_while_its_host_was_away_is_pulled_out_when_it_is_back(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = await scene.server("unplugged")
    wish = {"interfaceAttachment": {"net_id": scene.network_id}}
    path = f"{C}/servers/{server['id']}/os-interface"
    made = [(await scene.user.post(path, wish, status=200)).json["interfaceAttachment"] for _ in range(2)]
    first, second = [each["port_id"] for each in made]
    before = await plugged(scene, server["id"])
    assert before[-2:] == [first, second]
    with monkeypatch.context() as away:
        away.setattr(scene.cloud.core.bus, "connected", lambda host_id: False)
        await scene.user.delete(f"{C}/servers/{server['id']}/os-interface/{second}", status=202)
        await scene.settled()
    assert await plugged(scene, server["id"]) == before, "the host could not be told"
    await scene.cloud.core.loops.run_once("compute.power_sync")
    assert await plugged(scene, server["id"]) == before[:-1]
    await scene.cloud.core.loops.run_once("compute.power_sync")
    assert await plugged(scene, server["id"]) == before[:-1], "what belongs to the server stays"
    await scene.user.delete(f"{C}/servers/{server['id']}", status=204)
    await scene.settled()


async def plugged(scene: Scene, server_id: str) -> list[str]:
    [found] = [guest for guest in (await scene.host.driver.list()).guests if guest.guest_id == server_id]
    return found.ports or []


async def test_a_password_that_a_guest_posted_outlives_its_agent(scene: Scene, tmp_path: Path) -> None:
    server = await scene.server("posted")
    metadata = await internal(scene.cloud.core).read(describe.metadata, server["id"])
    before = MetadataServer()
    shelf = MetadataShelf(tmp_path, before)
    before.on_password(shelf.keep_password)
    shelf.put(metadata)
    before._servers[server["id"]]._on_password("c2VhbGVk")
    again = MetadataServer()
    restarted = MetadataShelf(tmp_path, again)
    assert again._servers[server["id"]].password == "c2VhbGVk"
    assert modes(tmp_path) == {0o600}
    restarted.drop(server["id"])
    assert modes(tmp_path) == set()
    await scene.user.delete(f"{C}/servers/{server['id']}", status=204)
    await scene.settled()


def modes(directory: Path) -> set[int]:
    return {path.stat().st_mode & 0o777 for path in directory.iterdir()}
