# SPDX-License-Identifier: Apache-2.0
"""Providers, their trees, inventories, traits, classes and aggregates, as a client sees them.

Claims are told in test_allocations.py, the search in test_candidates.py.
"""

from __future__ import annotations

import asyncio

import sqlalchemy as sa

from skyhold.core.tables import JOURNAL
from tests.story.placement.cloud import at, new_id, provider, using


async def test_the_version_document_is_for_anybody(api):
    api.token = None
    found = (await api.get("/", status=200)).json
    assert found == {"versions": [{
        "id": "v1.0", "min_version": "1.0", "max_version": "1.39", "status": "CURRENT",
        "links": [{"rel": "self", "href": ""}],
    }]}
    refused = await api.get("/resource_providers", status=401)
    assert refused.json["error"]["code"] == 401


async def test_only_admins_and_services_may(api):
    api.token = "member"
    refused = (await api.get("/resource_providers", status=403)).json["errors"][0]
    assert refused["status"] == 403 and refused["code"] == "placement.undefined_code"
    api.token = "service"
    await api.get("/resource_providers", status=200)


async def test_a_version_out_of_range_says_what_there_is(api):
    refused = await at(api, "1.40").get("/resource_providers", status=406)
    [error] = refused.json["errors"]
    assert (error["min_version"], error["max_version"]) == ("1.0", "1.39")


async def test_plc_01_a_provider_is_made_shown_renamed_and_deleted(api):
    old = at(api, "1.19")
    made = await old.post("/resource_providers", {"name": "a"}, status=201)
    assert made.body == b"" and made.headers["location"].startswith("/placement/resource_providers/")
    url = made.headers["location"].removeprefix("/placement")
    shown = await api.get(url, status=200)
    assert shown.headers["openstack-api-version"] == "placement 1.39"
    assert shown.headers["cache-control"] == "no-cache" and "GMT" in shown.headers["last-modified"]
    body = shown.json
    assert body["generation"] == 0 and body["parent_provider_uuid"] is None
    assert body["root_provider_uuid"] == body["uuid"]
    assert [link["rel"] for link in body["links"]] == [
        "self", "inventories", "usages", "aggregates", "traits", "allocations"
    ]
    assert (await api.put(url, {"name": "b"}, status=200)).json["name"] == "b"
    oldest = (await at(api, "1.0").get(url, status=200)).json
    assert set(oldest) == {"uuid", "name", "generation", "links"} and len(oldest["links"]) == 3
    await api.delete(url, status=204)
    gone = (await api.get(url, status=404)).json["errors"][0]
    assert gone["code"] == "placement.resource_provider.not_found" and gone["title"] == "Not Found"


async def test_names_and_ids_are_taken_once(api):
    first = await provider(api, "a")
    for body in ({"name": "a"}, {"name": "b", "uuid": first}):
        refused = (await api.post("/resource_providers", body, status=409)).json["errors"][0]
        assert refused["code"] == "placement.duplicate_name"
    await provider(api, "c")
    await api.put(f"/resource_providers/{first}", {"name": "c"}, status=409)
    undashed = new_id().replace("-", "")
    made = (await api.post("/resource_providers", {"name": "d", "uuid": undashed}, status=200)).json
    assert made["uuid"].replace("-", "") == undashed and "-" in made["uuid"]


async def test_nonsense_is_refused_in_placements_words(api):
    for body, status in (
        (b"{", 400), ({}, 400), ({"name": 1}, 400), ({"name": "a", "surprise": 1}, 400),
        ({"name": "x" * 201}, 400), ([], 400), ({"name": "a", "uuid": "no"}, 400),
        ({"name": "a", "parent_provider_uuid": new_id()}, 400), ({"name": "a\0"}, 400),
    ):
        refused = await api.post("/resource_providers", body, status=status)
        assert refused.json["errors"][0]["status"] == status
    await api.post("/resource_providers", b"name=a", content_type="text/plain", status=415)
    await api.put("/resource_providers", {}, status=405)
    await api.get("/nowhere", status=404)
    await at(api, "1.13").post("/resource_providers", {"name": "a", "parent_provider_uuid": None}, status=400)
    await at(api, "1.13").get("/resource_providers", {"in_tree": new_id()}, status=400)
    for query in ("uuid=no", "resources=VCPU", "resources=VCPU:0", "resources=VCPU:x", "resources=NOPE:1",
                  "resources=VCPU:99999999999999999999", "required=", "required=NOPE", "required=!", "member_of=x",
                  "member_of=a,b", "surprise=1", "name=a&name=b", "required=HW_CPU_X86_VMX,!HW_CPU_X86_VMX"):
        await api.get("/resource_providers?" + query, status=400)


async def test_a_tree_keeps_its_root_and_its_parents(api):
    root = await provider(api, "root")
    child = await provider(api, "child", root)
    leaf = await provider(api, "leaf", child)
    found = (await api.get("/resource_providers", {"in_tree": leaf}, status=200)).json["resource_providers"]
    assert {one["uuid"] for one in found} == {root, child, leaf}
    assert {one["root_provider_uuid"] for one in found} == {root}
    refused = (await api.delete(f"/resource_providers/{child}", status=409)).json["errors"][0]
    assert refused["code"] == "placement.resource_provider.cannot_delete_parent"
    assert (await api.get("/resource_providers", {"in_tree": new_id()}, status=200)).json == {"resource_providers": []}


async def test_plc_03_reparenting_since_1_37_moves_the_whole_subtree(api):
    one, two = await provider(api, "one"), await provider(api, "two")
    child = await provider(api, "child", one)
    leaf = await provider(api, "leaf", child)
    url = f"/resource_providers/{child}"
    for parent in (two, None):
        await at(api, "1.36").put(url, {"name": "child", "parent_provider_uuid": parent}, status=400)
    moved = (await api.put(url, {"name": "child", "parent_provider_uuid": two}, status=200)).json
    assert (moved["parent_provider_uuid"], moved["root_provider_uuid"]) == (two, two)
    assert (await api.get(f"/resource_providers/{leaf}")).json["root_provider_uuid"] == two
    for parent in (leaf, child, new_id()):
        await api.put(url, {"name": "child", "parent_provider_uuid": parent}, status=400)
    alone = (await api.put(url, {"name": "child", "parent_provider_uuid": None}, status=200)).json
    assert (alone["parent_provider_uuid"], alone["root_provider_uuid"]) == (None, child)
    assert (await api.get(f"/resource_providers/{leaf}")).json["root_provider_uuid"] == child


async def test_providers_are_listed_by_everything_at_once(api):
    east, west = new_id(), new_id()
    big = await provider(api, "big", VCPU=8, traits=("HW_CPU_X86_VMX",), aggregates=(east,))
    small = await provider(api, "small", VCPU=2, traits=("HW_CPU_X86_SVM",), aggregates=(east, west))
    bare = await provider(api, "bare")

    async def listed(**query):
        found = (await api.get("/resource_providers", query, status=200)).json["resource_providers"]
        return {one["uuid"] for one in found}

    assert await listed() == {big, small, bare}
    assert await listed(name="big") == {big} == await listed(uuid=big)
    assert await listed(resources="VCPU:4") == {big}
    assert await listed(required="HW_CPU_X86_VMX") == {big}
    assert await listed(required="!HW_CPU_X86_VMX") == {small, bare}
    assert await listed(required="in:HW_CPU_X86_VMX,HW_CPU_X86_SVM") == {big, small}
    assert await listed(required=["in:HW_CPU_X86_VMX,HW_CPU_X86_SVM", "!HW_CPU_X86_VMX"]) == {small}
    assert await listed(member_of=east) == {big, small}
    assert await listed(member_of=[east, west]) == {small}
    assert await listed(member_of=f"in:{east},{west}") == {big, small}
    assert await listed(member_of="!" + west) == {big, bare}
    assert await listed(member_of=f"!in:{east},{west}") == {bare}
    assert await listed(member_of=east, resources="VCPU:1", required="!HW_CPU_X86_VMX") == {small}
    await at(api, "1.31").get("/resource_providers", {"member_of": "!" + west}, status=400)
    await at(api, "1.23").get("/resource_providers?" + f"member_of={east}&member_of={west}", status=400)
    await at(api, "1.21").get("/resource_providers", {"required": "!HW_CPU_X86_VMX"}, status=400)
    await at(api, "1.38").get("/resource_providers", {"required": "in:HW_CPU_X86_VMX,HW_CPU_X86_SVM"}, status=400)


async def test_inventories_are_set_under_the_providers_generation(api):
    one = await provider(api, "one")
    url = f"/resource_providers/{one}/inventories"
    body = {"resource_provider_generation": 0, "inventories": {"VCPU": {"total": 4, "allocation_ratio": 16}}}
    answer = (await api.put(url, body, status=200)).json
    assert answer == {"resource_provider_generation": 1, "inventories": {"VCPU": {
        "total": 4, "reserved": 0, "min_unit": 1, "max_unit": 2147483647, "step_size": 1, "allocation_ratio": 16.0,
    }}}
    refused = (await api.put(url, body, status=409)).json["errors"][0]
    assert refused["code"] == "placement.concurrent_update"
    made = await api.post(url, {"resource_class": "MEMORY_MB", "total": 1024, "reserved": 100}, status=201)
    assert made.headers["location"] == f"/placement{url}/MEMORY_MB"
    assert made.json["resource_provider_generation"] == 2
    await api.post(url, {"resource_class": "MEMORY_MB", "total": 1024}, status=409)
    changed = await api.put(url + "/VCPU", {"resource_provider_generation": 2, "total": 8}, status=200)
    assert changed.json["total"] == 8 and changed.json["allocation_ratio"] == 1.0
    assert (await api.get(url + "/VCPU", status=200)).json["resource_provider_generation"] == 3
    await api.delete(url + "/VCPU", status=204)
    await api.delete(url + "/VCPU", status=404)
    await at(api, "1.4").delete(url, status=405)
    await api.delete(url, status=204)
    assert (await api.get(url)).json == {"resource_provider_generation": 5, "inventories": {}}


async def test_inventories_that_make_no_sense_are_refused(api):
    one = await provider(api, "one")
    url = f"/resource_providers/{one}/inventories"

    async def put(status, version="1.39", **inventory):
        body = {"resource_provider_generation": 0, "inventories": {"VCPU": inventory}}
        await at(api, version).put(url, body, status=status)

    for bad in ({"total": 0}, {"total": "4"}, {"total": 4, "reserved": 5}, {"total": 2**31}, {"total": 1.5},
                {"total": 4, "step_size": 0}, {"total": 4, "allocation_ratio": -1}, {}, {"total": 4, "x": 1},
                {"total": 4, "allocation_ratio": 1e38}):
        await put(400, **bad)
    await put(400, "1.25", total=4, reserved=4)
    await put(200, total=4, reserved=4)
    body = {"resource_provider_generation": 1, "inventories": {"CUSTOM_NOT_THERE": {"total": 1}}}
    await api.put(url, body, status=400)
    await api.put(url, {"resource_provider_generation": 1, "inventories": {"lower": {"total": 1}}}, status=400)
    await api.get(f"/resource_providers/{new_id()}/inventories", status=404)


async def test_an_inventory_in_use_cannot_go(api):
    one = await provider(api, "one", VCPU=4, DISK_GB=10)
    await api.put(f"/allocations/{new_id()}", using({one: {"VCPU": 1}}), status=204)
    url = f"/resource_providers/{one}"
    generation = (await api.get(url)).json["generation"]
    refused = (await api.delete(url + "/inventories/VCPU", status=409)).json["errors"][0]
    assert refused["code"] == "placement.concurrent_update"
    for call in (
        api.delete(url + "/inventories"),
        api.put(url + "/inventories", {"resource_provider_generation": generation, "inventories": {}}),
    ):
        refused = await call
        assert refused.status == 409 and refused.json["errors"][0]["code"] == "placement.inventory.inuse"
    refused = (await api.delete(url, status=409)).json["errors"][0]
    assert refused["code"] == "placement.resource_provider.inuse"
    await api.delete(url + "/inventories/DISK_GB", status=204)


async def test_plc_07_traits_are_preloaded_and_custom_ones_are_made(api):
    standard = (await api.get("/traits", status=200)).json["traits"]
    assert "HW_CPU_X86_AVX2" in standard and len(standard) > 300
    await api.put("/traits/CUSTOM_GOLD", status=201)
    await api.put("/traits/CUSTOM_GOLD", status=204)
    await api.get("/traits/CUSTOM_GOLD", status=204)
    await api.get("/traits/CUSTOM_TIN", status=404)
    for name in ("GOLD", "CUSTOM_gold", "CUSTOM_" + "X" * 250):
        await api.put(f"/traits/{name}", status=400)
    assert (await api.get("/traits", {"name": "startswith:CUSTOM"})).json["traits"] == ["CUSTOM_GOLD"]
    assert (await api.get("/traits", {"name": "in:CUSTOM_GOLD,NOPE"})).json["traits"] == ["CUSTOM_GOLD"]
    one = await provider(api, "one", traits=("CUSTOM_GOLD", "HW_CPU_X86_VMX"))
    assert (await api.get("/traits", {"associated": "true"})).json["traits"] == ["CUSTOM_GOLD", "HW_CPU_X86_VMX"]
    assert len((await api.get("/traits", {"associated": "false"})).json["traits"]) == len(standard) - 1
    await api.delete("/traits/CUSTOM_GOLD", status=409)
    await api.delete("/traits/HW_CPU_X86_VMX", status=400)
    url = f"/resource_providers/{one}/traits"
    found = (await api.get(url)).json
    assert found == {"traits": ["CUSTOM_GOLD", "HW_CPU_X86_VMX"], "resource_provider_generation": 1}
    await api.put(url, {"traits": [], "resource_provider_generation": 0}, status=409)
    await api.put(url, {"traits": ["CUSTOM_NOPE"], "resource_provider_generation": 1}, status=400)
    await api.delete(url, status=204)
    await api.delete("/traits/CUSTOM_GOLD", status=204)
    await api.delete("/traits/CUSTOM_GOLD", status=404)
    for query in ({"name": "x"}, {"associated": "maybe"}, {"surprise": "1"}):
        await api.get("/traits", query, status=400)
    await at(api, "1.5").get("/traits", status=404)


async def test_resource_classes_are_preloaded_and_custom_ones_are_made(api):
    names = [one["name"] for one in (await api.get("/resource_classes", status=200)).json["resource_classes"]]
    assert names[:3] == ["VCPU", "MEMORY_MB", "DISK_GB"]
    made = await api.post("/resource_classes", {"name": "CUSTOM_FPGA"}, status=201)
    assert made.headers["location"] == "/placement/resource_classes/CUSTOM_FPGA"
    await api.post("/resource_classes", {"name": "CUSTOM_FPGA"}, status=409)
    await api.post("/resource_classes", {"name": "FPGA9"}, status=400)
    await api.put("/resource_classes/CUSTOM_FPGA", status=204)
    await api.put("/resource_classes/CUSTOM_GPU", status=201)
    await api.put("/resource_classes/VCPU", status=400)
    assert (await api.get("/resource_classes/CUSTOM_GPU")).json["links"][0]["rel"] == "self"
    await api.get("/resource_classes/CUSTOM_NOPE", status=404)
    one = await provider(api, "one", CUSTOM_GPU=2)
    await api.delete("/resource_classes/CUSTOM_GPU", status=409)
    await api.delete("/resource_classes/VCPU", status=400)
    await at(api, "1.6").put("/resource_classes/CUSTOM_GPU", {"name": "CUSTOM_CARD"}, status=200)
    assert "CUSTOM_CARD" in (await api.get(f"/resource_providers/{one}/inventories")).json["inventories"]
    await api.delete("/resource_classes/CUSTOM_FPGA", status=204)
    await api.delete("/resource_classes/CUSTOM_FPGA", status=404)


async def test_who_brought_or_took_a_word_is_in_the_journal(api, ctx):
    await api.put("/traits/CUSTOM_ZINC", status=201)
    await api.put("/traits/CUSTOM_ZINC", status=204)
    await api.delete("/traits/CUSTOM_ZINC", status=204)
    await api.post("/resource_classes", {"name": "CUSTOM_ONE"}, status=201)
    await at(api, "1.6").put("/resource_classes/CUSTOM_ONE", {"name": "CUSTOM_TWO"}, status=200)
    await api.delete("/resource_classes/CUSTOM_TWO", status=204)
    words = JOURNAL.c.resource_id.in_(["CUSTOM_ZINC", "CUSTOM_ONE", "CUSTOM_TWO"])
    told = sa.select(JOURNAL.c.action, JOURNAL.c.resource_id).where(words).order_by(JOURNAL.c.id)
    assert [tuple(row) for row in await ctx.read(lambda tx, ctx: tx.all(told))] == [
        ("trait.create", "CUSTOM_ZINC"), ("trait.delete", "CUSTOM_ZINC"), ("resource_class.create", "CUSTOM_ONE"),
        ("resource_class.delete", "CUSTOM_ONE"), ("resource_class.create", "CUSTOM_TWO"),
        ("resource_class.delete", "CUSTOM_TWO"),
    ]


async def test_aggregates_name_the_generation_since_1_19(api):
    one = await provider(api, "one")
    url, group = f"/resource_providers/{one}/aggregates", new_id()
    assert (await at(api, "1.18").put(url, [group], status=200)).json == {"aggregates": [group]}
    assert (await api.get(url)).json == {"aggregates": [group], "resource_provider_generation": 0}
    await api.put(url, {"aggregates": [], "resource_provider_generation": 1}, status=409)
    answer = (await api.put(url, {"aggregates": [], "resource_provider_generation": 0}, status=200)).json
    assert answer == {"aggregates": [], "resource_provider_generation": 1}
    for bad in (["no"], [group, group], {"aggregates": [group]}, "x"):
        await at(api, "1.18").put(url, bad, status=400)
    await at(api, "1.0").get(url, status=404)


async def test_plc_03_of_two_writers_with_one_generation_one_is_told(api):
    one = await provider(api, "one")
    url = f"/resource_providers/{one}/inventories"

    def body(total):
        return {"resource_provider_generation": 0, "inventories": {"VCPU": {"total": total}}}

    answers = await asyncio.gather(*(api.put(url, body(total)) for total in range(1, 9)))
    assert sorted(answer.status for answer in answers) == [200] + [409] * 7
