# SPDX-License-Identifier: Apache-2.0
"""Stories of domains and projects: trees, tags, lists, and who may do what in a domain.

Roles are test_roles.py. The tree's laws are Keystone's: enabled projects have an enabled way up, and
only leaves are deleted.
"""

from __future__ import annotations

import asyncio
import uuid
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from tests.kit.client import Client
from tests.kit.cloud import Cloud

V3 = "/identity/v3"


def unique(kind: str) -> str:
    return f"{kind}-{uuid.uuid4().hex[:10]}"


async def create(client: Client, kind: str, status: int = 201, **values: Any) -> dict[str, Any]:
    answer = await client.post(f"{V3}/{kind}s", {kind: {"name": unique(kind), **values}}, status=status)
    return answer.json.get(kind, answer.json)


async def patch(client: Client, kind: str, id: str, status: int = 200, **values: Any) -> dict[str, Any]:
    answer = await client.patch(f"{V3}/{kind}s/{id}", {kind: values}, status=status)
    return answer.json.get(kind, answer.json)


async def ids(client: Client, kind: str, **query: Any) -> set[str]:
    answer = await client.get(f"{V3}/{kind}s", query, status=200)
    return {found["id"] for found in answer.json[f"{kind}s"]}


async def test_key_03_a_project_is_created_shown_changed_and_deleted(cloud: Cloud) -> None:
    domain = await cloud.domain()
    made = await create(cloud.admin, "project", domain_id=domain, description="d", color="green", tags=["b", "a"])
    assert len(made["id"]) == 32
    assert made["parent_id"] == made["domain_id"] == domain
    assert made["tags"] == ["a", "b"]
    assert made["color"] == "green"
    assert made["links"]["self"].endswith(f"/identity/v3/projects/{made['id']}")
    shown = (await cloud.admin.get(f"{V3}/projects/{made['id']}", status=200)).json["project"]
    assert shown == made
    changed = await patch(cloud.admin, "project", made["id"], description=None, color="blue", size=3)
    assert (changed["description"], changed["color"], changed["size"]) == ("", "blue", 3)
    await cloud.admin.delete(f"{V3}/projects/{made['id']}", status=204)
    await cloud.admin.get(f"{V3}/projects/{made['id']}", status=404)


async def test_names_are_unique_in_a_domain_and_exact(cloud: Cloud) -> None:
    domain, other = await cloud.domain(), await cloud.domain()
    name = unique("Name")
    for kind in ("project", "user", "group"):
        made = await create(cloud.admin, kind, name=name, domain_id=domain)
        await create(cloud.admin, kind, 409, name=name, domain_id=domain)
        await create(cloud.admin, kind, name=name, domain_id=other)
        lower = await create(cloud.admin, kind, name=name.lower(), domain_id=domain)
        await patch(cloud.admin, kind, lower["id"], 409, name=name)
        assert await ids(cloud.admin, kind, name=name, domain_id=domain) == {made["id"]}
    taken = (await cloud.admin.get(f"{V3}/domains/{domain}")).json["domain"]["name"]
    await create(cloud.admin, "domain", 409, name=taken)


async def test_key_03_a_tree_is_shown_in_all_its_ways(cloud: Cloud) -> None:
    domain = await cloud.domain()
    root = await create(cloud.admin, "project", domain_id=domain)
    child = await create(cloud.admin, "project", parent_id=root["id"])
    leaf = await create(cloud.admin, "project", parent_id=child["id"])
    assert child["domain_id"] == domain
    show = f"{V3}/projects/{child['id']}"
    by_ids = (await cloud.admin.get(f"{show}?parents_as_ids&subtree_as_ids", status=200)).json["project"]
    assert by_ids["parents"] == {root["id"]: {domain: None}}
    assert by_ids["subtree"] == {leaf["id"]: None}
    by_list = (await cloud.admin.get(f"{show}?parents_as_list&subtree_as_list", status=200)).json["project"]
    assert [p["project"]["id"] for p in by_list["parents"]] == [root["id"]]
    assert [p["project"]["id"] for p in by_list["subtree"]] == [leaf["id"]]
    assert "parents" not in (await cloud.admin.get(show, status=200)).json["project"]
    await cloud.admin.get(f"{show}?parents_as_list&parents_as_ids", status=400)
    assert await ids(cloud.admin, "project", parent_id=root["id"]) == {child["id"]}
    await cloud.admin.delete(show, status=403)


async def test_the_laws_of_the_tree(cloud: Cloud) -> None:
    domain, other = await cloud.domain(), await cloud.domain()
    root = await create(cloud.admin, "project", domain_id=domain)
    child = await create(cloud.admin, "project", parent_id=root["id"])
    await patch(cloud.admin, "project", root["id"], 403, enabled=False)
    await patch(cloud.admin, "project", child["id"], enabled=False)
    await patch(cloud.admin, "project", root["id"], enabled=False)
    await patch(cloud.admin, "project", child["id"], 403, enabled=True)
    await create(cloud.admin, "project", 403, parent_id=root["id"])
    await patch(cloud.admin, "project", child["id"], 400, domain_id=other)
    await patch(cloud.admin, "project", child["id"], 403, parent_id=domain)
    await create(cloud.admin, "project", 400, parent_id=root["id"], domain_id=other)
    await create(cloud.admin, "project", 404, parent_id="nothing")
    await create(cloud.admin, "project", 404, domain_id="nothing")
    at = await create(cloud.admin, "project", domain_id=domain)
    for _ in range(4):
        at = await create(cloud.admin, "project", parent_id=at["id"])
    await create(cloud.admin, "project", 403, parent_id=at["id"])


async def test_a_domains_manager_cant_tell_other_domains_and_their_projects_from_such_as_nobody_has(
    cloud: Cloud
) -> None:
    manager, domain = await domain_persona(cloud, "manager")
    await create(manager, "project", domain_id=domain)
    foreign = await create(cloud.admin, "project", domain_id=await cloud.domain())
    nobodys = uuid.uuid4().hex
    wishes: list[tuple[dict[str, str], str]] = [
        ({}, "domain_id"), ({}, "parent_id"), ({"domain_id": domain}, "parent_id"),
    ]
    for more, name in wishes:
        told = []
        for id in (foreign[name], nobodys) if name == "domain_id" else (foreign["id"], foreign["domain_id"], nobodys):
            wish = {"project": {"name": unique("p"), name: id} | more}
            answer = await manager.post(f"{V3}/projects", wish, status=(403, 404))
            told.append((answer.status, answer.body.decode().replace(id, "")))
        assert len(set(told)) == 1, told


async def test_a_domain_is_deleted_once_disabled_with_everything_in_it(cloud: Cloud) -> None:
    user = await cloud.project()
    await create(cloud.admin, "group", domain_id=user.domain_id)
    await create(cloud.admin, "role", domain_id=user.domain_id)
    await create(cloud.admin, "project", parent_id=user.project_id)
    await cloud.admin.delete(f"{V3}/domains/{user.domain_id}", status=403)
    await patch(cloud.admin, "domain", user.domain_id, enabled=False)
    await cloud.admin.delete(f"{V3}/domains/{user.domain_id}", status=204)
    for path in (f"domains/{user.domain_id}", f"projects/{user.project_id}", f"users/{user.user_id}"):
        await cloud.admin.get(f"{V3}/{path}", status=404)
    for kind in ("project", "user", "group", "role"):
        assert await ids(cloud.admin, kind, domain_id=user.domain_id) == set()
    left = await cloud.admin.get(f"{V3}/role_assignments", {"user.id": user.user_id}, status=200)
    assert left.json["role_assignments"] == []


async def test_a_domain_is_a_project_that_acts_as_one(cloud: Cloud) -> None:
    made = await create(cloud.admin, "project", is_domain=True)
    assert made["is_domain"] is True
    assert made["domain_id"] is None
    assert (await cloud.admin.get(f"{V3}/domains/{made['id']}", status=200)).json["domain"]["name"] == made["name"]
    assert made["id"] in await ids(cloud.admin, "project", is_domain="true")
    assert made["id"] not in await ids(cloud.admin, "project")
    await cloud.admin.delete(f"{V3}/projects/{made['id']}", status=400)
    await cloud.admin.patch(f"{V3}/projects/{made['id']}", {"project": {"enabled": False}}, status=200)
    await cloud.admin.delete(f"{V3}/projects/{made['id']}", status=204)
    await cloud.admin.get(f"{V3}/domains/{made['id']}", status=404)


async def test_key_03_tags_are_set_found_and_removed(cloud: Cloud) -> None:
    domain = await cloud.domain()
    red = await create(cloud.admin, "project", domain_id=domain, tags=["red"])
    both = await create(cloud.admin, "project", domain_id=domain, tags=["red", "big"])
    none = await create(cloud.admin, "project", domain_id=domain)

    async def found(**query: str) -> set[str]:
        return await ids(cloud.admin, "project", domain_id=domain, **query)

    assert await found(tags="red") == {red["id"], both["id"]}
    assert await found(tags="red,big") == {both["id"]}
    assert await found(**{"tags-any": "big,blue"}) == {both["id"]}
    assert await found(**{"not-tags": "red,big"}) == {red["id"], none["id"]}
    assert await found(**{"not-tags-any": "red,big"}) == {none["id"]}
    crowd = ",".join(f"t{n}" for n in range(1500))
    assert await found(tags=f"red,red,{crowd}") == set(), "a project has never that many"
    assert await found(tags="red,red") == {red["id"], both["id"]}
    assert await found(**{"not-tags": f"red,{crowd}"}) == {red["id"], both["id"], none["id"]}
    base = f"{V3}/projects/{none['id']}/tags"
    added = await cloud.admin.put(f"{base}/new", status=201)
    assert added.headers["location"].endswith("/tags/new")
    await cloud.admin.get(f"{base}/new", status=204)
    await cloud.admin.request("HEAD", f"{base}/old", status=404)
    assert await found(tags="new") == {none["id"]}
    assert (await cloud.admin.put(base, {"tags": ["x", "y"]}, status=200)).json["tags"] == ["x", "y"]
    assert (await cloud.admin.get(base, status=200)).json["tags"] == ["x", "y"]
    await cloud.admin.delete(f"{base}/x", status=204)
    await cloud.admin.delete(f"{base}/x", status=404)
    await cloud.admin.delete(base, status=204)
    assert (await cloud.admin.get(base, status=200)).json["tags"] == []
    for wrong in ({"tags": ["a,b"]}, {"tags": ["a/b"]}, {"tags": ["a", "a"]}, {"tags": [""]}, {"tags": "a"}, {},
                  {"tags": [str(n) for n in range(81)]}):
        await cloud.admin.put(base, wrong, status=400)


async def test_lists_page_by_marker_and_say_where_the_next_is(cloud: Cloud) -> None:
    domain = await cloud.domain()
    made = {(await create(cloud.admin, "user", domain_id=domain))["id"] for _ in range(5)}
    found: list[str] = []
    query: dict[str, Any] = {"domain_id": domain, "limit": 2}
    while True:
        answer = (await cloud.admin.get(f"{V3}/users", query, status=200)).json
        found += [user["id"] for user in answer["users"]]
        if not answer["links"]["next"]:
            break
        assert f"marker={found[-1]}" in answer["links"]["next"]
        # With the filters of the first page, or the others are of everybody.
        query = dict(parse_qsl(urlsplit(answer["links"]["next"]).query))
    assert len(found) == 5
    assert set(found) == made
    assert query == {"domain_id": domain, "limit": "2", "marker": found[3]}
    await cloud.admin.get(f"{V3}/users?limit=0", status=400)
    await cloud.admin.get(f"{V3}/users?marker=nobody", status=400)


@pytest.mark.parametrize("asked", [
    "users?name__contains=%C3%BC+%26&enabled", "projects?not-tags=a%2Cb", "role_assignments?effective&user.id=nobody",
])
async def test_a_list_says_what_was_asked(cloud: Cloud, asked: str) -> None:
    said = (await cloud.admin.get(f"{V3}/{asked}", status=200)).json["links"]["self"]
    assert sorted(parse_qsl(urlsplit(said).query, keep_blank_values=True)) == sorted(
        parse_qsl(urlsplit(asked).query, keep_blank_values=True)
    )


async def test_lists_filter_by_words_and_comparisons(cloud: Cloud) -> None:
    domain = await cloud.domain()
    a = await create(cloud.admin, "user", name="Anna_1", domain_id=domain)
    b = await create(cloud.admin, "user", name="annax1", domain_id=domain, enabled=False)

    async def found(**query: str) -> set[str]:
        return await ids(cloud.admin, "user", domain_id=domain, **query)

    assert await found(enabled="true") == {a["id"]}
    assert await found(enabled="False") == {b["id"]}
    assert await found(enabled="") == await found(enabled="certainly") == {a["id"]}
    assert await found(enabled="0") == await found(enabled="off") == {b["id"]}
    assert await found(name__icontains="NNA_") == {a["id"]}
    assert await found(name__istartswith="anna") == {a["id"], b["id"]}
    assert await found(name__endswith="x1") == {b["id"]}
    assert await found(nonsense="1") == {a["id"], b["id"]}


# ---- who may -------------------------------------------------------------------------------


async def domain_persona(cloud: Cloud, role: str) -> tuple[Client, str]:
    domain = await cloud.domain()
    user = await cloud.user(domain)
    await cloud.grant(role, user.user_id, domain_id=domain)
    return cloud.client(await cloud.token(user, {"domain": {"id": domain}})), domain


async def test_key_12_a_domains_manager_runs_the_domain_and_nothing_else(cloud: Cloud) -> None:
    manager, domain = await domain_persona(cloud, "manager")
    elsewhere = await cloud.project()
    project = await create(manager, "project")
    user = await create(manager, "user", password="secret")
    group = await create(manager, "group")
    assert {project["domain_id"], user["domain_id"], group["domain_id"]} == {domain}
    member = (await manager.get(f"{V3}/roles", {"name": "member"}, status=200)).json["roles"][0]["id"]
    admin = (await manager.get(f"{V3}/roles", {"name": "admin"}, status=200)).json["roles"][0]["id"]
    await manager.put(f"{V3}/projects/{project['id']}/users/{user['id']}/roles/{member}", status=204)
    await manager.put(f"{V3}/domains/{domain}/groups/{group['id']}/roles/{member}", status=204)
    await manager.put(f"{V3}/groups/{group['id']}/users/{user['id']}", status=204)
    # Nothing that rises above the domain.
    await manager.put(f"{V3}/projects/{project['id']}/users/{user['id']}/roles/{admin}", status=403)
    await manager.put(f"{V3}/projects/{elsewhere.project_id}/users/{user['id']}/roles/{member}", status=403)
    await manager.put(f"{V3}/projects/{project['id']}/users/{elsewhere.user_id}/roles/{member}", status=403)
    await manager.put(f"{V3}/groups/{group['id']}/users/{elsewhere.user_id}", status=403)
    await manager.put(f"{V3}/system/users/{user['id']}/roles/{admin}", status=403)
    await create(manager, "project", 403, domain_id=elsewhere.domain_id)
    await create(manager, "user", 403, domain_id=elsewhere.domain_id)
    await create(manager, "domain", 403)
    await create(manager, "role", 403)
    await patch(manager, "user", elsewhere.user_id, 404, enabled=False)
    await patch(manager, "project", elsewhere.project_id, 404, name="mine now")
    await manager.get(f"{V3}/projects/{elsewhere.project_id}", status=404)
    assert await ids(manager, "project") == {project["id"]}
    assert elsewhere.user_id not in await ids(manager, "user")
    found = (await manager.get(f"{V3}/role_assignments", status=200)).json["role_assignments"]
    scopes = {next(iter(x["scope"].values()))["id"] for x in found}
    assert scopes == {domain, project["id"]}
    await manager.delete(f"{V3}/users/{user['id']}", status=204)
    await manager.delete(f"{V3}/projects/{project['id']}", status=204)


async def test_key_12_a_domains_reader_only_reads(cloud: Cloud) -> None:
    reader, domain = await domain_persona(cloud, "reader")
    user = await create(cloud.admin, "user", domain_id=domain)
    assert user["id"] in await ids(reader, "user")
    assert await ids(reader, "domain") == {domain}
    await create(reader, "user", 403)
    await patch(reader, "user", user["id"], 403, name="x")
    await reader.delete(f"{V3}/users/{user['id']}", status=403)


@pytest.mark.parametrize("role", ["reader", "member", "manager"])
async def test_invariant_3_a_projects_people_see_their_project_and_themselves_alone(cloud: Cloud, role: str) -> None:
    user, other = await cloud.project([role]), await cloud.project()
    await user.get(f"{V3}/projects/{user.project_id}", status=200)
    await user.get(f"{V3}/users/{user.user_id}", status=200)
    await user.get(f"{V3}/domains/{user.domain_id}", status=200)
    assert (await user.get(f"{V3}/users/{user.user_id}/projects", status=200)).json["projects"]
    for path in (f"projects/{other.project_id}", f"users/{other.user_id}", f"domains/{other.domain_id}"):
        answer = await user.get(f"{V3}/{path}")
        assert answer.status in (403, 404)
        assert other.project_name.encode() not in answer.body
    for path in ("projects", "users", "groups", "domains", "services", "endpoints", "role_assignments"):
        await user.get(f"{V3}/{path}", status=403)
    await user.get(f"{V3}/users/{other.user_id}/projects", status=403)
    for kind in ("project", "user", "group", "domain"):
        await create(user, kind, 403)
    await user.delete(f"{V3}/projects/{user.project_id}", status=403)
    await patch(user, "user", user.user_id, 403, enabled=True)


async def test_bug_2148398_a_body_can_not_say_what_the_policys_target_is(cloud: Cloud) -> None:
    manager, _domain = await domain_persona(cloud, "manager")
    other = await cloud.project()
    target = {"user": {"id": "x", "domain_id": _domain}, "project": {"domain_id": _domain}}
    body = {"project": {"name": "x", "domain_id": other.domain_id, "target": target}}
    await manager.post(f"{V3}/projects", body, status=403)
    await manager.post(f"{V3}/projects", {**body, "target": target}, status=400)
    await manager.patch(f"{V3}/users/{other.user_id}", {"user": {"name": "x", "target": target}}, status=404)


# ---- whole trees ---------------------------------------------------------------------------


async def a_tree(cloud: Cloud) -> tuple[str, list[str]]:
    """A domain, and in it a project with two below it, of which one has one more."""
    domain = await cloud.domain()
    top = (await create(cloud.admin, "project", domain_id=domain))["id"]
    left = (await create(cloud.admin, "project", parent_id=top))["id"]
    right = (await create(cloud.admin, "project", parent_id=top))["id"]
    leaf = (await create(cloud.admin, "project", parent_id=left))["id"]
    return domain, [top, left, right, leaf]


async def enabled_of(cloud: Cloud, projects: list[str]) -> list[bool]:
    return [(await cloud.admin.get(f"{V3}/projects/{id}", status=200)).json["project"]["enabled"] for id in projects]


async def test_key_03_a_tree_is_disabled_and_enabled_at_once_and_its_tokens_are_void(cloud: Cloud) -> None:
    domain, tree = await a_tree(cloud)
    user = await cloud.join(domain, tree[3], "", ["reader"])
    off, on = {"project": {"enabled": False}}, {"project": {"enabled": True}}
    await cloud.admin.patch(f"{V3}/projects/{tree[0]}", off, status=403)
    await cloud.admin.patch(f"{V3}/projects/{tree[0]}?cascade=true", off, status=200)
    assert await enabled_of(cloud, tree) == [False] * 4
    await user.get(f"{V3}/auth/projects", status=401)
    await cloud.admin.patch(f"{V3}/projects/{tree[1]}?cascade", on, status=403)
    await cloud.admin.patch(f"{V3}/projects/{tree[0]}?cascade", on, status=200)
    assert await enabled_of(cloud, tree) == [True] * 4
    await user.get(f"{V3}/auth/projects", status=401)


async def test_key_03_a_tree_is_deleted_at_once_when_it_is_disabled(cloud: Cloud) -> None:
    _, tree = await a_tree(cloud)
    await cloud.admin.delete(f"{V3}/projects/{tree[0]}?cascade=true", status=403)
    await cloud.admin.patch(f"{V3}/projects/{tree[0]}?cascade=true", {"project": {"enabled": False}}, status=200)
    await cloud.admin.delete(f"{V3}/projects/{tree[0]}", status=403)
    await cloud.admin.delete(f"{V3}/projects/{tree[0]}?cascade=true", status=204)
    for id in tree:
        await cloud.admin.get(f"{V3}/projects/{id}", status=404)


async def test_a_cascade_changes_nothing_else_and_stops_at_what_is_immutable(cloud: Cloud) -> None:
    domain, tree = await a_tree(cloud)
    for body in ({"name": "x"}, {"enabled": False, "name": "x"}, {"enabled": False, "color": "x"}, {}):
        await cloud.admin.patch(f"{V3}/projects/{tree[0]}?cascade=true", {"project": body}, status=403)
    await cloud.admin.patch(f"{V3}/projects/{tree[3]}", {"project": {"options": {"immutable": True}}}, status=200)
    await cloud.admin.patch(f"{V3}/projects/{tree[0]}?cascade=true", {"project": {"enabled": False}}, status=403)
    assert await enabled_of(cloud, tree) == [True] * 4
    await cloud.admin.delete(f"{V3}/projects/{domain}?cascade=true", status=403)


async def test_nothing_is_left_below_a_tree_that_goes_while_somebody_builds_in_it(cloud: Cloud) -> None:
    domain, tree = await a_tree(cloud)
    await cloud.admin.patch(f"{V3}/projects/{tree[0]}?cascade", {"project": {"enabled": False}}, status=200)
    building = [
        cloud.admin.post(f"{V3}/projects", {"project": {"name": unique("p"), "parent_id": id, "enabled": False}})
        for id in tree for _ in range(2)
    ]
    going = [cloud.admin.delete(f"{V3}/projects/{tree[0]}?cascade") for _ in range(2)]
    answers = await asyncio.gather(*building[:4], *going, *building[4:])
    assert {answer.status for answer in answers} <= {201, 204, 404, 409}
    assert await ids(cloud.admin, "project", domain_id=domain) == set()
