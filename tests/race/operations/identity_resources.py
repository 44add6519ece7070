# SPDX-License-Identifier: Apache-2.0
"""Races of the operations on limits, policies, the filtering of endpoints and what domains configure.

What an entry means is ../duel.py; the ground of most is identity.py's.
"""

from __future__ import annotations

from typing import Any

from tests.race.duel import Call, Duel, Ground, name, race
from tests.race.operations.identity import V3, a_domain, a_project, a_region, a_service, change, removal

REGISTERED = f"{V3}/registered_limits"


async def a_registered_limit(g: Ground) -> dict[str, Any]:
    one = {"service_id": (await a_service(g))["id"], "resource_name": "things", "default_limit": 5}
    answer = await g.admin.post(REGISTERED, {"registered_limits": [one]}, status=201)
    return answer.json["registered_limits"][0]


def limit_of(registered: dict[str, Any], project_id: str) -> dict[str, Any]:
    return {
        "service_id": registered["service_id"], "resource_name": "things", "resource_limit": 3,
        "project_id": project_id,
    }


async def a_limit(g: Ground) -> dict[str, Any]:
    one = limit_of(await a_registered_limit(g), (await a_project(g))["id"])
    return (await g.admin.post(f"{V3}/limits", {"limits": [one]}, status=201)).json["limits"][0]


@race("POST /identity/v3/registered_limits")
async def register_limit(g: Ground) -> Duel:
    service = await a_service(g)
    one = {"service_id": service["id"], "resource_name": name(), "default_limit": 5}
    gone = Call(g.admin, "DELETE", f"{V3}/services/{service['id']}")
    # 400: a body that names what isn't there is upstream's bad request.
    return Duel(
        Call(g.admin, "POST", REGISTERED, {"registered_limits": [one]}), gone=gone, winners=(1,), refusals=(400,)
    )


@race("PATCH /identity/v3/registered_limits/{registered_limit_id}")
async def change_registered_limit(g: Ground) -> Duel:
    made = await a_registered_limit(g)
    return change(g, "registered_limit", f"{REGISTERED}/{made['id']}", {"description": "one"}, {"default_limit": 7})


@race("DELETE /identity/v3/registered_limits/{registered_limit_id}")
async def delete_registered_limit(g: Ground) -> Duel:
    return removal(g, f"{REGISTERED}/{(await a_registered_limit(g))['id']}")


@race("POST /identity/v3/limits")
async def create_limit(g: Ground) -> Duel:
    registered, project = await a_registered_limit(g), await a_project(g)
    one = Call(g.admin, "POST", f"{V3}/limits", {"limits": [limit_of(registered, project["id"])]})
    # 403: as upstream, for a resource that isn't registered (any more), and for deleting one that is used.
    return Duel(
        one, gone=Call(g.admin, "DELETE", f"{REGISTERED}/{registered['id']}"), winners=(1,), refusals=(403,)
    )


@race("PATCH /identity/v3/limits/{limit_id}")
async def change_limit(g: Ground) -> Duel:
    made = await a_limit(g)
    return change(g, "limit", f"{V3}/limits/{made['id']}", {"description": "one"}, {"resource_limit": 2})


@race("DELETE /identity/v3/limits/{limit_id}")
async def delete_limit(g: Ground) -> Duel:
    return removal(g, f"{V3}/limits/{(await a_limit(g))['id']}")


# ---- policies ------------------------------------------------------------------------------


async def a_policy(g: Ground) -> dict[str, Any]:
    return (await g.admin.post(f"{V3}/policies", {"policy": {"blob": "b", "type": "t"}}, status=201)).json["policy"]


async def an_endpoint(g: Ground, service: dict[str, Any] | None = None) -> dict[str, Any]:
    service = service or await a_service(g)
    return await g.make(
        f"{V3}/endpoints", "endpoint", service_id=service["id"], interface="public", url="http://there.test/"
    )


@race("POST /identity/v3/policies")
async def create_policy(g: Ground) -> Duel:
    one = Call(g.admin, "POST", f"{V3}/policies", {"policy": {"blob": "b", "type": "t"}})
    gone = Call(g.admin, "DELETE", f"{V3}/policies/{(await a_policy(g))['id']}")
    return Duel(one, gone=gone, winners=(2,))


@race("PATCH /identity/v3/policies/{policy_id}")
async def change_policy(g: Ground) -> Duel:
    return change(g, "policy", f"{V3}/policies/{(await a_policy(g))['id']}", {"blob": "one"}, {"type": "two"})


@race("DELETE /identity/v3/policies/{policy_id}")
async def delete_policy(g: Ground) -> Duel:
    return removal(g, f"{V3}/policies/{(await a_policy(g))['id']}")


ASSOCIATION = "/identity/v3/policies/{policy_id}/OS-ENDPOINT-POLICY"


async def association(g: Ground, tail: str, gone: str, method: str) -> Duel:
    """Two policies for one thing, or the one taken away twice; `gone` is the thing's address."""
    one, two = [f"{V3}/policies/{(await a_policy(g))['id']}/OS-ENDPOINT-POLICY/{tail}" for _ in range(2)]
    if method == "DELETE":
        await g.admin.put(one, status=204)
        two = one
    return Duel(
        Call(g.admin, method, one), Call(g.admin, method, two), gone=Call(g.admin, "DELETE", gone), winners=(2,)
    )


for method in ("PUT", "DELETE"):

    @race(f"{method} {ASSOCIATION}/endpoints/{{endpoint_id}}")
    async def of_endpoint(g: Ground, method: str = method) -> Duel:
        id = (await an_endpoint(g))["id"]
        return await association(g, f"endpoints/{id}", f"{V3}/endpoints/{id}", method)

    @race(f"{method} {ASSOCIATION}/services/{{service_id}}")
    async def of_service(g: Ground, method: str = method) -> Duel:
        id = (await a_service(g))["id"]
        return await association(g, f"services/{id}", f"{V3}/services/{id}", method)

    @race(f"{method} {ASSOCIATION}/services/{{service_id}}/regions/{{region_id}}")
    async def of_region(g: Ground, method: str = method) -> Duel:
        service, region = await a_service(g), await a_region(g)
        tail = f"services/{service['id']}/regions/{region['id']}"
        return await association(g, tail, f"{V3}/regions/{region['id']}", method)


# ---- filtering of endpoints ----------------------------------------------------------------

FILTER = f"{V3}/OS-EP-FILTER"
GROUPS = f"{FILTER}/endpoint_groups"


async def an_endpoint_group(g: Ground) -> dict[str, Any]:
    return await g.make(GROUPS, "endpoint_group", name=name(), filters={"interface": "public"})


@race(f"POST {GROUPS}")
async def create_endpoint_group(g: Ground) -> Duel:
    body = {"name": name(), "filters": {"interface": "public"}}
    one = Call(g.admin, "POST", GROUPS, {"endpoint_group": body})
    return Duel(one, gone=Call(g.admin, "DELETE", f"{GROUPS}/{(await an_endpoint_group(g))['id']}"), winners=(2,))


@race(f"PATCH {GROUPS}/{{endpoint_group_id}}")
async def change_endpoint_group(g: Ground) -> Duel:
    path = f"{GROUPS}/{(await an_endpoint_group(g))['id']}"
    return change(g, "endpoint_group", path, {"description": "one"}, {"name": "two"})


@race(f"DELETE {GROUPS}/{{endpoint_group_id}}")
async def delete_endpoint_group(g: Ground) -> Duel:
    return removal(g, f"{GROUPS}/{(await an_endpoint_group(g))['id']}")


@race(f"PUT {FILTER}/projects/{{project_id}}/endpoints/{{endpoint_id}}")
async def give_endpoint(g: Ground) -> Duel:
    project, endpoint = await a_project(g), await an_endpoint(g)
    one = Call(g.admin, "PUT", f"{FILTER}/projects/{project['id']}/endpoints/{endpoint['id']}")
    return Duel(one, gone=Call(g.admin, "DELETE", f"{V3}/endpoints/{endpoint['id']}"), winners=(1,))


@race(f"DELETE {FILTER}/projects/{{project_id}}/endpoints/{{endpoint_id}}")
async def take_endpoint(g: Ground) -> Duel:
    project, endpoint = await a_project(g), await an_endpoint(g)
    path = f"{FILTER}/projects/{project['id']}/endpoints/{endpoint['id']}"
    await g.admin.put(path, status=204)
    return removal(g, path, f"{V3}/projects/{project['id']}")


@race(f"PUT {GROUPS}/{{endpoint_group_id}}/projects/{{project_id}}")
async def give_group(g: Ground) -> Duel:
    project, group = await a_project(g), await an_endpoint_group(g)
    one = Call(g.admin, "PUT", f"{GROUPS}/{group['id']}/projects/{project['id']}")
    return Duel(one, gone=Call(g.admin, "DELETE", f"{V3}/projects/{project['id']}"), winners=(1,))


@race(f"DELETE {GROUPS}/{{endpoint_group_id}}/projects/{{project_id}}")
async def take_group(g: Ground) -> Duel:
    project, group = await a_project(g), await an_endpoint_group(g)
    path = f"{GROUPS}/{group['id']}/projects/{project['id']}"
    await g.admin.put(path, status=204)
    return removal(g, path, f"{GROUPS}/{group['id']}")


# ---- what domains configure ----------------------------------------------------------------

CONFIG = f"{V3}/domains/{{domain_id}}/config"
CONFIGURED: dict[str, Any] = {"identity": {"driver": "sql", "list_limit": 5}, "ldap": {"url": "ldap://nowhere.test"}}


async def a_config(g: Ground) -> tuple[str, Call]:
    """Its address, and what takes its domain away."""
    domain = f"{V3}/domains/{(await a_domain(g, enabled=False))['id']}"
    await g.admin.put(f"{domain}/config", {"config": CONFIGURED}, status=201)
    return f"{domain}/config", Call(g.admin, "DELETE", domain)


@race(f"PUT {CONFIG}")
async def configure(g: Ground) -> Duel:
    domain = f"{V3}/domains/{(await a_domain(g, enabled=False))['id']}"
    one = Call(g.admin, "PUT", f"{domain}/config", {"config": CONFIGURED})
    return Duel(one, gone=Call(g.admin, "DELETE", domain), winners=(2,))


@race(f"PATCH {CONFIG}")
async def change_config(g: Ground) -> Duel:
    path, gone = await a_config(g)
    one = Call(g.admin, "PATCH", path, {"config": {"ldap": {"user": "one"}}})
    two = Call(g.admin, "PATCH", path, {"config": {"ldap": {"suffix": "two"}}})
    return Duel(one, two, gone=gone, keeps=(g.admin, path, {"config": {"ldap": {"user": "one", "suffix": "two"}}}))


@race(f"PATCH {CONFIG}/{{group}}")
async def change_config_group(g: Ground) -> Duel:
    path, gone = await a_config(g)
    one = Call(g.admin, "PATCH", f"{path}/ldap", {"config": {"ldap": {"user": "one"}}})
    two = Call(g.admin, "PATCH", f"{path}/identity", {"config": {"identity": {"driver": "two"}}})
    expected = {"config": {"ldap": {"user": "one"}, "identity": {"driver": "two"}}}
    return Duel(one, two, gone=gone, keeps=(g.admin, path, expected))


@race(f"PATCH {CONFIG}/{{group}}/{{option}}")
async def change_config_option(g: Ground) -> Duel:
    path, gone = await a_config(g)
    one = Call(g.admin, "PATCH", f"{path}/ldap/url", {"config": {"url": "ldap://one.test"}})
    two = Call(g.admin, "PATCH", f"{path}/identity/driver", {"config": {"driver": "two"}})
    expected = {"config": {"ldap": {"url": "ldap://one.test"}, "identity": {"driver": "two"}}}
    return Duel(one, two, gone=gone, keeps=(g.admin, path, expected))


for tail, below in (("", ""), ("/{group}", "/ldap"), ("/{group}/{option}", "/ldap/url")):

    @race(f"DELETE {CONFIG}{tail}")
    async def delete_config(g: Ground, below: str = below) -> Duel:
        path, gone = await a_config(g)
        return Duel(Call(g.admin, "DELETE", path + below), gone=gone, winners=(1,))
