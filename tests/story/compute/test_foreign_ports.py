# SPDX-License-Identifier: Apache-2.0
"""Ports that say which server they are in: anybody writes that of a port, so it must not be believed of any server.

What the network service itself refuses is tests/story/network; a guest that trusted such a port would have a card in a
stranger's network (the class of CVE-2026-50266 and CVE-2014-0056: who owns a port's device was not asked).
"""

from __future__ import annotations

from typing import Any

from tests.kit.cloud import Persona
from tests.story.compute.scene import Scene

PORTS = "/network/v2.0/ports"


async def own_port(who: Persona, **more: Any) -> dict[str, Any]:
    network = (await who.post("/network/v2.0/networks", {"network": {"name": "n"}}, status=201)).json["network"]
    subnet = {"network_id": network["id"], "ip_version": 4, "cidr": "10.66.0.0/24"}
    await who.post("/network/v2.0/subnets", {"subnet": subnet}, status=201)
    made = await who.post(PORTS, {"port": {"network_id": network["id"]} | more}, status=201)
    return dict(made.json["port"])


async def cards(scene: Scene, server: dict[str, Any]) -> list[str]:
    answer = await scene.user.get(f"/compute/v2.1/servers/{server['id']}/os-interface", status=200)
    return [each["port_id"] for each in answer.json["interfaceAttachments"]]


async def test_nobody_hangs_a_port_of_theirs_on_anothers_server(scene: Scene, stranger: Persona) -> None:
    server = await scene.server("victim")
    before = await cards(scene, server)
    pose = {"device_owner": "compute:nova", "device_id": server["id"]}
    port = await own_port(stranger)
    wishes = [
        ("POST", PORTS, {"port": {"network_id": port["network_id"]} | pose}),
        ("POST", PORTS, {"ports": [{"network_id": port["network_id"]}, {"network_id": port["network_id"]} | pose]}),
        ("PUT", f"{PORTS}/{port['id']}", {"port": pose}),
    ]
    for method, path, body in wishes:
        refused = await stranger.request(method, path, body, status=409)
        assert refused.json["NeutronError"]["type"] == "DeviceIDNotOwnedByTenant"
    # By halves: neither order of the two gets there.
    for first, second in (("device_id", "device_owner"), ("device_owner", "device_id")):
        half = await own_port(stranger, **{first: pose[first]})
        await stranger.put(f"{PORTS}/{half['id']}", {"port": {second: pose[second]}}, status=409)
    assert await cards(scene, server) == before
    shown = await scene.show(server)
    assert list(shown["addresses"]) == ["net"]


async def test_its_own_project_and_an_administrator_may_say_so(scene: Scene) -> None:
    server = await scene.server("mine")
    pose = {"device_owner": "compute:nova", "device_id": server["id"]}
    mine, theirs = await own_port(scene.user, **pose), await own_port(scene.cloud.admin)
    await scene.cloud.admin.put(f"{PORTS}/{theirs['id']}", {"port": pose}, status=200)
    assert {mine["id"], theirs["id"]} < set(await cards(scene, server))


async def test_what_is_no_server_may_be_anybodys_device(scene: Scene, stranger: Persona) -> None:
    port = await own_port(stranger, device_owner="compute:nova", device_id="a-machine-of-mine")
    assert port["device_id"] == "a-machine-of-mine"


async def test_a_port_in_a_server_is_not_handed_to_anothers(scene: Scene, stranger: Persona) -> None:
    """Not even one that compute itself put into a server of its owner's."""
    victim = await scene.server("victim")
    port = await own_port(stranger)
    image = {"name": "i", "disk_format": "raw", "container_format": "bare"}
    made = (await stranger.post("/image/v2/images", image, status=201)).json
    await stranger.put(f"/image/v2/images/{made['id']}/file", bytes(512), status=204,
                       content_type="application/octet-stream")
    wish = {"name": "s", "imageRef": made["id"], "flavorRef": scene.flavor_id, "networks": [{"port": port["id"]}]}
    await stranger.post("/compute/v2.1/servers", {"server": wish}, status=202)
    await scene.settled()
    await stranger.put(f"{PORTS}/{port['id']}", {"port": {"device_id": victim["id"]}}, status=409)
