# SPDX-License-Identifier: Apache-2.0
"""Stories of quotas and limits: operators set them, projects see them."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from skyhold.compute.quotas import QUOTA
from skyhold.core import context
from tests.kit.cloud import Cloud

SETS = "/compute/v2.1/os-quota-sets/"
CLASS = "/compute/v2.1/os-quota-class-sets/default"
LATEST = {"OpenStack-API-Version": "compute 2.96"}
SINCE_257 = {
    "cores", "instances", "key_pairs", "metadata_items", "ram", "server_groups", "server_group_members",
}
INJECTED = {"injected_files", "injected_file_content_bytes", "injected_file_path_bytes"}
NETWORKS = {"fixed_ips", "floating_ips", "security_groups", "security_group_rules"}


async def use(cloud: Cloud, project_id: str, **amounts: int) -> None:
    await context.internal(cloud.core).write(lambda tx, ctx: QUOTA.take(tx, project_id, **amounts))


async def test_a_project_sees_its_quota_and_not_anothers(cloud: Cloud) -> None:
    user, stranger = await cloud.project(), await cloud.project()
    seen = (await user.get(SETS + user.project_id, headers=LATEST, status=200)).json["quota_set"]
    assert set(seen) == SINCE_257 | {"id"} and seen["id"] == user.project_id and seen["cores"] == 20
    for tail in ("", "/detail"):
        answer = await user.get(SETS + stranger.project_id + tail, status=403)
        assert answer.json["forbidden"]["code"] == 403


async def test_old_versions_print_more_resources(cloud: Cloud) -> None:
    user = await cloud.project()
    oldest = (await user.get(SETS + user.project_id, status=200)).json["quota_set"]
    assert set(oldest) == SINCE_257 | INJECTED | NETWORKS | {"id"}
    at_236 = {"OpenStack-API-Version": "compute 2.36"}
    middle = (await user.get(SETS + user.project_id, headers=at_236, status=200)).json["quota_set"]
    assert set(middle) == SINCE_257 | INJECTED | {"id"}


async def test_usage_is_shown_beside_the_limit(cloud: Cloud) -> None:
    user = await cloud.project()
    await use(cloud, user.project_id, instances=2, cores=3, ram=1024)
    seen = (await user.get(SETS + user.project_id + "/detail", headers=LATEST, status=200)).json["quota_set"]
    assert seen["instances"] == {"in_use": 2, "limit": 10, "reserved": 0}
    assert seen["ram"] == {"in_use": 1024, "limit": 51200, "reserved": 0}


async def test_an_operator_changes_a_projects_quota_and_takes_it_back(cloud: Cloud) -> None:
    user = await cloud.project()
    one = SETS + user.project_id
    body = {"quota_set": {"cores": "7", "instances": -1}}
    changed = (await cloud.admin.put(one, body, headers=LATEST, status=200)).json["quota_set"]
    assert changed["cores"] == 7 and changed["instances"] == -1 and "id" not in changed
    assert (await user.get(one)).json["quota_set"]["cores"] == 7
    assert (await user.get(one + "/defaults", status=200)).json["quota_set"]["cores"] == 20
    await cloud.admin.delete(one, status=202)
    assert (await user.get(one)).json["quota_set"]["cores"] == 20


async def test_a_quota_below_what_is_used_must_be_forced(cloud: Cloud) -> None:
    user = await cloud.project()
    await use(cloud, user.project_id, cores=3)
    one = SETS + user.project_id
    answer = await cloud.admin.put(one, {"quota_set": {"cores": 2}}, status=400)
    assert answer.json["badRequest"]["message"] == (
        "Quota limit 2 for cores must be greater than or equal to already used and reserved 3."
    )
    await cloud.admin.put(one, {"quota_set": {"cores": 2, "force": "True"}}, status=200)


@pytest.mark.parametrize("body", [
    {"quota_set": {"cores": -2}}, {"quota_set": {"cores": "many"}}, {"quota_set": {"cores": None}},
    {"quota_set": {"wheels": 1}}, {"quota_set": 5}, {}, {"quota_set": {"force": "perhaps"}},
    {"quota_set": {"cores": 2**31}},
])
async def test_a_quota_that_makes_no_sense_is_refused(cloud: Cloud, body: Any) -> None:
    user = await cloud.project()
    await cloud.admin.put(SETS + user.project_id, body, status=400)


async def test_networks_limits_are_taken_from_old_clients_but_not_from_new_ones(cloud: Cloud) -> None:
    user = await cloud.project()
    body = {"quota_set": {"floating_ips": 5}}
    await cloud.admin.put(SETS + user.project_id, body, status=200)
    await cloud.admin.put(SETS + user.project_id, body, headers=LATEST, status=400)


async def test_the_project_must_exist(cloud: Cloud) -> None:
    for tail in ("", "/detail", "/defaults"):
        answer = await cloud.admin.get(SETS + "nobody" + tail, status=400)
        assert answer.json["badRequest"]["message"] == "Project ID nobody is not a valid project."
    await cloud.admin.put(SETS + "nobody", {"quota_set": {}}, status=400)


async def test_users_change_no_quota(cloud: Cloud) -> None:
    user = await cloud.project()
    await user.put(SETS + user.project_id, {"quota_set": {"cores": 100}}, status=403)
    await user.delete(SETS + user.project_id, status=403)
    await user.get(CLASS, status=403)
    await user.put(CLASS, {"quota_class_set": {"cores": 1}}, status=403)


async def test_the_default_class_holds_for_all_without_a_quota_of_their_own(cloud: Cloud) -> None:
    user, other = await cloud.project(), await cloud.project()
    await cloud.admin.put(SETS + other.project_id, {"quota_set": {"server_groups": 4}}, status=200)
    assert (await cloud.admin.get(CLASS, headers=LATEST, status=200)).json["quota_class_set"]["id"] == "default"
    try:
        body = {"quota_class_set": {"server_groups": 3}}
        changed = (await cloud.admin.put(CLASS, body, headers=LATEST, status=200)).json["quota_class_set"]
        assert changed["server_groups"] == 3 and "id" not in changed
        assert (await user.get(SETS + user.project_id)).json["quota_set"]["server_groups"] == 3
        assert (await other.get(SETS + other.project_id)).json["quota_set"]["server_groups"] == 4
        await use(cloud, user.project_id, server_groups=3)
        with pytest.raises(Exception, match="Quota exceeded for server_groups"):
            await use(cloud, user.project_id, server_groups=1)
        await use(cloud, other.project_id, server_groups=4)
    finally:
        await cloud.admin.put(CLASS, {"quota_class_set": {"server_groups": 10}}, headers=LATEST, status=200)


async def test_limits_show_quota_and_usage_in_one_document(cloud: Cloud) -> None:
    user, stranger = await cloud.project(), await cloud.project()
    await use(cloud, user.project_id, instances=1, cores=2)
    limits = (await user.get("/compute/v2.1/limits?reserved=1", headers=LATEST, status=200)).json["limits"]
    assert limits["rate"] == []
    absolute = limits["absolute"]
    assert absolute["maxTotalCores"] == 20 and absolute["totalCoresUsed"] == 2
    assert absolute["totalInstancesUsed"] == 1 and "maxPersonality" not in absolute
    old = (await user.get("/compute/v2.1/limits", status=200)).json["limits"]["absolute"]
    assert {"maxImageMeta", "maxPersonality", "maxSecurityGroups", "maxTotalFloatingIps"} <= set(old)
    of_user = "/compute/v2.1/limits?tenant_id=" + user.project_id
    seen = await cloud.admin.get(of_user, status=200)
    assert seen.json["limits"]["absolute"]["totalCoresUsed"] == 2
    await user.get(of_user, status=200)
    await stranger.get(of_user, status=403)
    await user.get("/compute/v2.1/limits?unknown=1", headers=LATEST, status=400)


async def test_keypairs_count_against_their_user(cloud: Cloud) -> None:
    user = await cloud.project()
    body = {"keypair": {"name": "k-" + uuid.uuid4().hex[:6]}}
    await user.post("/compute/v2.1/os-keypairs", body, status=200)

    used = await context.internal(cloud.core).read(lambda tx, ctx: QUOTA.usage(tx, user.user_id)["key_pairs"])
    assert used == 1
    await user.delete("/compute/v2.1/os-keypairs/" + body["keypair"]["name"], status=202)
    used = await context.internal(cloud.core).read(lambda tx, ctx: QUOTA.usage(tx, user.user_id)["key_pairs"])
    assert used == 0
