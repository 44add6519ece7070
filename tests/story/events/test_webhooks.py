# SPDX-License-Identifier: Apache-2.0
"""Webhooks: whose they are, where they may lead, and that each event arrives in order until acknowledged.

The other side is receiver.py, a real server. Reading events is test_events.py.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import signal
import sys
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest
import pytest_asyncio
import sqlalchemy as sa

from skyhold.core import context
from skyhold.core.tables import JOURNAL
from skyhold.events import listening
from skyhold.events import webhooks as webhooks_module
from skyhold.events.logic import signing
from skyhold.events.loops import deliver
from skyhold.events.tables import WEBHOOKS as WEBHOOKS_TABLE
from tests.kit.client import Client
from tests.kit.cloud import Cloud
from tests.kit.patience import PATIENCE_S
from tests.story.events.receiver import SECRET, Receiver, receiving

WEBHOOKS = "/events/v1/webhooks"
KEYPAIRS_OF = (
    sa.select(JOURNAL.c.position)
    .where(JOURNAL.c.project_id == sa.bindparam("project"), JOURNAL.c.kind == "keypair")
    .order_by(JOURNAL.c.position)
)


@pytest_asyncio.fixture(loop_scope="session")
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as made:
        yield made


async def make_webhook(who: Client, url: str, **more: Any) -> dict[str, Any]:
    body = {"webhook": {"url": url, "secret": SECRET, **more}}
    made: dict[str, Any] = (await who.post(WEBHOOKS, body, status=201)).json["webhook"]
    return made


async def make_keypair(who: Client) -> str:
    name = "key-" + uuid.uuid4().hex[:8]
    await who.post("/compute/v2.1/os-keypairs", {"keypair": {"name": name}}, status=200)
    return name


async def until_idle(who: Client, id: str, **wanted: Any) -> dict[str, Any]:
    """Its delivery, as soon as these of its attributes are so."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            found = (await who.get(f"{WEBHOOKS}/{id}", status=200)).json["webhook"]["delivery"]
            if all(found[name] == value for name, value in wanted.items()):
                return found  # type: ignore[no-any-return]
            await asyncio.sleep(0.02)


async def test_a_webhook_is_made_shown_changed_listed_and_removed(cloud: Cloud) -> None:
    ana = await cloud.project()
    made = await make_webhook(ana, "https://hooks.example.org/x", name="one", wanted={"kinds": ["server"]})
    assert (made["name"], made["project_id"], made["enabled"]) == ("one", ana.project_id, True)
    assert made["wanted"] == {"kinds": ["server"], "actions": [], "resources": []}
    shown = await ana.get(f"{WEBHOOKS}/{made['id']}", status=200)
    assert shown.json["webhook"]["url"] == "https://hooks.example.org/…"
    changed = await ana.patch(
        f"{WEBHOOKS}/{made['id']}", {"webhook": {"name": "two", "enabled": False}}, status=200
    )
    assert (changed.json["webhook"]["name"], changed.json["webhook"]["enabled"]) == ("two", False)
    assert [each["id"] for each in (await ana.get(WEBHOOKS, status=200)).json["webhooks"]] == [made["id"]]
    await ana.delete(f"{WEBHOOKS}/{made['id']}", status=204)
    await ana.get(f"{WEBHOOKS}/{made['id']}", status=404)


async def test_the_secret_is_never_shown_and_sealed_at_rest(cloud: Cloud) -> None:
    ana = await cloud.project()
    secret = "hush-" + uuid.uuid4().hex
    made = await ana.post(WEBHOOKS, {"webhook": {"url": "https://a.example.org/", "secret": secret}}, status=201)
    id = made.json["webhook"]["id"]
    answers = [
        made, await ana.get(f"{WEBHOOKS}/{id}"), await ana.get(WEBHOOKS),
        await ana.patch(f"{WEBHOOKS}/{id}", {"webhook": {"secret": secret + "2"}}, status=200),
        await cloud.admin.get("/events/v1/events", {"resource": id}, status=200),
    ]
    assert all(secret.encode() not in answer.body for answer in answers)
    row = await context.internal(cloud.core).read(lambda tx, ctx: webhooks_module.store.find(tx, id))
    assert secret not in row.secret
    assert cloud.core.keyring.open(row.secret) == (secret + "2").encode()


async def kept_url(cloud: Cloud, id: str) -> tuple[str, str]:
    """As it is in the database, and opened."""
    row = await context.internal(cloud.core).read(lambda tx, ctx: webhooks_module.store.find(tx, id))
    return row.url, cloud.core.keyring.open(row.url).decode()


@pytest.mark.parametrize(("url", "place"), [
    ("https://a.example.org/services/T0/{}", "https://a.example.org/…"),
    ("https://a.example.org:8443?token={}", "https://a.example.org:8443/…"),
    ("https://a.example.org/#{}", "https://a.example.org/…"),
])
async def test_what_of_an_address_may_be_a_credential_is_sealed_and_never_shown(
    cloud: Cloud, url: str, place: str
) -> None:
    ana, secret = await cloud.project(), uuid.uuid4().hex
    made = await ana.post(WEBHOOKS, {"webhook": {"url": url.format(secret), "secret": SECRET}}, status=201)
    id = made.json["webhook"]["id"]
    assert made.json["webhook"]["url"] == place
    answers = [
        made, await ana.get(f"{WEBHOOKS}/{id}"), await ana.get(WEBHOOKS), await cloud.admin.get(f"{WEBHOOKS}/{id}"),
        await cloud.admin.get("/events/v1/events", {"resource": id}, status=200),
    ]
    assert all(secret.encode() not in answer.body for answer in answers)
    assert b"a.example.org" not in answers[-1].body
    kept, opened = await kept_url(cloud, id)
    assert (secret in kept, opened) == (False, url.format(secret))
    # Handing back what was shown changes nothing; another address does.
    at = f"{WEBHOOKS}/{id}"
    await ana.patch(at, {"webhook": {"url": place, "name": "n"}}, status=200)
    assert (await kept_url(cloud, id))[1] == url.format(secret)
    await ana.patch(at, {"webhook": {"url": "https://b.example.org/…"}}, status=400)
    changed = await ana.patch(at, {"webhook": {"url": "https://b.example.org/"}}, status=200)
    assert changed.json["webhook"]["url"] == "https://b.example.org/"
    assert (await kept_url(cloud, id))[1] == "https://b.example.org/"


async def test_an_address_that_an_earlier_release_kept_in_plain_words_is_sealed_at_the_start(cloud: Cloud) -> None:
    ana, url = await cloud.project(), "https://hooks.example.org/earlier"
    id = (await make_webhook(ana, url, enabled=False))["id"]
    plain = WEBHOOKS_TABLE.update().where(WEBHOOKS_TABLE.c.id == id).values(url=url)
    await context.internal(cloud.core).write(lambda tx, ctx: tx.execute(plain))
    for prepare in cloud.core.services["events"].on_start:
        await prepare(cloud.core)
    kept, opened = await kept_url(cloud, id)
    assert (kept == url, opened) == (False, url)
    await ana.delete(f"{WEBHOOKS}/{id}", status=204)


async def test_the_first_webhook_hears_at_once_though_nobody_listened_before(
    cloud: Cloud, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That nobody does is remembered; here it would be for ever."""
    ana = await cloud.project()
    monkeypatch.setattr(listening, "SILENCE_S", 1e6)
    off = WEBHOOKS_TABLE.update().values(enabled=False)
    await context.internal(cloud.core).write(lambda tx, ctx: tx.execute(off))
    await until_nobody_listens(cloud)
    made = await make_webhook(ana, receiver.url)
    assert (await receiver.heard(1))[0]["action"] == "webhook.create"
    await ana.patch(f"{WEBHOOKS}/{made['id']}", {"webhook": {"enabled": False}}, status=200)
    await until_nobody_listens(cloud)
    before = len(receiver.seen)
    await ana.patch(f"{WEBHOOKS}/{made['id']}", {"webhook": {"enabled": True}}, status=200)
    await receiver.heard(before + 1)
    await ana.delete(f"{WEBHOOKS}/{made['id']}", status=204)


async def until_nobody_listens(cloud: Cloud) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not listening.listening(cloud.core).nobody():
            cloud.core.loops.ring(listening.DELIVER)
            await asyncio.sleep(0.02)


async def test_a_project_has_its_own_webhooks(cloud: Cloud) -> None:
    ana, ben = await cloud.project(), await cloud.project()
    made = await make_webhook(ana, "https://hooks.example.org/")
    at = f"{WEBHOOKS}/{made['id']}"
    assert (await ben.get(WEBHOOKS, status=200)).json["webhooks"] == []
    await ben.get(at, status=404)
    await ben.patch(at, {"webhook": {"enabled": False}}, status=404)
    await ben.delete(at, status=404)
    reader = await ana.colleague(["reader"])
    await reader.get(at, status=200)
    await reader.patch(at, {"webhook": {"enabled": False}}, status=403)
    await reader.post(WEBHOOKS, {"webhook": {"url": "https://x.example/", "secret": SECRET}}, status=403)


async def test_only_an_administrator_gets_the_events_of_all_projects(cloud: Cloud, receiver: Receiver) -> None:
    ana = await cloud.project()
    body = {"webhook": {"url": receiver.url, "secret": SECRET, "all_projects": True}}
    await ana.post(WEBHOOKS, body, status=403)
    made = await make_webhook(cloud.admin, receiver.url, all_projects=True, wanted={"kinds": ["keypair"]})
    name = await make_keypair(ana)
    [event] = await receiver.heard(1)
    assert event["state"]["name"] == name and "fingerprint" in event["state"]
    await cloud.admin.delete(f"{WEBHOOKS}/{made['id']}", status=204)


@pytest.mark.parametrize("url", [
    "http://127.0.0.2/", "http://2130706433/", "http://0x7f.1/", "http://[::ffff:127.0.0.1]/", "http://127.1/",
    "http://169.254.169.254/latest", "http://[::1]/", "http://10.0.0.1./", "file:///etc/passwd", "http://a@b.example/",
    "x", "http://a b/",
])
async def test_cve_2026_34881_a_webhook_leads_to_no_private_place(cloud: Cloud, url: str) -> None:
    ana = await cloud.project()
    refused = await ana.post(WEBHOOKS, {"webhook": {"url": url, "secret": SECRET}}, status=400)
    assert refused.json["error"]["reason"] in ("url_refused", "address_refused")
    made = await make_webhook(ana, "https://hooks.example.org/")
    await ana.patch(f"{WEBHOOKS}/{made['id']}", {"webhook": {"url": url}}, status=400)


async def test_cve_2026_34881_a_redirect_is_no_acknowledgement_and_not_followed(cloud: Cloud) -> None:
    ana = await cloud.project()
    async with receiving() as outer, receiving() as inner:
        outer.statuses, outer.headers = [307] * 100, {"Location": inner.url}
        made = await make_webhook(ana, outer.url, wanted={"kinds": ["keypair"]})
        await make_keypair(ana)
        found = await until_idle(ana, made["id"], last_error="The receiver answered 307.")
        assert found["attempts"] >= 1 and found["next_attempt_at"]
        assert inner.seen == []
        await ana.delete(f"{WEBHOOKS}/{made['id']}", status=204)


async def test_events_arrive_signed_in_order_and_soon(cloud: Cloud, receiver: Receiver) -> None:
    ana, ben = await cloud.project(), await cloud.project()
    await make_keypair(ana)
    made = await make_webhook(ana, receiver.url, wanted={"actions": ["keypair"]})
    names = []
    for _ in range(10):
        names.append(await make_keypair(ana))
        await make_keypair(ben)
    events = await receiver.heard(10)
    assert [event["state"]["name"] for event in events] == names
    assert "fingerprint" not in events[0]["state"]
    delivery = await until_idle(ana, made["id"], attempts=0)
    assert delivery["position"] >= receiver.seen[-1][0] and delivery["acknowledged_at"]
    await ana.delete(f"{WEBHOOKS}/{made['id']}", status=204)


async def test_a_failed_delivery_is_tried_again_and_nothing_overtakes_it(cloud: Cloud, receiver: Receiver) -> None:
    ana = await cloud.project()
    receiver.statuses = [500, 404]
    made = await make_webhook(ana, receiver.url, wanted={"kinds": ["keypair"]})
    names = [await make_keypair(ana) for _ in range(3)]
    events = await receiver.heard(3)
    assert [event["state"]["name"] for event in events] == names
    assert receiver.refused == [receiver.seen[0][0]] * 2
    first, second, third = receiver.times_s[:3]
    assert second - first >= 0.9 and third - second >= 1.9
    await ana.delete(f"{WEBHOOKS}/{made['id']}", status=204)


async def test_a_webhook_that_was_off_gets_what_it_missed(cloud: Cloud, receiver: Receiver) -> None:
    ana = await cloud.project()
    made = await make_webhook(ana, receiver.url, enabled=False, wanted={"kinds": ["keypair"]})
    names = [await make_keypair(ana) for _ in range(3)]
    await asyncio.sleep(0.2)
    assert receiver.seen == []
    await ana.patch(f"{WEBHOOKS}/{made['id']}", {"webhook": {"enabled": True}}, status=200)
    assert [event["state"]["name"] for event in await receiver.heard(3)] == names
    await ana.delete(f"{WEBHOOKS}/{made['id']}", status=204)


async def test_a_slow_receiver_does_not_hold_up_another(
    cloud: Cloud, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    ana, over = await cloud.project(), asyncio.Event()
    monkeypatch.setattr(deliver, "TIMEOUT_S", 10 * PATIENCE_S)

    async def never(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await over.wait()
        writer.close()

    server = await asyncio.start_server(never, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    slow = await make_webhook(ana, f"http://127.0.0.1:{port}/", wanted={"kinds": ["keypair"]})
    fast = await make_webhook(ana, receiver.url, wanted={"kinds": ["keypair"]})
    for _ in range(3):
        await make_keypair(ana)
    await receiver.heard(3)
    over.set()
    for made in (slow, fast):
        await ana.delete(f"{WEBHOOKS}/{made['id']}", status=204)
    server.close()


@pytest.mark.parametrize("answers", [True, False], ids=["that answers", "that never answers"])
async def test_when_the_program_ends_an_attempt_under_way_gets_its_time_and_lets_go(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, answers: bool
) -> None:
    ana, ctx = await cloud.project(), context.internal(cloud.core)
    monkeypatch.setattr(deliver, "TIMEOUT_S", 10 * PATIENCE_S)
    monkeypatch.setattr(deliver, "LAST_S", 2 * PATIENCE_S if answers else 0.1)
    async with waiting_receiver() as (url, asked, answer):
        id = (await make_webhook(ana, url, wanted={"kinds": ["keypair"]}, enabled=False))["id"]
        for _ in range(2):
            await make_keypair(ana)
        on = WEBHOOKS_TABLE.update().where(WEBHOOKS_TABLE.c.id == id)
        before = await ctx.read(lambda tx, ctx: webhooks_module.store.find(tx, id))
        ending = asyncio.Event()
        monkeypatch.setattr(deliver, "due", lambda *_: [])
        await ctx.write(lambda tx, ctx: tx.execute(on.values(enabled=True, due_at=0)))
        task = asyncio.create_task(deliver.deliver(cloud.core, id, ending))
        async with asyncio.timeout(PATIENCE_S):
            await asked.wait()
        ending.set()
        stopped = asyncio.create_task(deliver.finished([task]))
        if answers:
            answer.set()
        async with asyncio.timeout(PATIENCE_S):
            await stopped
        row = await ctx.read(lambda tx, ctx: webhooks_module.store.find(tx, id))
        assert row.lease_until == 0
        # The second event is left for the next start.
        came = await ctx.read(lambda tx, ctx: tx.all(KEYPAIRS_OF, {"project": ana.project_id}))
        assert row.position == (came[0].position if answers else came[0].position - 1) >= before.position
        answer.set()
    await ana.delete(f"{WEBHOOKS}/{id}", status=204)


@asynccontextmanager
async def waiting_receiver() -> AsyncIterator[tuple[str, asyncio.Event, asyncio.Event]]:
    """Its URL, whether it was asked, and what it waits for before it answers."""
    asked, answer = asyncio.Event(), asyncio.Event()

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        asked.set()
        await answer.wait()
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(take, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/", asked, answer
    finally:
        server.close()


async def test_webhooks_go_with_their_project_and_rest_while_it_is_off(cloud: Cloud, receiver: Receiver) -> None:
    ana = await cloud.project()
    receiver.statuses = [500] * 1000
    made = await make_webhook(ana, receiver.url)
    await until_idle(ana, made["id"], last_error="The receiver answered 500.")
    at = f"/identity/v3/projects/{ana.project_id}"
    await cloud.admin.patch(at, {"project": {"enabled": False}}, status=200)
    receiver.statuses.clear()
    await asyncio.sleep(2.5)
    assert receiver.seen == [], "the second and third try were due meanwhile"
    await cloud.admin.delete(at, status=204)
    await cloud.admin.patch(f"{WEBHOOKS}/{made['id']}", {"webhook": {"enabled": True}})
    async with asyncio.timeout(PATIENCE_S):
        while (await cloud.admin.get(f"{WEBHOOKS}/{made['id']}")).status != 404:
            await asyncio.sleep(0.05)
    assert receiver.seen == []


async def test_a_webhook_that_is_switched_off_goes_with_its_project_too(cloud: Cloud) -> None:
    ana, ben = await cloud.project(), await cloud.project()
    made = [await make_webhook(who, "https://x.example/", enabled=False) for who in (ana, ana, ben)]
    await cloud.admin.delete(f"/identity/v3/projects/{ana.project_id}", status=204)
    await cloud.core.loops.run_once("events.orphans")
    for one, status in zip(made, (404, 404, 200), strict=True):
        await cloud.admin.get(f"{WEBHOOKS}/{one['id']}", status=status)
    events = (await cloud.admin.get("/events/v1/events", {"resource": made[0]["id"]}, status=200)).json["events"]
    assert [event["action"] for event in events] == ["webhook.create", "webhook.delete"]
    found = (await cloud.admin.get("/admin/v1/audit", status=200)).json["findings"]
    assert not [one for one in found if ana.project_id in str(one)], "what is counted for it is given back"
    await ben.delete(f"{WEBHOOKS}/{made[2]['id']}", status=204)


async def test_a_project_has_a_bounded_number_of_webhooks(cloud: Cloud) -> None:
    ana = await cloud.project()
    made = [await make_webhook(ana, "https://x.example/") for _ in range(20)]
    refused = await ana.post(WEBHOOKS, {"webhook": {"url": "https://x.example/", "secret": SECRET}}, status=403)
    assert refused.json["error"]["reason"] == "over_quota"
    await ana.delete(f"{WEBHOOKS}/{made[0]['id']}", status=204)
    await make_webhook(ana, "https://x.example/")


async def test_a_sender_whose_turn_is_over_changes_nothing(cloud: Cloud) -> None:
    """What a process that was paused and comes back tries to write."""
    ana = await cloud.project()
    made = await make_webhook(ana, "https://x.example/", enabled=False)
    ctx = context.internal(cloud.core)
    row = await ctx.read(lambda tx, ctx: webhooks_module.store.find(tx, made["id"]))
    assert not await ctx.write(deliver.acknowledged, row.id, row.fence - 1, row.position + 5)
    await ctx.write(deliver.failed, row.id, row.fence - 1, "late")
    await ctx.write(deliver.let_go, row.id, row.fence - 1)
    assert await ctx.read(lambda tx, ctx: webhooks_module.store.find(tx, made["id"])) == row


def test_waits_double_up_to_five_minutes() -> None:
    assert [signing.wait_s(n) for n in (1, 2, 3, 9, 10, 1000)] == [1, 2, 4, 256, 300, 300]


def test_a_signature_covers_moment_and_body() -> None:
    whole = signing.signature(b"k", 1, b"body")
    assert len({whole, signing.signature(b"k", 2, b"body"), signing.signature(b"k", 1, b"bodx"),
                signing.signature(b"l", 1, b"body")}) == 4


async def test_none_is_lost_and_none_comes_twice_through_kill_9_of_the_sender(tmp_path: Path) -> None:
    """Only what was not acknowledged when the sender died may come again, first thing in its next life."""
    total, lives = 300, 6
    arrived: list[tuple[int, int]] = []
    async with receiving() as receiver:
        for life in range(lives):
            before = len(receiver.seen)
            sender = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "tests.story.events.sender", str(tmp_path), receiver.url, str(total),
                env={**os.environ, "PYTHONPATH": os.getcwd()},
            )
            try:
                last = life == lives - 1
                async with asyncio.timeout(3 * PATIENCE_S):
                    while not enough(receiver, before, None if last else random.randint(5, 40), total):
                        assert sender.returncode is None, "the sender died of itself"
                        await asyncio.sleep(random.uniform(0, 0.01))
            finally:
                if sender.returncode is None:
                    sender.send_signal(signal.SIGKILL)
                await sender.wait()
            arrived += [(life, number(event)) for _, event in receiver.seen[before:]]
    check_order(arrived, total)


def enough(receiver: Receiver, before: int, more: int | None, total: int) -> bool:
    if more is not None:
        return len(receiver.seen) >= before + more
    return bool(receiver.seen) and number(receiver.seen[-1][1]) == total


def number(event: dict[str, Any]) -> int:
    return int(event["state"]["name"])


def check_order(arrived: list[tuple[int, int]], total: int) -> None:
    """Counts from 1 to `total`; only between two lives may the last one be repeated."""
    for (life, earlier), (following_life, later) in itertools.pairwise(arrived):
        assert later == earlier + 1 or (later == earlier and following_life > life), (earlier, later)
    assert arrived[0][1] == 1 and arrived[-1][1] == total
    assert orjson.dumps(sorted({number for _, number in arrived})) == orjson.dumps(list(range(1, total + 1)))
