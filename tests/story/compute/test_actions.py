# SPDX-License-Identifier: Apache-2.0
"""Stories of instance actions: what was done to a server can be read, also after it is gone."""

from __future__ import annotations

from typing import Any

from skyhold.compute import actions
from skyhold.core import context
from tests.kit.cloud import Cloud, Persona
from tests.kit.compute_rows import a_host, add_server, remove_server


def path(server: Any) -> str:
    return f"/compute/v2.1/servers/{server.id}/os-instance-actions"


def at(version: str) -> dict[str, str]:
    return {"OpenStack-API-Version": "compute " + version}


async def done(cloud: Cloud, owner: Persona, server: Any, action: str, *, host_id: str | None = None,
               error: str | None = None) -> str:
    """An action with one event, as its owner's; the request's id."""
    ctx = context.internal(cloud.core).derive(await cloud.core.authenticate(owner.token))

    def write(tx: Any, ctx: Any) -> None:
        number = actions.begin(tx, ctx, server, action)
        actions.event(
            tx, ctx, number, f"compute_{action}", host_id=host_id, started_at=tx.now,
            result="Error" if error else "Success", detail=error,
        )
        if error:
            actions.fail(tx, ctx, number, error)

    ctx.request_id = context.new_request_id()
    await ctx.write(write)
    return ctx.request_id


async def test_an_owner_reads_what_was_done_and_how_it_went(cloud: Cloud) -> None:
    user = await cloud.project()
    async with a_host(cloud) as (host_id, host_name):
        server = await add_server(cloud, user, host_id=host_id)
        first = await done(cloud, user, server, "create", host_id=host_id)
        second = await done(cloud, user, server, "reboot", host_id=host_id, error="the guest did not answer")
        listed = (await user.get(path(server), headers=at("2.96"), status=200)).json["instanceActions"]
        assert [each["request_id"] for each in listed] == [second, first]
        assert listed[0] == listed[0] | {
            "action": "reboot", "instance_uuid": server.id, "user_id": user.user_id,
            "project_id": user.project_id, "message": "Error",
        }
        assert listed[1]["message"] is None and "Z" not in listed[0]["start_time"]

        seen = (await user.get(f"{path(server)}/{second}", headers=at("2.96"), status=200)).json["instanceAction"]
        (event,) = seen["events"]
        assert event["event"] == "compute_reboot" and event["result"] == "Error"
        assert len(event["hostId"]) == 56 and not {"host", "traceback", "details"} & set(event)

        known = await cloud.admin.get(f"{path(server)}/{second}", headers=at("2.96"), status=200)
        (event,) = known.json["instanceAction"]["events"]
        assert event["host"] == host_name and event["details"] == "the guest did not answer"
        assert event["traceback"] is None


async def test_versions_differ_in_what_they_print(cloud: Cloud) -> None:
    user = await cloud.project()
    server = await add_server(cloud, user)
    one = f"{path(server)}/{await done(cloud, user, server, 'stop')}"
    assert "updated_at" not in (await user.get(path(server), status=200)).json["instanceActions"][0]
    assert "events" not in (await user.get(one, status=200)).json["instanceAction"]
    assert "events" in (await cloud.admin.get(one, status=200)).json["instanceAction"]
    (event,) = (await user.get(one, headers=at("2.51"), status=200)).json["instanceAction"]["events"]
    assert "hostId" not in event
    (event,) = (await cloud.admin.get(one, headers=at("2.83"))).json["instanceAction"]["events"]
    assert "details" not in event and event["hostId"] == ""


async def test_actions_are_listed_in_pages_since_2_58(cloud: Cloud) -> None:
    user = await cloud.project()
    server = await add_server(cloud, user)
    ids = [await done(cloud, user, server, action) for action in ("create", "stop", "start")][::-1]
    page = (await user.get(path(server) + "?limit=2", headers=at("2.58"), status=200)).json
    assert [each["request_id"] for each in page["instanceActions"]] == ids[:2]
    rest = "/compute/" + page["links"][0]["href"].partition("/compute/")[2]
    page = (await user.get(rest, headers=at("2.58"), status=200)).json
    assert [each["request_id"] for each in page["instanceActions"]] == ids[2:] and "links" not in page
    await user.get(path(server) + "?marker=req-none", headers=at("2.58"), status=400)
    await user.get(path(server) + "?limit=-1", headers=at("2.58"), status=400)
    assert len((await user.get(path(server) + "?limit=1", status=200)).json["instanceActions"]) == 3


async def test_actions_are_listed_by_when_they_changed(cloud: Cloud) -> None:
    user = await cloud.project()
    server = await add_server(cloud, user)
    await done(cloud, user, server, "create")

    async def count(query: str, version: str = "2.66") -> int:
        answer = await user.get(path(server) + query, headers=at(version), status=200)
        return len(answer.json["instanceActions"])

    assert await count("?changes-since=2020-01-01T00:00:00Z") == 1
    assert await count("?changes-since=2120-01-01T00:00:00%2B00:00") == 0
    assert await count("?changes-before=2020-01-01T00:00:00Z") == 0
    assert await count("?changes-before=2020-01-01T00:00:00Z", "2.58") == 1
    both = "?changes-since=2021-01-01T00:00:00Z&changes-before=2020-01-01T00:00:00Z"
    await user.get(path(server) + both, headers=at("2.66"), status=400)
    await user.get(path(server) + "?changes-since=yesterday", headers=at("2.66"), status=400)


async def test_a_deleted_server_still_tells_its_story_since_2_21(cloud: Cloud) -> None:
    user = await cloud.project()
    server = await add_server(cloud, user)
    request_id = await done(cloud, user, server, "delete")
    await remove_server(cloud, server)
    await user.get(path(server), headers=at("2.20"), status=404)
    await user.get(path(server), headers=at("2.21"), status=200)
    await user.get(f"{path(server)}/{request_id}", headers=at("2.21"), status=200)


async def test_strangers_see_nothing(cloud: Cloud) -> None:
    user, stranger = await cloud.project(), await cloud.project()
    server = await add_server(cloud, user)
    request_id = await done(cloud, user, server, "create")
    await stranger.get(path(server), headers=at("2.96"), status=404)
    await stranger.get(f"{path(server)}/{request_id}", headers=at("2.96"), status=404)
    answer = await user.get(path(server) + "/req-none", status=404)
    assert answer.json["itemNotFound"]["message"] == "Action req-none not found."
    other = await add_server(cloud, user)
    await user.get(f"{path(other)}/{request_id}", status=404)
