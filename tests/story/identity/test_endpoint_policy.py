# SPDX-License-Identifier: Apache-2.0
"""Stories of policies, and of which endpoint uses which.

What each endpoint uses of several associations is asked in all combinations in
tests/unit/identity/test_policy_choice.py.
"""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from tests.kit.cloud import Cloud

V3 = "/identity/v3"


async def new(cloud: Cloud, kind: str, many: str, **body: Any) -> dict[str, Any]:
    return (await cloud.admin.post(f"{V3}/{many}", {kind: body}, status=201)).json[kind]


async def a_policy(cloud: Cloud) -> dict[str, Any]:
    return await new(cloud, "policy", "policies", blob=uuid.uuid4().hex, type="application/json")


async def ground(cloud: Cloud) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """An endpoint of a service in a region inside a region: the outer one, the service, the endpoint."""
    outer = await new(cloud, "region", "regions", id=uuid.uuid4().hex)
    inner = await new(cloud, "region", "regions", id=uuid.uuid4().hex, parent_region_id=outer["id"])
    service = await new(cloud, "service", "services", type="weather", name="weather")
    endpoint = await new(
        cloud, "endpoint", "endpoints", service_id=service["id"], interface="public", url="https://there.test",
        region_id=inner["id"],
    )
    return outer, service, endpoint


async def test_key_19_a_policy_is_kept_as_it_was_given(cloud: Cloud) -> None:
    made = await new(cloud, "policy", "policies", blob='{"a": ["b"]}', type="text/x", project_id="p", colour="red")
    path = f"{V3}/policies/{made['id']}"
    assert (await cloud.admin.get(path, status=200)).json["policy"] == made
    assert made["blob"] == '{"a": ["b"]}' and made["colour"] == "red"
    changed = (await cloud.admin.patch(path, {"policy": {"type": "text/y"}}, status=200)).json["policy"]
    assert changed == made | {"type": "text/y"}
    listed = (await cloud.admin.get(f"{V3}/policies", {"type": "text/y"}, status=200)).json["policies"]
    assert changed in listed and all(each["type"] == "text/y" for each in listed)
    await cloud.admin.delete(path, status=204)
    await cloud.admin.get(path, status=404)


@pytest.mark.parametrize("wrong", [{"blob": None}, {"type": None}, {"type": "x" * 256}, {"blob": {}}])
async def test_a_policy_without_a_text_or_a_type_is_refused(cloud: Cloud, wrong: dict[str, Any]) -> None:
    await cloud.admin.post(f"{V3}/policies", {"policy": {"blob": "b", "type": "t"} | wrong}, status=400)
    await cloud.admin.post(f"{V3}/policies", {"policy": {"blob": "b"}}, status=400)


async def test_policies_are_for_administrators(cloud: Cloud) -> None:
    user = await cloud.project(["manager"])
    await user.get(f"{V3}/policies", status=403)
    await user.post(f"{V3}/policies", {"policy": {"blob": "b", "type": "t"}}, status=403)


async def test_key_19_the_nearest_association_of_an_endpoint_counts(cloud: Cloud) -> None:
    outer, service, endpoint = await ground(cloud)
    of_service, of_region, own = [await a_policy(cloud) for _ in range(3)]
    asked = f"{V3}/endpoints/{endpoint['id']}/OS-ENDPOINT-POLICY/policy"
    await cloud.admin.get(asked, status=404)
    for made, tail in (
        (of_service, f"services/{service['id']}"),
        (of_region, f"services/{service['id']}/regions/{outer['id']}"),
        (own, f"endpoints/{endpoint['id']}"),
    ):
        path = f"{V3}/policies/{made['id']}/OS-ENDPOINT-POLICY/{tail}"
        await cloud.admin.get(path, status=404)
        await cloud.admin.put(path, status=204)
        await cloud.admin.put(path, status=204)
        await cloud.admin.get(path, status=204)
        await cloud.admin.request("HEAD", path, status=204)
        assert (await cloud.admin.get(asked, status=200)).json["policy"] == made
        users = await cloud.admin.get(f"{V3}/policies/{made['id']}/OS-ENDPOINT-POLICY/endpoints", status=200)
        assert [each["id"] for each in users.json["endpoints"]] == [endpoint["id"]]
    users = await cloud.admin.get(f"{V3}/policies/{of_service['id']}/OS-ENDPOINT-POLICY/endpoints", status=200)
    assert users.json["endpoints"] == []


async def test_a_new_association_replaces_the_old_one(cloud: Cloud) -> None:
    _, service, endpoint = await ground(cloud)
    old, new_one = await a_policy(cloud), await a_policy(cloud)
    tail = f"OS-ENDPOINT-POLICY/services/{service['id']}"
    await cloud.admin.put(f"{V3}/policies/{old['id']}/{tail}", status=204)
    await cloud.admin.put(f"{V3}/policies/{new_one['id']}/{tail}", status=204)
    await cloud.admin.get(f"{V3}/policies/{old['id']}/{tail}", status=404)
    await cloud.admin.delete(f"{V3}/policies/{old['id']}/{tail}", status=204)
    asked = f"{V3}/endpoints/{endpoint['id']}/OS-ENDPOINT-POLICY/policy"
    assert (await cloud.admin.get(asked, status=200)).json["policy"] == new_one
    await cloud.admin.delete(f"{V3}/policies/{new_one['id']}/{tail}", status=204)
    await cloud.admin.get(asked, status=404)


async def test_associations_go_with_what_they_name(cloud: Cloud) -> None:
    outer, service, endpoint = await ground(cloud)
    made = await a_policy(cloud)
    path = f"{V3}/policies/{made['id']}/OS-ENDPOINT-POLICY"
    await cloud.admin.put(f"{path}/endpoints/{endpoint['id']}", status=204)
    await cloud.admin.put(f"{path}/services/{service['id']}/regions/{outer['id']}", status=204)
    await cloud.admin.delete(f"{V3}/endpoints/{endpoint['id']}", status=204)
    await cloud.admin.get(f"{path}/endpoints/{endpoint['id']}", status=404)
    await cloud.admin.delete(f"{V3}/services/{service['id']}", status=204)
    assert (await cloud.admin.get(f"{path}/endpoints", status=200)).json["endpoints"] == []
    for nobody in (f"services/{'e' * 32}", f"endpoints/{'e' * 32}", f"services/{'e' * 32}/regions/{outer['id']}"):
        await cloud.admin.put(f"{path}/{nobody}", status=404)
