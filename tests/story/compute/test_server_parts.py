# SPDX-License-Identifier: Apache-2.0
"""Stories of what hangs on a server: metadata, tags, addresses and security groups."""

from __future__ import annotations

from typing import Any

import pytest

from skyhold.compute import states
from tests.kit.cloud import Cloud
from tests.kit.compute_rows import add_server
from tests.kit.patience import until
from tests.story.compute.scene import Scene

LATEST = {"OpenStack-API-Version": "compute 2.96"}


def path(server: Any, tail: str = "") -> str:
    return f"/compute/v2.1/servers/{server.id}{tail}"


async def test_metadata_is_merged_replaced_and_deleted(cloud: Cloud) -> None:
    user = await cloud.project()
    server = await add_server(cloud, user, metadata={"a": "1"})
    whole = path(server, "/metadata")
    assert (await user.get(whole, status=200)).json == {"metadata": {"a": "1"}}
    added = await user.post(whole, {"metadata": {"b": "2", "a": "3"}}, status=200)
    assert added.json == {"metadata": {"a": "3", "b": "2"}}
    assert (await user.get(whole + "/b", status=200)).json == {"meta": {"b": "2"}}
    changed = await user.put(whole + "/b", {"meta": {"b": "4"}}, status=200)
    assert changed.json == {"meta": {"b": "4"}}
    await user.delete(whole + "/a", status=204)
    assert (await user.get(whole)).json == {"metadata": {"b": "4"}}
    assert (await user.put(whole, {"metadata": {"c": "5"}}, status=200)).json == {"metadata": {"c": "5"}}
    for missing in (user.get(whole + "/b"), user.delete(whole + "/b")):
        answer = await missing
        assert answer.status == 404
        assert answer.json["itemNotFound"]["message"] == "Metadata item was not found"


@pytest.mark.parametrize("body", [
    {"metadata": {"a/b": "c"}}, {"metadata": {"a": 1}}, {"metadata": {"a": "c" * 256}},
    {"metadata": {"": "c"}}, {"metadata": None}, {}, [], {"metadata": {}, "more": 1},
])
async def test_metadata_that_makes_no_sense_is_refused(cloud: Cloud, body: Any) -> None:
    user = await cloud.project()
    server = await add_server(cloud, user)
    for method in ("POST", "PUT"):
        await user.request(method, path(server, "/metadata"), body, status=400)


async def test_one_item_is_set_by_its_own_name(cloud: Cloud) -> None:
    user = await cloud.project()
    server = await add_server(cloud, user)
    answer = await user.put(path(server, "/metadata/a"), {"meta": {"b": "1"}}, status=400)
    assert answer.json["badRequest"]["message"] == "Request body and URI mismatch"
    await user.put(path(server, "/metadata/a"), {"meta": {"a": "1", "b": "1"}}, status=400)
    await user.put(path(server, "/metadata/a"), {"meta": {}}, status=400)


async def test_metadata_has_a_quota(cloud: Cloud) -> None:
    user = await cloud.project()
    server = await add_server(cloud, user)
    limit = {"quota_set": {"metadata_items": 2}}
    await cloud.admin.put(f"/compute/v2.1/os-quota-sets/{user.project_id}", limit, status=200)
    await user.post(path(server, "/metadata"), {"metadata": {"a": "1", "b": "2"}}, status=200)
    answer = await user.put(path(server, "/metadata/c"), {"meta": {"c": "3"}}, status=403)
    told = answer.json["forbidden"]["message"]
    assert told.startswith("Maximum number of metadata items exceeds 2") and "used 2 of 2, requested 3" in told
    await user.put(path(server, "/metadata/a"), {"meta": {"a": "3"}}, status=200)


async def test_metadata_and_tags_wait_for_the_build_and_the_lock(cloud: Cloud) -> None:
    user = await cloud.project()
    building = await add_server(cloud, user, state=states.BUILDING)
    locked = await add_server(cloud, user, locked_by="owner")
    for server in (building, locked):
        await user.post(path(server, "/metadata"), {"metadata": {"a": "1"}}, status=409)
        await user.put(path(server, "/tags/a"), headers=LATEST, status=409)
    await cloud.admin.post(path(locked, "/metadata"), {"metadata": {"a": "1"}}, status=200)


async def test_tags_are_added_asked_for_and_taken(cloud: Cloud) -> None:
    user = await cloud.project()
    server = await add_server(cloud, user)
    whole = path(server, "/tags")
    answer = await user.put(whole + "/red", headers=LATEST, status=201)
    assert answer.headers["location"].endswith(f"/servers/{server.id}/tags/red")
    await user.put(whole + "/red", headers=LATEST, status=204)
    await user.get(whole + "/red", headers=LATEST, status=204)
    await user.get(whole + "/blue", headers=LATEST, status=404)
    replaced = await user.put(whole, {"tags": ["b", "a", "a"]}, headers=LATEST, status=200)
    assert replaced.json == {"tags": ["a", "b"]}
    await user.delete(whole + "/a", headers=LATEST, status=204)
    await user.delete(whole + "/a", headers=LATEST, status=404)
    assert (await user.get(whole, headers=LATEST, status=200)).json == {"tags": ["b"]}
    await user.delete(whole, headers=LATEST, status=204)
    assert (await user.get(whole, headers=LATEST)).json == {"tags": []}
    await user.get(whole, headers={"OpenStack-API-Version": "compute 2.25"}, status=404)


async def test_tags_are_short_and_at_most_fifty(cloud: Cloud) -> None:
    user = await cloud.project()
    server = await add_server(cloud, user)
    whole = path(server, "/tags")
    for bad in (["a,b"], ["a/b"], [""], ["a" * 61], [1], "a", [str(i) for i in range(51)]):
        await user.put(whole, {"tags": bad}, headers=LATEST, status=400)
    await user.put(whole + "/" + "a" * 61, headers=LATEST, status=400)
    await user.put(whole + "/a,b", headers=LATEST, status=400)
    await user.put(whole, {"tags": [str(i) for i in range(50)]}, headers=LATEST, status=200)
    answer = await user.put(whole + "/more", headers=LATEST, status=400)
    assert "per-server limit 50" in answer.json["badRequest"]["message"]


@pytest.mark.parametrize(("method", "tail", "body"), [
    ("GET", "/metadata", None), ("POST", "/metadata", {"metadata": {"a": "1"}}),
    ("PUT", "/metadata", {"metadata": {}}), ("GET", "/metadata/a", None), ("DELETE", "/metadata/a", None),
    ("PUT", "/metadata/a", {"meta": {"a": "1"}}), ("GET", "/tags", None), ("PUT", "/tags", {"tags": []}),
    ("GET", "/tags/a", None), ("PUT", "/tags/a", None), ("DELETE", "/tags/a", None), ("DELETE", "/tags", None),
    ("GET", "/ips", None), ("GET", "/ips/net", None), ("GET", "/os-security-groups", None),
])
async def test_a_strangers_server_is_not_there_and_a_reader_only_reads(
    cloud: Cloud, method: str, tail: str, body: Any
) -> None:
    user, stranger = await cloud.project(), await cloud.project()
    server = await add_server(cloud, user, metadata={"a": "1"})
    await stranger.request(method, path(server, tail), body, headers=LATEST, status=404)
    reader = await user.colleague(["reader"])
    answer = await reader.request(method, path(server, tail), body, headers=LATEST)
    assert (answer.status == 403) == (method != "GET")


async def test_addresses_and_security_groups_are_those_of_the_servers_ports(scene: Scene) -> None:
    server = await scene.server("web")
    base = f"/compute/v2.1/servers/{server['id']}"
    addresses = (await scene.user.get(base + "/ips", status=200)).json["addresses"]
    (entry,) = addresses["net"]
    assert set(entry) == {"version", "addr"} and entry["addr"].startswith("10.20.30.")
    assert (await scene.user.get(base + "/ips/net", status=200)).json == {"net": [entry]}
    answer = await scene.user.get(base + "/ips/other", status=404)
    assert answer.json["itemNotFound"]["message"] == "Instance is not a member of specified network"

    (group,) = (await scene.user.get(base + "/os-security-groups", status=200)).json["security_groups"]
    assert group["name"] == "default" and group["tenant_id"] == scene.user.project_id
    assert group["rules"] == [
        rule | {"ip_protocol": None, "ip_range": {}, "parent_group_id": group["id"],
                "group": {"name": "default", "tenant_id": scene.user.project_id}}
        for rule in group["rules"]
    ] and len(group["rules"]) == 2
    rule = {"security_group_id": group["id"], "direction": "ingress", "protocol": "tcp",
            "remote_ip_prefix": "192.0.2.0/24"}
    await scene.user.post("/network/v2.0/security-group-rules", {"security_group_rule": rule}, status=201)
    (group,) = (await scene.user.get(base + "/os-security-groups", status=200)).json["security_groups"]
    assert [
        (each["ip_protocol"], each["from_port"], each["to_port"], each["ip_range"])
        for each in group["rules"] if each["ip_protocol"]
    ] == [("tcp", 1, 65535, {"cidr": "192.0.2.0/24"})]


async def test_new_metadata_reaches_the_guests_host(scene: Scene) -> None:
    server = await scene.server("web")
    changed = {"metadata": {"role": "database"}}
    await scene.user.put(f"/compute/v2.1/servers/{server['id']}/metadata", changed, status=200)
    assert (await scene.show(server))["metadata"] == changed["metadata"]
    shelf = scene.host.state_dir / "metadata"
    await until(lambda: any(b"database" in path.read_bytes() for path in shelf.glob(f"{server['id']}*")))
