# SPDX-License-Identifier: Apache-2.0
"""What a second read of the servers found: races, stuck states and ways around a rule, each as a story.

What servers ordinarily do is test_servers.py and test_actions.py.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from skyhold.compute.drivers.base import GuestStatus, InstanceMetadata
from skyhold.compute.loops import power_sync
from skyhold.compute.servers import describe, lists
from skyhold.core.bus import StaleFence
from skyhold.core.context import internal
from skyhold.core.saga import asking
from skyhold.host.metadata.server import MetadataServer
from skyhold.host.shelf import MetadataShelf
from tests.kit.patience import PATIENCE_S, until
from tests.story.compute.scene import VERSION, Scene, make_scene

SERVERS = "/compute/v2.1/servers"


async def test_an_images_owner_cannot_force_a_host_by_a_property(scene: Scene) -> None:
    """`skyhold:host` is where the program keeps an administrator's word."""
    change = [{"op": "add", "path": "/skyhold:host", "value": "no-such-host"}]
    await scene.user.patch(
        f"/image/v2/images/{scene.image_id}", change, status=200,
        content_type="application/openstack-images-v2.1-json-patch",
    )
    await scene.server("free")


async def test_an_owner_cannot_take_over_an_administrators_lock(scene: Scene) -> None:
    server = await scene.server("locked")
    action = f"{SERVERS}/{server['id']}/action"
    await scene.cloud.admin.post(action, {"lock": None}, status=202)
    await scene.user.post(action, {"lock": None}, status=202)
    refused = await scene.user.post(action, {"unlock": None}, status=403)
    assert "unlock_override" in refused.json["forbidden"]["message"]
    await scene.user.post(action, {"os-stop": None}, status=409)
    await scene.cloud.admin.post(action, {"unlock": None}, status=202)


async def test_an_absurd_count_is_answered_at_once_with_what_fits(scene: Scene) -> None:
    quota = {"quota_set": {"instances": 2, "force": True}}
    await scene.cloud.admin.put(f"/compute/v2.1/os-quota-sets/{scene.user.project_id}", quota, status=200)
    async with asyncio.timeout(PATIENCE_S):
        await scene.user.post(SERVERS, scene.wish("many", max_count=10**15), status=202)
    await scene.user.post(SERVERS, scene.wish("too-many", min_count=10**15, max_count=10**15), status=400)
    await scene.settled()
    listed = await scene.user.get(SERVERS, status=200)
    assert sorted(server["name"] for server in listed.json["servers"]) == ["many-1", "many-2"]


async def test_a_hosts_old_answer_does_not_undo_what_came_after_it(scene: Scene) -> None:
    """The host was asked, then the server was stopped, then the answer was looked at."""
    server = await scene.server("quick")
    ctx = internal(scene.cloud.core)
    asked_at, before = ctx.now, [GuestStatus(guest_id=server["id"], power="running")]
    await scene.act(server, {"os-stop": None})
    await ctx.write(power_sync.compare, scene.host.host_id, before, asked_at)
    assert (await scene.show(server))["status"] == "SHUTOFF"
    # A server made after the host was asked isn't missing there.
    other = await scene.server("newer")
    await ctx.write(power_sync.compare, scene.host.host_id, before, asked_at)
    assert (await scene.show(other))["status"] == "ACTIVE"
    # Asked later, the host is right.
    await ctx.write(power_sync.compare, scene.host.host_id, before, ctx.now)
    assert (await scene.show(server))["status"] == "ACTIVE"


async def test_a_task_ends_when_its_host_stays_away(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the stop nor the image waits for hours: both are given up, and the reason is told."""
    server = await scene.server("left-alone")
    monkeypatch.setattr(asking, "AWAY_US", 0)
    away(scene, monkeypatch)
    action = f"{SERVERS}/{server['id']}/action"
    for body in ({"os-stop": None}, {"createImage": {"name": "never"}}, {"reboot": {"type": "HARD"}}):
        await scene.user.post(action, body, status=202)
        await scene.settled()
        shown = await scene.show(server)
        assert (shown["status"], shown["OS-EXT-STS:task_state"]) == ("ACTIVE", None), body
        listed = await scene.user.get(f"{SERVERS}/{server['id']}/os-instance-actions", headers=VERSION, status=200)
        last = listed.json["instanceActions"][0]
        assert last["message"] == "Error", last
    images = await scene.user.get("/image/v2/images?name=never", status=200)
    assert images.json["images"] == []


def away(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    from skyhold.core.bus import HostUnreachable

    async def gone(*args: Any, **kw: Any) -> Any:
        raise HostUnreachable("away")

    monkeypatch.setattr(scene.cloud.core.bus, "call", gone)


async def test_a_host_that_comes_back_is_told_what_changed_meanwhile(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = await scene.server("renamed")
    with monkeypatch.context() as gone:
        away(scene, gone)
        body = {"metadata": {"color": "blue"}}
        await scene.user.post(f"{SERVERS}/{server['id']}/metadata", body, status=200)
        await asyncio.sleep(0.05)
    told: list[InstanceMetadata] = []
    call = scene.cloud.core.bus.call

    async def hear(host_id: str, verb: str, body: Any, **more: Any) -> Any:
        if verb == "guest.metadata":
            told.append(body)
        return await call(host_id, verb, body, **more)

    monkeypatch.setattr(scene.cloud.core.bus, "call", hear)
    link = scene.cloud.core.bus._links[scene.host.host_id]
    link._writer.close()
    await until(lambda: any(each.server_id == server["id"] and each.meta == {"color": "blue"} for each in told))


async def test_metadata_told_late_does_not_outlive_its_server(scene: Scene) -> None:
    server = await scene.server("gone-soon")
    late = await internal(scene.cloud.core).read(describe.metadata, server["id"])
    await scene.user.delete(f"{SERVERS}/{server['id']}", status=204)
    await scene.settled()
    await scene.cloud.core.bus.call(scene.host.host_id, "guest.metadata", late)
    assert not list((scene.host.state_dir / "metadata").glob(f"{server['id']}*"))
    assert await internal(scene.cloud.core).read(describe.metadata, server["id"]) is None


def test_a_torn_file_of_metadata_does_not_keep_the_agent_down(tmp_path: Path) -> None:
    (tmp_path / "torn.msgpack").write_bytes(b"")
    (tmp_path / "cut.msgpack").write_bytes(b"\x85\xa9server")
    shelf = MetadataShelf(tmp_path, MetadataServer())
    assert shelf.holds("torn") and not shelf.holds("other")


async def test_a_guest_of_another_cloud_is_left_alone_and_a_deleted_servers_is_not(scene: Scene) -> None:
    """A control plane with an empty database must not wipe the hosts that connect to it."""
    server = await scene.server("stray")
    await scene.user.delete(f"{SERVERS}/{server['id']}", status=204)
    await scene.settled()
    ctx = internal(scene.cloud.core)
    foreign = "0f0f0f0f-0000-4000-8000-00000000000f"
    seen = [GuestStatus(guest_id=foreign, power="running"), GuestStatus(guest_id=server["id"], power="running")]
    unwanted = await ctx.write(power_sync.compare, scene.host.host_id, seen, ctx.now)
    assert [guest_id for guest_id, _ in unwanted] == [server["id"]]


async def test_a_marker_tells_nothing_about_others(scene: Scene) -> None:
    server = await scene.server("secret")
    unknown_id = "77777777-7777-4777-8777-777777777777"
    stranger = await scene.cloud.project(["member"])
    foreign = await stranger.get(f"{SERVERS}?marker={server['id']}", status=400)
    unknown = await stranger.get(f"{SERVERS}?marker={unknown_id}", status=400)
    assert foreign.body.decode().replace(server["id"], unknown_id) == unknown.body.decode()


async def test_a_name_may_be_anchored(scene: Scene) -> None:
    for name in ("web", "web-2", "my-web"):
        await scene.user.post(SERVERS, scene.wish(name), status=202)
    await scene.settled()

    async def named(pattern: str) -> list[str]:
        listed = await scene.user.get(SERVERS, {"name": pattern}, status=200)
        return sorted(server["name"] for server in listed.json["servers"])

    assert await named("web") == ["my-web", "web", "web-2"]
    assert await named("^web$") == ["web"]
    assert await named("^web") == ["web", "web-2"]
    assert await named("^w.*2$") == ["web-2"]


async def test_a_member_who_asks_for_deleted_servers_gets_the_living(scene: Scene) -> None:
    gone, here = await scene.server("gone"), await scene.server("here")
    await scene.user.delete(f"{SERVERS}/{gone['id']}", status=204)
    await scene.settled()
    listed = await scene.user.get(f"{SERVERS}?deleted=True", status=200)
    assert [server["id"] for server in listed.json["servers"]] == [here["id"]]
    refused = await scene.user.get(f"{SERVERS}?status=DELETED", status=403)
    assert "role admin" in refused.json["forbidden"]["message"]


async def test_a_renamed_servers_metadata_says_so(scene: Scene) -> None:
    server = await scene.server("before")
    await scene.user.put(f"{SERVERS}/{server['id']}", {"server": {"name": "after"}}, status=200)
    path = scene.host.state_dir / "metadata" / f"{server['id']}.msgpack"
    await until(lambda: b"after" in path.read_bytes())


async def test_servers_of_one_request_have_names_no_longer_than_any(scene: Scene) -> None:
    await scene.user.post(SERVERS, scene.wish("n" * 255, min_count=2), status=202)
    await scene.settled()
    listed = await scene.user.get(SERVERS, status=200)
    assert sorted(server["name"] for server in listed.json["servers"]) == ["n" * 253 + "-1", "n" * 253 + "-2"]


async def test_as_many_as_fit_are_made_when_cores_are_short(scene: Scene) -> None:
    quota = {"quota_set": {"instances": 900, "cores": 3, "ram": 128 * 2 + 1, "force": True}}
    await scene.cloud.admin.put(f"/compute/v2.1/os-quota-sets/{scene.user.project_id}", quota, status=200)
    await scene.user.post(SERVERS, scene.wish("few", max_count=1000), status=202)
    await scene.settled()
    assert await scene.used() == {"instances": 2, "cores": 2, "ram": 256}


async def test_the_next_page_is_of_the_same_list(scene: Scene) -> None:
    for name in ("b", "a", "c", "other"):
        await scene.server(name)
    path = f"{SERVERS}/detail?limit=1&sort_key=display_name&sort_dir=asc&power_state=1&status=ACTIVE"
    seen: list[str] = []
    while path:
        body = (await scene.user.get(path, headers=VERSION, status=200)).json
        seen += [server["name"] for server in body["servers"]]
        path = next((link["href"] for link in body.get("servers_links", ())), "")
        path = path[path.find("/compute/"):] if path else ""
    assert seen == ["a", "b", "c", "other"]
    assert (await scene.user.get(f"{SERVERS}?power_state=4", status=200)).json["servers"] == []
    await scene.user.get(f"{SERVERS}?power_state=%C2%B2", status=400)


async def test_many_tags_are_one_question(scene: Scene) -> None:
    server = await scene.server("tagged")
    await scene.user.put(f"{SERVERS}/{server['id']}/tags", {"tags": ["red", "blue"]}, headers=VERSION, status=200)
    for query, expected in (
        ("tags=red,blue", 1), ("tags=red" + ",red" * 2000, 1), ("tags=red,green", 0), ("tags-any=green,blue", 1),
        ("tags=" + ",".join(map(str, range(2000))), 0),
    ):
        found = (await scene.user.get(f"{SERVERS}?{query}", headers=VERSION, status=200)).json["servers"]
        assert len(found) == expected, query[:40]


@pytest.mark.parametrize("amount", ["\u00b2", "9" * 200])
async def test_a_resource_that_no_host_could_have_finds_none(scene: Scene, amount: str) -> None:
    flavor = await scene.flavor()
    specs = {"extra_specs": {"resources:VCPU": amount}}
    await scene.cloud.admin.post(f"/compute/v2.1/flavors/{flavor}/os-extra_specs", specs, status=200)
    await scene.server("asks", flavor=flavor, expect="ERROR" if amount.isascii() else "ACTIVE")


async def test_an_address_without_a_network_is_refused_and_a_tag_is_kept(scene: Scene) -> None:
    server = await scene.server("cards")
    path = f"{SERVERS}/{server['id']}/os-interface"
    alone = {"interfaceAttachment": {"fixed_ips": [{"ip_address": "10.20.30.77"}]}}
    await scene.user.post(path, alone, headers=VERSION, status=400)
    made = await scene.user.post(path, {"interfaceAttachment": {"tag": "second"}}, headers=VERSION, status=200)
    assert made.json["interfaceAttachment"]["tag"] == "second"


async def test_a_host_that_heard_newer_words_keeps_no_other_from_being_looked_at(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    async def stale(ctx: Any, host_id: str) -> None:
        asked.append(host_id)
        raise StaleFence("newer words", 7)

    monkeypatch.setattr(power_sync, "sync_host", stale)
    await power_sync.run(internal(scene.cloud.core))
    assert asked


async def test_servers_are_found_by_address_among_ones_own(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many others have the same one: here no more than one is looked for."""
    monkeypatch.setattr(lists, "MOST_FOUND", 1)
    theirs = await make_scene(scene.cloud, scene.host)
    asked = "10.20.30"
    for each in (scene, theirs):
        server = await each.server("same-address")
        found = (await each.user.get(f"{SERVERS}?ip={asked}", status=200)).json["servers"]
        assert [one["id"] for one in found] == [server["id"]]
    for each in (scene, theirs):
        assert len((await each.user.get(f"{SERVERS}?ip={asked}", status=200)).json["servers"]) == 1
    everyones = f"{SERVERS}?all_tenants=1&ip={asked}"
    refused = await scene.cloud.admin.get(everyones, status=400)
    assert "more of the address" in refused.json["badRequest"]["message"], "it was cut off without a word"
    one = await scene.cloud.admin.get(f"{everyones}&project_id={theirs.user.project_id}", status=200)
    assert [each["id"] for each in one.json["servers"]] == [server["id"]]
