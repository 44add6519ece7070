# SPDX-License-Identifier: Apache-2.0
"""Races of the operations on limits.

What an entry means is ../duel.py; the ground of most is identity.py's.
"""

from __future__ import annotations

from typing import Any

from tests.race.duel import Call, Duel, Ground, name, race
from tests.race.operations.identity import V3, a_project, a_service, change, removal

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
