# SPDX-License-Identifier: Apache-2.0
"""Stories of endpoint filtering: what was given to a project is what its catalogue shows.

Endpoints without filters are in test_places.py and the tests of tokens.
"""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from tests.kit.cloud import Cloud, Persona

V3 = "/identity/v3"
EP = f"{V3}/OS-EP-FILTER"


async def an_endpoint(cloud: Cloud, **more: Any) -> dict[str, Any]:
    service = (
        await cloud.admin.post(f"{V3}/services", {"service": {"type": "weather", "name": "weather"}}, status=201)
    ).json["service"]
    body = {"service_id": service["id"], "interface": "internal", "url": f"https://{uuid.uuid4().hex}.test", **more}
    return (await cloud.admin.post(f"{V3}/endpoints", {"endpoint": body}, status=201)).json["endpoint"]


async def a_group(cloud: Cloud, **filters: str) -> dict[str, Any]:
    body = {"endpoint_group": {"name": "group-" + uuid.uuid4().hex[:8], "filters": filters}}
    return (await cloud.admin.post(f"{EP}/endpoint_groups", body, status=201)).json["endpoint_group"]


async def seen(user: Persona) -> list[str]:
    """Ids of the endpoints in the user's catalogue; the token says the same as the catalogue's own route."""
    catalogue = (await user.get(f"{V3}/auth/catalog", status=200)).json["catalog"]
    told = (await user.get(f"{V3}/auth/tokens", headers={"X-Subject-Token": user.token or ""}, status=200)).json
    assert told["token"]["catalog"] == catalogue
    return [endpoint["id"] for service in catalogue for endpoint in service["endpoints"]]


async def test_key_19_a_project_sees_the_endpoints_it_was_given(cloud: Cloud) -> None:
    user, other = await cloud.project(), await cloud.project()
    endpoint = await an_endpoint(cloud)
    before = await seen(user)
    assert endpoint["id"] in before and len(before) > 3
    path = f"{EP}/projects/{user.project_id}/endpoints/{endpoint['id']}"
    await cloud.admin.get(path, status=404)
    await cloud.admin.put(path, status=204)
    await cloud.admin.put(path, status=409)
    await cloud.admin.get(path, status=204)
    await cloud.admin.request("HEAD", path, status=204)
    assert await seen(user) == [endpoint["id"]]
    assert await seen(other) == before
    listed = await cloud.admin.get(f"{EP}/projects/{user.project_id}/endpoints", status=200)
    assert listed.json["endpoints"] == [endpoint]
    projects = await cloud.admin.get(f"{EP}/endpoints/{endpoint['id']}/projects", status=200)
    assert [each["id"] for each in projects.json["projects"]] == [user.project_id]
    await cloud.admin.delete(path, status=204)
    await cloud.admin.delete(path, status=404)
    assert await seen(user) == before


async def test_key_19_a_group_is_whatever_its_filters_let_through(cloud: Cloud) -> None:
    user, endpoint = await cloud.project(), await an_endpoint(cloud)
    await an_endpoint(cloud)
    group = await a_group(cloud, service_id=endpoint["service_id"], interface="internal")
    path = f"{EP}/endpoint_groups/{group['id']}"
    inside = (await cloud.admin.get(f"{path}/endpoints", status=200)).json["endpoints"]
    assert inside == [endpoint]
    await cloud.admin.get(f"{path}/projects/{user.project_id}", status=404)
    await cloud.admin.put(f"{path}/projects/{user.project_id}", status=204)
    shown = (await cloud.admin.get(f"{path}/projects/{user.project_id}", status=200)).json["project_endpoint_group"]
    assert (shown["endpoint_group_id"], shown["project_id"]) == (group["id"], user.project_id)
    await cloud.admin.request("HEAD", f"{path}/projects/{user.project_id}", status=200)
    assert await seen(user) == [endpoint["id"]]
    body = {"service_id": endpoint["service_id"], "interface": "internal", "url": "https://later.test"}
    later = (await cloud.admin.post(f"{V3}/endpoints", {"endpoint": body}, status=201)).json["endpoint"]
    assert sorted(await seen(user)) == sorted([endpoint["id"], later["id"]]), "one made later is in it too"
    await cloud.admin.patch(path, {"endpoint_group": {"filters": {"interface": "public"}}}, status=200)
    assert await seen(user) == []
    projects = (await cloud.admin.get(f"{path}/projects", status=200)).json["projects"]
    assert [each["id"] for each in projects] == [user.project_id]
    groups = (await cloud.admin.get(f"{EP}/projects/{user.project_id}/endpoint_groups", status=200)).json
    assert [each["id"] for each in groups["endpoint_groups"]] == [group["id"]]
    await cloud.admin.delete(f"{path}/projects/{user.project_id}", status=204)
    await cloud.admin.delete(f"{path}/projects/{user.project_id}", status=404)
    assert len(await seen(user)) > 3


async def test_a_group_is_made_shown_changed_and_deleted(cloud: Cloud) -> None:
    group = await a_group(cloud, interface="admin")
    path = f"{EP}/endpoint_groups/{group['id']}"
    assert (await cloud.admin.get(path, status=200)).json["endpoint_group"] == group
    changed = await cloud.admin.patch(path, {"endpoint_group": {"name": "other", "description": "d"}}, status=200)
    assert changed.json["endpoint_group"] == group | {"name": "other", "description": "d"}
    listed = (await cloud.admin.get(f"{EP}/endpoint_groups", {"name": "other"}, status=200)).json["endpoint_groups"]
    assert group["id"] in [each["id"] for each in listed]
    await cloud.admin.delete(path, status=204)
    await cloud.admin.get(path, status=404)


@pytest.mark.parametrize("filters", [{}, None, {"colour": "red"}, {"interface": "private"}, "public", {"region_id": 5}])
async def test_a_group_of_everything_or_of_nonsense_is_refused(cloud: Cloud, filters: Any) -> None:
    body = {"endpoint_group": {"name": "group", "filters": filters}}
    await cloud.admin.post(f"{EP}/endpoint_groups", body, status=400)


async def test_what_was_given_goes_with_its_project_endpoint_and_group(cloud: Cloud) -> None:
    user, endpoint, group = await cloud.project(), await an_endpoint(cloud), await a_group(cloud, interface="admin")
    await cloud.admin.put(f"{EP}/projects/{user.project_id}/endpoints/{endpoint['id']}", status=204)
    await cloud.admin.put(f"{EP}/endpoint_groups/{group['id']}/projects/{user.project_id}", status=204)
    await cloud.admin.delete(f"{V3}/endpoints/{endpoint['id']}", status=204)
    await cloud.admin.delete(f"{EP}/endpoint_groups/{group['id']}", status=204)
    assert len(await seen(user)) > 3
    for nobody in (f"projects/{'e' * 32}/endpoints", f"endpoints/{'e' * 32}/projects", f"endpoint_groups/{'e' * 32}"):
        await cloud.admin.get(f"{EP}/{nobody}", status=404)


async def test_filtering_is_for_administrators(cloud: Cloud) -> None:
    user, endpoint = await cloud.project(["manager"]), await an_endpoint(cloud)
    await user.put(f"{EP}/projects/{user.project_id}/endpoints/{endpoint['id']}", status=403)
    await user.get(f"{EP}/projects/{user.project_id}/endpoints", status=403)
    await user.get(f"{EP}/endpoint_groups", status=403)
