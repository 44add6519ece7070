# SPDX-License-Identifier: Apache-2.0
"""Stories of hosts as operators see them: services, hypervisors and availability zones."""

from __future__ import annotations

import json
from typing import Any

import pytest

from skyhold.compute import hosts
from skyhold.core import context
from skyhold.placement import facade as placement
from tests.kit.cloud import Cloud
from tests.kit.compute_rows import a_host, add_server

SERVICES = "/compute/v2.1/os-services"
HYPERVISORS = "/compute/v2.1/os-hypervisors"
ZONES = "/compute/v2.1/os-availability-zone"
LATEST = {"OpenStack-API-Version": "compute 2.96"}


def at(version: str) -> dict[str, str]:
    return {"OpenStack-API-Version": "compute " + version}


async def service(cloud: Cloud, name: str, version: str = "2.96") -> dict[str, Any]:
    answer = await cloud.admin.get(f"{SERVICES}?host={name}&binary=nova-compute", headers=at(version), status=200)
    (only,) = answer.json["services"]
    return dict(only)


async def test_each_connected_host_is_a_nova_compute_service(cloud: Cloud) -> None:
    async with a_host(cloud) as (host_id, name):
        seen = await service(cloud, name)
        assert seen == seen | {
            "id": host_id, "binary": "nova-compute", "host": name, "zone": "nova", "status": "enabled",
            "state": "up", "disabled_reason": None, "forced_down": False,
        }
        assert seen["updated_at"][10] == "T" and "Z" not in seen["updated_at"]
        old = await service(cloud, name, "2.1")
        assert isinstance(old["id"], int) and "forced_down" not in old
        await context.internal(cloud.core).write(hosts.mark, host_id, False)
        assert (await service(cloud, name))["state"] == "down"
        none = await cloud.admin.get(SERVICES + "?binary=nova-scheduler", status=200)
        assert none.json == {"services": []}


async def test_a_host_is_disabled_with_a_reason_and_enabled_again_up_to_2_52(cloud: Cloud) -> None:
    async with a_host(cloud) as (_, name):
        named = {"host": name, "binary": "nova-compute"}
        answer = await cloud.admin.put(SERVICES + "/disable", named, status=200)
        assert answer.json == {"service": named | {"status": "disabled"}}
        reasoned = named | {"disabled_reason": "new fans"}
        answer = await cloud.admin.put(SERVICES + "/disable-log-reason", reasoned, status=200)
        assert answer.json == {"service": reasoned | {"status": "disabled"}}
        assert (await service(cloud, name))["disabled_reason"] == "new fans"
        answer = await cloud.admin.put(SERVICES + "/enable", named, status=200)
        assert answer.json == {"service": named | {"status": "enabled"}}
        assert (await service(cloud, name))["disabled_reason"] is None
        forced = named | {"forced_down": "True"}
        answer = await cloud.admin.put(SERVICES + "/force-down", forced, headers=at("2.11"), status=200)
        assert answer.json == {"service": named | {"forced_down": True}}
        assert (await service(cloud, name))["state"] == "down"
        for verb in ("enable", "disable", "disable-log-reason"):
            more = {"disabled_reason": "x"} if verb.endswith("reason") else {}
            unknown = {"host": "nowhere", "binary": "nova-compute"} | more
            await cloud.admin.put(f"{SERVICES}/{verb}", unknown, status=404)
            await cloud.admin.put(f"{SERVICES}/{verb}", named | {"binary": "nova-api"} | more, status=404)
            await cloud.admin.put(f"{SERVICES}/{verb}", {"host": "a b", "binary": "nova-compute"}, status=400)
        await cloud.admin.put(SERVICES + "/enable", named, headers=LATEST, status=404)


async def test_a_service_is_changed_by_uuid_since_2_53(cloud: Cloud) -> None:
    async with a_host(cloud) as (host_id, name):
        one = f"{SERVICES}/{host_id}"
        off = {"status": "disabled", "disabled_reason": "new fans"}
        answer = await cloud.admin.put(one, off, headers=LATEST, status=200)
        assert answer.json["service"] == answer.json["service"] | off | {"id": host_id, "host": name}
        on = await cloud.admin.put(one, {"status": "enabled"}, headers=LATEST, status=200)
        assert on.json["service"]["disabled_reason"] is None
        for body in ({"disabled_reason": "x"}, {"status": "enabled", "disabled_reason": "x"}, {"status": "on"},
                     {"status": "disabled", "disabled_reason": " "}, {}, {"unknown": 1}, []):
            await cloud.admin.put(one, body, headers=LATEST, status=400)
        missing = SERVICES + "/11111111-2222-4333-8444-555555555555"
        await cloud.admin.put(missing, {"status": "enabled"}, headers=LATEST, status=404)
        await cloud.admin.put(one, {"status": "enabled"}, headers=at("2.52"), status=404)


async def test_a_host_is_forgotten_only_when_empty_and_silent(cloud: Cloud) -> None:
    user = await cloud.project()
    async with a_host(cloud) as (host_id, _):
        one = f"{SERVICES}/{host_id}"
        await add_server(cloud, user, host_id=host_id)
        await cloud.admin.delete(one, headers=LATEST, status=409)
    async with a_host(cloud) as (host_id, _):
        one = f"{SERVICES}/{host_id}"
        await cloud.admin.delete(one, headers=LATEST, status=409)
        await context.internal(cloud.core).write(hosts.mark, host_id, False)
        await cloud.admin.delete(one, headers=LATEST, status=204)
        await cloud.admin.delete(one, headers=LATEST, status=404)
        assert await context.internal(cloud.core).read(placement.rooms, [host_id]) == []


async def test_a_hypervisor_shows_what_its_host_has_and_what_is_used(cloud: Cloud) -> None:
    user = await cloud.project()
    async with a_host(cloud) as (host_id, name):
        server = await add_server(cloud, user, host_id=host_id, task="rebooting")

        def claim(tx: Any, ctx: Any) -> bool:
            return placement.claim(
                tx, ctx, consumer_id=server.id, provider_id=host_id, project_id=user.project_id,
                resources={"VCPU": 2, "MEMORY_MB": 1024, "DISK_GB": 10}, user_id=user.user_id,
            )

        assert await context.internal(cloud.core).write(claim)
        one = f"{HYPERVISORS}/{host_id}"
        seen = (await cloud.admin.get(one, headers=at("2.87"), status=200)).json["hypervisor"]
        assert seen == seen | {
            "id": host_id, "hypervisor_hostname": name, "state": "up", "status": "enabled",
            "hypervisor_type": "QEMU", "hypervisor_version": 7_002_011, "vcpus": 8, "vcpus_used": 2,
            "memory_mb": 16384, "memory_mb_used": 1024 + 512, "free_ram_mb": 16384 - 1536,
            "local_gb": 100, "running_vms": 1, "current_workload": 1,
            "service": {"id": host_id, "host": name, "disabled_reason": None},
        }
        assert seen["cpu_info"]["arch"] == "x86_64" and "servers" not in seen and "uptime" not in seen
        held = await cloud.admin.get(one + "?with_servers=true", headers=LATEST, status=200)
        assert held.json["hypervisor"]["servers"] == [
            {"name": f"instance-{server.id[:8]}", "uuid": server.id}
        ]
        latest = held.json["hypervisor"]
        assert latest["uptime"] is None and not {"vcpus", "cpu_info", "running_vms"} & set(latest)

        number = (await service(cloud, name, "2.1"))["id"]
        old = (await cloud.admin.get(f"{HYPERVISORS}/{number}", status=200)).json["hypervisor"]
        assert old["id"] == number and json.loads(old["cpu_info"])["arch"] == "x86_64"
        await cloud.admin.get(f"{HYPERVISORS}/{number}/uptime", status=501)
        servers = (await cloud.admin.get(f"{HYPERVISORS}/{name}/servers", status=200)).json["hypervisors"]
        assert servers[0]["servers"][0]["uuid"] == server.id
        assert (await cloud.admin.get(f"{HYPERVISORS}/{name[:9]}/search", status=200)).json["hypervisors"]
        await cloud.admin.get(f"{HYPERVISORS}/nowhere/search", status=404)
        await cloud.admin.get(f"{HYPERVISORS}/nowhere/servers", status=404)
        await cloud.admin.get(f"{HYPERVISORS}/nowhere", headers=LATEST, status=404)
        await cloud.admin.get(f"{HYPERVISORS}/{name}/search", headers=LATEST, status=404)


async def test_hypervisors_are_listed_in_pages_and_by_name(cloud: Cloud) -> None:
    async with a_host(cloud) as (_, one), a_host(cloud) as (_, two):
        listed: list[str] = []
        path = HYPERVISORS + "/detail?limit=1"
        while path:
            page = (await cloud.admin.get(path, headers=LATEST, status=200)).json
            listed += [each["hypervisor_hostname"] for each in page["hypervisors"]]
            links = page.get("hypervisors_links")
            path = "/compute/" + links[0]["href"].partition("/compute/")[2] if links else ""
        assert {one, two} <= set(listed) and len(listed) == len(set(listed))
        named = f"{HYPERVISORS}?hypervisor_hostname_pattern={one}"
        found = (await cloud.admin.get(named, headers=LATEST, status=200)).json["hypervisors"]
        assert [each["hypervisor_hostname"] for each in found] == [one]
        await cloud.admin.get(f"{named}&limit=1", headers=LATEST, status=400)
        await cloud.admin.get(HYPERVISORS + "?hypervisor_hostname_pattern=zzz", headers=LATEST, status=404)
        await cloud.admin.get(HYPERVISORS + "?marker=zzz", headers=LATEST, status=400)


async def test_statistics_sum_up_all_hosts_until_2_87(cloud: Cloud) -> None:
    before = (await cloud.admin.get(HYPERVISORS + "/statistics", status=200)).json["hypervisor_statistics"]
    async with a_host(cloud), a_host(cloud, None):
        after = (await cloud.admin.get(HYPERVISORS + "/statistics", status=200)).json["hypervisor_statistics"]
    assert after["count"] == before["count"] + 2
    assert after["vcpus"] == before["vcpus"] + 8 and after["memory_mb"] == before["memory_mb"] + 16384
    await cloud.admin.get(HYPERVISORS + "/statistics", headers=LATEST, status=404)


async def test_everybody_sees_zones_operators_their_hosts_too(cloud: Cloud) -> None:
    user = await cloud.project()
    async with a_host(cloud) as (_, name):
        seen = (await user.get(ZONES, status=200)).json["availabilityZoneInfo"]
        assert {"zoneName": "nova", "zoneState": {"available": True}, "hosts": None} in seen
        zones = (await cloud.admin.get(ZONES + "/detail", status=200)).json["availabilityZoneInfo"]
        (nova,) = [zone for zone in zones if zone["zoneName"] == "nova"]
        assert nova["hosts"][name]["nova-compute"]["active"] is True
        assert nova["hosts"][name]["nova-compute"]["available"] is True


@pytest.mark.parametrize("path", [
    SERVICES, HYPERVISORS, HYPERVISORS + "/detail", HYPERVISORS + "/1", HYPERVISORS + "/statistics",
    HYPERVISORS + "/1/uptime", HYPERVISORS + "/x/search", HYPERVISORS + "/x/servers", ZONES + "/detail",
])
async def test_users_see_no_hosts(cloud: Cloud, path: str) -> None:
    user = await cloud.project()
    answer = await user.get(path, status=403)
    assert answer.json["forbidden"]["code"] == 403
