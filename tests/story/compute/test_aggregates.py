# SPDX-License-Identifier: Apache-2.0
"""Stories of aggregates: operators name hosts together, and so make availability zones."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import pytest

from tests.kit.cloud import Cloud
from tests.kit.compute_rows import a_host, add_server
from tests.kit.host import fake_host
from tests.story.compute.scene import Scene

AGGREGATES = "/compute/v2.1/os-aggregates"
LATEST = {"OpenStack-API-Version": "compute 2.96"}


async def make(cloud: Cloud, **values: Any) -> dict[str, Any]:
    body = {"name": "a-" + uuid.uuid4().hex[:8]} | values
    answer = await cloud.admin.post(AGGREGATES, {"aggregate": body}, headers=LATEST, status=200)
    return dict(answer.json["aggregate"])


async def act(cloud: Cloud, made: dict[str, Any], verb: str, value: Any, status: int = 200) -> Any:
    answer = await cloud.admin.post(
        f"{AGGREGATES}/{made['id']}/action", {verb: value}, headers=LATEST, status=status
    )
    return answer.json.get("aggregate")


async def clear(cloud: Cloud, made: dict[str, Any], *names: str) -> None:
    for name in names:
        await act(cloud, made, "remove_host", {"host": name})
    await cloud.admin.delete(f"{AGGREGATES}/{made['id']}", status=200)


async def test_an_aggregate_is_made_shown_changed_and_deleted(cloud: Cloud) -> None:
    made = await make(cloud)
    assert isinstance(made["id"], int) and len(made["uuid"]) == 36 and made["availability_zone"] is None
    assert "hosts" not in made and made["deleted"] is False and made["updated_at"] is None
    one = f"{AGGREGATES}/{made['id']}"
    changed = {"aggregate": {"name": made["name"] + "x", "availability_zone": "north"}}
    after = (await cloud.admin.put(one, changed, headers=LATEST, status=200)).json["aggregate"]
    assert after["metadata"] == {"availability_zone": "north"} and after["hosts"] == []
    shown = (await cloud.admin.get(one, headers=LATEST, status=200)).json["aggregate"]
    assert shown == after and shown["updated_at"] is not None
    assert "uuid" not in (await cloud.admin.get(one, status=200)).json["aggregate"]
    assert made["id"] in {each["id"] for each in (await cloud.admin.get(AGGREGATES)).json["aggregates"]}
    merged = await act(cloud, made, "set_metadata", {"metadata": {"ssd": "true", "availability_zone": None}})
    assert merged["metadata"] == {"ssd": "true"} and merged["availability_zone"] is None
    await cloud.admin.delete(one, status=200)
    await cloud.admin.get(one, status=404)


async def test_hosts_go_in_and_out(cloud: Cloud) -> None:
    made = await make(cloud)
    async with a_host(cloud) as (_, name):
        assert (await act(cloud, made, "add_host", {"host": name}))["hosts"] == [name]
        await act(cloud, made, "add_host", {"host": name}, 409)
        await act(cloud, made, "add_host", {"host": "nowhere"}, 404)
        await act(cloud, made, "add_host", {"host": "a b"}, 400)
        await act(cloud, made, "unknown", {}, 400)
        await cloud.admin.delete(f"{AGGREGATES}/{made['id']}", status=400)
        assert (await act(cloud, made, "remove_host", {"host": name}))["hosts"] == []
        await act(cloud, made, "remove_host", {"host": name}, 404)
    await clear(cloud, made)


async def test_an_aggregate_makes_a_zone(cloud: Cloud) -> None:
    user, zone = await cloud.project(), "zone-" + uuid.uuid4().hex[:8]
    made, other = await make(cloud, availability_zone=zone), await make(cloud, availability_zone=zone + "-2")
    async with a_host(cloud) as (_, name):
        await act(cloud, made, "add_host", {"host": name})
        zones = (await user.get("/compute/v2.1/os-availability-zone")).json["availabilityZoneInfo"]
        assert {"zoneName": zone, "zoneState": {"available": True}, "hosts": None} in zones
        (service,) = (await cloud.admin.get(f"/compute/v2.1/os-services?host={name}")).json["services"]
        assert service["zone"] == zone
        await act(cloud, other, "add_host", {"host": name}, 409)
        await act(cloud, other, "set_metadata", {"metadata": {"availability_zone": None}})
        await act(cloud, other, "add_host", {"host": name})
        await act(cloud, other, "set_metadata", {"metadata": {"availability_zone": "south"}}, 400)
        await clear(cloud, other, name)
        await clear(cloud, made, name)
        zones = (await user.get("/compute/v2.1/os-availability-zone")).json["availabilityZoneInfo"]
        assert zone not in {each["zoneName"] for each in zones}


async def test_a_zone_never_changes_under_a_server(cloud: Cloud) -> None:
    user = await cloud.project()
    made = await make(cloud, availability_zone="zone-" + uuid.uuid4().hex[:8])
    late = await make(cloud, availability_zone="zone-" + uuid.uuid4().hex[:8])
    async with a_host(cloud) as (host_id, name), a_host(cloud) as (busy_id, busy):
        await act(cloud, made, "add_host", {"host": name})
        await add_server(cloud, user, host_id=host_id)
        await add_server(cloud, user, host_id=busy_id)
        await act(cloud, made, "set_metadata", {"metadata": {"availability_zone": "south"}}, 400)
        await act(cloud, made, "remove_host", {"host": name}, 409)
        await act(cloud, late, "add_host", {"host": busy}, 409)
    await clear(cloud, made)
    await clear(cloud, late)


@pytest.mark.parametrize("body", [
    {"aggregate": {"name": ""}}, {"aggregate": {}}, {"aggregate": {"name": "x", "availability_zone": "a:b"}},
    {"aggregate": {"name": "x", "availability_zone": ""}}, {"aggregate": {"name": "x", "more": 1}}, {}, [],
])
async def test_an_aggregate_that_makes_no_sense_is_refused(cloud: Cloud, body: Any) -> None:
    await cloud.admin.post(AGGREGATES, body, status=400)
    await cloud.admin.get(AGGREGATES + "/abc", status=400)
    await cloud.admin.get(AGGREGATES + "/999999", status=404)


async def test_names_are_unique(cloud: Cloud) -> None:
    made, other = await make(cloud), await make(cloud)
    taken = {"aggregate": {"name": made["name"]}}
    await cloud.admin.post(AGGREGATES, taken, status=409)
    await cloud.admin.put(f"{AGGREGATES}/{other['id']}", taken, status=409)
    await clear(cloud, made)
    await clear(cloud, other)


async def test_users_know_nothing_of_aggregates(cloud: Cloud) -> None:
    user = await cloud.project()
    await user.get(AGGREGATES, status=403)
    await user.post(AGGREGATES, {"aggregate": {"name": "x"}}, status=403)
    host, nothing = {"host": "x"}, {"metadata": {}}
    for action in ({"add_host": host}, {"remove_host": host}, {"set_metadata": nothing}):
        await user.post(AGGREGATES + "/1/action", action, status=403)


async def test_a_server_goes_to_the_zone_it_asks_for(scene: Scene, tmp_path: Path) -> None:
    cloud, zone = scene.cloud, "zone-" + uuid.uuid4().hex[:8]
    wish = scene.wish("far", availability_zone=zone)
    await scene.user.post("/compute/v2.1/servers", wish, status=400)
    async with fake_host(cloud.core, tmp_path, name="host-of-" + zone):
        made = await make(cloud, availability_zone=zone)
        await act(cloud, made, "add_host", {"host": "host-of-" + zone})
        answer = await scene.user.post("/compute/v2.1/servers", wish, status=202)
        await scene.settled()
        server = await scene.show(answer.json["server"])
        assert (server["status"], server["OS-EXT-AZ:availability_zone"]) == ("ACTIVE", zone)
        await scene.user.delete(f"/compute/v2.1/servers/{server['id']}", status=204)
        await scene.settled()
        await clear(cloud, made, "host-of-" + zone)


@pytest.mark.parametrize(("number", "status"), [("-1", 404), ("99999", 404), ("x", 400), ("--1", 400)])
async def test_an_aggregate_that_is_none_is_not_found_and_what_is_no_number_is_invalid(
    cloud: Cloud, number: str, status: int
) -> None:
    await cloud.admin.get(f"{AGGREGATES}/{number}", headers=LATEST, status=status)
