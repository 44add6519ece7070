# SPDX-License-Identifier: Apache-2.0
"""What happened, read by position: pages, filters, who sees what, and the stream.

Webhooks are test_webhooks.py. The stream is read over a real socket, as a browser would.
"""

from __future__ import annotations

import asyncio
import socket
import uuid
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import aiohttp
import orjson
import pytest
import pytest_asyncio

from skyhold.core import context, journal
from skyhold.core.http.server import make_server
from skyhold.core.journal import forget
from skyhold.events import events as events_module
from skyhold.events import following, reading
from tests.kit.client import Client
from tests.kit.cloud import Cloud, Persona
from tests.kit.patience import PATIENCE_S

EVENTS = "/events/v1/events"


async def make_keypair(who: Client, name: str | None = None) -> str:
    name = name or "key-" + uuid.uuid4().hex[:8]
    await who.post("/compute/v2.1/os-keypairs", {"keypair": {"name": name}}, status=200)
    return name


async def here(who: Client) -> int:
    return (await who.get(EVENTS, {"limit": 1000}, status=200)).json["position"]


async def test_a_project_reads_what_happened_in_it_in_order(cloud: Cloud) -> None:
    ana = await cloud.project()
    start = await here(ana)
    names = [await make_keypair(ana) for _ in range(5)]
    found = (await ana.get(EVENTS, {"after": start}, status=200)).json
    assert [each["action"] for each in found["events"]] == ["keypair.create"] * 5
    assert [each["state"]["name"] for each in found["events"]] == names
    positions = [each["position"] for each in found["events"]]
    assert positions == sorted(set(positions)) and found["position"] >= positions[-1]
    first = found["events"][0]
    assert (first["user_id"], first["project_id"], first["service"]) == (ana.user_id, ana.project_id, "compute")


async def test_pages_follow_one_another_without_gap_or_overlap(cloud: Cloud) -> None:
    ana = await cloud.project()
    start = await here(ana)
    names = [await make_keypair(ana) for _ in range(7)]
    seen, asked = [], {"after": start, "limit": 3}
    path = EVENTS + "?" + "&".join(f"{name}={value}" for name, value in asked.items())
    for _ in range(10):
        found = (await ana.get(path, status=200)).json
        seen += [each["state"]["name"] for each in found["events"]]
        if "events_links" not in found:
            break
        path = found["events_links"][0]["href"].removeprefix(cloud.core.settings.public_url)
    assert seen == names


async def test_a_page_of_nothing_still_says_how_far_it_looked(cloud: Cloud) -> None:
    ana, ben = await cloud.project(), await cloud.project()
    await make_keypair(ben)
    found = (await ana.get(EVENTS, {"after": 0, "kind": "nothing"}, status=200)).json
    assert found["events"] == [] and found["position"] > 0


async def test_events_are_chosen_by_kind_action_and_resource(cloud: Cloud) -> None:
    ana = await cloud.project()
    start = await here(ana)
    name = await make_keypair(ana)
    await ana.delete(f"/compute/v2.1/os-keypairs/{name}")
    group = (await ana.post(
        "/network/v2.0/security-groups", {"security_group": {"name": "g"}}, status=201
    )).json["security_group"]

    async def actions(**query: Any) -> list[str]:
        answer = await ana.get(EVENTS, {"after": start, **query}, status=200)
        return [each["action"] for each in answer.json["events"]]

    assert await actions(kind="keypair") == ["keypair.create", "keypair.delete"]
    assert await actions(action="keypair.delete") == ["keypair.delete"]
    assert await actions(action="keypair") == ["keypair.create", "keypair.delete"]
    assert await actions(action="key") == []
    assert await actions(action="%") == []
    assert set(await actions(resource=group["id"])) == {"security_group.create"}
    both = await actions(kind=["keypair", "security_group"])
    assert {"keypair.create", "security_group.create"} <= set(both)


async def test_nobody_sees_events_of_another_project(cloud: Cloud) -> None:
    ana, ben = await cloud.project(), await cloud.project()
    name = await make_keypair(ben)
    for query in ({}, {"project_id": ben.project_id}):
        answer = await ana.get(EVENTS, {"after": 0, "limit": 1000, **query}, status=200)
        assert all(each["project_id"] == ana.project_id for each in answer.json["events"])
        assert name.encode() not in answer.body and ben.user_id.encode() not in answer.body
    seen = await cloud.admin.get(EVENTS, {"after": 0, "limit": 1000, "project_id": ben.project_id}, status=200)
    assert name in {each["state"].get("name") for each in seen.json["events"]}


async def test_what_only_administrators_may_see_of_a_resource_stays_hidden(cloud: Cloud) -> None:
    ana = await cloud.project()
    start = await here(ana)
    await make_keypair(ana)
    mine = (await ana.get(EVENTS, {"after": start, "kind": "keypair"}, status=200)).json["events"][0]
    whole = (await cloud.admin.get(EVENTS, {"after": start, "kind": "keypair"}, status=200)).json["events"][0]
    assert "fingerprint" in whole["state"] and "fingerprint" not in mine["state"]


async def test_readers_may_read_and_strangers_may_not(cloud: Cloud) -> None:
    ana = await cloud.project()
    reader = await ana.colleague(["reader"])
    await reader.get(EVENTS, status=200)
    await cloud.client().get(EVENTS, status=401)
    nobody = await cloud.user()
    unscoped = cloud.client(await cloud.token(nobody))
    await unscoped.get(EVENTS, status=403)


async def test_nonsense_is_refused(cloud: Cloud) -> None:
    ana = await cloud.project()
    for query in ({"after": -1}, {"after": "x"}, {"limit": 0}, {"limit": 1001}, {"kind": ""}, {"after": 2**70}):
        await ana.get(EVENTS, query, status=400)
    accept = {"Accept": "text/event-stream"}
    for last in ("x", "-1", "1" * 19, "²"):
        await ana.get(EVENTS, headers={**accept, "Last-Event-ID": last.encode().decode("latin-1")}, status=400)
    await ana.get(EVENTS, {"after": 2**62}, status=200)


# ---- the stream ------------------------------------------------------------------------------


async def follow(
    url: str, who: Persona, query: dict[str, Any] | None = None, last: int | None = None
) -> AsyncIterator[dict[str, str]]:
    """What a browser's EventSource would see, comments as `comment`."""
    headers = {"Accept": "text/event-stream", "X-Auth-Token": who.token or ""}
    headers |= {"Last-Event-ID": str(last)} if last is not None else {}
    async with aiohttp.ClientSession() as session, session.get(url + EVENTS, params=query, headers=headers) as answer:
        assert answer.status == 200, await answer.text()
        assert answer.content_type == "text/event-stream"
        block: dict[str, str] = {}
        async for raw in answer.content:
            line = raw.decode().rstrip("\n")
            if not line:
                yield block
                block = {}
                continue
            name, _, value = line.partition(": ")
            block[name or "comment"] = value


@pytest_asyncio.fixture(loop_scope="session")
async def url(cloud: Cloud) -> AsyncIterator[str]:
    """A server of these stories' own: the cloud's public port may be another's for the whole run."""
    taken = socket.create_server(("127.0.0.1", 0))
    server = make_server(cloud.core, cloud.core.asgi)
    task = asyncio.create_task(server.serve(sockets=[taken]))
    yield f"http://127.0.0.1:{taken.getsockname()[1]}"
    server.should_exit = True
    await task


async def test_a_stream_tells_long_before_it_would_look_by_itself(
    cloud: Cloud, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events_module, "HEARTBEAT_S", 10 * PATIENCE_S)
    ana, ben = await cloud.project(), await cloud.project()
    stream = follow(url, ana)
    assert "retry" in await anext(stream)
    for _ in range(10):
        await make_keypair(ben)
        name = await make_keypair(ana)
        told = await asyncio.wait_for(anext(stream), PATIENCE_S)
        event = orjson.loads(told["data"])
        assert (told["event"], event["state"]["name"]) == ("keypair.create", name)
        assert told["id"] == str(event["position"])
    await stream.aclose()


async def test_a_stream_goes_on_where_the_client_was_cut_off(cloud: Cloud, url: str) -> None:
    """Ordered, none lost, none twice, while events keep coming and the line keeps breaking."""
    ana = await cloud.project()
    last = await here(ana)
    names: list[str] = []
    seen: list[str] = []

    async def work() -> None:
        for _ in range(60):
            names.append(await make_keypair(ana))
            await asyncio.sleep(0.005)

    working = asyncio.create_task(work())
    while not working.done() or len(seen) < len(names):
        stream, taken = follow(url, ana, {"kind": "keypair"}, last), 0
        async with asyncio.timeout(PATIENCE_S):
            async for told in stream:
                if "data" in told:
                    seen.append(orjson.loads(told["data"])["state"]["name"])
                    last, taken = int(told["id"]), taken + 1
                    if taken == 7 or len(seen) == 60:
                        break
        await stream.aclose()
        if len(seen) == 60:
            break
    await working
    assert seen == names


async def test_heartbeats_move_on_past_what_is_not_wanted(
    cloud: Cloud, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events_module, "HEARTBEAT_S", 0.1)
    ana = await cloud.project()
    stream = follow(url, ana, {"kind": "nothing"})
    await anext(stream)
    await make_keypair(ana)
    position = await here(ana)
    async with asyncio.timeout(PATIENCE_S):
        async for told in stream:
            assert "comment" in told and "data" not in told
            if int(told["id"]) >= position:
                break
    await stream.aclose()


async def test_a_stream_ends_with_its_token(cloud: Cloud, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events_module, "HEARTBEAT_S", 0.1)
    ana = await cloud.project()
    stream = follow(url, ana)
    await anext(stream)
    await ana.delete("/identity/v3/auth/tokens", headers={"X-Subject-Token": ana.token or ""}, status=204)
    async with asyncio.timeout(PATIENCE_S):
        told = [each async for each in stream]
    assert told[-1]["event"] == "end" and orjson.loads(told[-1]["data"])["reason"]


async def test_a_project_has_a_bounded_number_of_streams(
    cloud: Cloud, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "STREAMS_PER_PROJECT", 3)
    ana, ben = await cloud.project(), await cloud.project()
    streams = [follow(url, ana) for _ in range(3)]
    for stream in streams:
        await anext(stream)
    refused = await ana.get(EVENTS, headers={"Accept": "text/event-stream"}, status=429)
    assert int(refused.headers["retry-after"]) > 0
    other = follow(url, ben)
    await anext(other)
    await other.aclose()
    for stream in streams:
        await stream.aclose()
    held = following.followers(cloud.core)
    async with asyncio.timeout(PATIENCE_S):
        while held._bells:
            # The server notices that a client is gone when it next has something to say.
            await make_keypair(ana)
            await make_keypair(ben)
            await asyncio.sleep(0.05)
    assert held._watch is None


async def test_a_reader_far_behind_leaves_others_their_turns(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """However fast it takes what there is: each page of it is one turn of the event loop at least."""
    monkeypatch.setattr(events_module, "BATCH", 2)
    ana, turns, pages = await cloud.project(), 0, 0
    first = await here(ana)
    for _ in range(20):
        await make_keypair(ana)
    await journal.catch_up(cloud.core)
    creds = await cloud.core.authenticate(ana.token)
    ctx = context.Context(cloud.core, creds, rule=events_module.policy.EVENTS_LIST)

    async def somebody_else() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    other = asyncio.create_task(somebody_else())
    async with aclosing(events_module.stream(ctx, events_module.EventQuery(), first, ana.project_id)) as stream:
        async for piece in stream:
            pages += b"data:" in piece
            if pages == 9:
                break
    other.cancel()
    assert turns >= pages - 2


async def test_streams_hear_again_after_the_journal_could_not_be_read(
    cloud: Cloud, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As soon as it can, and not only with the next heartbeat."""
    monkeypatch.setattr(events_module, "HEARTBEAT_S", 10 * PATIENCE_S)
    ana, ben = await cloud.project(), await cloud.project()
    read, failed = following.touched, asyncio.Event()

    def away(*args: Any) -> Any:
        failed.set()
        raise OSError("the database went away")

    streams = [follow(url, who) for who in (ana, ben)]
    for stream in streams:
        await anext(stream)
    monkeypatch.setattr(following, "touched", away)
    await make_keypair(ben)
    async with asyncio.timeout(PATIENCE_S):
        await failed.wait()
        monkeypatch.setattr(following, "touched", read)
        name = await make_keypair(ana)
        assert orjson.loads((await anext(streams[0]))["data"])["state"]["name"] == name
    for stream in streams:
        await stream.aclose()


async def test_a_reader_that_came_too_late_is_told_so(cloud: Cloud) -> None:
    ana = await cloud.project()
    await make_keypair(ana)
    ctx = context.internal(cloud.core)
    await ctx.write(forget, ctx.now + 1)
    gone = await ana.get(EVENTS, {"after": 1}, status=410)
    assert gone.json["error"]["reason"] == "forgotten"
    await ana.get(EVENTS, headers={"Accept": "text/event-stream", "Last-Event-ID": "1"}, status=410)
    await ana.get(EVENTS, status=200)


async def test_a_form_of_question_is_put_into_words_once(cloud: Cloud) -> None:
    ana, ben = await cloud.project(), await cloud.project()
    asked = {"kind": ["keypair", "server"], "action": "keypair", "resource": "x"}
    await ana.get(EVENTS, asked, status=200)
    before = reading.statement_for.cache_info().misses
    for who, kind, action in ((ana, "server", "server.create"), (ben, "volume", "a_%"), (ben, "port", "b")):
        await who.get(EVENTS, {**asked, "kind": kind, "action": action, "limit": 7}, status=200)
    assert reading.statement_for.cache_info().misses == before
