# SPDX-License-Identifier: Apache-2.0
"""Allocations, usages and the reshaper, as a client sees them.

What compute does through the facade is told in test_facade.py.
"""

from __future__ import annotations

import asyncio

from tests.story.placement.cloud import ME, at, new_id, provider, using


async def test_a_consumer_claims_reads_changes_and_gives_back(api):
    one, consumer = await provider(api, "one", VCPU=8, MEMORY_MB=1024), new_id()
    url = f"/allocations/{consumer}"
    assert (await api.get(url, status=200)).json == {"allocations": {}}
    await api.put(url, using({one: {"VCPU": 2, "MEMORY_MB": 512}}), status=204)
    found = (await api.get(url)).json
    assert found == {
        "allocations": {one: {"resources": {"VCPU": 2, "MEMORY_MB": 512}, "generation": 2}},
        "consumer_generation": 1, "consumer_type": "INSTANCE", **ME,
    }
    assert set((await at(api, "1.11").get(url)).json) == {"allocations"}
    assert (await api.get(f"/resource_providers/{one}/usages")).json == {
        "resource_provider_generation": 2, "usages": {"VCPU": 2, "MEMORY_MB": 512},
    }
    assert (await api.get(f"/resource_providers/{one}/allocations")).json == {
        "allocations": {consumer: {"resources": {"VCPU": 2, "MEMORY_MB": 512}, "consumer_generation": 1}},
        "resource_provider_generation": 2,
    }
    await api.put(url, using({one: {"VCPU": 4}}, generation=1), status=204)
    assert (await api.get(f"/resource_providers/{one}/usages")).json["usages"] == {"VCPU": 4, "MEMORY_MB": 0}
    await api.delete(url, status=204)
    await api.delete(url, status=404)
    assert (await api.get(f"/resource_providers/{one}/usages")).json["usages"] == {"VCPU": 0, "MEMORY_MB": 0}


async def test_what_does_not_fit_is_a_conflict_and_changes_nothing(api):
    one = await provider(
        api, "one", VCPU=4, DISK_GB={"total": 100, "min_unit": 10, "max_unit": 50, "step_size": 10}
    )
    consumer = new_id()
    for amounts in (
        {"VCPU": 5}, {"DISK_GB": 5}, {"DISK_GB": 60}, {"DISK_GB": 15}, {"MEMORY_MB": 1}, {"VCPU": 1, "DISK_GB": 99},
    ):
        refused = (await api.put(f"/allocations/{consumer}", using({one: amounts}), status=409)).json["errors"][0]
        assert "Unable to allocate inventory" in refused["detail"]
    assert (await api.get(f"/allocations/{consumer}")).json == {"allocations": {}}
    assert (await api.get(f"/resource_providers/{one}")).json["generation"] == 1


async def test_bodies_that_make_no_sense_are_refused(api):
    one, url = await provider(api, "one", VCPU=4), f"/allocations/{new_id()}"
    good = using({one: {"VCPU": 1}})
    for bad in (
        {**good, "allocations": {new_id(): {"resources": {"VCPU": 1}}}}, {**good, "allocations": []},
        {**good, "allocations": {"no": {"resources": {"VCPU": 1}}}}, {**good, "surprise": 1},
        using({one: {}}), using({one: {"VCPU": 0}}), using({one: {"VCPU": "1"}}), using({one: {"NOPE": 1}}),
        {**good, "consumer_type": "small"}, {**good, "consumer_generation": "0"}, {**good, "mappings": {"x": ["no"]}},
        {key: value for key, value in good.items() if key != "consumer_type"}, b"nope", [],
        {**good, "project_id": ""}, {**good, "project_id": "x" * 256}, using({one: {"VCPU": 2**63}}),
    ):
        await api.put(url, bad, status=400)
    await api.put("/allocations/not-a-uuid", good, status=400)
    await api.put(url, {**good, "mappings": {"": [one]}}, status=204)
    await api.post("/allocations", {}, status=400)
    await at(api, "1.12").post("/allocations", {}, status=404)


async def test_plc_03_the_consumers_generation_is_compared_since_1_28(api):
    one, url = await provider(api, "one", VCPU=8), f"/allocations/{new_id()}"
    refused = (await api.put(url, using({one: {"VCPU": 1}}, generation=0), status=409)).json["errors"][0]
    assert refused["code"] == "placement.concurrent_update"
    await api.put(url, using({one: {"VCPU": 1}}), status=204)
    for wrong in (None, 0, 7):
        await api.put(url, using({one: {"VCPU": 2}}, generation=wrong), status=409)
    await api.put(url, using({}, generation=1), status=204)
    assert (await api.get(url)).json == {"allocations": {}}
    await api.put(url, using({}), status=204)
    answers = await asyncio.gather(*(api.put(url, using({one: {"VCPU": n}})) for n in range(1, 6)))
    assert sorted(answer.status for answer in answers) == [204] + [409] * 4


async def test_every_age_of_client_can_claim(api):
    one = await provider(api, "one", VCPU=80)
    listed = {"allocations": [{"resource_provider": {"uuid": one}, "resources": {"VCPU": 1}}]}
    keyed = {"allocations": {one: {"resources": {"VCPU": 1}}}} | ME
    for version, body in (
        ("1.0", listed), ("1.7", listed), ("1.8", listed | ME), ("1.11", listed | ME), ("1.12", keyed), ("1.27", keyed),
        ("1.28", keyed | {"consumer_generation": None}),
        ("1.34", keyed | {"consumer_generation": None, "mappings": {"_A": [one]}}),
        ("1.38", keyed | {"consumer_generation": None, "consumer_type": "VOLUME"}),
    ):
        await at(api, version).put(f"/allocations/{new_id()}", body, status=204)
    assert (await api.get(f"/resource_providers/{one}/usages")).json["usages"] == {"VCPU": 9}
    await at(api, "1.8").put(f"/allocations/{new_id()}", listed, status=400)
    await at(api, "1.12").put(f"/allocations/{new_id()}", listed | ME, status=400)
    await at(api, "1.12").put(f"/allocations/{new_id()}", {"allocations": {}} | ME, status=400)
    owners = (await api.get("/usages", {"project_id": "00000000-0000-0000-0000-000000000000"})).json["usages"]
    assert owners == {"unknown": {"VCPU": 2, "consumer_count": 2}}


async def test_plc_09_resources_move_between_consumers_without_being_free_in_between(api):
    here, there = await provider(api, "here", VCPU=4), await provider(api, "there", VCPU=4)
    server, migration = new_id(), new_id()
    await api.put(f"/allocations/{server}", using({here: {"VCPU": 4}}), status=204)
    await api.post("/allocations", {
        migration: using({here: {"VCPU": 4}}, kind="MIGRATION"), server: using({there: {"VCPU": 4}}, generation=1),
    }, status=204)
    assert (await api.get(f"/allocations/{migration}")).json["allocations"][here]["resources"] == {"VCPU": 4}
    assert set((await api.get(f"/allocations/{server}")).json["allocations"]) == {there}
    await api.post("/allocations", {
        migration: using({}, generation=1), server: using({here: {"VCPU": 4}}, generation=2),
    }, status=204)
    assert (await api.get(f"/resource_providers/{there}/usages")).json["usages"] == {"VCPU": 0}
    other = new_id()
    await api.post("/allocations", {
        other: using({there: {"VCPU": 1}}), server: using({here: {"VCPU": 1}}, generation=99),
    }, status=409)
    assert (await api.get(f"/allocations/{other}")).json == {"allocations": {}}


async def test_an_overfull_provider_can_still_be_used_less(api):
    one, url = await provider(api, "one", VCPU=8), f"/allocations/{new_id()}"
    await api.put(url, using({one: {"VCPU": 8}}), status=204)
    shrunk = {"resource_provider_generation": 2, "inventories": {"VCPU": {"total": 4}}}
    await api.put(f"/resource_providers/{one}/inventories", shrunk, status=200)
    await api.put(url, using({one: {"VCPU": 9}}, generation=1), status=409)
    await api.put(url, using({one: {"VCPU": 6}}, generation=1), status=204)


async def test_plc_05_usages_by_project_user_and_consumer_type(api):
    one = await provider(api, "one", VCPU=80, MEMORY_MB=1000)
    for user, kind, amounts in (
        ("alice", "INSTANCE", {"VCPU": 2, "MEMORY_MB": 100}), ("alice", "INSTANCE", {"VCPU": 1}),
        ("bob", "MIGRATION", {"VCPU": 4}),
    ):
        body = using({one: amounts}, kind=kind) | {"user_id": user}
        await api.put(f"/allocations/{new_id()}", body, status=204)

    async def usages(client=api, **query):
        return (await client.get("/usages", {"project_id": "demo"} | query, status=200)).json["usages"]

    instances = {"VCPU": 3, "MEMORY_MB": 100, "consumer_count": 2}
    assert await usages() == {"INSTANCE": instances, "MIGRATION": {"VCPU": 4, "consumer_count": 1}}
    assert await usages(user_id="alice") == {"INSTANCE": instances}
    assert await usages(consumer_type="all") == {"all": {"VCPU": 7, "MEMORY_MB": 100, "consumer_count": 3}}
    assert await usages(consumer_type="MIGRATION") == {"MIGRATION": {"VCPU": 4, "consumer_count": 1}}
    assert await usages(consumer_type="unknown") == {}
    assert await usages(project_id="nobody") == {}
    assert await usages(at(api, "1.37")) == {"VCPU": 7, "MEMORY_MB": 100}
    assert await usages(at(api, "1.9"), user_id="bob") == {"VCPU": 4}
    for query in ({}, {"project_id": ""}, {"project_id": "demo", "x": "1"}):
        await api.get("/usages", query, status=400)
    await at(api, "1.37").get("/usages", {"project_id": "demo", "consumer_type": "all"}, status=400)
    api.token = "reader@demo"
    assert await usages(user_id="bob") == {"MIGRATION": {"VCPU": 4, "consumer_count": 1}}
    await api.get("/usages", {"project_id": "other"}, status=403)


async def test_plc_03_the_reshaper_moves_inventory_and_its_users_to_a_child(api):
    root = await provider(api, "root", VCPU=8, VGPU=2)
    child = await provider(api, "child", root)
    server = new_id()
    await api.put(f"/allocations/{server}", using({root: {"VCPU": 1, "VGPU": 2}}), status=204)
    body = {
        "inventories": {
            root: {"resource_provider_generation": 2, "inventories": {"VCPU": {"total": 8}}},
            child: {"resource_provider_generation": 0, "inventories": {"VGPU": {"total": 2}}},
        },
        "allocations": {server: using({root: {"VCPU": 1}, child: {"VGPU": 2}}, generation=1)},
    }
    stale = {**body, "inventories": {root: {**body["inventories"][root], "resource_provider_generation": 1}}}
    assert (await api.post("/reshaper", stale, status=409)).json["errors"][0]["code"] == "placement.concurrent_update"
    left = {**body, "allocations": {}}
    assert (await api.post("/reshaper", left, status=409)).json["errors"][0]["code"] == "placement.inventory.inuse"
    missing = {**body, "inventories": {new_id(): body["inventories"][root]}}
    refused = (await api.post("/reshaper", missing, status=400)).json["errors"][0]
    assert refused["code"] == "placement.resource_provider.not_found"
    await api.post("/reshaper", body, status=204)
    assert (await api.get(f"/resource_providers/{root}/usages")).json["usages"] == {"VCPU": 1}
    assert (await api.get(f"/resource_providers/{child}/usages")).json["usages"] == {"VGPU": 2}
    await at(api, "1.29").post("/reshaper", body, status=404)


async def test_a_rehearsed_claim_leaves_nothing(api):
    one, url = await provider(api, "one", VCPU=8), f"/allocations/{new_id()}"
    await api.put(url, using({one: {"VCPU": 8}}), headers={"X-Dry-Run": "true"}, status=204)
    assert (await api.get(url)).json == {"allocations": {}}


async def test_a_consumer_is_the_same_in_every_spelling(api):
    one, consumer = await provider(api, "one", VCPU=8), new_id()
    await api.put(f"/allocations/{consumer.upper()}", using({one: {"VCPU": 2}}), status=204)
    assert (await api.get(f"/allocations/{consumer}")).json == (await api.get(f"/allocations/{consumer.upper()}")).json
    old, want = at(api, "1.13"), {"allocations": {one: {"resources": {"VCPU": 1}}}, **ME}
    await old.post("/allocations", {consumer: want, consumer.upper(): want}, status=400)
    other = new_id()
    await old.post("/allocations", {other: want, other.replace("-", ""): want}, status=400)
    await old.post("/allocations", {consumer.upper(): want}, status=204)
    await api.delete(f"/allocations/{consumer.upper()}", status=204)
    assert (await api.get(f"/allocations/{consumer}")).json == {"allocations": {}}
    await api.put(f"/allocations/{other}", using({one: {"VCPU": 1}}) | {"project_id": "p" * 65}, status=400)
