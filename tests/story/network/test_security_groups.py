# SPDX-License-Identifier: Apache-2.0
"""NEU-02: security groups and rules, refused and accepted as upstream does."""

from __future__ import annotations

import pytest

from tests.story.network.scene import Scene, kind


async def test_every_project_has_a_default_group(alice: Scene) -> None:
    (group,) = await alice.list("security-groups")
    assert group["name"] == "default"
    rules = {(each["direction"], each["ethertype"], each["remote_group_id"]) for each in group["security_group_rules"]}
    assert rules == {
        ("egress", "IPv4", None), ("egress", "IPv6", None),
        ("ingress", "IPv4", group["id"]), ("ingress", "IPv6", group["id"]),
    }
    assert kind(await alice.delete("security_group", group["id"], 409)) == "SecurityGroupCannotRemoveDefault"
    assert kind(await alice.put("security_group", group["id"], 409, name="x")) == "SecurityGroupCannotUpdateDefault"
    assert kind(await alice.make("security_group", 409, name="default")) == "SecurityGroupDefaultAlreadyExists"
    network, _ = await alice.network()
    assert (await alice.make("port", network_id=network))["security_groups"] == [group["id"]]


async def test_a_new_group_lets_everything_out_and_nothing_in(alice: Scene) -> None:
    group = await alice.make("security_group", name="web")
    assert [(each["direction"], each["ethertype"]) for each in group["security_group_rules"]] in (
        [("egress", "IPv4"), ("egress", "IPv6")], [("egress", "IPv6"), ("egress", "IPv4")],
    )


@pytest.mark.parametrize(("more", "stored"), [
    ({"protocol": "icmp"}, {"protocol": "icmp", "port_range_min": None}),
    ({"protocol": "tcp", "port_range_min": 22, "port_range_max": 22}, {"port_range_min": 22}),
    ({"protocol": "tcp", "port_range_min": "80", "port_range_max": "90"}, {"port_range_max": 90}),
    ({"protocol": "icmp", "port_range_min": 8, "port_range_max": 0}, {"port_range_min": 8, "port_range_max": 0}),
    ({"protocol": 6}, {"protocol": "6"}),
    ({"protocol": "any"}, {"protocol": None}),
    ({"remote_ip_prefix": "10.0.0.5/8"}, {"remote_ip_prefix": "10.0.0.5/8", "normalized_cidr": "10.0.0.0/8"}),
    ({"remote_ip_prefix": "10.0.0.5"}, {"remote_ip_prefix": "10.0.0.5/32", "normalized_cidr": "10.0.0.5/32"}),
    ({"ethertype": "ipv6", "protocol": "icmpv6"}, {"ethertype": "IPv6"}),
])
async def test_rules_that_can_be(alice: Scene, more, stored) -> None:
    group = await alice.group()
    made = await alice.rule(group, **more)
    assert made == made | stored
    assert await alice.get("security_group_rule", made["id"]) == made
    assert kind(await alice.rule(group, 409, **more)) == "SecurityGroupRuleExists"
    await alice.delete("security_group_rule", made["id"])
    await alice.rule(group, **more)


@pytest.mark.parametrize(("more", "expected"), [
    ({"protocol": "tcp", "port_range_min": 90, "port_range_max": 80}, "SecurityGroupInvalidPortRange"),
    ({"protocol": "tcp", "port_range_min": 80}, "SecurityGroupInvalidPortRange"),
    ({"protocol": "tcp", "port_range_min": 0, "port_range_max": 80}, "SecurityGroupInvalidPortValue"),
    ({"protocol": "tcp", "port_range_min": 80, "port_range_max": 65536}, "SecurityGroupInvalidPortValue"),
    ({"protocol": "tcp", "port_range_min": "x", "port_range_max": 1}, "SecurityGroupInvalidPortValue"),
    ({"port_range_min": 80, "port_range_max": 80}, "SecurityGroupProtocolRequiredWithPorts"),
    ({"protocol": "icmp", "port_range_min": 256}, "SecurityGroupInvalidIcmpValue"),
    ({"protocol": "icmp", "port_range_max": 3}, "SecurityGroupMissingIcmpType"),
    ({"protocol": "gre", "port_range_min": 1, "port_range_max": 1}, "SecurityGroupInvalidProtocolForPort"),
    ({"protocol": "nope"}, "SecurityGroupRuleInvalidProtocol"),
    ({"protocol": "256"}, "SecurityGroupRuleInvalidProtocol"),
    ({"protocol": "icmpv6"}, "SecurityGroupEthertypeConflictWithProtocol"),
    ({"ethertype": "IPv5"}, "SecurityGroupRuleInvalidEtherType"),
    ({"remote_ip_prefix": "nope"}, "InvalidCIDR"),
    ({"remote_ip_prefix": "fd00::/8"}, "SecurityGroupRuleParameterConflict"),
    ({"remote_ip_prefix": "10.0.0.0/8", "remote_group_id": "x"}, "SecurityGroupRemoteGroupAndRemoteIpPrefix"),
    ({"direction": "sideways"}, "HTTPBadRequest"),
    ({"nope": 1}, "HTTPBadRequest"),
])
async def test_rules_that_cannot_be(alice: Scene, more, expected) -> None:
    group = await alice.group()
    assert kind(await alice.rule(group, 400, **more)) == expected
    assert len(await alice.list("security-group-rules", f"security_group_id={group}")) == 2


async def test_several_rules_at_once_or_none(alice: Scene) -> None:
    group = await alice.group()
    one = {"security_group_id": group, "direction": "ingress", "protocol": "tcp", "port_range_min": 1,
           "port_range_max": 2}
    both = {"security_group_rules": [one, {**one, "protocol": "udp"}]}
    await alice.call("POST", "security-group-rules", both, 201)
    again = {"security_group_rules": [{**one, "protocol": "sctp"}, one]}
    assert kind((await alice.call("POST", "security-group-rules", again, 409)).json) == "SecurityGroupRuleExists"
    assert len(await alice.list("security-group-rules", f"security_group_id={group}")) == 4


async def test_a_group_is_nobody_elses(alice: Scene, mallory: Scene) -> None:
    group = await alice.group()
    rule = await alice.rule(group)
    await mallory.get("security_group", group, 404)
    await mallory.get("security_group_rule", rule["id"], 404)
    await mallory.delete("security_group_rule", rule["id"], 404)
    assert kind(await mallory.rule(group, 404)) == "SecurityGroupNotFound"
    own = await mallory.group()
    assert kind(await mallory.rule(own, 404, remote_group_id=group)) == "SecurityGroupNotFound"
    network, _ = await mallory.network()
    await mallory.make("port", 404, network_id=network, security_groups=[group])


async def test_a_group_in_use_stays_and_one_that_goes_is_forgotten(alice: Scene) -> None:
    web, other = await alice.group("web"), await alice.group("other")
    await alice.rule(other, remote_group_id=web)
    network, _ = await alice.network()
    port = await alice.make("port", network_id=network, security_groups=[web])
    assert kind(await alice.delete("security_group", web, 409)) == "SecurityGroupInUse"
    await alice.delete("port", port["id"])
    await alice.delete("security_group", web)
    assert len(await alice.list("security-group-rules", f"security_group_id={other}")) == 2
    details = (await alice.call("GET", f"quotas/{alice.project_id}/details", status=200)).json["quota"]
    assert (details["security_group"]["used"], details["security_group_rule"]["used"]) == (2, 6)
