# SPDX-License-Identifier: Apache-2.0
"""Stories of unified limits: registered, set for projects and domains, seen by those they bind.

What a limit does to uploads is the image service's to tell; here it is asked for as core's quota does.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from skyhold.core import context, errors
from skyhold.core.context import Ceilings, Context
from skyhold.core.db.tx import Tx
from skyhold.core.quota import Quota
from tests.kit.cloud import Cloud

V3 = "/identity/v3"


@pytest.fixture
def strict(cloud: Cloud) -> Iterator[None]:
    """The cloud as it is with limit_model = "strict_two_level"."""
    before = cloud.core.settings
    chosen = msgspec.structs.replace(before.identity, limit_model="strict_two_level")
    cloud.core.settings = msgspec.structs.replace(before, identity=chosen)
    kept, cloud.core.limits = cloud.core.limits, type(cloud.core.limits)(cloud.core)  # type: ignore[call-arg]
    yield
    cloud.core.settings, cloud.core.limits = before, kept


async def new_service(cloud: Cloud) -> dict[str, Any]:
    body = {"service": {"name": "counted", "type": "counted-" + uuid.uuid4().hex[:8]}}
    return (await cloud.admin.post(f"{V3}/services", body, status=201)).json["service"]


async def registered(
    cloud: Cloud, service_id: str, name: str = "things", default: int = 10, **more: Any
) -> dict[str, Any]:
    one = {"service_id": service_id, "resource_name": name, "default_limit": default, **more}
    answer = await cloud.admin.post(f"{V3}/registered_limits", {"registered_limits": [one]}, status=201)
    return answer.json["registered_limits"][0]


async def limited(
    cloud: Cloud, service_id: str, most: int, status: int = 201, name: str = "things", **whose: Any
) -> Any:
    one = {"service_id": service_id, "resource_name": name, "resource_limit": most, **whose}
    answer = await cloud.admin.post(f"{V3}/limits", {"limits": [one]}, status=status)
    return answer.json["limits"][0] if status == 201 else answer.json["error"]


async def in_force(cloud: Cloud, project_id: str, service: dict[str, Any]) -> Ceilings:
    def ask(tx: Tx, ctx: Context) -> Ceilings:
        return cloud.core.limits.of(tx, project_id, service["type"], ["things"])

    return await context.internal(cloud.core).read(ask)


async def test_key_11_a_limit_is_registered_shown_changed_and_deleted(cloud: Cloud) -> None:
    service = await new_service(cloud)
    made = await registered(cloud, service["id"], description="Things.", region_id="RegionOne")
    assert made["default_limit"] == 10 and made["region_id"] == "RegionOne" and made["description"] == "Things."
    path = f"{V3}/registered_limits/{made['id']}"
    assert (await cloud.admin.get(path, status=200)).json["registered_limit"] == made
    changed = await cloud.admin.patch(path, {"registered_limit": {"default_limit": -1, "region_id": None}}, status=200)
    assert changed.json["registered_limit"] == made | {"default_limit": -1, "region_id": None}
    listed = await cloud.admin.get(f"{V3}/registered_limits", {"service_id": service["id"]}, status=200)
    assert [each["id"] for each in listed.json["registered_limits"]] == [made["id"]]
    await cloud.admin.delete(path, status=204)
    await cloud.admin.get(path, status=404)


async def test_one_resource_is_registered_once_for_a_service_and_region(cloud: Cloud) -> None:
    service = await new_service(cloud)
    one = {"service_id": service["id"], "resource_name": "things", "default_limit": 1}
    await registered(cloud, service["id"])
    await registered(cloud, service["id"], region_id="RegionOne")
    both = {"registered_limits": [one | {"resource_name": "others"}, one]}
    await cloud.admin.post(f"{V3}/registered_limits", both, status=409)
    listed = await cloud.admin.get(f"{V3}/registered_limits", {"service_id": service["id"]}, status=200)
    assert {each["resource_name"] for each in listed.json["registered_limits"]} == {"things"}, "all of them or none"


@pytest.mark.parametrize("wrong", [
    {"service_id": "f" * 32}, {"region_id": "nowhere"}, {"default_limit": -2}, {"default_limit": 2**31},
    {"default_limit": "many"}, {"default_limit": None}, {"resource_name": ""}, {"resource_name": "x" * 256},
    {"surplus": 1},
])
async def test_a_registered_limit_that_means_nothing_is_refused(cloud: Cloud, wrong: dict[str, Any]) -> None:
    service = await new_service(cloud)
    one = {"service_id": service["id"], "resource_name": "things", "default_limit": 1} | wrong
    await cloud.admin.post(f"{V3}/registered_limits", {"registered_limits": [one]}, status=400)
    await cloud.admin.post(f"{V3}/registered_limits", {"registered_limits": []}, status=400)


async def test_what_limits_refer_to_keeps_its_meaning(cloud: Cloud) -> None:
    service, user = await new_service(cloud), await cloud.project()
    made = await registered(cloud, service["id"])
    limit = await limited(cloud, service["id"], 3, project_id=user.project_id)
    path = f"{V3}/registered_limits/{made['id']}"
    wish: dict[str, Any]
    for wish in ({"resource_name": "birds"}, {"default_limit": 11}, {"description": "x"}):
        await cloud.admin.patch(path, {"registered_limit": wish}, status=403)
    await cloud.admin.delete(path, status=403)
    await cloud.admin.delete(f"{V3}/limits/{limit['id']}", status=204)
    await cloud.admin.patch(path, {"registered_limit": {"default_limit": 11}}, status=200)
    await cloud.admin.delete(path, status=204)


async def test_key_11_a_projects_limit_counts_instead_of_the_default(cloud: Cloud) -> None:
    service, user, other = await new_service(cloud), await cloud.project(), await cloud.project()
    assert (await in_force(cloud, user.project_id, service)).own == {}
    await registered(cloud, service["id"])
    assert (await in_force(cloud, user.project_id, service)).own == {"things": 10}
    limit = await limited(cloud, service["id"], 3, project_id=user.project_id)
    assert limit["project_id"] == user.project_id and limit["domain_id"] is None
    assert (await in_force(cloud, user.project_id, service)).own == {"things": 3}
    assert (await in_force(cloud, other.project_id, service)).own == {"things": 10}
    await cloud.admin.patch(f"{V3}/limits/{limit['id']}", {"limit": {"resource_limit": 0}}, status=200)
    assert (await in_force(cloud, user.project_id, service)).own == {"things": 0}
    await registered(cloud, service["id"], default=7, region_id="RegionOne")
    assert (await in_force(cloud, user.project_id, service)).own == {"things": 7}, "the region's own wins"


async def test_quota_takes_within_the_unified_limit(cloud: Cloud) -> None:
    service, user = await new_service(cloud), await cloud.project()
    await registered(cloud, service["id"], default=2)
    quota = Quota("toy", unified=service["type"], things=-1)

    def take(tx: Tx, ctx: Context, amount: int) -> None:
        quota.take(tx, user.project_id, things=amount)

    ctx = context.internal(cloud.core)
    await ctx.write(take, 2)
    with pytest.raises(errors.OverQuota) as refused:
        await ctx.write(take, 1)
    assert refused.value.extra == {"resource": "things", "used": 2, "limit": 2, "asked": 1}


@pytest.mark.parametrize(("wrong", "status"), [
    ({"resource_name": "unheard-of"}, 403), ({"region_id": "RegionOne"}, 403), ({"project_id": "e" * 32}, 400),
    ({"project_id": None}, 400), ({"domain_id": "default"}, 400), ({"resource_limit": None}, 400),
    ({"resource_limit": 2**31}, 400), ({"surplus": 1}, 400),
])
async def test_a_limit_that_means_nothing_is_refused(cloud: Cloud, wrong: dict[str, Any], status: int) -> None:
    service, user = await new_service(cloud), await cloud.project()
    await registered(cloud, service["id"])
    one = {
        "service_id": service["id"], "resource_name": "things", "resource_limit": 1, "project_id": user.project_id,
    }
    await cloud.admin.post(f"{V3}/limits", {"limits": [one | wrong]}, status=status)
    await cloud.admin.post(f"{V3}/limits", {"limits": [one]}, status=201)
    await cloud.admin.post(f"{V3}/limits", {"limits": [one]}, status=409)


async def test_limits_are_seen_by_whom_they_bind(cloud: Cloud) -> None:
    service, user, other = await new_service(cloud), await cloud.project(["reader"]), await cloud.project()
    await registered(cloud, service["id"])
    mine = await limited(cloud, service["id"], 3, project_id=user.project_id)
    domains = await limited(cloud, service["id"], 5, domain_id=user.domain_id)
    assert (await user.get(f"{V3}/limits", status=200)).json["limits"] == [mine]
    await user.get(f"{V3}/limits/{mine['id']}", status=200)
    await user.get(f"{V3}/limits/{domains['id']}", status=404)
    await user.get(f"{V3}/registered_limits", status=200)
    await user.patch(f"{V3}/limits/{mine['id']}", {"limit": {"resource_limit": 100}}, status=403)
    assert (await other.get(f"{V3}/limits", status=200)).json["limits"] == []
    await other.get(f"{V3}/limits/{mine['id']}", status=404)
    await cloud.grant("reader", user.user_id, domain_id=user.domain_id)
    user.token = await cloud.token(user, {"domain": {"id": user.domain_id}})
    seen = (await user.get(f"{V3}/limits", status=200)).json["limits"]
    assert {each["id"] for each in seen} == {mine["id"], domains["id"]}


async def test_limits_are_filtered(cloud: Cloud) -> None:
    service, user = await new_service(cloud), await cloud.project()
    await registered(cloud, service["id"])
    await registered(cloud, service["id"], name="others", region_id="RegionOne")
    first = await limited(cloud, service["id"], 3, project_id=user.project_id)
    await limited(cloud, service["id"], 4, name="others", region_id="RegionOne", domain_id=user.domain_id)
    for query, expected in [
        ({"service_id": service["id"]}, [3, 4]), ({"project_id": user.project_id}, [3]),
        ({"domain_id": user.domain_id}, [4]), ({"resource_name": "others", "service_id": service["id"]}, [4]),
        ({"region_id": "RegionOne", "service_id": service["id"]}, [4]), ({"service_id": "none"}, []),
    ]:
        listed = (await cloud.admin.get(f"{V3}/limits", query, status=200)).json["limits"]
        assert sorted(each["resource_limit"] for each in listed) == expected, query
    await cloud.admin.delete(f"{V3}/projects/{user.project_id}", status=204)
    await cloud.admin.get(f"{V3}/limits/{first['id']}", status=404)


async def test_image_resources_are_registered_from_the_start(cloud: Cloud) -> None:
    services = (await cloud.admin.get(f"{V3}/services", {"type": "image"}, status=200)).json["services"]
    listed = await cloud.admin.get(f"{V3}/registered_limits", {"service_id": services[0]["id"]}, status=200)
    made = listed.json["registered_limits"]
    found = {(each["resource_name"], each["region_id"]): each["default_limit"] for each in made}
    names = ("image_size_total", "image_stage_total", "image_count_total", "image_count_uploading")
    assert found == {(name, cloud.core.settings.region): -1 for name in names}


async def test_the_model_is_told(cloud: Cloud) -> None:
    told = (await (await cloud.project()).get(f"{V3}/limits/model", status=200)).json["model"]
    assert told["name"] == "flat" and "hierarchy" in told["description"]


async def test_key_11_strict_two_level_binds_projects_to_their_domain(cloud: Cloud, strict: None) -> None:
    assert (await cloud.admin.get(f"{V3}/limits/model", status=200)).json["model"]["name"] == "strict_two_level"
    service, user = await new_service(cloud), await cloud.project()
    await registered(cloud, service["id"])
    # The domain has the default until it has a limit of its own.
    assert (await limited(cloud, service["id"], 11, 403, project_id=user.project_id))["reason"] == "limit_tree"
    assert (await limited(cloud, service["id"], -1, 403, project_id=user.project_id))["reason"] == "limit_tree"
    whose = {"service_id": service["id"], "resource_name": "things"}
    both = [
        whose | {"resource_limit": 15, "project_id": user.project_id},
        whose | {"resource_limit": 20, "domain_id": user.domain_id},
    ]
    made = (await cloud.admin.post(f"{V3}/limits", {"limits": both}, status=201)).json["limits"]
    child, parent = made[0]["id"], made[1]["id"]
    await cloud.admin.patch(f"{V3}/limits/{child}", {"limit": {"resource_limit": 21}}, status=403)
    await cloud.admin.patch(f"{V3}/limits/{parent}", {"limit": {"resource_limit": 14}}, status=403)
    await cloud.admin.patch(f"{V3}/limits/{parent}", {"limit": {"resource_limit": 15}}, status=200)


async def test_strict_two_level_lets_projects_share_what_their_domain_has(cloud: Cloud, strict: None) -> None:
    service, user = await new_service(cloud), await cloud.project()
    sibling = await cloud.project(domain_id=user.domain_id)
    await registered(cloud, service["id"])
    await limited(cloud, service["id"], 5, domain_id=user.domain_id)
    ceilings = await in_force(cloud, user.project_id, service)
    assert ceilings.own == {"things": 5} and ceilings.shared == {"things": 5}
    assert set(ceilings.projects) == {user.project_id, sibling.project_id}
    quota = Quota("toy", unified=service["type"], things=-1)

    def take(tx: Tx, ctx: Context, project_id: str, amount: int) -> dict[str, int]:
        quota.take(tx, project_id, things=amount)
        return quota.usage(tx, project_id)

    ctx = context.internal(cloud.core)
    await ctx.write(take, user.project_id, 4)
    with pytest.raises(errors.OverQuota) as refused:
        await ctx.write(take, sibling.project_id, 2)
    assert refused.value.extra == {"resource": "things", "used": 4, "limit": 5, "asked": 2}
    assert await ctx.write(take, sibling.project_id, 1) == {"things": 1}


async def test_strict_two_level_has_no_projects_below_projects(cloud: Cloud, strict: None) -> None:
    user = await cloud.project()
    body = {"project": {"name": uuid.uuid4().hex, "parent_id": user.project_id}}
    await cloud.admin.post(f"{V3}/projects", body, status=403)


async def test_a_projects_tree_is_shown_with_its_limits_when_asked_for(cloud: Cloud) -> None:
    service, user = await new_service(cloud), await cloud.project()
    await registered(cloud, service["id"])
    body = {"project": {"name": "below", "parent_id": user.project_id}}
    below = (await cloud.admin.post(f"{V3}/projects", body, status=201)).json["project"]["id"]
    limit = await limited(cloud, service["id"], 3, project_id=user.project_id)
    path = f"{V3}/projects/{below}"
    for query in ("parents_as_list&include_limits", "include_limits=true&parents_as_list=1"):
        shown = (await cloud.admin.get(f"{path}?{query}", status=200)).json["project"]["parents"]
        assert [each["project"]["limits"] for each in shown] == [[limit]]
    plain = (await cloud.admin.get(f"{path}?parents_as_list", status=200)).json["project"]["parents"]
    assert "limits" not in plain[0]["project"]
    top = f"{V3}/projects/{user.project_id}?subtree_as_list&include_limits"
    assert (await cloud.admin.get(top, status=200)).json["project"]["subtree"][0]["project"]["limits"] == []
