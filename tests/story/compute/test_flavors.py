# SPDX-License-Identifier: Apache-2.0
"""Stories of flavors: operators make them, users choose among those they may see."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from skyhold.compute.flavors import ops
from skyhold.core import context, errors
from tests.kit.client import Client
from tests.kit.cloud import Cloud

FLAVORS = "/compute/v2.1/flavors"
LATEST = {"OpenStack-API-Version": "compute 2.96"}
AT_260 = {"OpenStack-API-Version": "compute 2.60"}


async def make(cloud: Cloud, **values: Any) -> dict[str, Any]:
    body = {"name": "f-" + uuid.uuid4().hex[:8], "ram": 512, "vcpus": 1, "disk": 1} | values
    answer = await cloud.admin.post(FLAVORS, {"flavor": body}, headers=LATEST, status=200)
    return answer.json["flavor"]


async def names(who: Client, query: str = "") -> set[str]:
    answer = await who.get(FLAVORS + query, headers=LATEST, status=200)
    return {flavor["name"] for flavor in answer.json["flavors"]}


async def test_an_operator_makes_a_flavor_and_everybody_sees_it(cloud: Cloud) -> None:
    user = await cloud.project()
    made = await make(cloud, ram="1024", disk="20", swap=64, **{"OS-FLV-EXT-DATA:ephemeral": 5})
    seen = (await user.get(f"{FLAVORS}/{made['id']}", headers=LATEST, status=200)).json["flavor"]
    assert seen == made
    assert (seen["ram"], seen["disk"], seen["swap"], seen["OS-FLV-EXT-DATA:ephemeral"]) == (1024, 20, 64, 5)
    assert seen["rxtx_factor"] == 1.0 and seen["os-flavor-access:is_public"] is True
    assert seen["extra_specs"] == {} and seen["description"] is None
    assert seen["links"][0]["href"].endswith(f"/compute/v2.1/flavors/{made['id']}")


async def test_old_versions_print_less_and_no_swap_as_an_empty_string(cloud: Cloud) -> None:
    made = await make(cloud)
    old = (await cloud.admin.get(f"{FLAVORS}/{made['id']}", status=200)).json["flavor"]
    assert old["swap"] == "" and "description" not in old and "extra_specs" not in old
    new = (await cloud.admin.get(f"{FLAVORS}/{made['id']}", headers=LATEST)).json["flavor"]
    assert new["swap"] == 0


@pytest.mark.parametrize("flavor", [
    {"name": "x", "ram": 0, "vcpus": 1, "disk": 1},
    {"name": "x", "ram": "lots", "vcpus": 1, "disk": 1},
    {"name": "x", "ram": 1, "vcpus": 1, "disk": -1},
    {"name": "x", "ram": 1, "vcpus": 2**31, "disk": 1},
    {"name": " ", "ram": 1, "vcpus": 1, "disk": 1},
    {"name": "x", "ram": 1, "vcpus": 1, "disk": 1, "id": "a/b"},
    {"name": "x", "ram": 1, "vcpus": 1, "disk": 1, "id": " a"},
    {"name": "x", "ram": 1, "vcpus": 1, "disk": 1, "rxtx_factor": 0},
    {"name": "x", "ram": 1, "vcpus": 1, "disk": 1, "unknown": 1},
    {"name": "x", "vcpus": 1, "disk": 1},
    [],
    None,
])
async def test_a_flavor_that_makes_no_sense_is_refused(cloud: Cloud, flavor: Any) -> None:
    answer = await cloud.admin.post(FLAVORS, {"flavor": flavor}, status=400)
    assert answer.json["badRequest"]["code"] == 400


async def test_malformed_json_is_a_bad_request(cloud: Cloud) -> None:
    await cloud.admin.post(FLAVORS, b'{"flavor": ', status=400)


async def test_names_and_ids_are_unique(cloud: Cloud) -> None:
    made = await make(cloud)
    same_name = {"name": made["name"], "ram": 1, "vcpus": 1, "disk": 1}
    answer = await cloud.admin.post(FLAVORS, {"flavor": same_name}, status=409)
    assert answer.json["conflictingRequest"]["message"] == f"Flavor with name {made['name']} already exists."
    same_id = {"name": "other" + made["name"], "id": made["id"], "ram": 1, "vcpus": 1, "disk": 1}
    answer = await cloud.admin.post(FLAVORS, {"flavor": same_id}, status=409)
    assert answer.json["conflictingRequest"]["message"] == f"Flavor with ID {made['id']} already exists."


async def test_users_may_not_make_change_or_delete_flavors(cloud: Cloud) -> None:
    user, made = await cloud.project(), await make(cloud)
    one = f"{FLAVORS}/{made['id']}"
    await user.post(FLAVORS, {"flavor": {"name": "mine", "ram": 1, "vcpus": 1, "disk": 1}}, status=403)
    await user.put(one, {"flavor": {"description": "mine"}}, headers=LATEST, status=403)
    await user.post(one + "/os-extra_specs", {"extra_specs": {"a": "b"}}, status=403)
    await user.delete(one + "/os-extra_specs/a", status=403)
    await user.post(one + "/action", {"addTenantAccess": {"tenant": user.project_id}}, status=403)
    await user.get(one + "/os-flavor-access", status=403)
    await user.delete(one, status=403)


async def test_a_flavor_is_described_since_2_55(cloud: Cloud) -> None:
    one = f"{FLAVORS}/{(await make(cloud))['id']}"
    await cloud.admin.put(one, {"flavor": {"description": "small"}}, status=404)
    changed = await cloud.admin.put(one, {"flavor": {"description": "small"}}, headers=LATEST, status=200)
    assert changed.json["flavor"]["description"] == "small"
    await cloud.admin.put(one, {"flavor": {"name": "no"}}, headers=LATEST, status=400)


async def test_a_deleted_flavor_is_gone(cloud: Cloud) -> None:
    one = f"{FLAVORS}/{(await make(cloud))['id']}"
    await cloud.admin.delete(one, status=202)
    answer = await cloud.admin.get(one, status=404)
    assert answer.json["itemNotFound"]["message"].endswith("could not be found.")
    await cloud.admin.delete(one, status=404)


async def test_a_private_flavor_is_seen_only_by_those_it_was_opened_to(cloud: Cloud) -> None:
    guest, stranger = await cloud.project(), await cloud.project()
    made = await make(cloud, **{"os-flavor-access:is_public": False})
    one = f"{FLAVORS}/{made['id']}"
    await guest.get(one, status=404)
    opened = await cloud.admin.post(one + "/action", {"addTenantAccess": {"tenant": guest.project_id}}, status=200)
    access = [{"flavor_id": made["id"], "tenant_id": guest.project_id}]
    assert opened.json == {"flavor_access": access}
    assert (await cloud.admin.get(one + "/os-flavor-access", status=200)).json["flavor_access"] == access
    await guest.get(one, status=200)
    await stranger.get(one, status=404)
    assert made["name"] in await names(guest)
    assert made["name"] not in await names(stranger)
    assert made["name"] not in await names(stranger, "?is_public=None")
    assert made["name"] not in await names(cloud.admin)
    assert made["name"] in await names(cloud.admin, "?is_public=None")
    assert made["name"] in await names(cloud.admin, "?is_public=False")

    again = {"addTenantAccess": {"tenant": guest.project_id}}
    await cloud.admin.post(one + "/action", again, status=409)
    closed = {"removeTenantAccess": {"tenant": guest.project_id}}
    assert (await cloud.admin.post(one + "/action", closed, status=200)).json == {"flavor_access": []}
    await cloud.admin.post(one + "/action", closed, status=404)
    await guest.get(one, status=404)


async def test_access_names_real_projects_and_private_flavors(cloud: Cloud) -> None:
    user, public = await cloud.project(), await make(cloud)
    one = f"{FLAVORS}/{public['id']}"
    await cloud.admin.get(one + "/os-flavor-access", status=404)
    to_public = {"addTenantAccess": {"tenant": user.project_id}}
    await cloud.admin.post(one + "/action", to_public, headers=LATEST, status=409)
    private = await make(cloud, **{"os-flavor-access:is_public": "false"})
    nobody = {"addTenantAccess": {"tenant": "nobody"}}
    answer = await cloud.admin.post(f"{FLAVORS}/{private['id']}/action", nobody, status=400)
    assert answer.json["badRequest"]["message"] == "Project ID nobody is not a valid project."
    await cloud.admin.post(f"{FLAVORS}/{private['id']}/action", {"unknown": {}}, status=400)


async def test_flavors_are_filtered_sorted_and_paged(cloud: Cloud) -> None:
    tag = uuid.uuid4().hex[:8]
    for size in (3, 1, 2):
        await make(cloud, id=f"{tag}-{size}", ram=2**30 + size, disk=2**30)
    big = f"?minRam={2**30}&minDisk={2**30}&sort_key=memory_mb&sort_dir=desc"
    page = (await cloud.admin.get(FLAVORS + big + "&limit=2", status=200)).json
    assert [flavor["id"] for flavor in page["flavors"]] == [f"{tag}-3", f"{tag}-2"]
    following = page["flavors_links"][0]
    assert following["rel"] == "next"
    rest = following["href"].partition("/compute/")[2]
    page = (await cloud.admin.get("/compute/" + rest, status=200)).json
    assert [flavor["id"] for flavor in page["flavors"]] == [f"{tag}-1"]
    assert "flavors_links" not in page
    for bad in ("?minRam=x", "?minDisk=-1", "?limit=-1", "?marker=none", "?sort_key=x", "?sort_dir=up",
                "?is_public=maybe"):
        await cloud.admin.get(FLAVORS + bad, status=400)
    await cloud.admin.get(FLAVORS + "?unknown=1", status=200)
    await cloud.admin.get(FLAVORS + "?unknown=1", headers=LATEST, status=400)


async def test_a_list_costs_the_same_queries_however_long(cloud: Cloud) -> None:
    await make(cloud)
    counts = set()
    for limit in (1, 1000):
        from skyhold.compute import policy
        from skyhold.compute.flavors import shape, views

        ctx = context.internal(cloud.core)
        ctx.rule = policy.FLAVORS

        def count(tx: Any, ctx: Any, limit: int = limit) -> int:
            views.details(tx, ctx, shape.FlavorQuery(limit=limit))
            return int(tx.queries)

        counts.add(await ctx.read(count))
    assert counts == {1}


async def test_extra_specs_are_kept_shown_and_deleted(cloud: Cloud) -> None:
    user, made = await cloud.project(), await make(cloud)
    specs = f"{FLAVORS}/{made['id']}/os-extra_specs"
    await cloud.admin.post(specs, {"extra_specs": {"hw:cpu_policy": "shared", "mine": 5}}, status=200)
    kept = {"hw:cpu_policy": "shared", "mine": "5"}
    assert (await user.get(specs, status=200)).json == {"extra_specs": kept}
    assert (await user.get(specs + "/mine", status=200)).json == {"mine": "5"}
    assert (await cloud.admin.put(specs + "/mine", {"mine": "6"}, status=200)).json == {"mine": "6"}
    await cloud.admin.put(specs + "/mine", {"other": "6"}, status=400)
    await cloud.admin.put(specs + "/mine", {"mine": "6", "other": "7"}, status=400)
    await cloud.admin.post(specs, {"extra_specs": {"a/b": "c"}}, status=400)
    await cloud.admin.post(specs, {"extra_specs": {"a": "c" * 256}}, status=400)
    await cloud.admin.delete(specs + "/mine", status=200)
    answer = await cloud.admin.delete(specs + "/mine", status=404)
    assert answer.json["itemNotFound"]["message"] == f"Flavor {made['id']} has no extra specs with key mine."
    await user.get(specs + "/mine", status=404)
    inside = (await user.get(f"{FLAVORS}/{made['id']}", headers=LATEST)).json["flavor"]["extra_specs"]
    assert inside == {"hw:cpu_policy": "shared"}
    assert "extra_specs" not in (await user.get(f"{FLAVORS}/{made['id']}", headers=AT_260)).json["flavor"]


async def test_a_misspelt_extra_spec_is_refused_since_2_86(cloud: Cloud) -> None:
    specs = f"{FLAVORS}/{(await make(cloud))['id']}/os-extra_specs"
    wrong = {"extra_specs": {"hw:cpu_polcy": "shared"}}
    await cloud.admin.post(specs, wrong, headers=LATEST, status=400)
    await cloud.admin.post(specs, wrong, status=200)


async def test_a_server_can_be_made_only_with_a_flavor_its_user_may_see(cloud: Cloud) -> None:
    private = await make(cloud, **{"os-flavor-access:is_public": False})
    user = await cloud.project()
    ctx = context.internal(cloud.core)
    row = await ctx.read(ops.lookup, private["id"])
    assert ops.snapshot(row)["ram_mb"] == 512 and ops.snapshot(row)["extra_specs"] == {}
    creds = await cloud.core.authenticate(user.token)
    with pytest.raises(errors.Invalid, match="could not be found"):
        await ctx.derive(creds).read(ops.lookup, private["id"])
