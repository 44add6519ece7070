# SPDX-License-Identifier: Apache-2.0
"""Refusals say why: what was missing, which state and who holds it, how much was used, which hosts fell out.

Every 403 of the policy is looked at by tests/tenancy; here are the refusals that need a story.
"""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest

from tests.kit.client import Answer
from tests.kit.cloud import Persona
from tests.kit.patience import PATIENCE_S
from tests.story.compute.scene import Scene

SERVERS = "/compute/v2.1/servers"
NET = "/network/v2.0"
IMAGES = "/image/v2/images"


def says(answer: Answer, *words: str) -> None:
    text = answer.body.decode()
    missing = [word for word in words if word not in text]
    assert not missing, f"{missing} not in {text}"


# ---- 403 -----------------------------------------------------------------------------------


async def test_a_refused_role_names_the_rule_the_role_and_the_scope(scene: Scene) -> None:
    reader = await scene.user.colleague(["reader"])
    made = await reader.post(SERVERS, scene.wish("no"), status=403)
    says(made, "os_compute_api:servers:create", "role member", "you have role reader", scene.user.project_id)
    says(await reader.post(f"{NET}/networks", {"network": {}}, status=403), "create_network", "role member")
    says(await reader.post(IMAGES, {}, status=403), "add_image", "role member", "role reader")
    body = {"server": scene.wish("no")["server"] | {"availability_zone": "nova:host-1"}}
    forced = await scene.user.post(SERVERS, body, status=403)
    says(forced, "servers:create:forced_host", "role admin", "you have roles")
    bound = {"port": {"network_id": scene.network_id, "binding:host_id": "host-1"}}
    says(await scene.user.post(f"{NET}/ports", bound, status=403), "create_port:binding:host_id", "needs")


async def test_a_wrong_scope_is_named(scene: Scene) -> None:
    user = await scene.cloud.user()
    await scene.cloud.grant("admin", user.user_id, system=True)
    user.token = await scene.cloud.token(user, {"system": {"all": True}})
    says(await user.get(SERVERS, status=403), "project scope only", "your token is for the system")


# ---- 409 -----------------------------------------------------------------------------------


async def test_a_wrong_state_is_named(scene: Scene) -> None:
    server = await scene.server("busy")
    action = f"{SERVERS}/{server['id']}/action"
    says(await scene.user.post(action, {"os-start": None}, status=409), server["id"], "vm_state active")
    says(await scene.user.post(action, {"unpause": None}, status=409), "vm_state active")
    await scene.user.post(action, {"os-stop": None}, status=202)
    says(await scene.user.post(action, {"reboot": {"type": "HARD"}}, status=409), "task_state powering-off")
    await scene.settled()
    await scene.user.post(action, {"lock": {"locked_reason": "do not touch"}}, status=202,
                          headers={"OpenStack-API-Version": "compute 2.73"})
    says(await scene.user.post(action, {"os-start": None}, status=409), "locked by its owner", "do not touch")


async def test_a_port_under_way_names_its_saga(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    server = await scene.server("plugged")
    ports = f"{SERVERS}/{server['id']}/os-interface"
    hold = asyncio.Event()
    call = scene.cloud.core.bus.call

    async def slow(host_id: str, verb: str, body: Any, **more: Any) -> Any:
        if verb == "guest.unplug":
            await hold.wait()
        return await call(host_id, verb, body, **more)

    monkeypatch.setattr(scene.cloud.core.bus, "call", slow)
    port = (await scene.user.get(ports, status=200)).json["interfaceAttachments"][0]["port_id"]
    await scene.user.delete(f"{ports}/{port}", status=202)
    says(await scene.user.delete(f"{ports}/{port}", status=409), port, "compute.detach_port is under way")
    hold.set()
    await scene.settled()


async def test_what_is_in_use_names_its_user(scene: Scene) -> None:
    """In the network service too: which port, which router, which group."""
    user, server = scene.user, await scene.server("holder")
    ports = (await user.get(f"{SERVERS}/{server['id']}/os-interface", status=200)).json["interfaceAttachments"]
    port_id = ports[0]["port_id"]
    subnet_id = ports[0]["fixed_ips"][0]["subnet_id"]
    says(await user.delete(f"{NET}/networks/{scene.network_id}", status=409), scene.network_id, port_id)
    says(await user.delete(f"{NET}/subnets/{subnet_id}", status=409), subnet_id, port_id)
    await group_in_use(user, server, port_id)
    router = (await user.post(f"{NET}/routers", {"router": {}}, status=201)).json["router"]
    await user.put(f"{NET}/routers/{router['id']}/add_router_interface", {"subnet_id": subnet_id}, status=200)
    leg = (await user.get(f"{NET}/ports?device_id={router['id']}", status=200)).json["ports"][0]["id"]
    says(await user.delete(f"{NET}/routers/{router['id']}", status=409), router["id"], leg)
    taken = {"port_id": port_id}
    second = await scene.server("second")
    refused = await user.post(
        f"{SERVERS}/{second['id']}/os-interface", {"interfaceAttachment": taken}, status=(400, 409)
    )
    says(refused, port_id, "in use", server["id"])


async def test_what_floating_ips_and_servers_hold_is_named(scene: Scene) -> None:
    user = scene.user
    port = (await user.post(f"{NET}/ports", {"port": {"network_id": scene.network_id}}, status=201)).json["port"]
    taken = {"port": {"network_id": scene.network_id, "fixed_ips": port["fixed_ips"]}}
    says(await user.post(f"{NET}/ports", taken, status=409), port["fixed_ips"][0]["ip_address"], port["id"])
    world = {"network": {"name": "world", "router:external": True}}
    external = (await scene.cloud.admin.post(f"{NET}/networks", world, status=201)).json["network"]["id"]
    await scene.cloud.admin.post(
        f"{NET}/subnets", {"subnet": {"network_id": external, "ip_version": 4, "cidr": "198.51.100.0/24"}}, status=201
    )
    gateway = {"router": {"external_gateway_info": {"network_id": external}}}
    router = (await user.post(f"{NET}/routers", gateway, status=201)).json["router"]["id"]
    subnet = {"subnet_id": port["fixed_ips"][0]["subnet_id"]}
    await user.put(f"{NET}/routers/{router}/add_router_interface", subnet, status=200)
    wish = {"floatingip": {"floating_network_id": external, "port_id": port["id"]}}
    fip = (await user.post(f"{NET}/floatingips", wish, status=201)).json["floatingip"]["id"]
    says(await user.put(f"{NET}/routers/{router}/remove_router_interface", subnet, status=409), "floating IPs", fip)
    away = {"router": {"external_gateway_info": {}}}
    says(await user.put(f"{NET}/routers/{router}", away, status=409), "floating IPs", fip)
    outside = {"port": {"network_id": external}}
    says(await user.post(f"{NET}/ports", outside, status=403), "rule create_subnet needs", "you have role")
    await scene.server("here")
    listed = await scene.cloud.admin.get("/compute/v2.1/os-services", {"binary": "nova-compute"}, status=200)
    service = listed.json["services"][0]
    says(await scene.cloud.admin.delete(f"/compute/v2.1/os-services/{service['id']}", status=409), "host-1 has ")


async def test_a_volume_that_is_held_names_its_server(scene: Scene) -> None:
    user, server = scene.user, await scene.server("holder of a volume")
    made = (await user.post("/volume/v3/volumes", {"volume": {"size": 1}}, status=202)).json["volume"]
    await scene.settled()
    wish = {"volumeAttachment": {"volumeId": made["id"]}}
    await user.post(f"{SERVERS}/{server['id']}/os-volume_attachments", wish, status=200)
    await scene.settled()
    volume, held = f"/volume/v3/volumes/{made['id']}", f"held by server {server['id']}"
    says(await user.delete(volume, status=400), held, "current status is: in-use")
    says(await user.post(f"{volume}/action", {"os-extend": {"new_size": 2}}, status=400), held)
    says(await user.post(f"{volume}/action", {"os-volume_upload_image": {"image_name": "x"}}, status=400), held)
    snapshot = {"snapshot": {"volume_id": made["id"]}}
    says(await user.post("/volume/v3/snapshots", snapshot, status=400), held)
    second = await scene.server("second")
    says(await user.post(f"{SERVERS}/{second['id']}/os-volume_attachments", wish, status=400), held)
    await user.delete(f"{SERVERS}/{server['id']}/os-volume_attachments/{made['id']}", status=202)
    await scene.settled()


async def group_in_use(user: Persona, server: dict[str, Any], port_id: str) -> None:
    made = await user.post(f"{NET}/security-groups", {"security_group": {"name": "web"}}, status=201)
    group_id = made.json["security_group"]["id"]
    body = {"addSecurityGroup": {"name": "web"}}
    await user.post(f"{SERVERS}/{server['id']}/action", body, status=202)
    says(await user.delete(f"{NET}/security-groups/{group_id}", status=409), group_id, "in use", port_id)


async def test_an_image_in_a_wrong_state_names_it(scene: Scene) -> None:
    made = (await scene.user.post(IMAGES, {"name": "queued"}, status=201)).json
    says(await scene.user.post(SERVERS, scene.wish("no", imageRef=made["id"]), status=400), made["id"], "not active")
    again = f"{IMAGES}/{scene.image_id}/file"
    refused = await scene.user.put(again, b"x", content_type="application/octet-stream", status=409)
    says(refused, scene.image_id, "active")
    protect = [{"op": "replace", "path": "/protected", "value": True}]
    await scene.user.patch(
        f"{IMAGES}/{scene.image_id}", protect, status=200,
        content_type="application/openstack-images-v2.1-json-patch",
    )
    says(await scene.user.delete(f"{IMAGES}/{scene.image_id}", status=403), scene.image_id, "protected")


# ---- quota ---------------------------------------------------------------------------------


async def test_a_quota_names_used_limit_and_asked_everywhere(scene: Scene) -> None:
    user, admin = scene.user, scene.cloud.admin
    await scene.server("first", ram_quota=200)
    says(await user.post(SERVERS, scene.wish("second"), status=403), "ram", "requested 128", "used 128", "of 200")
    items = {"quota_set": {"metadata_items": 1, "server_groups": 0, "key_pairs": 0, "ram": -1, "force": True}}
    await admin.put(f"/compute/v2.1/os-quota-sets/{user.project_id}", items, status=200)
    many = scene.wish("third", metadata={"a": "1", "b": "2"})
    says(await user.post(SERVERS, many, status=403), "metadata_items", "requested 2", "used 0 of 1")
    group = {"server_group": {"name": "g", "policies": ["affinity"]}}
    says(await user.post("/compute/v2.1/os-server-groups", group, status=403), "requested 1", "used 0", "of 0")
    await group_of_one(scene)
    limits = {"quota": {"network": 1, "port": 1, "router": 0, "security_group": 1, "floatingip": 0, "subnet": 1}}
    await admin.put(f"{NET}/quotas/{user.project_id}", limits, status=200)
    for path, body in (
        ("networks", {"network": {}}), ("routers", {"router": {}}),
        ("ports", {"port": {"network_id": scene.network_id}}),
        ("security-groups", {"security_group": {"name": "x"}}),
        ("subnets", {"subnet": {"network_id": scene.network_id, "ip_version": 4, "cidr": "10.9.9.0/24"}}),
    ):
        refused = await user.post(f"{NET}/{path}", body, status=409)
        assert re.search(r"requested 1\b.*used \d+ of \d+", refused.body.decode()), refused.body
        says(refused, "OverQuota")


async def group_of_one(scene: Scene) -> None:
    path = f"/compute/v2.1/os-quota-sets/{scene.user.project_id}"
    more = {"quota_set": {"server_groups": 1, "server_group_members": 1, "metadata_items": 9, "force": True}}
    await scene.cloud.admin.put(path, more, status=200)
    group = {"server_group": {"name": "g", "policies": ["affinity"]}}
    made = (await scene.user.post("/compute/v2.1/os-server-groups", group, status=200)).json["server_group"]
    body = scene.wish("pair", min_count=2, max_count=2) | {"os:scheduler_hints": {"group": made["id"]}}
    says(await scene.user.post(SERVERS, body, status=403), "requested 2", "used 0 of 1")


# ---- no valid host -------------------------------------------------------------------------


async def test_a_rehearsal_tells_that_no_host_would_do(scene: Scene) -> None:
    """The same table, before anything is made."""
    rehearsed = {"headers": {"X-Dry-Run": "true"}}
    quota = f"/compute/v2.1/os-quota-sets/{scene.user.project_id}"
    everything = {"quota_set": {"ram": -1, "cores": -1, "instances": -1, "force": True}}
    await scene.cloud.admin.put(quota, everything, status=200)
    huge = scene.wish("huge", flavorRef=await scene.flavor(ram=64 * 1024 * 1024))
    end = asyncio.get_running_loop().time() + PATIENCE_S
    # A host that went away a moment ago, as in other stories, may be back: then nothing is known yet.
    while (answer := await scene.user.post(SERVERS, huge, status=(202, 400), **rehearsed)).status == 202:
        assert asyncio.get_running_loop().time() < end
        await asyncio.sleep(0.2)
    says(answer, "No valid host was found", "host-1: ", "RAM", "no_valid_host")
    await scene.user.post(SERVERS, scene.wish("small"), status=202, **rehearsed)
    assert (await scene.user.get(SERVERS, status=200)).json["servers"] == []
    gigabytes = {"quota_set": {"gigabytes": -1}}
    await scene.cloud.admin.put(f"/volume/v3/os-quota-sets/{scene.user.project_id}", gigabytes, status=200)
    volume = {"volume": {"size": 200_000}}
    says(await scene.user.post("/volume/v3/volumes", volume, status=400, **rehearsed), "No host can hold", "host-1: ")
    await scene.user.post("/volume/v3/volumes", {"volume": {"size": 1}}, status=202, **rehearsed)
    assert (await scene.user.get("/volume/v3/volumes", status=200)).json["volumes"] == []


async def test_no_valid_host_is_a_table_that_its_owner_reads(scene: Scene) -> None:
    """Each host and its reason; nothing of what others run there."""
    other = await scene.cloud.project(["member"])
    huge = await scene.flavor(ram=64 * 1024 * 1024)
    everyone = {"quota_set": {"ram": -1, "cores": -1, "force": True}}
    await scene.cloud.admin.put(f"/compute/v2.1/os-quota-sets/{scene.user.project_id}", everyone, status=200)
    server = await scene.server("huge", flavor=huge, expect="ERROR")
    message = server["fault"]["message"]
    assert re.search(r"No valid host was found.*host-1: .*RAM", message), message
    assert other.project_id not in message
    for text in (scene.user.project_id, scene.host.host_id):
        assert text not in message
    action = f"{SERVERS}/{server['id']}/os-instance-actions"
    listed = (await scene.user.get(action, status=200)).json["instanceActions"]
    assert listed[0]["message"] == "Error"
