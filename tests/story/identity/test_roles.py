# SPDX-License-Identifier: Apache-2.0
"""Stories of roles: given directly, through groups, down the tree, by implication; and taken away.

Signing in itself is test_tokens.py. Each story looks at what a token says in the end, since that is
what all services decide by.
"""

from __future__ import annotations

import uuid
from typing import Any

from tests.kit.cloud import Cloud, Persona

V3 = "/identity/v3"


async def role_id(cloud: Cloud, name: str) -> str:
    return (await cloud.admin.get(f"{V3}/roles", {"name": name}, status=200)).json["roles"][0]["id"]


async def new_role(cloud: Cloud, **more: Any) -> dict[str, Any]:
    body = {"role": {"name": "role-" + uuid.uuid4().hex[:8], **more}}
    return (await cloud.admin.post(f"{V3}/roles", body, status=201)).json["role"]


async def new_group(cloud: Cloud, domain_id: str) -> str:
    body = {"group": {"name": "group-" + uuid.uuid4().hex[:8], "domain_id": domain_id}}
    return (await cloud.admin.post(f"{V3}/groups", body, status=201)).json["group"]["id"]


async def new_project(cloud: Cloud, parent_id: str) -> str:
    body = {"project": {"name": "project-" + uuid.uuid4().hex[:8], "parent_id": parent_id}}
    return (await cloud.admin.post(f"{V3}/projects", body, status=201)).json["project"]["id"]


async def roles_now(cloud: Cloud, user: Persona) -> set[str]:
    """What the persona's own token says."""
    answer = await user.get(f"{V3}/auth/tokens", headers={"X-Subject-Token": user.token or ""}, status=200)
    return {role["name"] for role in answer.json["token"]["roles"]}


async def assignments(cloud: Cloud, **query: Any) -> list[dict[str, Any]]:
    answer = await cloud.admin.get(f"{V3}/role_assignments", query, status=200)
    return answer.json["role_assignments"]


async def test_key_06_admin_implies_manager_member_and_reader(cloud: Cloud) -> None:
    assert await roles_now(cloud, cloud.admin) == {"admin", "manager", "member", "reader"}
    assert await roles_now(cloud, await cloud.project(["manager"])) == {"manager", "member", "reader"}
    assert await roles_now(cloud, await cloud.project(["reader"])) == {"reader"}


async def test_a_role_given_and_taken_shows_in_tokens_that_are_out(cloud: Cloud) -> None:
    user = await cloud.project(["reader"])
    address = f"{V3}/projects/{user.project_id}/users/{user.user_id}/roles/{await role_id(cloud, 'member')}"
    await cloud.admin.request("HEAD", address, status=404)
    await cloud.admin.put(address, status=204)
    await cloud.admin.put(address, status=204)
    await cloud.admin.request("HEAD", address, status=204)
    assert await roles_now(cloud, user) == {"member", "reader"}
    await cloud.admin.delete(address, status=204)
    assert await roles_now(cloud, user) == {"reader"}
    await cloud.admin.delete(address, status=404)


async def test_taking_the_last_role_voids_the_token(cloud: Cloud) -> None:
    user = await cloud.project(["reader"])
    address = f"{V3}/projects/{user.project_id}/users/{user.user_id}/roles/{await role_id(cloud, 'reader')}"
    await cloud.admin.delete(address, status=204)
    await user.get(f"{V3}/auth/projects", status=401)


async def test_key_04_a_groups_role_is_its_members_while_they_are_members(cloud: Cloud) -> None:
    user = await cloud.project(["reader"])
    group = await new_group(cloud, user.domain_id)
    member = await role_id(cloud, "member")
    await cloud.admin.put(f"{V3}/projects/{user.project_id}/groups/{group}/roles/{member}", status=204)
    assert await roles_now(cloud, user) == {"reader"}
    await cloud.admin.request("HEAD", f"{V3}/groups/{group}/users/{user.user_id}", status=404)
    await cloud.admin.put(f"{V3}/groups/{group}/users/{user.user_id}", status=204)
    await cloud.admin.request("HEAD", f"{V3}/groups/{group}/users/{user.user_id}", status=204)
    assert await roles_now(cloud, user) == {"member", "reader"}
    listed = (await cloud.admin.get(f"{V3}/groups/{group}/users", status=200)).json["users"]
    assert [found["id"] for found in listed] == [user.user_id]
    mine = (await user.get(f"{V3}/users/{user.user_id}/groups", status=200)).json["groups"]
    assert [found["id"] for found in mine] == [group]
    found = await assignments(cloud, effective="", **{"user.id": user.user_id, "role.id": member})
    assert found[0]["links"]["membership"].endswith(f"/groups/{group}/users/{user.user_id}")
    await cloud.admin.delete(f"{V3}/groups/{group}/users/{user.user_id}", status=204)
    assert await roles_now(cloud, user) == {"reader"}


async def test_key_04_an_inherited_role_reaches_every_project_below_and_not_the_place_itself(cloud: Cloud) -> None:
    user = await cloud.project(["reader"])
    child = await new_project(cloud, user.project_id)
    grandchild = await new_project(cloud, child)
    member = await role_id(cloud, "member")
    path = f"{user.project_id}/users/{user.user_id}/roles/{member}/inherited_to_projects"
    await cloud.admin.put(f"{V3}/OS-INHERIT/projects/{path}", status=204)
    await cloud.admin.request("HEAD", f"{V3}/OS-INHERIT/projects/{path}", status=204)
    assert await roles_now(cloud, user) == {"reader"}
    for below in (child, grandchild):
        token = await cloud.token(user, {"project": {"id": below}})
        assert (await cloud.core.authenticate(token)).roles == {"member", "reader"}
    reach = (await user.get(f"{V3}/auth/projects", status=200)).json["projects"]
    assert {p["id"] for p in reach} == {user.project_id, child, grandchild}
    plain = await assignments(cloud, **{"user.id": user.user_id, "scope.OS-INHERIT:inherited_to": "projects"})
    assert [a["scope"]["OS-INHERIT:inherited_to"] for a in plain] == ["projects"]
    effective = await assignments(cloud, effective="", **{"user.id": user.user_id, "role.id": member})
    assert {a["scope"]["project"]["id"] for a in effective} == {child, grandchild}


async def test_a_role_inherited_from_the_domain_reaches_all_its_projects(cloud: Cloud) -> None:
    user = await cloud.project([])
    member = await role_id(cloud, "member")
    path = f"domains/{user.domain_id}/users/{user.user_id}/roles"
    await cloud.admin.put(f"{V3}/OS-INHERIT/{path}/{member}/inherited_to_projects", status=204)
    token = await cloud.token(user, {"project": {"id": user.project_id}})
    assert "member" in (await cloud.core.authenticate(token)).roles
    listed = await cloud.admin.get(f"{V3}/OS-INHERIT/{path}/inherited_to_projects", status=200)
    assert [role["name"] for role in listed.json["roles"]] == ["member"]
    assert (await cloud.admin.get(f"{V3}/{path}", status=200)).json["roles"] == []
    await cloud.admin.delete(f"{V3}/OS-INHERIT/{path}/{member}/inherited_to_projects", status=204)
    await cloud.client(token).get(f"{V3}/auth/projects", status=401)


async def test_implied_roles_come_and_go_with_the_implication(cloud: Cloud) -> None:
    user = await cloud.project(["reader"])
    a, b, c = [await new_role(cloud) for _ in range(3)]
    await cloud.admin.put(f"{V3}/projects/{user.project_id}/users/{user.user_id}/roles/{a['id']}", status=204)
    for prior, implied in ((a, b), (b, c), (c, a)):
        address = f"{V3}/roles/{prior['id']}/implies/{implied['id']}"
        made = await cloud.admin.put(address, status=201)
        assert made.json["role_inference"]["implies"]["id"] == implied["id"]
        await cloud.admin.request("HEAD", address, status=204)
        assert (await cloud.admin.get(address, status=200)).json["role_inference"]["prior_role"]["id"] == prior["id"]
    assert await roles_now(cloud, user) == {"reader", a["name"], b["name"], c["name"]}
    found = await assignments(cloud, effective="", include_names="", **{"user.id": user.user_id})
    assert {x["role"]["name"] for x in found} == {"reader", a["name"], b["name"], c["name"]}
    await cloud.admin.delete(f"{V3}/roles/{a['id']}/implies/{b['id']}", status=204)
    assert await roles_now(cloud, user) == {"reader", a["name"]}
    await cloud.admin.delete(f"{V3}/roles/{a['id']}/implies/{b['id']}", status=404)
    inferences = (await cloud.admin.get(f"{V3}/role_inferences", status=200)).json["role_inferences"]
    assert {"manager"} == {
        i["name"] for found in inferences if found["prior_role"]["name"] == "admin" for i in found["implies"]
    }


async def test_admin_can_not_be_implied(cloud: Cloud) -> None:
    role = await new_role(cloud)
    await cloud.admin.put(f"{V3}/roles/{role['id']}/implies/{await role_id(cloud, 'admin')}", status=403)


async def test_a_domains_role_is_implied_by_domains_roles_only(cloud: Cloud) -> None:
    first, second = [await new_role(cloud, domain_id=await cloud.domain()) for _ in range(2)]
    everywhere = await new_role(cloud)
    await cloud.admin.put(f"{V3}/roles/{first['id']}/implies/{second['id']}", status=201)
    await cloud.admin.put(f"{V3}/roles/{first['id']}/implies/{everywhere['id']}", status=201)
    await cloud.admin.put(f"{V3}/roles/{everywhere['id']}/implies/{first['id']}", status=403)


async def test_a_domains_role_is_never_in_a_token_but_what_it_implies_is(cloud: Cloud) -> None:
    user = await cloud.project(["reader"])
    own = await new_role(cloud, domain_id=user.domain_id)
    await cloud.admin.put(f"{V3}/roles/{own['id']}/implies/{await role_id(cloud, 'member')}", status=201)
    await cloud.admin.put(f"{V3}/projects/{user.project_id}/users/{user.user_id}/roles/{own['id']}", status=204)
    assert await roles_now(cloud, user) == {"member", "reader"}
    elsewhere = await cloud.project([])
    address = f"{V3}/projects/{elsewhere.project_id}/users/{elsewhere.user_id}/roles/{own['id']}"
    await cloud.admin.put(address, status=403)
    listed = await cloud.admin.get(f"{V3}/roles", {"domain_id": user.domain_id}, status=200)
    assert [role["id"] for role in listed.json["roles"]] == [own["id"]]


async def test_deleting_a_role_takes_it_from_everybody(cloud: Cloud) -> None:
    user = await cloud.project(["reader"])
    role = await new_role(cloud)
    await cloud.admin.put(f"{V3}/projects/{user.project_id}/users/{user.user_id}/roles/{role['id']}", status=204)
    assert role["name"] in await roles_now(cloud, user)
    await cloud.admin.delete(f"{V3}/roles/{role['id']}", status=204)
    assert await roles_now(cloud, user) == {"reader"}


async def test_key_20_the_roles_of_the_cloud_are_immutable(cloud: Cloud) -> None:
    reader = await role_id(cloud, "reader")
    await cloud.admin.delete(f"{V3}/roles/{reader}", status=403)
    await cloud.admin.patch(f"{V3}/roles/{reader}", {"role": {"name": "writer"}}, status=403)
    role = await new_role(cloud, options={"immutable": True})
    address = f"{V3}/roles/{role['id']}"
    await cloud.admin.delete(address, status=403)
    both = {"role": {"options": {"immutable": False}, "name": "x"}}
    await cloud.admin.patch(address, both, status=403)
    await cloud.admin.patch(address, {"role": {"options": {"immutable": None}}}, status=200)
    await cloud.admin.delete(address, status=204)


async def test_system_roles(cloud: Cloud) -> None:
    user = await cloud.user()
    reader = await role_id(cloud, "reader")
    base = f"{V3}/system/users/{user.user_id}/roles"
    await cloud.admin.put(f"{base}/{reader}", status=204)
    assert [r["id"] for r in (await cloud.admin.get(base, status=200)).json["roles"]] == [reader]
    await cloud.admin.get(f"{base}/{reader}", status=204)
    system = cloud.client(await cloud.token(user, {"system": {"all": True}}))
    await system.get(f"{V3}/users", status=200)
    await system.post(f"{V3}/domains", {"domain": {"name": "no"}}, status=403)
    found = await assignments(cloud, **{"scope.system": "all", "user.id": user.user_id})
    assert found[0]["scope"] == {"system": {"all": True}}
    await cloud.admin.delete(f"{base}/{reader}", status=204)
    await system.get(f"{V3}/users", status=401)


async def test_lists_of_assignments_filter_and_refuse_contradictions(cloud: Cloud) -> None:
    user = await cloud.project(["member"])
    found = await assignments(cloud, **{"scope.project.id": user.project_id})
    assert [(a["user"]["id"], a["role"]["id"]) for a in found] == [(user.user_id, await role_id(cloud, "member"))]
    named = await assignments(cloud, include_names="true", **{"scope.project.id": user.project_id})
    assert named[0]["user"]["name"] == user.user_name
    assert named[0]["user"]["domain"]["id"] == user.domain_id
    assert named[0]["scope"]["project"]["name"] == user.project_name
    child = await new_project(cloud, user.project_id)
    member = await role_id(cloud, "member")
    await cloud.admin.put(f"{V3}/projects/{child}/users/{user.user_id}/roles/{member}", status=204)
    tree = await assignments(cloud, include_subtree="", **{"scope.project.id": user.project_id})
    assert {a["scope"]["project"]["id"] for a in tree} == {user.project_id, child}
    for query in ("user.id=a&group.id=b", "scope.project.id=a&scope.domain.id=b", "effective&group.id=a",
                  "include_subtree", "scope.OS-INHERIT:inherited_to=domains"):
        await cloud.admin.get(f"{V3}/role_assignments?{query}", status=400)
    assert await assignments(cloud, **{"user.id": "nobody"}) == []


async def test_foreign_ids_in_a_grant_are_404(cloud: Cloud) -> None:
    user, member = await cloud.project(["reader"]), await role_id(cloud, "member")
    for path in (f"projects/none/users/{user.user_id}/roles/{member}",
                 f"projects/{user.project_id}/users/none/roles/{member}",
                 f"projects/{user.project_id}/users/{user.user_id}/roles/none",
                 f"domains/{user.project_id}/users/{user.user_id}/roles/{member}"):
        await cloud.admin.put(f"{V3}/{path}", status=404)
    await user.put(f"{V3}/projects/{user.project_id}/users/{user.user_id}/roles/{member}", status=403)


async def test_key_04_what_an_assignment_came_from_is_in_its_links(cloud: Cloud) -> None:
    """Through a group, down the tree and by implication at once: each step can be followed."""
    user = await cloud.project([])
    group = await new_group(cloud, user.domain_id)
    await cloud.admin.put(f"{V3}/groups/{group}/users/{user.user_id}", status=204)
    prior, implied = await new_role(cloud), await new_role(cloud)
    await cloud.admin.put(f"{V3}/roles/{prior['id']}/implies/{implied['id']}", status=201)
    given = f"domains/{user.domain_id}/groups/{group}/roles/{prior['id']}/inherited_to_projects"
    await cloud.admin.put(f"{V3}/OS-INHERIT/{given}", status=204)
    query = {"effective": "1", "user.id": user.user_id, "role.id": implied["id"], "include_names": "1"}
    (found,) = await assignments(cloud, **query)
    base = found["links"]["assignment"].partition("/v3/")[0] + "/v3"
    assert found["links"] == {
        "assignment": f"{base}/OS-INHERIT/{given}",
        "membership": f"{base}/groups/{group}/users/{user.user_id}",
        "prior_role": f"{base}/prior_role/{prior['id']}/implies/{implied['id']}",
    }
    assert found["role"]["name"] == implied["name"] and found["user"]["name"] == user.user_name
    assert found["scope"]["project"]["id"] == user.project_id
    assert found["scope"]["OS-INHERIT:inherited_to"] == "projects"
    del query["include_names"]
    (bare,) = await assignments(cloud, **query)
    assert bare["user"] == {"id": user.user_id} and bare["role"] == {"id": implied["id"]}
    assert bare["links"] == found["links"]


async def test_key_04_system_roles_are_given_listed_and_effective(cloud: Cloud) -> None:
    user = await cloud.user()
    group = await new_group(cloud, "default")
    await cloud.admin.put(f"{V3}/groups/{group}/users/{user.user_id}", status=204)
    member, reader = await role_id(cloud, "member"), await role_id(cloud, "reader")
    for actor in (f"users/{user.user_id}", f"groups/{group}"):
        path = f"{V3}/system/{actor}/roles"
        await cloud.admin.put(f"{path}/{member}", status=204)
        await cloud.admin.get(f"{path}/{member}", status=204)
        await cloud.admin.request("HEAD", f"{path}/{member}", status=204)
        assert [role["id"] for role in (await cloud.admin.get(path, status=200)).json["roles"]] == [member]
    plain = await assignments(cloud, **{"scope.system": "all", "user.id": user.user_id})
    assert [(each["scope"], each["role"]["id"]) for each in plain] == [({"system": {"all": True}}, member)]
    await cloud.admin.delete(f"{V3}/system/users/{user.user_id}/roles/{member}", status=204)
    held = await assignments(cloud, **{"scope.system": "all", "user.id": user.user_id, "effective": "1"})
    assert {each["role"]["id"] for each in held} == {member, reader}
    assert all(f"/system/groups/{group}/roles/{member}" in each["links"]["assignment"] for each in held)
