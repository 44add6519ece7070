# SPDX-License-Identifier: Apache-2.0
"""NEU-01: networks, subnets and ports as their owner, others and clients see them."""

from __future__ import annotations

import pytest

from skyhold.core import metrics
from tests.story.network.scene import Scene, kind


async def test_versions_are_told_without_a_token(cloud) -> None:
    answer = await cloud.client().get("/network/", status=200)
    assert [each["id"] for each in answer.json["versions"]] == ["v2.0"]
    assert answer.json["versions"][0]["status"] == "CURRENT"
    answer = await cloud.client().get("/network/v2.0/", status=200)
    assert "networks" in [each["collection"] for each in answer.json["resources"]]
    assert (await cloud.client().get("/network/v2.0/networks")).status == 401


async def test_a_network_lives(alice: Scene) -> None:
    made = await alice.make("network", name="web")
    assert made["status"] == "ACTIVE" and made["subnets"] == [] and made["project_id"] == alice.project_id
    assert made["tenant_id"] == alice.project_id and made["revision_number"] == 1
    assert "provider:network_type" not in made
    changed = await alice.put("network", made["id"], name="web2")
    assert changed["name"] == "web2" and changed["revision_number"] == 2
    await alice.delete("network", made["id"])
    assert kind(await alice.get("network", made["id"], 404)) == "NetworkNotFound"


async def test_a_network_is_nobody_elses_business(alice: Scene, mallory: Scene) -> None:
    network, subnet = await alice.network()
    port = (await alice.make("port", network_id=network))["id"]
    for one, id in (("network", network), ("subnet", subnet), ("port", port)):
        await mallory.get(one, id, 404)
        await mallory.put(one, id, 404, name="mine")
        await mallory.delete(one, id, 404)
    assert kind(await mallory.make("port", 404, network_id=network)) == "NetworkNotFound"
    assert not [each for each in await mallory.list("networks") if each["id"] == network]


async def test_a_reader_only_reads(alice: Scene, cloud) -> None:
    network, _ = await alice.network()
    reader = Scene(cloud, await alice.who.colleague(["reader"]))
    assert (await reader.get("network", network))["id"] == network
    assert kind(await reader.make("network", 403, name="x")) == "PolicyNotAuthorized"
    await reader.put("network", network, 403, name="x")
    await reader.delete("network", network, 403)


@pytest.mark.parametrize("attribute", [
    {"shared": True}, {"router:external": True}, {"provider:network_type": "flat"}, {"is_default": True},
])
async def test_some_attributes_are_for_administrators(alice: Scene, attribute) -> None:
    assert kind(await alice.make("network", 403, **attribute)) == "PolicyNotAuthorized"


async def test_what_is_default_anyway_may_be_said(alice: Scene) -> None:
    made = await alice.make("network", shared=False, **{"router:external": False})
    await alice.put("network", made["id"], shared=False)
    await alice.put("network", made["id"], 403, shared=True)


async def test_an_administrator_makes_provider_networks(admin: Scene) -> None:
    body = {"provider:network_type": "flat", "provider:physical_network": "physnet-x"}
    made = await admin.make("network", **{"router:external": True}, **body)
    assert made["provider:network_type"] == "flat" and made["provider:segmentation_id"] is None
    assert kind(await admin.make("network", 409, **body)) == "FlatNetworkInUse"
    bad = {"provider:network_type": "vlan", "provider:physical_network": "p", "provider:segmentation_id": 5000}
    assert kind(await admin.make("network", 400, **bad)) == "InvalidInput"


async def test_a_shared_network_is_seen_used_but_not_changed(admin: Scene, alice: Scene) -> None:
    network, subnet = await admin.network(shared=True)
    assert (await alice.get("network", network))["shared"] is True
    await alice.get("subnet", subnet)
    await alice.put("network", network, 403, name="mine")
    await alice.make("subnet", 403, network_id=network, ip_version=4, cidr="10.9.0.0/24")
    port = await alice.make("port", network_id=network)
    await admin.put("network", network, 409, shared=False)
    await alice.delete("port", port["id"])
    await admin.delete("network", network)


async def test_several_networks_at_once_or_none(alice: Scene) -> None:
    answer = await alice.call("POST", "networks", {"networks": [{"name": "a"}, {"name": "b"}]}, 201)
    assert [each["name"] for each in answer.json["networks"]] == ["a", "b"]
    await alice.call("POST", "networks", {"networks": [{"name": "c"}, {"shared": True}]}, 403)
    assert await alice.list("networks", "name=c") == []


async def test_lists_filter_sort_and_page(alice: Scene) -> None:
    mine = f"project_id={alice.project_id}"
    for name in ("c", "a", "b"):
        await alice.make("network", name=name)
    named = await alice.list("networks", f"{mine}&sort_key=name&sort_dir=asc&fields=name")
    assert named == [{"name": "a"}, {"name": "b"}, {"name": "c"}]
    some = await alice.list("networks", f"{mine}&name=a&name=c&sort_key=name")
    assert [each["name"] for each in some] == ["a", "c"]
    answer = await alice.call("GET", f"networks?{mine}&limit=2&sort_key=name", status=200)
    links = {each["rel"]: each["href"] for each in answer.json["networks_links"]}
    assert set(links) == {"next"}
    rest = await alice.who.get("/network" + links["next"].partition("/network")[2], status=200)
    assert [each["name"] for each in rest.json["networks"]] == ["c"]
    assert {each["rel"] for each in rest.json["networks_links"]} == {"previous"}
    back = next(each["href"] for each in rest.json["networks_links"])
    again = await alice.who.get("/network" + back.partition("/network")[2], status=200)
    assert [each["name"] for each in again.json["networks"]] == ["a", "b"]
    assert await alice.list("networks", f"{mine}&admin_state_up=false") == []


@pytest.mark.parametrize("query", ["foo=1", "limit=x", "sort_key=foo", "shared=maybe", "marker=none&limit=1", "mtu=x"])
async def test_a_list_that_makes_no_sense_is_refused(alice: Scene, query) -> None:
    answer = await alice.call("GET", "networks?" + query, status=400)
    assert kind(answer.json) == "HTTPBadRequest"


@pytest.mark.parametrize("body", [
    b"{", b"[]", b"{}", {"network": 1}, {"network": {"nme": "x"}}, {"network": {"name": 1}},
    {"network": {"name": "x" * 256}}, {"network": {"admin_state_up": "perhaps"}}, {"network": {"mtu": -1}},
    {"network": {"name": "a\x00b"}}, {"networks": {}},
])
async def test_bodies_that_make_no_sense_are_refused(alice: Scene, body) -> None:
    answer = await alice.call("POST", "networks", body, 400)
    assert kind(answer.json) == "HTTPBadRequest"


async def test_a_change_may_insist_on_a_revision(alice: Scene) -> None:
    network = await alice.make("network")
    path, body = f"networks/{network['id']}", {"network": {"name": "x"}}
    answer = await alice.call("PUT", path, body, 412, headers={"If-Match": "revision_number=9"})
    assert kind(answer.json) == "RevisionNumberConstraintFailed"
    await alice.call("PUT", path, body, 200, headers={"If-Match": "revision_number=1"})
    await alice.call("DELETE", path, None, 412, headers={"If-Match": "revision_number=1"})
    await alice.call("DELETE", path, None, 400, headers={"If-Match": "nonsense"})


async def test_tags_find_things(alice: Scene) -> None:
    one, two = await alice.make("network"), await alice.make("network")
    await alice.call("PUT", f"networks/{one['id']}/tags", {"tags": ["red", "big"]}, 200)
    await alice.call("PUT", f"networks/{two['id']}/tags/red", None, 201)
    assert len(await alice.list("networks", "tags=red")) == 2
    assert [each["id"] for each in await alice.list("networks", "tags=red,big")] == [one["id"]]
    assert len(await alice.list("networks", "tags-any=big,small")) == 1
    assert [each["id"] for each in await alice.list("networks", f"not-tags=big&project_id={alice.project_id}")] == [
        two["id"]
    ]
    many = ",".join(f"t{i}" for i in range(2000))
    assert await alice.list("networks", f"tags={many}") == []
    assert len(await alice.list("networks", f"tags-any={many},red")) == 2
    assert await alice.list("networks", f"not-tags-any={many},red&project_id={alice.project_id}") == []
    assert len(await alice.list("networks", f"tags=red{',red' * 2000}")) == 2
    await alice.call("GET", f"networks/{one['id']}/tags/red", None, 204)
    await alice.call("DELETE", f"networks/{one['id']}/tags/red", None, 204)
    answer = await alice.call("GET", f"networks/{one['id']}/tags/red", None, 404)
    assert kind(answer.json) == "TagNotFound"


async def test_quota_bounds_a_project(alice: Scene, admin: Scene, mallory: Scene) -> None:
    await admin.call("PUT", f"quotas/{alice.project_id}", {"quota": {"network": 1}}, 200)
    network = await alice.make("network")
    answer = await alice.make("network", 409)
    assert kind(answer) == "OverQuota" and "network" in answer["NeutronError"]["message"]
    await alice.delete("network", network["id"])
    await alice.make("network")
    details = (await alice.call("GET", f"quotas/{alice.project_id}/details", status=200)).json["quota"]
    assert details["network"] == {"limit": 1, "used": 1, "reserved": 0}
    await alice.call("PUT", f"quotas/{alice.project_id}", {"quota": {"network": 9}}, 403)
    await mallory.call("GET", f"quotas/{alice.project_id}", None, 403)
    await admin.call("DELETE", f"quotas/{alice.project_id}", None, 204)
    assert (await alice.call("GET", f"quotas/{alice.project_id}", status=200)).json["quota"]["network"] == 100


async def test_another_project_is_named_only_by_administrators(alice: Scene, mallory: Scene, admin: Scene) -> None:
    await mallory.make("network", 400, project_id=alice.project_id)
    made = await admin.make("network", tenant_id=alice.project_id)
    assert (await alice.get("network", made["id"]))["project_id"] == alice.project_id


async def test_extensions_are_listed(alice: Scene) -> None:
    aliases = {each["alias"] for each in await alice.list("extensions")}
    assert {"router", "security-group", "external-net", "port-security", "quotas", "standard-attr-tag"} <= aliases
    await alice.call("GET", "extensions/router", status=200)
    answer = await alice.call("GET", "extensions/trunk", status=404)
    assert kind(answer.json) == "ExtensionNotFound"


async def test_a_list_asks_the_same_number_of_queries_whatever_its_length(alice: Scene) -> None:
    async def cost(many: str) -> float:
        """The least of a few tries: loops ask in between."""
        tries = []
        for _ in range(12):
            before = metrics.QUERIES._value.get()
            await alice.list(many)
            tries.append(metrics.QUERIES._value.get() - before)
        return min(tries)

    network, _ = await alice.network()
    await alice.make("port", network_id=network)
    few = [await cost(many) for many in ("networks", "subnets", "ports", "security-groups")]
    for _ in range(5):
        other, _ = await alice.network()
        await alice.make("port", network_id=other)
        await alice.make("security_group", name="g")
    assert [await cost(many) for many in ("networks", "subnets", "ports", "security-groups")] == few


async def test_there_is_one_default_external_network_however_it_became_one(admin: Scene) -> None:
    first, second = [await admin.make("network", **{"router:external": True}) for _ in range(2)]
    await admin.put("network", first["id"], is_default=True)
    await admin.put("network", first["id"], is_default=True)
    assert kind(await admin.put("network", second["id"], 409, is_default=True)) == "DefaultExternalNetworkExists"
    await admin.put("network", first["id"], is_default=False)
