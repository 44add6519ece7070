# SPDX-License-Identifier: Apache-2.0
"""Stories of domains whose users are kept in an LDAP directory: a real slapd, started for them.

Setting a domain's configuration as such is test_domain_config.py; entries in all their forms are in
tests/unit/identity/test_directory.py.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from skyhold.identity.directories import known
from tests.kit.client import Answer
from tests.kit.cloud import Cloud, sign_in
from tests.kit.slapd import Slapd, Tree

V3 = "/identity/v3"


@pytest.fixture(scope="module")
def slapd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slapd]:
    made = Slapd(tmp_path_factory.mktemp("slapd"))
    made.start()
    yield made
    made.stop()


@pytest.fixture
def tree(slapd: Slapd) -> Tree:
    return slapd.tree()


@pytest.fixture(autouse=True)
def asked_each_time(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing that a directory said is believed twice, and nobody pauses after a failure."""
    monkeypatch.setattr(known, "PAUSE_S", 0.0)
    before = cloud.core.settings
    chosen = msgspec.structs.replace(before.identity, directory_fresh_s=0, directory_refresh_s=0)
    cloud.core.settings = msgspec.structs.replace(before, identity=chosen)
    yield
    cloud.core.settings = before


async def a_domain(cloud: Cloud, tree: Tree, **options: Any) -> str:
    domain_id = await cloud.domain()
    await cloud.admin.put(f"{V3}/domains/{domain_id}/config", {"config": tree.config(**options)}, status=201)
    return domain_id


async def listed(cloud: Cloud, kind: str, domain_id: str, **query: Any) -> dict[str, dict[str, Any]]:
    answer = await cloud.admin.get(f"{V3}/{kind}", {"domain_id": domain_id, **query}, status=200)
    return {each["name"]: each for each in answer.json[kind]}


async def attempt(cloud: Cloud, user: dict[str, Any], scope: Any = None) -> Answer:
    identity = {"methods": ["password"], "password": {"user": user}}
    body = {"auth": {"identity": identity} | ({"scope": scope} if scope else {})}
    return await cloud.client().post(f"{V3}/auth/tokens", body, status=(201, 400, 401, 503))


def named(name: str, domain_id: str, password: str) -> dict[str, Any]:
    return {"name": name, "domain": {"id": domain_id}, "password": password}


async def role_id(cloud: Cloud, name: str) -> str:
    return (await cloud.admin.get(f"{V3}/roles", {"name": name}, status=200)).json["roles"][0]["id"]


async def a_project(cloud: Cloud, domain_id: str) -> str:
    body = {"project": {"name": uuid.uuid4().hex, "domain_id": domain_id}}
    return (await cloud.admin.post(f"{V3}/projects", body, status=201)).json["project"]["id"]


async def test_key_18_users_and_groups_are_those_of_the_directory(cloud: Cloud, tree: Tree) -> None:
    alice = tree.user("alice", mail="alice@there.test", description="First.", title="Dr")
    tree.user("bob")
    tree.group("ops", alice, description="Operators.")
    domain_id = await a_domain(cloud, tree, user_additional_attribute_mapping="title:title, uid:id, sn:enabled")
    users = await listed(cloud, "users", domain_id)
    assert set(users) == {"alice", "bob"}
    shown = users["alice"]
    assert (shown["email"], shown["description"], shown["title"]) == ("alice@there.test", "First.", "Dr")
    assert shown["enabled"] is True and shown["domain_id"] == domain_id and len(shown["id"]) == 32
    assert (await cloud.admin.get(f"{V3}/users/{shown['id']}", status=200)).json["user"] == shown
    groups = await listed(cloud, "groups", domain_id)
    assert groups["ops"]["description"] == "Operators."
    members = await cloud.admin.get(f"{V3}/groups/{groups['ops']['id']}/users", status=200)
    assert [each["name"] for each in members.json["users"]] == ["alice"]
    of_alice = await cloud.admin.get(f"{V3}/users/{shown['id']}/groups", status=200)
    assert [each["id"] for each in of_alice.json["groups"]] == [groups["ops"]["id"]]


async def test_key_18_a_user_signs_in_with_the_directorys_password(cloud: Cloud, tree: Tree) -> None:
    tree.user("alice", "right")
    domain_id = await a_domain(cloud, tree)
    for wrong in (named("alice", domain_id, "wrong"), named("nobody", domain_id, "right")):
        refused = await attempt(cloud, wrong)
        assert refused.status == 401
    assert (await attempt(cloud, named("alice", domain_id, "right"))).status == 201
    user_id = (await listed(cloud, "users", domain_id))["alice"]["id"]
    answer = await attempt(cloud, {"id": user_id, "password": "right"})
    assert answer.status == 201 and answer.json["token"]["user"]["id"] == user_id
    assert answer.json["token"]["methods"] == ["password"]
    assert (await attempt(cloud, {"id": user_id, "password": "wrong"})).status == 401


async def test_an_empty_password_is_no_password(cloud: Cloud, tree: Tree) -> None:
    """LDAP servers take a bind without a password for one by nobody, and say yes."""
    tree.user("alice", "right")
    domain_id = await a_domain(cloud, tree)
    assert (await attempt(cloud, named("alice", domain_id, ""))).status == 401


@pytest.mark.parametrize("name", ["*", "alice)(uid=*", "al*", "a\\2alice", "alice\0", "*)(|(uid=*"])
async def test_names_are_no_part_of_a_filter(cloud: Cloud, tree: Tree, name: str) -> None:
    tree.user("alice", "right")
    domain_id = await a_domain(cloud, tree)
    assert (await attempt(cloud, named(name, domain_id, "right"))).status in (400, 401)
    if "\0" not in name:
        assert await listed(cloud, "users", domain_id, name=name) == {}


async def test_a_name_with_every_special_letter_is_a_name(cloud: Cloud, tree: Tree) -> None:
    name = "o'brien, (jr.)*\\ ü+="
    dn = tree.user(name, "right")
    tree.group("ops", dn)
    domain_id = await a_domain(cloud, tree)
    assert (await attempt(cloud, named(name, domain_id, "right"))).status == 201
    user_id = (await listed(cloud, "users", domain_id))[name]["id"]
    groups = await cloud.admin.get(f"{V3}/users/{user_id}/groups", status=200)
    assert [each["name"] for each in groups.json["groups"]] == ["ops"]


async def test_ossa_2026_007_the_text_false_is_disabled(cloud: Cloud, tree: Tree) -> None:
    """The string "FALSE" is truthy: disabled users could log in."""
    dn = tree.user("alice", "right", employeeType="FALSE")
    tree.user("bob", "right", employeeType="TRUE")
    domain_id = await a_domain(cloud, tree)
    users = await listed(cloud, "users", domain_id)
    assert users["alice"]["enabled"] is False and users["bob"]["enabled"] is True
    assert (await attempt(cloud, named("alice", domain_id, "right"))).status == 401
    assert (await attempt(cloud, named("bob", domain_id, "right"))).status == 201
    tree.change(dn, employeeType="true")
    assert (await attempt(cloud, named("alice", domain_id, "right"))).status == 201


@pytest.mark.parametrize(("options", "enabled", "disabled"), [
    ({"user_enabled_invert": True, "user_enabled_default": "False"}, "FALSE", "TRUE"),
    ({"user_enabled_mask": 2, "user_enabled_default": "512"}, "512", "514"),
    ({"user_enabled_mask": "2", "user_enabled_default": "512"}, "512", "nonsense"),
])
async def test_who_is_enabled_is_what_the_configuration_says(
    cloud: Cloud, tree: Tree, options: dict[str, Any], enabled: str, disabled: str
) -> None:
    tree.user("yes", employeeType=enabled)
    tree.user("no", employeeType=disabled)
    tree.user("unsaid")
    users = await listed(cloud, "users", await a_domain(cloud, tree, **options))
    assert {name: each["enabled"] for name, each in users.items()} == {"yes": True, "no": False, "unsaid": True}


async def test_members_of_a_group_are_enabled_where_a_group_says_so(cloud: Cloud, tree: Tree) -> None:
    alice = tree.user("alice", "right", employeeType="FALSE")
    tree.user("bob", "right")
    group = tree.group("enabled", alice)
    domain_id = await a_domain(cloud, tree, user_enabled_emulation=True, user_enabled_emulation_dn=group)
    users = await listed(cloud, "users", domain_id)
    assert {name: each["enabled"] for name, each in users.items()} == {"alice": True, "bob": False}
    assert (await attempt(cloud, named("alice", domain_id, "right"))).status == 201
    assert (await attempt(cloud, named("bob", domain_id, "right"))).status == 401


async def test_key_18_roles_are_given_to_the_directorys_users_and_groups(cloud: Cloud, tree: Tree) -> None:
    alice, bob = tree.user("alice", "right"), tree.user("bob", "right")
    group = tree.group("ops", alice)
    domain_id = await a_domain(cloud, tree)
    project = await a_project(cloud, domain_id)
    groups, users = await listed(cloud, "groups", domain_id), await listed(cloud, "users", domain_id)
    member, reader = await role_id(cloud, "member"), await role_id(cloud, "reader")
    await cloud.admin.put(f"{V3}/projects/{project}/groups/{groups['ops']['id']}/roles/{member}", status=204)
    await cloud.admin.put(f"{V3}/projects/{project}/users/{users['bob']['id']}/roles/{reader}", status=204)

    async def roles(name: str) -> set[str]:
        answer = await attempt(cloud, named(name, domain_id, "right"), {"project": {"id": project}})
        return {role["name"] for role in answer.json["token"]["roles"]} if answer.status == 201 else set()

    assert await roles("alice") == {"member", "reader"} and await roles("bob") == {"reader"}
    tree.change(group, member=bob)
    assert await roles("alice") == set() and await roles("bob") == {"member", "reader"}
    told = await cloud.admin.get(
        f"{V3}/role_assignments", {"scope.project.id": project, "include_names": "1"}, status=200
    )
    actors = [each.get("user", each.get("group")) for each in told.json["role_assignments"]]
    assert {(each["name"], each["domain"]["id"]) for each in actors} == {("ops", domain_id), ("bob", domain_id)}


async def test_who_leaves_the_directory_is_out_and_comes_back_as_the_same(cloud: Cloud, tree: Tree) -> None:
    dn = tree.user("alice", "right")
    domain_id = await a_domain(cloud, tree)
    project = await a_project(cloud, domain_id)
    user_id = (await listed(cloud, "users", domain_id))["alice"]["id"]
    await cloud.grant("member", user_id, project_id=project)
    scope = {"project": {"id": project}}
    token = await sign_in(cloud.core, named("alice", domain_id, "right"), scope)
    await cloud.client(token).get(f"{V3}/auth/projects", status=200)
    tree.delete(dn)
    await cloud.core.loops.run_once("identity.directories")
    await cloud.client(token).get(f"{V3}/auth/projects", status=401)
    await cloud.admin.get(f"{V3}/users/{user_id}", status=404)
    assert await listed(cloud, "users", domain_id) == {}
    assert (await attempt(cloud, {"id": user_id, "password": "right"})).status == 401
    tree.user("alice", "new")
    answer = await attempt(cloud, named("alice", domain_id, "new"), scope)
    assert answer.status == 201 and answer.json["token"]["user"]["id"] == user_id
    await cloud.client(token).get(f"{V3}/auth/projects", status=401)


async def test_disabling_in_the_directory_voids_tokens(cloud: Cloud, tree: Tree) -> None:
    dn = tree.user("alice", "right")
    domain_id = await a_domain(cloud, tree)
    token = await sign_in(cloud.core, named("alice", domain_id, "right"))
    tree.change(dn, employeeType="FALSE")
    await cloud.core.loops.run_once("identity.directories")
    await cloud.client(token).get(f"{V3}/auth/projects", status=401)


async def test_what_a_directory_keeps_is_only_read_here(cloud: Cloud, tree: Tree) -> None:
    tree.group("ops", tree.user("alice", "right"))
    domain_id = await a_domain(cloud, tree)
    user = (await listed(cloud, "users", domain_id))["alice"]["id"]
    group = (await listed(cloud, "groups", domain_id))["ops"]["id"]
    await cloud.admin.patch(f"{V3}/users/{user}", {"user": {"enabled": False}}, status=403)
    await cloud.admin.patch(f"{V3}/users/{user}", {"user": {"password": "mine-now-really"}}, status=403)
    await cloud.admin.delete(f"{V3}/users/{user}", status=403)
    await cloud.admin.patch(f"{V3}/groups/{group}", {"group": {"name": "mine"}}, status=403)
    await cloud.admin.delete(f"{V3}/groups/{group}", status=403)
    await cloud.admin.delete(f"{V3}/groups/{group}/users/{user}", status=403)
    await cloud.admin.put(f"{V3}/groups/{group}/users/{user}", status=403)
    body = {"name": "carol", "domain_id": domain_id}
    await cloud.admin.post(f"{V3}/users", {"user": body}, status=403)
    await cloud.admin.post(f"{V3}/groups", {"group": body}, status=403)
    body = {"user": {"original_password": "right", "password": "mine-now-really"}}
    await cloud.client().post(f"{V3}/users/{user}/password", body, status=401)


async def test_lists_of_a_directory_page_and_filter(cloud: Cloud, tree: Tree) -> None:
    for number in range(25):
        tree.user(f"user-{number:02}", description="d" * number or "none")
    domain_id = await a_domain(cloud, tree, page_size=4)
    seen: list[str] = []
    query: dict[str, Any] = {"domain_id": domain_id, "limit": 10}
    for _ in range(3):
        rows = (await cloud.admin.get(f"{V3}/users", query, status=200)).json["users"]
        seen += [row["name"] for row in rows]
        query["marker"] = rows[-1]["id"]
    assert sorted(seen) == [f"user-{number:02}" for number in range(25)]
    assert set(await listed(cloud, "users", domain_id, name__startswith="user-1")) == {f"user-1{n}" for n in range(10)}


async def test_the_operators_filter_and_scope_count(cloud: Cloud, tree: Tree) -> None:
    tree.user("alice", "right", description="staff")
    tree.user("bob", "right", description="guest")
    domain_id = await a_domain(cloud, tree, user_filter="(description=staff)")
    assert set(await listed(cloud, "users", domain_id)) == {"alice"}
    assert (await attempt(cloud, named("bob", domain_id, "right"))).status == 401
    above = await a_domain(cloud, tree, user_tree_dn=tree.base, query_scope="sub")
    assert set(await listed(cloud, "users", above)) == {"alice", "bob"}
    beside = await a_domain(cloud, tree, user_tree_dn=tree.base, query_scope="one")
    assert await listed(cloud, "users", beside) == {}


async def test_members_may_be_ids(cloud: Cloud, tree: Tree) -> None:
    with tree.slapd.root() as root:
        tree.user("alice", "right")
        root.add(f"cn=people,ou=Groups,{tree.base}", "groupOfNames", {"member": "cn=x", "description": ["alice"]})
    domain_id = await a_domain(cloud, tree, group_members_are_ids=True, group_member_attribute="description")
    group = (await listed(cloud, "groups", domain_id))["people"]
    members = await cloud.admin.get(f"{V3}/groups/{group['id']}/users", status=200)
    assert [each["name"] for each in members.json["users"]] == ["alice"]


async def test_tls_is_spoken_and_checked(cloud: Cloud, tree: Tree) -> None:
    tree.user("alice", "right")
    slapd = tree.slapd
    encrypted = {"url": slapd.tls_url, "tls_cacertfile": slapd.ca}
    assert set(await listed(cloud, "users", await a_domain(cloud, tree, **encrypted))) == {"alice"}
    started = {"url": f"ldap://localhost:{slapd.port}", "use_tls": True, "tls_cacertfile": slapd.ca}
    domain_id = await a_domain(cloud, tree, **started)
    assert (await attempt(cloud, named("alice", domain_id, "right"))).status == 201
    for untrusted in ({"url": slapd.tls_url}, {**started, "tls_cacertfile": "/nowhere.pem"}, {
        **started, "url": f"ldap://127.0.0.1:{slapd.port}"
    }):
        domain_id = await a_domain(cloud, tree, **untrusted)
        assert (await attempt(cloud, named("alice", domain_id, "right"))).status == 503
    trusting = {"url": slapd.tls_url, "tls_req_cert": "never"}
    assert set(await listed(cloud, "users", await a_domain(cloud, tree, **trusting))) == {"alice"}


@pytest.mark.parametrize("options", [
    {"url": "http://127.0.0.1"}, {"url": "ldap://"}, {"user_filter": "(unbalanced"}, {"query_scope": "far"},
    {"tls_req_cert": "maybe"}, {"password": "wrong"}, {"url": "ldap://127.0.0.1:1"},
])
async def test_a_directory_that_can_not_be_used_is_unavailable(
    cloud: Cloud, tree: Tree, options: dict[str, Any]
) -> None:
    tree.user("alice", "right")
    domain_id = await a_domain(cloud, tree, **options)
    refused = await attempt(cloud, named("alice", domain_id, "right"))
    assert refused.status == 503 and refused.json["error"]["reason"] == "directory_away"
    await cloud.admin.get(f"{V3}/users", {"domain_id": domain_id}, status=503)


async def test_a_directory_that_is_away_takes_nobody_else_along(cloud: Cloud, tmp_path: Any) -> None:
    slapd = Slapd(tmp_path / "own")
    slapd.start()
    try:
        tree = slapd.tree()
        tree.user("alice", "right")
        domain_id = await a_domain(cloud, tree)
        token = await sign_in(cloud.core, named("alice", domain_id, "right"))
        user_id = (await listed(cloud, "users", domain_id))["alice"]["id"]
        slapd.stop()
        other = await cloud.project()
        refused = await attempt(cloud, named("alice", domain_id, "right"))
        assert refused.status == 503 and "right" not in refused.json["error"]["message"]
        await cloud.admin.get(f"{V3}/users", {"domain_id": domain_id}, status=503)
        await cloud.admin.get(f"{V3}/users/{user_id}", status=503)
        # Whoever may not see them learns nothing of their directory.
        await other.get(f"{V3}/users/{user_id}", status=404)
        await other.get(f"{V3}/users", {"domain_id": domain_id}, status=(200, 403))
        # A token that is out counts until the directory says otherwise.
        await cloud.client(token).get(f"{V3}/auth/projects", status=200)
        assert set(await listed(cloud, "users", other.domain_id)) == {other.user_name}
        everybody = (await cloud.admin.get(f"{V3}/users", status=200)).json["users"]
        assert {"alice", other.user_name} <= {each["name"] for each in everybody}
        await cloud.core.loops.run_once("identity.directories")
        slapd.start()
        assert (await attempt(cloud, named("alice", domain_id, "right"))).status == 201
    finally:
        slapd.stop()


async def test_a_domain_without_a_directory_any_more_has_nobody_of_it(cloud: Cloud, tree: Tree) -> None:
    tree.user("alice", "right")
    domain_id = await a_domain(cloud, tree)
    token = await sign_in(cloud.core, named("alice", domain_id, "right"))
    await cloud.admin.delete(f"{V3}/domains/{domain_id}/config", status=204)
    await cloud.core.loops.run_once("identity.directories")
    assert await listed(cloud, "users", domain_id) == {}
    await cloud.client(token).get(f"{V3}/auth/projects", status=401)
    assert (await attempt(cloud, named("alice", domain_id, "right"))).status == 401
    await cloud.admin.patch(f"{V3}/domains/{domain_id}", {"domain": {"enabled": False}}, status=200)
    await cloud.admin.delete(f"{V3}/domains/{domain_id}", status=204)


async def test_our_own_users_of_such_a_domain_stay_ours(cloud: Cloud, tree: Tree) -> None:
    """A name that is taken here is not taken over by an entry of the directory."""
    domain_id = await cloud.domain()
    own = await cloud.user(domain_id)
    tree.user(own.user_name, "from-the-directory")
    tree.user("alice", "right")
    await cloud.admin.put(f"{V3}/domains/{domain_id}/config", {"config": tree.config()}, status=201)
    users = await listed(cloud, "users", domain_id)
    assert users[own.user_name]["id"] == own.user_id and "alice" in users
    assert (await attempt(cloud, named(own.user_name, domain_id, own.password))).status == 201
    assert (await attempt(cloud, named(own.user_name, domain_id, "from-the-directory"))).status == 401
