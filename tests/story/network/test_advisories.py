# SPDX-License-Identifier: Apache-2.0
"""What went wrong in other networks, tried on this one; the table of all advisories is docs/security.md.

What a stranger may do in general is tests/tenancy. Here is what an advisory says that somebody could do.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.story.network.scene import Scene, kind


async def everything(alice: Scene, admin: Scene) -> dict[str, str]:
    """One of each kind that can be tagged, by its collection."""
    network, subnet = await alice.network()
    public, _ = await admin.external()
    return {
        "networks": network, "subnets": subnet, "ports": (await alice.make("port", network_id=network))["id"],
        "routers": (await alice.make("router"))["id"], "security-groups": await alice.group(),
        "floatingips": (await alice.make("floatingip", floating_network_id=public))["id"],
    }


WRITES: list[tuple[str, str, Any]] = [
    ("POST", "tags", {"tags": ["taken"]}), ("PUT", "tags", {"tags": ["taken"]}), ("PUT", "tags/taken", None),
    ("DELETE", "tags", None), ("DELETE", "tags/mine", None),
]


async def test_cve_2024_53916_tags_are_written_by_whoever_may_write_the_thing(
    alice: Scene, mallory: Scene, admin: Scene
) -> None:
    """Tags went without a policy, so any tenant tagged what any other had."""
    reader = Scene(alice.cloud, await alice.who.colleague(["reader"]))
    for many, id in (await everything(alice, admin)).items():
        await alice.call("PUT", f"{many}/{id}/tags", {"tags": ["mine"]}, 200)
        for method, path, body in WRITES:
            await mallory.call(method, f"{many}/{id}/{path}", body, 404)
            await reader.call(method, f"{many}/{id}/{path}", body, 403)
        for path in ("tags", "tags/mine"):
            await mallory.call("GET", f"{many}/{id}/{path}", None, 404)
        assert (await reader.call("GET", f"{many}/{id}/tags", status=200)).json == {"tags": ["mine"]}


async def test_cve_2024_53916_what_is_shared_is_read_and_not_tagged(mallory: Scene, admin: Scene) -> None:
    network, subnet = await admin.network(shared=True)
    for many, id in (("networks", network), ("subnets", subnet)):
        await admin.call("PUT", f"{many}/{id}/tags", {"tags": ["mine"]}, 200)
        for method, path, body in WRITES:
            assert (await mallory.call(method, f"{many}/{id}/{path}", body)).status in (403, 404)
        assert (await admin.call("GET", f"{many}/{id}/tags", status=200)).json == {"tags": ["mine"]}
    await admin.delete("network", network)


@pytest.mark.parametrize("owner", ["network:dhcp", "network:router_gateway", "network:", "network:distributed"])
async def test_cve_2026_50266_no_list_of_ports_and_no_second_change_makes_one_the_networks_own(
    admin: Scene, alice: Scene, owner: str
) -> None:
    """CVE-2015-5240 came back: a port of a tenant on a shared network that passes for the network's is trusted."""
    network, _ = await admin.network(shared=True)
    ports = [{"network_id": network}, {"network_id": network, "device_owner": owner}]
    refused = await alice.call("POST", "ports", {"ports": ports}, 403)
    assert kind(refused.json) == "PolicyNotAuthorized"
    assert await alice.list("ports", f"network_id={network}&project_id={alice.project_id}") == []
    port = await alice.make("port", network_id=network, device_owner="compute:nova", device_id="somewhere")
    for change in ({"device_owner": owner}, {"device_owner": owner, "device_id": "x"}):
        assert kind(await alice.put("port", port["id"], 403, **change)) == "PolicyNotAuthorized"
    assert (await alice.get("port", port["id"]))["device_owner"] == "compute:nova"
    await alice.delete("port", port["id"])
    await admin.delete("network", network)
