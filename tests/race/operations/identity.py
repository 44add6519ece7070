# SPDX-License-Identifier: Apache-2.0
"""Races of identity's operations.

What an entry means is ../duel.py. All of it is an administrator's, on a domain made for the race.
"""

from __future__ import annotations

from typing import Any

from tests.race.duel import Call, Duel, Ground, name, race

V3 = "/identity/v3"


async def a_domain(g: Ground, **more: Any) -> dict[str, Any]:
    return await g.make(f"{V3}/domains", "domain", name=name(), **more)


async def a_project(g: Ground, **more: Any) -> dict[str, Any]:
    return await g.make(f"{V3}/projects", "project", name=name(), **more)


async def a_user(g: Ground, **more: Any) -> dict[str, Any]:
    return await g.make(f"{V3}/users", "user", name=name(), **more)


async def a_group(g: Ground) -> dict[str, Any]:
    return await g.make(f"{V3}/groups", "group", name=name())


async def a_role(g: Ground) -> dict[str, Any]:
    return await g.make(f"{V3}/roles", "role", name=name())


def change(g: Ground, kind: str, path: str, first: dict[str, Any], second: dict[str, Any]) -> Duel:
    """Two changes of different attributes, neither of which may be lost."""
    return Duel(
        Call(g.admin, "PATCH", path, {kind: first}), Call(g.admin, "PATCH", path, {kind: second}),
        gone=Call(g.admin, "DELETE", path), keeps=(g.admin, path, {kind: first | second}),
    )


def creation(g: Ground, kind: str, body: dict[str, Any], gone: str, *, unique: bool = True, **more: Any) -> Duel:
    one = Call(g.admin, "POST", f"{V3}/{kind}s", {kind: body})
    return Duel(one, gone=Call(g.admin, "DELETE", gone), winners=(1,) if unique else (1, 2), **more)


def removal(g: Ground, path: str, gone: str | None = None) -> Duel:
    return Duel(Call(g.admin, "DELETE", path), gone=Call(g.admin, "DELETE", gone) if gone else None, winners=(1,))


# ---- tokens --------------------------------------------------------------------------------


@race("POST /identity/v3/auth/tokens")
async def sign_in(g: Ground) -> Duel:
    user = await a_user(g, password="the-password")
    who = {"user": {"id": user["id"], "password": "the-password"}}
    body = {"auth": {"identity": {"methods": ["password"], "password": who}}}
    one = Call(g.cloud.client(), "POST", f"{V3}/auth/tokens", body)
    return Duel(one, gone=Call(g.admin, "DELETE", f"{V3}/users/{user['id']}"), winners=(2,), refusals=(401,))


@race("DELETE /identity/v3/auth/tokens")
async def sign_out(g: Ground) -> Duel:
    user = await a_user(g, password="the-password")
    who = {"user": {"id": user["id"], "password": "the-password"}}
    body = {"auth": {"identity": {"methods": ["password"], "password": who}}}
    answer = await g.cloud.client().post(f"{V3}/auth/tokens", body, status=201)
    one = Call(g.admin, "DELETE", f"{V3}/auth/tokens", headers={"X-Subject-Token": answer.headers["x-subject-token"]})
    return Duel(one, gone=Call(g.admin, "DELETE", f"{V3}/users/{user['id']}"), refusals=(401,))


# ---- domains, projects, users, groups, roles -------------------------------------------------


@race("POST /identity/v3/domains")
async def create_domain(g: Ground) -> Duel:
    # Nothing is above a domain: what may go meanwhile is one of that name.
    return creation(g, "domain", {"name": name()}, f"{V3}/domains/{(await a_domain(g, enabled=False))['id']}")


@race("PATCH /identity/v3/domains/{domain_id}")
async def change_domain(g: Ground) -> Duel:
    made = await a_domain(g, enabled=False)
    return change(g, "domain", f"{V3}/domains/{made['id']}", {"description": "one"}, {"colour": "two"})


@race("DELETE /identity/v3/domains/{domain_id}")
async def delete_domain(g: Ground) -> Duel:
    return removal(g, f"{V3}/domains/{(await a_domain(g, enabled=False))['id']}")


@race("POST /identity/v3/projects")
async def create_project(g: Ground) -> Duel:
    domain = await a_domain(g, enabled=False)
    body = {"name": name(), "domain_id": domain["id"], "enabled": False}
    return creation(g, "project", body, f"{V3}/domains/{domain['id']}")


@race("PATCH /identity/v3/projects/{project_id}")
async def change_project(g: Ground) -> Duel:
    made = await a_project(g)
    return change(g, "project", f"{V3}/projects/{made['id']}", {"shape": "one"}, {"colour": "two"})


@race("DELETE /identity/v3/projects/{project_id}")
async def delete_project(g: Ground) -> Duel:
    return removal(g, f"{V3}/projects/{(await a_project(g))['id']}")


@race("PUT /identity/v3/projects/{project_id}/tags")
async def set_tags(g: Ground) -> Duel:
    path = f"{V3}/projects/{(await a_project(g))['id']}"
    one, two = ({"tags": ["a", "b"]}, {"tags": ["c"]})
    return Duel(
        Call(g.admin, "PUT", path + "/tags", one), Call(g.admin, "PUT", path + "/tags", two),
        gone=Call(g.admin, "DELETE", path),
    )


@race("DELETE /identity/v3/projects/{project_id}/tags")
async def clear_tags(g: Ground) -> Duel:
    path = f"{V3}/projects/{(await a_project(g, tags=['a', 'b']))['id']}"
    return Duel(Call(g.admin, "DELETE", path + "/tags"), gone=Call(g.admin, "DELETE", path))


@race("PUT /identity/v3/projects/{project_id}/tags/{value}")
async def add_tag(g: Ground) -> Duel:
    path = f"{V3}/projects/{(await a_project(g))['id']}"
    return Duel(
        Call(g.admin, "PUT", path + "/tags/one"), Call(g.admin, "PUT", path + "/tags/two"),
        gone=Call(g.admin, "DELETE", path), keeps=(g.admin, path + "/tags", {"tags": ["one", "two"]}),
    )


@race("DELETE /identity/v3/projects/{project_id}/tags/{value}")
async def drop_tag(g: Ground) -> Duel:
    path = f"{V3}/projects/{(await a_project(g, tags=['a', 'b']))['id']}"
    return Duel(Call(g.admin, "DELETE", path + "/tags/a"), gone=Call(g.admin, "DELETE", path), winners=(1,))


@race("POST /identity/v3/users")
async def create_user(g: Ground) -> Duel:
    domain = await a_domain(g, enabled=False)
    return creation(g, "user", {"name": name(), "domain_id": domain["id"]}, f"{V3}/domains/{domain['id']}")


@race("PATCH /identity/v3/users/{user_id}")
async def change_user(g: Ground) -> Duel:
    made = await a_user(g)
    return change(g, "user", f"{V3}/users/{made['id']}", {"shape": "one"}, {"colour": "two"})


@race("DELETE /identity/v3/users/{user_id}")
async def delete_user(g: Ground) -> Duel:
    return removal(g, f"{V3}/users/{(await a_user(g))['id']}")


@race("POST /identity/v3/users/{user_id}/password")
async def change_password(g: Ground) -> Duel:
    user = await g.cloud.project(["member"])
    path = f"{V3}/users/{user.user_id}"
    body = {"user": {"original_password": user.password, "password": "another-one"}}
    # The first to come ends all tokens, and with them the other's right to ask.
    return Duel(
        Call(user, "POST", path + "/password", body), gone=Call(g.admin, "DELETE", path), winners=(1,), refusals=(401,)
    )


@race("POST /identity/v3/groups")
async def create_group(g: Ground) -> Duel:
    domain = await a_domain(g, enabled=False)
    return creation(g, "group", {"name": name(), "domain_id": domain["id"]}, f"{V3}/domains/{domain['id']}")


@race("PATCH /identity/v3/groups/{group_id}")
async def change_group(g: Ground) -> Duel:
    made = await a_group(g)
    return change(g, "group", f"{V3}/groups/{made['id']}", {"shape": "one"}, {"colour": "two"})


@race("DELETE /identity/v3/groups/{group_id}")
async def delete_group(g: Ground) -> Duel:
    return removal(g, f"{V3}/groups/{(await a_group(g))['id']}")


@race("PUT /identity/v3/groups/{group_id}/users/{user_id}")
async def join_group(g: Ground) -> Duel:
    group, user = await a_group(g), await a_user(g)
    path = f"{V3}/groups/{group['id']}"
    return Duel(
        Call(g.admin, "PUT", f"{path}/users/{user['id']}"), gone=Call(g.admin, "DELETE", path), winners=(2,),
    )


@race("DELETE /identity/v3/groups/{group_id}/users/{user_id}")
async def leave_group(g: Ground) -> Duel:
    group, user = await a_group(g), await a_user(g)
    member = f"{V3}/groups/{group['id']}/users/{user['id']}"
    await g.admin.put(member, status=204)
    return removal(g, member, f"{V3}/users/{user['id']}")


@race("POST /identity/v3/roles")
async def create_role(g: Ground) -> Duel:
    return creation(g, "role", {"name": name()}, f"{V3}/roles/{(await a_role(g))['id']}")


@race("PATCH /identity/v3/roles/{role_id}")
async def change_role(g: Ground) -> Duel:
    made = await a_role(g)
    return change(g, "role", f"{V3}/roles/{made['id']}", {"description": "one"}, {"colour": "two"})


@race("DELETE /identity/v3/roles/{role_id}")
async def delete_role(g: Ground) -> Duel:
    return removal(g, f"{V3}/roles/{(await a_role(g))['id']}")


@race("PUT /identity/v3/roles/{role_id}/implies/{implied_id}")
async def imply(g: Ground) -> Duel:
    prior, implied = await a_role(g), await a_role(g)
    path = f"{V3}/roles/{prior['id']}/implies/{implied['id']}"
    return Duel(Call(g.admin, "PUT", path), gone=Call(g.admin, "DELETE", f"{V3}/roles/{implied['id']}"))


@race("DELETE /identity/v3/roles/{role_id}/implies/{implied_id}")
async def imply_no_more(g: Ground) -> Duel:
    prior, implied = await a_role(g), await a_role(g)
    path = f"{V3}/roles/{prior['id']}/implies/{implied['id']}"
    await g.admin.put(path, status=201)
    return removal(g, path, f"{V3}/roles/{implied['id']}")


# ---- grants ----------------------------------------------------------------------------------


def grants(path: str) -> None:
    """Giving and taking back a role, at one of the many paths for it."""

    async def ready(g: Ground) -> tuple[str, str]:
        role = await a_role(g)
        parts = {"role_id": role["id"]}
        actor = "user" if "{user_id}" in path else "group"
        parts[f"{actor}_id"] = (await (a_user if actor == "user" else a_group)(g))["id"]
        if "{project_id}" in path:
            parts["project_id"] = (await a_project(g))["id"]
        elif "{domain_id}" in path:
            parts["domain_id"] = (await a_domain(g))["id"]
        return V3 + path.format(**parts), f"{V3}/{actor}s/{parts[actor + '_id']}"

    @race(f"PUT {V3}{path}")
    async def give(g: Ground) -> Duel:
        grant, actor = await ready(g)
        return Duel(Call(g.admin, "PUT", grant), gone=Call(g.admin, "DELETE", actor), winners=(2,))

    @race(f"DELETE {V3}{path}")
    async def take(g: Ground) -> Duel:
        grant, actor = await ready(g)
        await g.admin.put(grant, status=204)
        return removal(g, grant, actor)


for _actor in ("users/{user_id}", "groups/{group_id}"):
    grants(f"/system/{_actor}/roles/{{role_id}}")
    for _target in ("projects/{project_id}", "domains/{domain_id}"):
        grants(f"/{_target}/{_actor}/roles/{{role_id}}")
        grants(f"/OS-INHERIT/{_target}/{_actor}/roles/{{role_id}}/inherited_to_projects")


# ---- catalogue -------------------------------------------------------------------------------


async def a_region(g: Ground, **more: Any) -> dict[str, Any]:
    return await g.make(f"{V3}/regions", "region", id=name(), **more)


async def a_service(g: Ground) -> dict[str, Any]:
    return await g.make(f"{V3}/services", "service", type=name(), name="race")


@race("POST /identity/v3/regions")
async def create_region(g: Ground) -> Duel:
    parent = await a_region(g)
    body = {"id": name(), "parent_region_id": parent["id"]}
    return creation(g, "region", body, f"{V3}/regions/{parent['id']}")


@race("PUT /identity/v3/regions/{region_id}")
async def create_region_named(g: Ground) -> Duel:
    parent = await a_region(g)
    one = Call(g.admin, "PUT", f"{V3}/regions/{name()}", {"region": {"parent_region_id": parent["id"]}})
    gone = Call(g.admin, "DELETE", f"{V3}/regions/{parent['id']}")
    return Duel(one, gone=gone, winners=(1,))


@race("PATCH /identity/v3/regions/{region_id}")
async def change_region(g: Ground) -> Duel:
    made = await a_region(g)
    return change(g, "region", f"{V3}/regions/{made['id']}", {"description": "one"}, {"colour": "two"})


@race("DELETE /identity/v3/regions/{region_id}")
async def delete_region(g: Ground) -> Duel:
    return removal(g, f"{V3}/regions/{(await a_region(g))['id']}")


@race("POST /identity/v3/services")
async def create_service(g: Ground) -> Duel:
    old = await a_service(g)
    return creation(g, "service", {"type": old["type"]}, f"{V3}/services/{old['id']}", unique=False)


@race("PATCH /identity/v3/services/{service_id}")
async def change_service(g: Ground) -> Duel:
    made = await a_service(g)
    return change(g, "service", f"{V3}/services/{made['id']}", {"description": "one"}, {"colour": "two"})


@race("DELETE /identity/v3/services/{service_id}")
async def delete_service(g: Ground) -> Duel:
    return removal(g, f"{V3}/services/{(await a_service(g))['id']}")


def endpoint(service: dict[str, Any], region: dict[str, Any]) -> dict[str, Any]:
    return {
        "service_id": service["id"], "region_id": region["id"], "interface": "public", "url": "http://there.test/"
    }


@race("POST /identity/v3/endpoints")
async def create_endpoint(g: Ground) -> Duel:
    service, region = await a_service(g), await a_region(g)
    # 400: as upstream, an endpoint of a service that isn't there makes no sense.
    gone = f"{V3}/services/{service['id']}"
    return creation(g, "endpoint", endpoint(service, region), gone, unique=False, refusals=(400,))


@race("PATCH /identity/v3/endpoints/{endpoint_id}")
async def change_endpoint(g: Ground) -> Duel:
    made = await g.make(f"{V3}/endpoints", "endpoint", **endpoint(await a_service(g), await a_region(g)))
    return change(g, "endpoint", f"{V3}/endpoints/{made['id']}", {"shape": "one"}, {"colour": "two"})


@race("DELETE /identity/v3/endpoints/{endpoint_id}")
async def delete_endpoint(g: Ground) -> Duel:
    service = await a_service(g)
    made = await g.make(f"{V3}/endpoints", "endpoint", **endpoint(service, await a_region(g)))
    return removal(g, f"{V3}/endpoints/{made['id']}", f"{V3}/services/{service['id']}")


# ---- application credentials -----------------------------------------------------------------

RULES = [{"path": "/v2.1/servers", "method": "GET", "service": "compute"}]


@race("POST /identity/v3/users/{user_id}/application_credentials")
async def create_credential(g: Ground) -> Duel:
    user = await g.cloud.project(["member"])
    path = f"{V3}/users/{user.user_id}"
    body = {"application_credential": {"name": name(), "access_rules": RULES}}
    one = Call(user, "POST", path + "/application_credentials", body)
    return Duel(one, gone=Call(g.admin, "DELETE", path), winners=(1,), refusals=(401,))


async def a_credential(g: Ground) -> tuple[Any, str, dict[str, Any]]:
    user = await g.cloud.project(["member"])
    path = f"{V3}/users/{user.user_id}"
    made = await g.make(
        path + "/application_credentials", "application_credential", user, name=name(), access_rules=RULES
    )
    return user, path, made


@race("DELETE /identity/v3/users/{user_id}/application_credentials/{application_credential_id}")
async def delete_credential(g: Ground) -> Duel:
    user, path, made = await a_credential(g)
    one = Call(user, "DELETE", f"{path}/application_credentials/{made['id']}")
    return Duel(one, gone=Call(g.admin, "DELETE", path), winners=(1,), refusals=(401,))


@race("DELETE /identity/v3/users/{user_id}/access_rules/{access_rule_id}")
async def delete_access_rule(g: Ground) -> Duel:
    user, path, made = await a_credential(g)
    await user.delete(f"{path}/application_credentials/{made['id']}", status=204)
    one = Call(user, "DELETE", f"{path}/access_rules/{made['access_rules'][0]['id']}")
    return Duel(one, gone=Call(g.admin, "DELETE", path), winners=(1,), refusals=(401,))
