# SPDX-License-Identifier: Apache-2.0
"""Many at once about one scarce thing: a name, an address, the last places of a quota, room on a provider.

Pairs of each operation are test_operations.py. Whatever the order, as many win as there is of the thing,
the others are told so, and a recount finds what the usage says.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from skyhold.core.context import internal
from skyhold.core.operator import audit
from tests.kit.client import Answer
from tests.race.conftest import Jitter
from tests.race.duel import Call, Ground, name
from tests.race.operations.compute import PUBLIC, a_server, wish
from tests.race.operations.placement import a_provider, using
from tests.race.test_operations import all_counts

AT_ONCE = 8
QUIET_S = 30.0
"""The house's promise: so soon everything is at rest."""
N = "/network/v2.0"
C = "/compute/v2.1"
V3 = "/identity/v3"


@asynccontextmanager
async def counted(g: Ground, jitter: Jitter) -> AsyncIterator[None]:
    """Statements are held up inside; afterwards all must be at rest and counted."""
    jitter.on = True
    try:
        yield
    finally:
        jitter.on = False
    # Imports that the races before have left may be waiting for a web server that never answers.
    assert await g.cloud.core.sagas.idle(120)
    await all_counts(g)


async def crowd(calls: Sequence[Call]) -> list[Answer]:
    return list(await asyncio.gather(*(call.send() for call in calls)))


def statuses(answers: Sequence[Answer]) -> Counter[int]:
    return Counter(answer.status for answer in answers)


NAMED: dict[str, Callable[[Ground, str], Call]] = {
    "domain": lambda g, n: Call(g.admin, "POST", f"{V3}/domains", {"domain": {"name": n}}),
    "project": lambda g, n: Call(g.admin, "POST", f"{V3}/projects", {"project": {"name": n}}),
    "user": lambda g, n: Call(g.admin, "POST", f"{V3}/users", {"user": {"name": n}}),
    "group": lambda g, n: Call(g.admin, "POST", f"{V3}/groups", {"group": {"name": n}}),
    "role": lambda g, n: Call(g.admin, "POST", f"{V3}/roles", {"role": {"name": n}}),
    "region": lambda g, n: Call(g.admin, "POST", f"{V3}/regions", {"region": {"id": n}}),
    "keypair": lambda g, n: Call(
        g.user, "POST", f"{C}/os-keypairs", {"keypair": {"name": n, "public_key": PUBLIC}}
    ),
    "flavor": lambda g, n: Call(
        g.admin, "POST", f"{C}/flavors", {"flavor": {"name": n, "ram": 64, "vcpus": 1, "disk": 1}}
    ),
    "aggregate": lambda g, n: Call(g.admin, "POST", f"{C}/os-aggregates", {"aggregate": {"name": n}}),
    "provider": lambda g, n: Call(g.admin, "POST", "/placement/resource_providers", {"name": n}),
    "vlan": lambda g, n: Call(g.admin, "POST", f"{N}/networks", {"network": {
        "provider:network_type": "vlan", "provider:physical_network": n, "provider:segmentation_id": 7,
    }}),
}


@pytest.mark.parametrize("kind", NAMED)
async def test_one_gets_the_name(ground: Ground, jitter: Jitter, kind: str) -> None:
    call = NAMED[kind](ground, name())
    async with counted(ground, jitter):
        found = statuses(await crowd([call] * AT_ONCE))
    assert found.pop(409) == AT_ONCE - 1 and list(found.values()) == [1] and min(found) < 300, found


async def test_no_address_is_given_twice(ground: Ground, jitter: Jitter) -> None:
    """A subnet with 12 free addresses, 16 who want one; then some go while others come."""
    network = await ground.make(f"{N}/networks", "network", ground.user, name=name())
    subnet = {"network_id": network["id"], "ip_version": 4, "cidr": "10.77.0.0/28"}
    await ground.make(f"{N}/subnets", "subnet", ground.user, **subnet)
    create = Call(ground.user, "POST", f"{N}/ports", {"port": {"network_id": network["id"]}})
    async with counted(ground, jitter):
        answers = await crowd([create] * 16)
    ports = [answer.json["port"] for answer in answers if answer.status == 201]
    assert statuses(answers) == {201: 12, 409: 4}
    assert len({ip(port) for port in ports}) == 12
    gone, stay = ports[:6], ports[6:]
    async with counted(ground, jitter):
        answers = await crowd([
            call for port in gone for call in (Call(ground.user, "DELETE", f"{N}/ports/{port['id']}"), create)
        ])
    came = [answer.json["port"] for answer in answers if answer.status == 201]
    assert len({ip(port) for port in [*stay, *came]}) == len(stay) + len(came)
    async with counted(ground, jitter):
        assert statuses(await crowd([create] * 8)) == Counter({201: 6 - len(came), 409: 2 + len(came)})


def ip(port: dict[str, Any]) -> str:
    return str(port["fixed_ips"][0]["ip_address"])


async def test_the_same_address_asked_for_by_many_is_given_to_one(ground: Ground, jitter: Jitter) -> None:
    network = await ground.make(f"{N}/networks", "network", ground.user, name=name())
    subnet = {"network_id": network["id"], "ip_version": 4, "cidr": "10.78.0.0/24"}
    await ground.make(f"{N}/subnets", "subnet", ground.user, **subnet)
    wanted = {"network_id": network["id"], "fixed_ips": [{"ip_address": "10.78.0.99"}]}
    async with counted(ground, jitter):
        answers = await crowd([Call(ground.user, "POST", f"{N}/ports", {"port": wanted})] * AT_ONCE)
    assert statuses(answers) == {201: 1, 409: AT_ONCE - 1}


@pytest.mark.parametrize(("kind", "path", "body"), [
    ("network", f"{N}/networks", {"network": {}}), ("router", f"{N}/routers", {"router": {}}),
    ("security_group", f"{N}/security-groups", {"security_group": {"name": "x"}}),
])
async def test_a_quota_of_the_network_is_never_passed(
    ground: Ground, jitter: Jitter, kind: str, path: str, body: Any
) -> None:
    user = await ground.cloud.project(["member"])
    await ground.admin.put(f"{N}/quotas/{user.project_id}", {"quota": {kind: 4}}, status=200)
    async with counted(ground, jitter):
        found = statuses(await crowd([Call(user, "POST", path, body)] * AT_ONCE))
    # The default group that comes with a project's first counts too; over quota is 409 in this API.
    assert found == {201: 3 if kind == "security_group" else 4, 409: 5 if kind == "security_group" else 4}


async def test_first_steps_of_a_project_make_one_default_group(ground: Ground, jitter: Jitter) -> None:
    user = await ground.cloud.project(["member"])
    network = await ground.make(f"{N}/networks", "network", user, name=name())
    async with counted(ground, jitter):
        create = Call(user, "POST", f"{N}/ports", {"port": {"network_id": network["id"]}})
        assert statuses(await crowd([create] * AT_ONCE)) == {201: AT_ONCE}
    groups = (await user.get(f"{N}/security-groups", status=200)).json["security_groups"]
    assert [group["name"] for group in groups] == ["default"]


async def test_a_quota_of_servers_is_never_passed(ground: Ground, jitter: Jitter) -> None:
    quota = f"{C}/os-quota-sets/{ground.user.project_id}"
    used = (await ground.user.get(quota + "/detail", status=200)).json["quota_set"]["instances"]["in_use"]
    await ground.admin.put(quota, {"quota_set": {"instances": used + 3}}, status=200)
    try:
        async with counted(ground, jitter):
            answers = await crowd([Call(ground.user, "POST", f"{C}/servers", wish(ground)) for _ in range(AT_ONCE)])
        assert statuses(answers) == {202: 3, 403: AT_ONCE - 3}
    finally:
        await ground.admin.put(quota, {"quota_set": {"instances": -1}}, status=200)


async def test_a_quota_of_images_is_never_passed(ground: Ground, jitter: Jitter) -> None:
    user = await ground.cloud.project(["member"])
    registered = f"{V3}/registered_limits?resource_name=image_count_total"
    (one,) = (await ground.admin.get(registered, status=200)).json["registered_limits"]
    limit = {"project_id": user.project_id, "resource_name": "image_count_total", "resource_limit": 3}
    limit |= {name: one[name] for name in ("service_id", "region_id")}
    await ground.admin.post(f"{V3}/limits", {"limits": [limit]}, status=201)
    async with counted(ground, jitter):
        found = statuses(await crowd([Call(user, "POST", "/image/v2/images", {"name": "one"})] * AT_ONCE))
    assert found == {201: 3, 413: AT_ONCE - 3}


@pytest.mark.parametrize(("what", "limit", "body"), [
    ("volumes", 3, {"size": 1}), ("gigabytes", 7, {"size": 2}),
])
async def test_a_quota_of_volumes_is_never_passed(
    ground: Ground, jitter: Jitter, what: str, limit: int, body: Any
) -> None:
    user = await ground.cloud.project(["member"])
    path = f"/volume/v3/os-quota-sets/{user.project_id}"
    await ground.admin.put(path, {"quota_set": {what: limit}}, status=200)
    async with counted(ground, jitter):
        found = statuses(await crowd([Call(user, "POST", "/volume/v3/volumes", {"volume": body})] * AT_ONCE))
    assert found == {202: 3, 413: AT_ONCE - 3}


async def test_a_volume_that_many_servers_ask_for_is_attached_to_one(ground: Ground, jitter: Jitter) -> None:
    made = await ground.make("/volume/v3/volumes", "volume", ground.user, size=1)
    servers = [await a_server(ground) for _ in range(4)]
    body = {"volumeAttachment": {"volumeId": made["id"]}}
    async with counted(ground, jitter):
        answers = await crowd([Call(ground.user, "POST", f"{s}/os-volume_attachments", body) for s in servers])
    assert statuses(answers) == {200: 1, 400: 3}
    shown = (await ground.user.get(f"/volume/v3/volumes/{made['id']}", status=200)).json["volume"]
    assert (shown["status"], len(shown["attachments"])) == ("in-use", 1)


async def test_room_is_never_given_twice(ground: Ground, jitter: Jitter) -> None:
    path, _ = await a_provider(ground, VCPU=10)
    version = {"OpenStack-API-Version": "placement 1.39"}
    async with counted(ground, jitter):
        answers = await crowd([
            Call(ground.admin, "PUT", f"/placement/allocations/{uuid.uuid4()}", using(path, 2), version)
            for _ in range(AT_ONCE)
        ])
    assert statuses(answers) == {204: 5, 409: AT_ONCE - 5}


async def test_eight_changes_of_one_server_are_all_kept(ground: Ground, jitter: Jitter) -> None:
    made = await ground.user.post(f"{C}/servers", wish(ground), status=202)
    assert await ground.cloud.core.sagas.idle()
    server = f"{C}/servers/{made.json['server']['id']}"
    keys = [f"key{n}" for n in range(AT_ONCE)]
    async with counted(ground, jitter):
        answers = await crowd([
            Call(ground.user, "PUT", f"{server}/metadata/{key}", {"meta": {key: "x"}}) for key in keys
        ])
    assert statuses(answers) == {200: AT_ONCE}
    shown = (await ground.user.get(f"{server}/metadata", status=200)).json["metadata"]
    assert shown == dict.fromkeys(keys, "x")


async def test_of_many_deletes_and_actions_on_one_server_delete_wins(ground: Ground, jitter: Jitter) -> None:
    made = await ground.user.post(f"{C}/servers", wish(ground), status=202)
    assert await ground.cloud.core.sagas.idle()
    server = f"{C}/servers/{made.json['server']['id']}"
    bodies = [{"os-stop": None}, {"reboot": {"type": "HARD"}}, {"pause": None}, {"createImage": {"name": "x"}}]
    async with counted(ground, jitter):
        await crowd([
            *(Call(ground.user, "POST", server + "/action", body) for body in bodies),
            *(Call(ground.user, "DELETE", server) for _ in range(3)),
        ])
    await ground.user.get(server, status=404)


async def test_numbers_that_count_up_are_enough_for_all_who_ask(ground: Ground, jitter: Jitter) -> None:
    """Aggregates have small numbers, one after the other: whoever asks at the same moment gets the next."""
    async with counted(ground, jitter):
        answers = await crowd([
            Call(ground.admin, "POST", f"{C}/os-aggregates", {"aggregate": {"name": name()}}) for _ in range(AT_ONCE)
        ])
    assert statuses(answers) == {200: AT_ONCE}
    assert len({answer.json["aggregate"]["id"] for answer in answers}) == AT_ONCE


async def test_the_operators_audit_finds_nothing_after_all_of_it(ground: Ground) -> None:
    """Of hosts, data plane, stores and placement too, which a recount of rows doesn't see."""
    end = time.monotonic() + QUIET_S
    while found := await audit.look(internal(ground.cloud.core)):
        assert time.monotonic() < end, found
        await asyncio.sleep(0.2)
