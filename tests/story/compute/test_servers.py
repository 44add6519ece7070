# SPDX-License-Identifier: Apache-2.0
"""What a user sees of servers: from create to delete, over fake hosts.

Real guests are tests/e2e; what sagas do under failure is tests/sagas.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from skyhold.core.context import Context, internal
from skyhold.core.db.tx import Tx
from skyhold.core.saga import asking
from skyhold.host import agent
from skyhold.identity import facade as identity
from skyhold.image.drivers.hosts import CantSend
from skyhold.image.drivers.sending import send
from skyhold.image.loops import uploads
from skyhold.image.tables import IMAGES
from tests.kit.cloud import Persona
from tests.kit.patience import until
from tests.story.compute.scene import VERSION, Scene


async def test_a_server_is_built_and_shown_with_its_address(scene: Scene) -> None:
    server = await scene.server("web")
    assert server["status"] == "ACTIVE"
    assert server["OS-EXT-STS:vm_state"] == "active"
    assert server["OS-EXT-STS:task_state"] is None
    assert server["OS-EXT-STS:power_state"] == 1
    (entry,) = server["addresses"]["net"]
    assert entry["OS-EXT-IPS:type"] == "fixed"
    assert entry["addr"].startswith("10.20.30.")
    assert server["image"]["id"] == scene.image_id
    assert server["flavor"]["original_name"] == scene.flavor_name
    assert server["security_groups"] == [{"name": "default"}]
    assert "OS-EXT-SRV-ATTR:host" not in server


async def test_several_servers_at_once_get_numbered_names_and_one_reservation(scene: Scene) -> None:
    body = scene.wish("herd", min_count=3, return_reservation_id=True)
    answer = await scene.user.post("/compute/v2.1/servers", body, status=202)
    assert set(answer.json) == {"reservation_id"}
    await scene.settled()
    listed = await scene.user.get("/compute/v2.1/servers?name=herd", status=200)
    assert sorted(one["name"] for one in listed.json["servers"]) == ["herd-1", "herd-2", "herd-3"]


async def test_a_deleted_server_gives_everything_back(scene: Scene) -> None:
    before = await scene.used()
    server = await scene.server("gone")
    assert (await scene.used())["instances"] == before["instances"] + 1
    await scene.user.delete(f"/compute/v2.1/servers/{server['id']}", status=204)
    await scene.settled()
    await scene.user.get(f"/compute/v2.1/servers/{server['id']}", status=404)
    assert await scene.used() == before
    ports = await scene.user.get(f"/network/v2.0/ports?device_id={server['id']}", status=200)
    assert ports.json["ports"] == []
    kept = await scene.cloud.admin.get(f"/placement/allocations/{server['id']}", status=200)
    assert kept.json["allocations"] == {}
    assert server["id"] not in {guest.guest_id for guest in (await scene.host.driver.list()).guests}


async def test_no_valid_host_says_why_each_host_fell_out(scene: Scene) -> None:
    flavor = await scene.flavor(ram=9_000_000)
    server = await scene.server("giant", flavor=flavor, expect="ERROR", ram_quota=-1)
    message = server["fault"]["message"]
    assert message.startswith("No valid host was found.")
    assert scene.host.name in message
    assert "9000000 MiB of RAM" in message
    assert server["addresses"] == {}
    await scene.user.delete(f"/compute/v2.1/servers/{server['id']}", status=204)
    await scene.settled()


async def test_a_host_without_room_after_all_makes_the_server_fail_with_its_reason(scene: Scene) -> None:
    from skyhold.compute.drivers.base import GuestFailed

    scene.host.driver.fail_next("ensure", GuestFailed("The image has a size that no disk can have."), 1)
    server = await scene.server("unlucky", expect="ERROR")
    assert server["fault"]["message"] == "The image has a size that no disk can have."
    assert server["OS-EXT-STS:task_state"] is None


@pytest.mark.parametrize(
    ("action", "during", "after"),
    [("os-stop", "ACTIVE", "SHUTOFF"), ("pause", "ACTIVE", "PAUSED"), ("suspend", "ACTIVE", "SUSPENDED")],
)
async def test_nov_15_power_goes_down_and_up_again(scene: Scene, action: str, during: str, after: str) -> None:
    back = {"os-stop": "os-start", "pause": "unpause", "suspend": "resume"}[action]
    server = await scene.server("power")
    assert server["status"] == during
    await scene.act(server, {action: None})
    assert (await scene.show(server))["status"] == after
    refused = await scene.user.post(f"/compute/v2.1/servers/{server['id']}/action", {action: None}, status=409)
    assert "while it is in vm_state" in refused.json["conflictingRequest"]["message"]
    await scene.act(server, {back: None})
    assert (await scene.show(server))["status"] == "ACTIVE"


@pytest.mark.parametrize("kind", ["SOFT", "HARD"])
async def test_a_reboot_ends_in_active(scene: Scene, kind: str) -> None:
    server = await scene.server("again")
    await scene.act(server, {"reboot": {"type": kind}})
    assert (await scene.show(server))["status"] == "ACTIVE"


async def test_delete_wins_over_a_slow_build(scene: Scene) -> None:
    scene.host.driver.delay("ensure", 0.3)
    try:
        answer = await scene.user.post("/compute/v2.1/servers", scene.wish("slow"), status=202)
        server_id = answer.json["server"]["id"]
        await asyncio.sleep(0.1)
        await scene.user.delete(f"/compute/v2.1/servers/{server_id}", status=204)
        await scene.settled()
    finally:
        scene.host.driver.delay("ensure", 0)
    await scene.user.get(f"/compute/v2.1/servers/{server_id}", status=404)
    assert server_id not in {guest.guest_id for guest in (await scene.host.driver.list()).guests}


async def test_a_guest_that_dies_shows_as_shutoff(scene: Scene) -> None:
    server = await scene.server("mortal")
    scene.host.driver.crash(server["id"])

    async def shut_off() -> bool:
        return bool((await scene.show(server))["status"] == "SHUTOFF")

    await until(shut_off, "the server to be shown as off")


async def test_an_image_of_a_server_becomes_active_and_boots(scene: Scene) -> None:
    server = await scene.server("source")
    answer = await scene.user.post(
        f"/compute/v2.1/servers/{server['id']}/action",
        {"createImage": {"name": "copy", "metadata": {"made": "by hand"}}},
        headers={"OpenStack-API-Version": "compute 2.45"}, status=202,
    )
    image_id = answer.json["image_id"]
    await scene.settled()
    image = (await scene.user.get(f"/image/v2/images/{image_id}", status=200)).json
    assert image["status"] == "active"
    assert image["made"] == "by hand"
    assert image["instance_uuid"] == server["id"]
    assert (await scene.server("second", image=image_id))["status"] == "ACTIVE"


async def test_a_copy_that_takes_long_is_begun_once_though_its_token_is_another_each_time_it_is_asked_for(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = await scene.server("large")
    monkeypatch.setattr(agent, "PATIENCE_S", 0.05)
    monkeypatch.setattr(identity, "SAME_US", 0)
    honest, begun = scene.host.driver._act, 0

    async def act_slowly(told: str) -> None:
        nonlocal begun
        await honest(told)
        if told == "snapshot":
            begun += 1
            await asyncio.sleep(2 if begun < 3 else 0)

    monkeypatch.setattr(scene.host.driver, "_act", act_slowly)
    body, path = {"createImage": {"name": "copy"}}, f"/compute/v2.1/servers/{server['id']}/action"
    made = await scene.user.post(path, body, headers=VERSION, status=202)
    await scene.settled()
    image = (await scene.user.get(f"/image/v2/images/{made.json['image_id']}", status=200)).json
    assert (image["status"], begun) == ("active", 1)


async def test_a_copy_whose_receiver_died_is_sent_again_when_its_image_waits_for_it_again(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, core, sent = await scene.server("copied"), scene.cloud.core, 0
    monkeypatch.setattr(asking, "RETRY_S", 0.01)

    async def send_and_die(*told: Any) -> None:
        nonlocal sent
        sent += 1
        if sent == 1:
            died = IMAGES.update().where(IMAGES.c.status == "queued").values(status="saving", blob="nobody's")
            await internal(core).write(lambda tx, ctx: tx.execute(died))
            raise CantSend("The image could not be sent: Server disconnected.")
        await send(*told)

    monkeypatch.setattr("skyhold.compute.drivers.fake.sending.send", send_and_die)
    body, path = {"createImage": {"name": "copy"}}, f"/compute/v2.1/servers/{server['id']}"
    made = await scene.user.post(f"{path}/action", body, headers=VERSION, status=202)

    async def active() -> bool:
        await uploads.run(internal(core))
        shown = await scene.user.get(f"/image/v2/images/{made.json['image_id']}", status=200)
        return bool(shown.json["status"] == "active")

    await until(active, "the image to be made")
    await scene.settled()
    assert sent == 2


async def test_a_copy_that_is_aborted_ends_at_its_host(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    server, begun, ended = await scene.server("copied"), asyncio.Event(), asyncio.Event()
    monkeypatch.setattr(agent, "PATIENCE_S", 0.05)
    honest = scene.host.driver._act

    async def act_for_ever(told: str) -> None:
        await honest(told)
        if told == "snapshot":
            begun.set()
            try:
                await asyncio.sleep(1000)
            finally:
                ended.set()

    monkeypatch.setattr(scene.host.driver, "_act", act_for_ever)
    path = f"/compute/v2.1/servers/{server['id']}"
    await scene.user.post(f"{path}/action", {"createImage": {"name": "copy"}}, headers=VERSION, status=202)
    await begun.wait()
    # It has said by then that it is at it.
    await asyncio.sleep(1)
    await abort_of(scene, server)
    await scene.settled()
    async with asyncio.timeout(5):
        await ended.wait()
    assert (await scene.show(server))["OS-EXT-STS:task_state"] is None


async def test_a_copy_that_can_never_be_sent_is_given_up(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    server, sent = await scene.server("copied"), 0
    monkeypatch.setattr(asking, "RETRY_S", 0.01)

    async def break_off(*told: Any) -> None:
        nonlocal sent
        sent += 1
        raise CantSend("The image could not be sent: no route.")

    monkeypatch.setattr("skyhold.compute.drivers.fake.sending.send", break_off)
    body, path = {"createImage": {"name": "never"}}, f"/compute/v2.1/servers/{server['id']}"
    made = await scene.user.post(f"{path}/action", body, headers=VERSION, status=202)
    await scene.settled()
    await scene.user.get(f"/image/v2/images/{made.json['image_id']}", status=404)
    assert sent == 1 + asking.MOST_TRIES and (await scene.show(server))["OS-EXT-STS:task_state"] is None


@pytest.mark.parametrize("who", ["operator", "owner"])
async def test_an_image_that_was_active_stays_whoever_ends_its_making(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, who: str
) -> None:
    """The last byte had come when it was told to unwind: an owner who sees the image active deletes the server."""
    server = await scene.server("source")

    async def send_and_end(*told: Any) -> None:
        await send(*told)
        if who == "owner":
            await scene.user.delete(f"/compute/v2.1/servers/{server['id']}", status=204)
        else:
            await abort_of(scene, server)

    monkeypatch.setattr("skyhold.compute.drivers.fake.sending.send", send_and_end)
    body = {"createImage": {"name": "copy"}}
    path = f"/compute/v2.1/servers/{server['id']}"
    made = await scene.user.post(f"{path}/action", body, headers=VERSION, status=202)
    await scene.settled()
    image = (await scene.user.get(f"/image/v2/images/{made.json['image_id']}", status=200)).json
    assert image["status"] == "active"
    done = (await scene.user.get(f"{path}/os-instance-actions", headers=VERSION, status=200)).json["instanceActions"]
    (copied,) = [each for each in done if each["action"] == "createImage"]
    assert copied["message"] is None
    if who == "operator":
        assert (await scene.show(server))["OS-EXT-STS:task_state"] is None


@pytest.mark.parametrize(("body", "verb", "action", "status"), [
    ({"os-stop": None}, "power", "stop", "SHUTOFF"), ({"reboot": {"type": "HARD"}}, "ensure", "reboot", "ACTIVE"),
])
async def test_what_an_operator_aborts_when_the_host_had_done_it_has_succeeded(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, body: dict[str, Any], verb: str, action: str, status: str
) -> None:
    server = await scene.server("done-already")
    honest = scene.host.driver._act

    async def act_and_abort(told: str) -> None:
        await honest(told)
        if told == verb:
            await abort_of(scene, server)

    with monkeypatch.context() as patch:
        patch.setattr(scene.host.driver, "_act", act_and_abort)
        await scene.act(server, body)
    shown = await scene.show(server)
    assert (shown["status"], shown["OS-EXT-STS:task_state"]) == (status, None)
    path = f"/compute/v2.1/servers/{server['id']}/os-instance-actions"
    done = (await scene.user.get(path, headers=VERSION, status=200)).json["instanceActions"]
    (told,) = [each for each in done if each["action"] == action]
    assert told["message"] is None


async def abort_of(scene: Scene, server: dict[str, Any]) -> None:
    """The operator's word for what is under way with a server."""
    live = (await scene.cloud.admin.get("/admin/v1/sagas", status=200)).json["sagas"]
    (saga,) = [each["id"] for each in live if each["subject"] == server["id"]]
    await scene.cloud.admin.post(f"/admin/v1/sagas/{saga}/abort", {}, status=202)


async def test_a_locked_server_refuses_its_members_with_the_reason(scene: Scene) -> None:
    server = await scene.server("safe")
    path = f"/compute/v2.1/servers/{server['id']}"
    await scene.user.post(path + "/action", {"lock": {"locked_reason": "mine"}}, status=202, headers=VERSION)
    refused = await scene.user.delete(path, status=409)
    assert "mine" in refused.json["conflictingRequest"]["message"]
    await scene.user.post(path + "/action", {"unlock": None}, status=202)
    await scene.user.delete(path, status=204)
    await scene.settled()


async def test_another_project_sees_nothing_of_a_server(scene: Scene, stranger: Persona) -> None:
    server = await scene.server("private")
    path = f"/compute/v2.1/servers/{server['id']}"
    for method, where, body in (
        ("GET", path, None), ("DELETE", path, None), ("PUT", path, {"server": {"name": "stolen"}}),
        ("POST", path + "/action", {"os-stop": None}), ("GET", path + "/os-interface", None),
    ):
        answer = await stranger.request(method, where, body, status=404)
        assert server["name"] not in answer.body.decode()
    assert (await scene.show(server))["name"] == "private"


async def test_a_port_is_attached_and_detached(scene: Scene) -> None:
    server = await scene.server("two-legged")
    path = f"/compute/v2.1/servers/{server['id']}/os-interface"
    made = await scene.user.post(path, {"interfaceAttachment": {"net_id": scene.network_id}}, status=200)
    port_id = made.json["interfaceAttachment"]["port_id"]
    listed = await scene.user.get(path, status=200)
    assert [one["port_id"] for one in listed.json["interfaceAttachments"]][1:] == [port_id], "the new one, not the old"
    [guest] = [one for one in (await scene.host.driver.list()).guests if one.guest_id == server["id"]]
    assert guest.ports is not None and len(guest.ports) == 2 and port_id in guest.ports
    await scene.user.delete(f"{path}/{port_id}", status=202)
    await scene.settled()
    listed = await scene.user.get(path, status=200)
    assert port_id not in {one["port_id"] for one in listed.json["interfaceAttachments"]}


@pytest.mark.parametrize(
    ("change", "status", "word"),
    [
        ({"flavorRef": "no-such"}, 400, "Flavor"),
        ({"imageRef": "6a8f8f84-0000-4000-8000-000000000000"}, 400, "image"),
        ({"key_name": "nobody"}, 400, "key_name"),
        ({"name": ""}, 400, "name"),
        ({"name": None}, 400, "name"),
        ({"name": "x" * 256}, 400, "name"),
        ({"colour": "blue"}, 400, "colour"),
        ({"networks": "everything"}, 400, "networks"),
        ({"networks": [{"uuid": "6a8f8f84-0000-4000-8000-000000000000"}]}, 400, "network"),
        ({"user_data": "not base64!"}, 400, "user_data"),
        ({"metadata": {"a": 1}}, 400, "metadata"),
        ({"min_count": 0}, 400, "min_count"),
        ({"min_count": 3, "max_count": 2}, 400, "min_count"),
        ({"availability_zone": "moon"}, 400, "zone"),
        ({"security_groups": [{"name": "nobody"}]}, 400, "nobody"),
        ({"host": "somewhere"}, 403, "admin"),
    ],
)
async def test_a_bad_wish_is_refused_and_leaves_nothing(
    scene: Scene, change: dict[str, Any], status: int, word: str
) -> None:
    before = await scene.used()
    body = scene.wish("bad")
    body["server"] |= change
    answer = await scene.user.post(
        "/compute/v2.1/servers", body, headers={"OpenStack-API-Version": "compute 2.90"}, status=status
    )
    (fault,) = answer.json.values()
    assert fault["code"] == status
    assert word.lower() in fault["message"].lower()
    assert await scene.used() == before
    listed = await scene.user.get("/compute/v2.1/servers?name=bad", status=200)
    assert listed.json["servers"] == []


async def test_quota_refuses_with_used_limit_and_asked(scene: Scene) -> None:
    answer = await scene.user.post("/compute/v2.1/servers", scene.wish("many", min_count=500), status=403)
    message = answer.json["forbidden"]["message"]
    assert "requested 500" in message
    assert "instances" in message


async def test_a_rehearsed_create_changes_nothing(scene: Scene) -> None:
    before = await scene.used()
    answer = await scene.user.post(
        "/compute/v2.1/servers", scene.wish("dry"), headers={"X-Dry-Run": "true"}, status=202
    )
    assert answer.json["server"]["id"]
    assert await scene.used() == before
    await scene.user.get(f"/compute/v2.1/servers/{answer.json['server']['id']}", status=404)


async def test_an_access_address_has_one_spelling(scene: Scene) -> None:
    long, short = "0000:0000:0000:0000:0000:babe:220.12.22.2", "::babe:dc0c:1602"
    body = scene.wish("reached", accessIPv6=long)
    server = (await scene.user.post("/compute/v2.1/servers", body, status=202)).json["server"]
    await scene.settled()
    assert (await scene.show(server))["accessIPv6"] == short
    address = f"/compute/v2.1/servers/{server['id']}"
    changed = await scene.user.put(address, {"server": {"accessIPv6": long.replace("babe", "BEEF")}}, status=200)
    assert changed.json["server"]["accessIPv6"] == "::beef:dc0c:1602"
    cleared = await scene.user.put(address, {"server": {"accessIPv6": None}}, status=200)
    assert cleared.json["server"]["accessIPv6"] == ""


async def test_xct_07_pages_are_stable_and_linked(scene: Scene) -> None:
    made = {(await scene.server(f"page-{i}"))["id"] for i in range(3)}
    seen: list[str] = []
    path = "/compute/v2.1/servers?limit=1&name=page-"
    while path:
        page = (await scene.user.get(path, status=200)).json
        seen += [one["id"] for one in page["servers"]]
        links = page.get("servers_links", [])
        path = "/compute/v2.1" + links[0]["href"].partition("/compute/v2.1")[2] if links else ""
        path = path + "&name=page-" if path and "name=" not in path else path
    assert set(seen) == made
    assert len(seen) == 3


async def test_an_image_whose_content_nobody_hashed_yet_is_not_booted_and_the_fault_says_so(scene: Scene) -> None:
    """Content at a location counts as the image's at once, and is read for its hash afterwards."""

    def unhash(tx: Tx, ctx: Context) -> None:
        tx.execute(IMAGES.update().where(IMAGES.c.id == scene.image_id).values(sha512=None))

    await internal(scene.cloud.core).write(unhash)
    server = await scene.server("too-early", expect="ERROR")
    assert "os_hash_value" in server["fault"]["message"] and scene.image_id in server["fault"]["message"]
    assert (await scene.used())["instances"] == 1, "it is there, to be looked at and deleted"
