# SPDX-License-Identifier: Apache-2.0
"""Nonsense anywhere is the API's own error in its own words, never a 5xx (XCT-06)."""

from __future__ import annotations

from urllib.parse import quote, unquote

import pytest

from skyhold.core.wire.fields import fields_of
from skyhold.network import floating_ips, networks, routers, security_groups, security_rules, subnets
from skyhold.network.ports import shape
from tests.story.network.scene import Scene

COLLECTIONS = (
    "networks", "subnets", "ports", "routers", "floatingips", "security-groups", "security-group-rules",
)
TEXTS = ("%00", "x" * 300, "%F0%9F%98%80", "..%2F..", "'%20or%201=1--", "%25", "null")


@pytest.mark.parametrize("many", COLLECTIONS)
async def test_strange_ids_and_filters(alice: Scene, many: str) -> None:
    for text in TEXTS:
        # The server decodes paths before the application sees them.
        queries = (f"?id={text}", f"?marker={text}&limit=1", f"?{text}=1", f"?fields={text}", f"?sort_key={text}")
        for path in (f"{many}/{unquote(text)}", *(many + each for each in queries)):
            answer = await alice.call("GET", path)
            assert answer.status in (200, 400, 404), path
            if answer.status != 200:
                assert set(answer.json) == {"NeutronError"}
        for method in ("PUT", "DELETE"):
            if (many, method) != ("security-group-rules", "PUT"):
                body = {many[:-1].replace("-", "_"): {}} if method == "PUT" else None
                assert (await alice.call(method, f"{many}/{unquote(text)}", body)).status in (400, 404)


@pytest.mark.parametrize("many", COLLECTIONS)
@pytest.mark.parametrize("value", [
    None, 1, -(2**60), 2**63 - 1, "x" * 300, "\x00", [], {}, [[]], [{}], True, "10.0.0.0/8", {"a": {"b": [1]}},
], ids=str)
async def test_strange_values_in_every_attribute(alice: Scene, many: str, value: object) -> None:
    one = many[:-1].replace("-", "_")
    network, _ = await alice.network("10.1.0.0/24")
    base = {
        "subnets": {"network_id": network, "ip_version": 4, "cidr": "10.2.0.0/24"}, "ports": {"network_id": network},
        "floatingips": {"floating_network_id": network},
        "security-group-rules": {"security_group_id": network, "direction": "ingress"},
    }.get(many, {})
    for attribute in attributes_of(many):
        answer = await alice.call("POST", many, {one: {**base, attribute: value}})
        assert answer.status < 500, (attribute, value)


def attributes_of(many: str) -> list[str]:
    shapes = dict(zip(COLLECTIONS, (
        networks.NetworkCreate, subnets.SubnetCreate, shape.PortCreate, routers.RouterCreate,
        floating_ips.FloatingIpCreate, security_groups.SecurityGroupCreate, security_rules.SecurityRuleCreate,
    ), strict=True))
    return [spec.wire for spec in fields_of(shapes[many]).values()]


@pytest.mark.parametrize("number", ["\u00b2", "--4", "-", "9" * 19, "1" * 5000, "\u0664"])
async def test_what_looks_like_a_number_and_is_none(alice: Scene, number: str) -> None:
    _, subnet = await alice.network("10.1.0.0/24")
    assert (await alice.call("GET", f"subnets?ip_version={quote(number)}")).status == 400
    if number.isascii():
        told = {"If-Match": f"revision_number={number}"}
        assert (await alice.call("PUT", f"subnets/{subnet}", {"subnet": {}}, headers=told)).status == 400


async def test_an_owner_whose_id_is_no_id(admin: Scene) -> None:
    for one in ("network", "router", "security_group"):
        await admin.make(one, 400, name="x", project_id="p" * 65)
    await admin.call("PUT", f"quotas/{'p' * 65}", {"quota": {"network": 1}}, 400)
    await admin.call("DELETE", f"quotas/{'p' * 65}", None, 400)
