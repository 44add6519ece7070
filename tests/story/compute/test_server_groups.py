# SPDX-License-Identifier: Apache-2.0
"""Stories of server groups: made, joined, and asked which hosts are taken."""

from __future__ import annotations

from typing import Any

import pytest

from skyhold.compute import server_groups
from skyhold.core import context, errors
from tests.kit.cloud import Cloud, Persona
from tests.kit.compute_rows import a_host, add_server, remove_server
from tests.story.compute.scene import Scene

GROUPS = "/compute/v2.1/os-server-groups"
LATEST = {"OpenStack-API-Version": "compute 2.96"}


async def make(user: Persona, **values: Any) -> dict[str, Any]:
    body = {"name": "web", "policy": "anti-affinity"} | values
    answer = await user.post(GROUPS, {"server_group": body}, headers=LATEST, status=200)
    return dict(answer.json["server_group"])


async def join(cloud: Cloud, user: Persona, group: dict[str, Any], *servers: Any) -> None:
    ctx = context.internal(cloud.core).derive(await cloud.core.authenticate(user.token))
    await ctx.write(server_groups.join, group["id"], [server.id for server in servers])


async def test_a_group_is_made_listed_shown_and_deleted(cloud: Cloud) -> None:
    user = await cloud.project()
    made = await make(user, rules={"max_server_per_host": "2"})
    assert made == {
        "id": made["id"], "name": "web", "policy": "anti-affinity", "rules": {"max_server_per_host": 2},
        "members": [], "project_id": user.project_id, "user_id": user.user_id,
    }
    one = f"{GROUPS}/{made['id']}"
    assert (await user.get(one, headers=LATEST, status=200)).json["server_group"] == made
    assert (await user.get(GROUPS, headers=LATEST, status=200)).json["server_groups"] == [made]
    old = (await user.get(one, status=200)).json["server_group"]
    assert set(old) == {"id", "name", "policies", "members", "metadata"}
    assert old["policies"] == ["anti-affinity"]
    await user.delete(one, status=204)
    await user.get(one, status=404)
    await user.delete(one, status=404)


@pytest.mark.parametrize(("version", "group"), [
    ("2.1", {"name": "x", "policies": ["soft-affinity"]}),
    ("2.1", {"name": "x", "policies": ["affinity", "anti-affinity"]}),
    ("2.1", {"name": "x", "policies": []}), ("2.1", {"name": "x"}), ("2.1", {"policies": ["affinity"]}),
    ("2.15", {"name": "x", "policies": ["unknown"]}), ("2.63", {"name": "x", "policy": "affinity"}),
    ("2.64", {"name": "x", "policies": ["affinity"]}), ("2.64", {"name": "x"}),
    ("2.64", {"name": "x", "policy": "affinity", "rules": {"max_server_per_host": 2}}),
    ("2.64", {"name": "x", "policy": "anti-affinity", "rules": {"max_server_per_host": 0}}),
    ("2.64", {"name": "x", "policy": "anti-affinity", "rules": {"unknown": 1}}), ("2.64", None),
])
async def test_a_group_that_makes_no_sense_is_refused(cloud: Cloud, version: str, group: Any) -> None:
    user = await cloud.project()
    header = {"OpenStack-API-Version": "compute " + version}
    await user.post(GROUPS, {"server_group": group}, headers=header, status=400)


async def test_old_and_soft_policies(cloud: Cloud) -> None:
    user = await cloud.project()
    old = {"server_group": {"name": "x", "policies": ["affinity"]}}
    assert (await user.post(GROUPS, old, status=200)).json["server_group"]["policies"] == ["affinity"]
    soft = {"server_group": {"name": "x", "policies": ["soft-affinity"]}}
    await user.post(GROUPS, soft, headers={"OpenStack-API-Version": "compute 2.15"}, status=200)


async def test_an_offset_beyond_everything_is_an_empty_page(cloud: Cloud) -> None:
    user = await cloud.project()
    await make(user)
    for offset in (1, 2**63 - 1):
        page = await user.get(GROUPS, {"offset": offset}, headers=LATEST, status=200)
        assert page.json["server_groups"] == []
    await user.get(GROUPS, {"offset": 2**63}, headers=LATEST, status=400)


async def test_groups_have_a_quota_and_an_owner(cloud: Cloud) -> None:
    user, stranger = await cloud.project(), await cloud.project()
    limit = {"quota_set": {"server_groups": 1}}
    await cloud.admin.put(f"/compute/v2.1/os-quota-sets/{user.project_id}", limit, status=200)
    made = await make(user)
    body = {"server_group": {"name": "x", "policy": "affinity"}}
    await user.post(GROUPS, body, headers=LATEST, status=403)
    await stranger.get(f"{GROUPS}/{made['id']}", status=404)
    await stranger.delete(f"{GROUPS}/{made['id']}", status=404)
    everyone = GROUPS + "?all_projects=True"
    assert made["id"] not in {each["id"] for each in (await stranger.get(everyone)).json["server_groups"]}
    assert made["id"] in {each["id"] for each in (await cloud.admin.get(everyone)).json["server_groups"]}
    await user.delete(f"{GROUPS}/{made['id']}", status=204)
    await make(user)


async def test_members_are_living_servers_and_their_hosts_are_known(cloud: Cloud) -> None:
    user = await cloud.project()
    made = await make(user, rules={"max_server_per_host": 3})
    async with a_host(cloud) as (host_id, _):
        first = await add_server(cloud, user, host_id=host_id)
        second = await add_server(cloud, user, host_id=host_id)
        waiting = await add_server(cloud, user)
        await join(cloud, user, made, first, second, waiting)
        shown = (await user.get(f"{GROUPS}/{made['id']}", headers=LATEST)).json["server_group"]
        assert set(shown["members"]) == {first.id, second.id, waiting.id}
        ctx = context.internal(cloud.core)
        asked = await ctx.read(server_groups.hosts_of, waiting.id)
        assert asked == [("anti-affinity", 3, {host_id: 2})]
        assert await ctx.read(server_groups.groups_of, [first.id]) == {first.id: [made["id"]]}
        await remove_server(cloud, second)
        assert await ctx.read(server_groups.hosts_of, waiting.id) == [("anti-affinity", 3, {host_id: 1})]
        shown = (await user.get(f"{GROUPS}/{made['id']}", headers=LATEST)).json["server_group"]
        assert set(shown["members"]) == {first.id, waiting.id}
        await user.delete(f"{GROUPS}/{made['id']}", status=204)


async def test_a_group_takes_only_so_many_and_only_from_its_project(cloud: Cloud) -> None:
    user, stranger = await cloud.project(), await cloud.project()
    limit = {"quota_set": {"server_group_members": 1}}
    await cloud.admin.put(f"/compute/v2.1/os-quota-sets/{user.project_id}", limit, status=200)
    made = await make(user)
    await join(cloud, user, made, await add_server(cloud, user))
    with pytest.raises(errors.OverQuota):
        await join(cloud, user, made, await add_server(cloud, user))
    with pytest.raises(errors.Invalid):
        await join(cloud, stranger, made, await add_server(cloud, stranger))


async def test_servers_that_must_keep_apart_find_no_second_place_on_one_host(scene: Scene) -> None:
    group = await make(scene.user)

    async def boot(name: str) -> dict[str, Any]:
        body = scene.wish(name) | {"os:scheduler_hints": {"group": group["id"]}}
        made = await scene.user.post("/compute/v2.1/servers", body, status=202)
        await scene.settled()
        return await scene.show(made.json["server"])

    first, second = await boot("one"), await boot("two")
    assert first["status"] == "ACTIVE" and first["server_groups"] == [group["id"]]
    assert second["status"] == "ERROR"
    assert "as many servers of the server group as may be there" in second["fault"]["message"]
    unknown = {"os:scheduler_hints": {"group": "11111111-2222-4333-8444-555555555555"}}
    await scene.user.post("/compute/v2.1/servers", scene.wish("three") | unknown, status=400)
