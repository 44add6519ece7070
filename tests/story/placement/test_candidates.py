# SPDX-License-Identifier: Apache-2.0
"""PLC-02: which providers could serve a request, over flat clouds, trees and shared storage.

The search alone is tested against an oracle in tests/unit/placement.
"""

from __future__ import annotations

import pytest

from skyhold.core import metrics
from tests.story.placement.cloud import at, candidates, new_id, provider, using

SHARES = ("MISC_SHARES_VIA_AGGREGATE",)


@pytest.fixture
async def flat(api):
    """Three lone hosts."""
    doubled = {"total": 16, "allocation_ratio": 2.0}
    return [
        await provider(api, "big", VCPU=doubled, MEMORY_MB=4096, traits=("HW_CPU_X86_VMX",)),
        await provider(api, "small", VCPU=2, MEMORY_MB=1024),
        await provider(api, "disk", DISK_GB=100),
    ]


@pytest.fixture
async def numa(api):
    """A host with two NUMA cells, each with a network card; and a lone host."""
    host = await provider(api, "host", MEMORY_MB=4096, DISK_GB=100)
    cells = [await provider(api, f"cell{i}", host, VCPU=4) for i in range(2)]
    cards = [await provider(api, f"nic{i}", cells[i], SRIOV_NET_VF=2, traits=(f"CUSTOM_NET{i}",)) for i in range(2)]
    lone = await provider(api, "lone", VCPU=8, MEMORY_MB=8192, DISK_GB=500)
    return host, cells, cards, lone


async def test_a_flat_cloud_is_answered_in_full(api, flat):
    big, small, _ = flat
    await api.put(f"/allocations/{new_id()}", using({big: {"VCPU": 20}}), status=204)
    found = (await api.get("/allocation_candidates", {"resources": "VCPU:4,MEMORY_MB:512"}, status=200)).json
    assert found == {
        "allocation_requests": [
            {"allocations": {big: {"resources": {"VCPU": 4, "MEMORY_MB": 512}}}, "mappings": {"": [big]}}
        ],
        "provider_summaries": {big: {
            "resources": {"VCPU": {"capacity": 32, "used": 20}, "MEMORY_MB": {"capacity": 4096, "used": 0}},
            "traits": ["HW_CPU_X86_VMX"], "parent_provider_uuid": None, "root_provider_uuid": big,
        }},
    }
    assert await candidates(api, resources="VCPU:99") == []
    both = await candidates(api, resources="VCPU:1", limit=10)
    assert both == [{id: {"VCPU": 1}} for id in sorted((big, small))]
    assert len(await candidates(api, resources="VCPU:1", limit=1)) == 1
    assert await candidates(api, resources="VCPU:1", required="!HW_CPU_X86_VMX") == [{small: {"VCPU": 1}}]
    assert await candidates(api, resources="VCPU:1", root_required="HW_CPU_X86_VMX") == [{big: {"VCPU": 1}}]
    assert await candidates(api, resources="VCPU:1", root_required="!HW_CPU_X86_VMX") == [{small: {"VCPU": 1}}]
    assert await candidates(api, resources1="VCPU:1", required1="HW_CPU_X86_VMX") == [{big: {"VCPU": 1}}]
    assert await candidates(api, resources="VCPU:1", in_tree=small) == [{small: {"VCPU": 1}}]


async def test_every_version_has_its_form(api, flat):
    big = flat[0]

    async def found(version):
        ask = {"resources": "VCPU:4"}
        body = (await at(api, version).get("/allocation_candidates", ask, status=200)).json
        return body["allocation_requests"][0], body["provider_summaries"][big]

    for version in ("1.10", "1.11"):
        request, summary = await found(version)
        assert request == {"allocations": [{"resource_provider": {"uuid": big}, "resources": {"VCPU": 4}}]}
        assert summary == {"resources": {"VCPU": {"capacity": 32, "used": 0}}}
    request, summary = await found("1.12")
    assert request == {"allocations": {big: {"resources": {"VCPU": 4}}}} and "traits" not in summary
    assert (await found("1.17"))[1]["traits"] == ["HW_CPU_X86_VMX"]
    assert set((await found("1.26"))[1]["resources"]) == {"VCPU"}
    assert set((await found("1.27"))[1]["resources"]) == {"VCPU", "MEMORY_MB"}
    assert "root_provider_uuid" not in (await found("1.28"))[1]
    request, summary = await found("1.34")
    assert request["mappings"] == {"": [big]} and summary["root_provider_uuid"] == big
    await at(api, "1.9").get("/allocation_candidates", {"resources": "VCPU:4"}, status=404)


async def test_flat_and_searched_answers_agree(api, flat):
    ask = {"resources": "VCPU:1", "limit": 5}
    clients = {version: at(api, version) for version in ("1.16", "1.26", "1.39")}
    before = {version: (await client.get("/allocation_candidates", ask)).json for version, client in clients.items()}
    await provider(api, "child", flat[2], VGPU=1)
    for version, answer in before.items():
        assert (await at(api, version).get("/allocation_candidates", ask)).json == answer


async def test_resources_of_one_group_may_be_spread_over_a_tree(api, numa):
    host, cells, _, lone = numa
    found = await candidates(api, resources="VCPU:4,MEMORY_MB:1024,DISK_GB:10")
    expected = [{cell: {"VCPU": 4}, host: {"MEMORY_MB": 1024, "DISK_GB": 10}} for cell in cells]
    expected.append({lone: {"VCPU": 4, "MEMORY_MB": 1024, "DISK_GB": 10}})
    assert len(found) == 3 and all(each in found for each in expected)
    old = await candidates(at(api, "1.28"), resources="VCPU:4,MEMORY_MB:1024,DISK_GB:10")
    assert old == [expected[-1]]
    body = (await api.get("/allocation_candidates", {"resources": "VCPU:1,MEMORY_MB:1", "in_tree": host})).json
    assert len(body["provider_summaries"]) == 5
    assert body["provider_summaries"][cells[0]]["parent_provider_uuid"] == host
    assert body["provider_summaries"][cells[0]]["root_provider_uuid"] == host


async def test_groups_isolate_or_share_a_provider(api, numa):
    _, _, cards, _ = numa
    ask = {"resources1": "SRIOV_NET_VF:1", "resources2": "SRIOV_NET_VF:1"}
    await api.get("/allocation_candidates", ask, status=400)
    apart = await candidates(api, **ask, group_policy="isolate")
    assert len(apart) == 2 and all(set(each) == set(cards) for each in apart)
    together = await candidates(api, **ask, group_policy="none")
    assert {cards[0]: {"SRIOV_NET_VF": 2}} in together and len(together) == 4
    ask |= {"required1": "CUSTOM_NET1", "required2": "!CUSTOM_NET1"}
    found = (await api.get("/allocation_candidates", ask | {"group_policy": "none"})).json["allocation_requests"]
    assert [each["mappings"] for each in found] == [{"1": [cards[1]], "2": [cards[0]]}]
    three = {f"resources{i}": "SRIOV_NET_VF:1" for i in range(1, 6)}
    assert await candidates(api, **three, group_policy="none") == []


async def test_same_subtree_ties_groups_to_one_cell(api, numa):
    _, cells, cards, _ = numa
    ask = {"resources_CPU": "VCPU:2", "resources_NET": "SRIOV_NET_VF:1", "group_policy": "none"}
    assert len(await candidates(api, **ask)) == 4
    found = await candidates(api, **ask, same_subtree="_CPU,_NET")
    assert len(found) == 2 and all({cells[i]: {"VCPU": 2}, cards[i]: {"SRIOV_NET_VF": 1}} in found for i in range(2))
    resourceless = {"resources_NET": "SRIOV_NET_VF:1", "required_CELL": "!CUSTOM_NET0,!CUSTOM_NET1",
                    "same_subtree": "_CELL,_NET", "group_policy": "none", "in_tree_CELL": cells[0]}
    body = (await api.get("/allocation_candidates", resourceless, status=200)).json
    assert all(set(each["mappings"]) == {"_CELL", "_NET"} for each in body["allocation_requests"])
    for bad in ("_NOPE", "_CPU,"):
        await api.get("/allocation_candidates", ask | {"same_subtree": bad}, status=400)


async def test_shared_storage_serves_the_hosts_of_its_aggregate(api):
    group = new_id()
    near = await provider(api, "near", VCPU=4, aggregates=(group,))
    far = await provider(api, "far", VCPU=4)
    own = await provider(api, "own", VCPU=4, DISK_GB=50)
    pool = await provider(api, "pool", DISK_GB=1000, traits=SHARES, aggregates=(group,))
    found = await candidates(api, resources="VCPU:1,DISK_GB:10")
    assert len(found) == 2
    assert {near: {"VCPU": 1}, pool: {"DISK_GB": 10}} in found and {own: {"VCPU": 1, "DISK_GB": 10}} in found
    assert not any(far in each for each in found)
    assert await candidates(api, resources="VCPU:1,DISK_GB:10", member_of=group) == [
        {near: {"VCPU": 1}, pool: {"DISK_GB": 10}}
    ]
    granular = {"resources": "VCPU:1", "resources1": "DISK_GB:10", "required1": SHARES[0]}
    assert await candidates(api, **granular) == [{near: {"VCPU": 1}, pool: {"DISK_GB": 10}}]
    only_disk = await candidates(api, resources="DISK_GB:10", required=SHARES[0])
    assert only_disk == [{pool: {"DISK_GB": 10}}]


async def test_aggregates_of_a_root_count_for_its_tree(api):
    group = new_id()
    host = await provider(api, "host", MEMORY_MB=100, aggregates=(group,))
    card = await provider(api, "card", host, VGPU=1)
    await provider(api, "other", MEMORY_MB=100, VGPU=1)
    assert await candidates(api, resources="VGPU:1", member_of=group) == [{card: {"VGPU": 1}}]
    assert await candidates(api, resources1="VGPU:1", member_of1=group) == []
    assert len(await candidates(api, resources="VGPU:1", member_of="!" + group)) == 1
    assert card in (await candidates(api, resources1="VGPU:1", member_of1="!" + group, in_tree1=host))[0]


async def test_required_traits_may_be_spread_but_forbidden_ones_count_everywhere(api, numa):
    _, _, cards, _ = numa
    found = await candidates(api, resources="VCPU:1,SRIOV_NET_VF:1", required="CUSTOM_NET0")
    assert len(found) == 2 and all(cards[0] in each for each in found)
    found = await candidates(api, resources="VCPU:1,SRIOV_NET_VF:1", required="!CUSTOM_NET0")
    assert len(found) == 2 and all(cards[1] in each for each in found)
    found = await candidates(api, resources="VCPU:1,SRIOV_NET_VF:1", required="in:CUSTOM_NET0,CUSTOM_NET1")
    assert len(found) == 4


async def test_a_limit_spreads_over_trees(api, numa):
    host, _, _, _ = numa
    found = await candidates(api, resources="VCPU:1,MEMORY_MB:1", limit=2)
    assert {host in each for each in found} == {True, False}


async def test_queries_that_make_no_sense_are_refused(api, flat):
    for query in (
        "", "resources=", "resources=VCPU", "resources=VCPU:1:2", "resources=VCPU:-1", "resources=NOPE:1",
        "resources=VCPU:1&resources=VCPU:2", "resources=VCPU:1&limit=0", "resources=VCPU:1&limit=x",
        "resources=VCPU:1&limit=", "resources=VCPU:1&surprise=1", "resources=VCPU:1&required=NOPE_TRAIT",
        "required=HW_CPU_X86_VMX", "required1=HW_CPU_X86_VMX&resources=VCPU:1", "member_of=" + new_id(),
        "resources=VCPU:1&member_of1=" + new_id(), "resources=VCPU:1&group_policy=maybe", "resources=VCPU:1&in_tree=x",
        "resources=VCPU:1&in_tree1=" + new_id(), "resources%20=VCPU:1", "resources" + "x" * 65 + "=VCPU:1",
        "resources=VCPU:1&root_required=in:A,B", "resources=VCPU:1&root_required=A&root_required=B",
        "resources=VCPU:1&member_of=in:", "resources=VCPU:%00",
    ):
        refused = await api.get("/allocation_candidates?" + query, status=400)
        assert refused.json["errors"][0]["status"] == 400, query
    for version, query in (
        ("1.15", "resources=VCPU:1&limit=1"), ("1.16", "resources=VCPU:1&required=HW_CPU_X86_VMX"),
        ("1.20", "resources=VCPU:1&member_of=" + new_id()), ("1.21", "resources=VCPU:1&required=!HW_CPU_X86_VMX"),
        ("1.24", "resources1=VCPU:1"), ("1.30", "resources=VCPU:1&in_tree=" + new_id()), ("1.32", "resources_A=VCPU:1"),
        ("1.34", "resources=VCPU:1&root_required=HW_CPU_X86_VMX"), ("1.35", "resources1=VCPU:1&same_subtree=1"),
        ("1.38", "resources=VCPU:1&required=in:HW_CPU_X86_VMX,HW_CPU_X86_SVM"),
        ("1.32", "resources0=VCPU:1"), ("1.32", "resources01=VCPU:1"),
    ):
        await at(api, version).get("/allocation_candidates?" + query, status=400)


async def test_plc_10_explain_says_on_which_rule_each_provider_fell_out(api, flat):
    big, small, disk = flat
    ask = {"resources": "VCPU:4,MEMORY_MB:512", "required": "HW_CPU_X86_VMX", "explain": "true"}
    body = (await api.get("/allocation_candidates", ask, status=200)).json
    assert [list(each["allocations"]) for each in body["allocation_requests"]] == [[big]]
    why = body["explanations"]
    assert why[big] == {"fits": True, "groups": {"": []}}
    rules = [(one["rule"], one.get("resource_class")) for one in why[small]["groups"][""]]
    assert rules == [("capacity", "VCPU"), ("required", None)]
    assert why[small]["groups"][""][0]["message"] == "4 VCPU are asked for, 2 are free."
    assert [one["rule"] for one in why[disk]["groups"][""]] == ["inventory", "inventory", "required"]


@pytest.mark.parametrize("nested", [False, True])
async def test_the_number_of_queries_does_not_depend_on_the_number_of_providers(api, nested):
    root = await provider(api, "root", VCPU=4)
    if nested:
        await provider(api, "child", root, VCPU=4)

    async def once():
        before = metrics.QUERIES._value.get()
        await api.get("/allocation_candidates", {"resources": "VCPU:1"}, status=200)
        return metrics.QUERIES._value.get() - before

    async def queries():
        # The program's own loops ask the database too: the least of some counts is the request's own.
        return min([await once() for _ in range(5)])

    first = await queries()
    for i in range(5):
        await provider(api, f"more{i}", VCPU=4, MEMORY_MB=10)
    assert await queries() == first <= 4
