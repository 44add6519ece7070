# SPDX-License-Identifier: Apache-2.0
"""What a second read found that two at once could do to each other, each as a race of its own.

Pairs of each operation are test_operations.py, many about one scarce thing test_scarce.py.
"""

from __future__ import annotations

import uuid

import pytest

from tests.race.conftest import Jitter
from tests.race.duel import Call, Ground, name
from tests.race.operations.identity import V3, a_domain
from tests.race.test_scarce import C, N, counted, crowd, ip, statuses

ROUNDS = 6
V = "/volume/v3"


async def test_a_group_goes_while_rules_that_name_it_do(ground: Ground, jitter: Jitter) -> None:
    """Each rule is given back once, whoever took it away."""
    for _ in range(ROUNDS):
        gone = await ground.make(f"{N}/security-groups", "security_group", ground.user, name=name())
        other = await ground.make(f"{N}/security-groups", "security_group", ground.user, name=name())
        rules = [
            await ground.make(
                f"{N}/security-group-rules", "security_group_rule", ground.user, security_group_id=other["id"],
                direction="ingress", protocol="tcp", port_range_min=port, port_range_max=port,
                remote_group_id=gone["id"],
            ) for port in range(1, 7)
        ]
        async with counted(ground, jitter):
            await crowd([
                *(Call(ground.user, "DELETE", f"{N}/security-group-rules/{rule['id']}") for rule in rules),
                Call(ground.user, "DELETE", f"{N}/security-groups/{gone['id']}"),
            ])


async def test_a_projects_default_group_is_counted_beyond_its_quota(ground: Ground, jitter: Jitter) -> None:
    async with counted(ground, jitter):
        someone = await ground.cloud.project(["member"])
        await ground.admin.put(f"{N}/quotas/{someone.project_id}", {"quota": {"security_group": 0}}, status=200)
        await crowd([Call(someone, "GET", f"{N}/security-groups")] * 4)
    (group,) = (await someone.get(f"{N}/security-groups", status=200)).json["security_groups"]
    await ground.admin.delete(f"{N}/security-groups/{group['id']}", status=204)
    details = (await someone.get(f"{N}/quotas/{someone.project_id}/details", status=200)).json["quota"]
    assert (details["security_group"]["used"], details["security_group_rule"]["used"]) == (0, 0)


async def test_specs_of_the_default_type_are_all_kept(ground: Ground, jitter: Jitter) -> None:
    for _ in range(ROUNDS):
        keys = [name() for _ in range(6)]
        async with counted(ground, jitter):
            await crowd([
                Call(ground.admin, "POST", f"{V}/types/default/extra_specs", {"extra_specs": {key: "x"}})
                for key in keys
            ])
        kept = (await ground.admin.get(f"{V}/types/default/extra_specs", status=200)).json["extra_specs"]
        assert set(keys) <= kept.keys()
        for key in keys:
            await ground.admin.delete(f"{V}/types/default/extra_specs/{key}", status=202)


async def test_no_volume_is_made_of_a_snapshot_that_goes(ground: Ground, jitter: Jitter) -> None:
    for _ in range(ROUNDS):
        volume = await ground.make(f"{V}/volumes", "volume", ground.user, size=1)
        assert await ground.cloud.core.sagas.idle()
        snapshot = await ground.make(f"{V}/snapshots", "snapshot", ground.user, volume_id=volume["id"])
        assert await ground.cloud.core.sagas.idle()
        wish = {"volume": {"size": 1, "snapshot_id": snapshot["id"]}}
        async with counted(ground, jitter):
            made, _ = await crowd([
                Call(ground.user, "POST", f"{V}/volumes", wish),
                Call(ground.user, "DELETE", f"{V}/volumes/{volume['id']}?cascade=true"),
            ])
        if made.status == 202:
            shown = await ground.user.get(f"{V}/volumes/{made.json['volume']['id']}", status=200)
            assert shown.json["volume"]["status"] == "available"


async def test_a_floating_ip_never_points_through_a_leg_that_is_gone(ground: Ground, jitter: Jitter) -> None:
    network = await ground.make(f"{N}/networks", "network", ground.user, name=name())
    subnet = {"network_id": network["id"], "ip_version": 4, "cidr": "10.88.0.0/24"}
    leg = {"subnet_id": (await ground.make(f"{N}/subnets", "subnet", ground.user, **subnet))["id"]}
    router = await ground.make(
        f"{N}/routers", "router", ground.user, external_gateway_info={"network_id": ground.external_id}
    )
    port = await ground.make(f"{N}/ports", "port", ground.user, network_id=network["id"])
    outer = await ground.make(f"{N}/floatingips", "floatingip", ground.user, floating_network_id=ground.external_id)
    path = f"{N}/routers/{router['id']}"
    for _ in range(ROUNDS):
        await ground.user.put(f"{path}/add_router_interface", leg, status=200)
        async with counted(ground, jitter):
            pointed, removed = await crowd([
                Call(ground.user, "PUT", f"{N}/floatingips/{outer['id']}", {"floatingip": {"port_id": port["id"]}}),
                Call(ground.user, "PUT", f"{path}/remove_router_interface", leg),
            ])
        assert {pointed.status, removed.status} in ({200, 409}, {200, 404}), (pointed.status, removed.status)
        await ground.user.put(f"{N}/floatingips/{outer['id']}", {"floatingip": {"port_id": None}}, status=200)
        if removed.status != 200:
            await ground.user.put(f"{path}/remove_router_interface", leg, status=200)


@pytest.mark.parametrize("place", [3, 6])
async def test_an_address_that_is_stepped_over_while_it_is_given_back_is_not_lost(
    ground: Ground, jitter: Jitter, place: int
) -> None:
    create = {}
    for _ in range(ROUNDS):
        network = await ground.make(f"{N}/networks", "network", ground.user, name=name())
        subnet = {"network_id": network["id"], "ip_version": 4, "cidr": "10.99.0.0/28", "enable_dhcp": False}
        await ground.make(f"{N}/subnets", "subnet", ground.user, **subnet)
        held = await ground.make(
            f"{N}/ports", "port", ground.user, network_id=network["id"],
            fixed_ips=[{"ip_address": f"10.99.0.{place}"}],
        )
        create = Call(ground.user, "POST", f"{N}/ports", {"port": {"network_id": network["id"]}})
        async with counted(ground, jitter):
            answers = await crowd([create] * 5 + [Call(ground.user, "DELETE", f"{N}/ports/{held['id']}")])
            answers += await crowd([create] * 10)
        ports = [answer.json["port"] for answer in answers if answer.status == 201]
        assert len({ip(port) for port in ports}) == 13, statuses(answers)


async def test_a_host_never_comes_to_be_in_two_zones(ground: Ground, jitter: Jitter) -> None:
    for _ in range(ROUNDS):
        one, two = [
            (await ground.admin.post(f"{C}/os-aggregates", {"aggregate": {"name": name()} | zone}, status=200)).json[
                "aggregate"
            ] for zone in ({}, {"availability_zone": "two"})
        ]
        first, second = (f"{C}/os-aggregates/{each['id']}" for each in (one, two))
        host = {"host": ground.host_name}
        await ground.admin.post(f"{first}/action", {"add_host": host}, status=200)
        async with counted(ground, jitter):
            await crowd([
                Call(ground.admin, "PUT", first, {"aggregate": {"availability_zone": "one"}}),
                Call(ground.admin, "POST", f"{second}/action", {"add_host": host}),
            ])
        shown = [(await ground.admin.get(path, status=200)).json["aggregate"] for path in (first, second)]
        zones = {each["availability_zone"] for each in shown if each["hosts"]} - {None}
        for path, each in zip((first, second), shown, strict=True):
            if each["hosts"]:
                await ground.admin.post(f"{path}/action", {"remove_host": host}, status=200)
            await ground.admin.delete(path, status=200)
        assert len(zones) < 2, zones


async def test_an_object_that_is_just_replaced_is_copied_nevertheless(ground: Ground, jitter: Jitter) -> None:
    account = f"/object-store/v1/AUTH_{ground.user.project_id}"
    here, there = f"{account}/{name()}", name()
    for container in (here, f"{account}/{there}"):
        await ground.user.put(container, status=201)
    await ground.user.put(f"{here}/crow", {"n": 0}, status=201)
    for n in range(ROUNDS):
        async with counted(ground, jitter):
            answers = await crowd([
                *(Call(ground.user, "PUT", f"{here}/crow", {"n": n, "i": i}) for i in range(3)),
                *(Call(ground.user, "COPY", f"{here}/crow", headers={"Destination": f"{there}/{i}"}) for i in range(3)),
            ])
        assert statuses(answers) == {201: 6}


async def test_a_provider_that_comes_while_its_parent_moves_comes_along(ground: Ground, jitter: Jitter) -> None:
    path = "/placement/resource_providers"
    new = {"OpenStack-API-Version": "placement 1.39"}
    for _ in range(ROUNDS):
        top, middle, low, under = ids = [str(uuid.uuid4()) for _ in range(4)]
        for id, parent in ((top, None), (middle, None), (low, middle)):
            body = {"name": id, "uuid": id, "parent_provider_uuid": parent}
            await ground.admin.post(path, body, headers=new, status=200)
        async with counted(ground, jitter):
            await crowd([
                Call(ground.admin, "PUT", f"{path}/{middle}", {"name": middle, "parent_provider_uuid": top}, new),
                Call(ground.admin, "POST", path, {"name": under, "uuid": under, "parent_provider_uuid": low}, new),
            ])
        for id in reversed(ids):
            shown = (await ground.admin.get(f"{path}/{id}", headers=new, status=200)).json
            assert shown["root_provider_uuid"] == top
            await ground.admin.delete(f"{path}/{id}", status=204)


async def test_a_domain_goes_while_what_is_in_it_does(ground: Ground, jitter: Jitter) -> None:
    """What is gone is gone: the domain is there, so it is never said not to be."""
    for _ in range(ROUNDS):
        domain = (await a_domain(ground))["id"]
        inside = [
            f"{V3}/{kind}s/" + (await ground.make(f"{V3}/{kind}s", kind, name=name(), domain_id=domain))["id"]
            for kind in ("user", "group", "project") for _ in range(3)
        ]
        at = f"{V3}/domains/{domain}"
        await ground.admin.patch(at, {"domain": {"enabled": False}}, status=200)
        async with counted(ground, jitter):
            gone, *others = await crowd([Call(ground.admin, "DELETE", path) for path in (at, *inside)])
        assert gone.status == 204, gone.json
        assert statuses(others).keys() <= {204, 404}
        for path in inside:
            await ground.admin.get(path, status=404)
