# SPDX-License-Identifier: Apache-2.0
"""Stories of content that stays elsewhere (GLA-09), and of the cache for stores that are slow to read (GLA-10).

The web is a server of the story's own. What hosts do with images that have no hash is compute's.
"""

from __future__ import annotations

import asyncio
import hashlib
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import sqlalchemy as sa
from aiohttp import web

from skyhold.core import context
from skyhold.core.settings.sections import Image, Outbound
from skyhold.core.tables import JOURNAL
from skyhold.image import blobs
from skyhold.image.drivers.fake import FakeStore
from skyhold.image.sagas import hash_location
from tests.story.image.conftest import House, ImageUser, aborted_after, start_house, user_of
from tests.story.image.test_signatures import keep
from tests.unit.image.signing import certify, key, properties

CONTENT = bytes(range(256)) * 3000
SHA256 = hashlib.sha256(CONTENT).hexdigest()
SHA512 = hashlib.sha512(CONTENT).hexdigest()
STORES = '[file]\ntype = "file"\ndefault = true\nweight = 2\n[web]\ntype = "http"\n'


class Site:
    """Counts who asked for /disk; /endless never says how long it is but to HEAD."""

    def __init__(self) -> None:
        self.asked, self.content, self.url = 0, CONTENT, ""

    async def disk(self, request: web.Request) -> web.StreamResponse:
        self.asked += request.method == "GET"
        start = request.http_range.start or 0
        return web.Response(body=self.content[start:], status=206 if start else 200)

    async def endless(self, request: web.Request) -> web.StreamResponse:
        if request.method == "HEAD":
            return web.Response(headers={"Content-Length": "100000000"})
        answer = web.StreamResponse()
        await answer.prepare(request)
        for _ in range(600):
            await answer.write(bytes(65536))
            await asyncio.sleep(0.05)
        return answer


@pytest_asyncio.fixture
async def site() -> AsyncIterator[Site]:
    made = Site()
    app = web.Application()
    app.router.add_get("/disk", made.disk)
    app.router.add_get("/endless", made.endless)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield made
    await runner.cleanup()


@pytest_asyncio.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    (tmp_path / "image-stores.toml").write_text(STORES)
    made = await start_house(
        tmp_path, outbound=Outbound(allow=["127.0.0.0/8"]),
        image=Image(show_multiple_locations=True, cache_size_bytes=2_000_000),
    )
    yield made
    await made.core.stop()


async def add(house: House, me: ImageUser, image_id: str, url: str, status: int = 202, **promise: Any) -> Any:
    body = {"url": url, **({"validation_data": promise} if promise else {})}
    answer = await me.post(f"/v2/images/{image_id}/locations", body, status=status)
    assert await house.core.sagas.idle()
    return answer


async def task_of(me: ImageUser, image_id: str) -> dict[str, Any]:
    (task,) = (await me.get(f"/v2/images/{image_id}/tasks", status=200)).json["tasks"]
    return task


# ---- the newer way ---------------------------------------------------------------------------


async def test_a_location_is_read_and_hashed_gla_09(house: House, site: Site) -> None:
    me = house.someone()
    image = await me.image()
    await add(house, me, image["id"], site.url + "/disk")
    shown = await me.look(image["id"])
    assert shown["status"] == "active" and shown["stores"] == "web" and shown["size"] == len(CONTENT)
    assert (shown["os_hash_algo"], shown["os_hash_value"]) == ("sha512", SHA512)
    assert shown["checksum"] == hashlib.md5(CONTENT, usedforsecurity=False).hexdigest()
    task = await task_of(me, image["id"])
    assert task["type"] == "location_import" and task["status"] == "success"
    got = await me.get(f"/v2/images/{image['id']}/file", headers={"Range": "bytes=1000-1999"}, status=206)
    assert got.body == CONTENT[1000:2000]
    await add(house, me, image["id"], site.url + "/disk#2", status=409)
    await me.delete(f"/v2/images/{image['id']}", status=204)


async def test_a_hashing_aborted_when_it_was_done_has_succeeded(
    house: House, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    aborted_after(monkeypatch, hash_location, "settled")
    me = house.someone()
    image = await me.image()
    await add(house, me, image["id"], site.url + "/disk")
    shown = await me.look(image["id"])
    assert (shown["status"], shown["os_hash_value"]) == ("active", SHA512)
    assert (await task_of(me, image["id"]))["status"] == "success"


async def test_a_promised_hash_is_checked(house: House, site: Site) -> None:
    me = house.someone()
    kept, broken = await me.image(), await me.image()
    await add(house, me, kept["id"], site.url + "/disk", os_hash_algo="sha256", os_hash_value=SHA256)
    shown = await me.look(kept["id"])
    assert (shown["os_hash_algo"], shown["os_hash_value"]) == ("sha256", SHA256) and shown["status"] == "active"
    await add(house, me, broken["id"], site.url + "/disk", os_hash_algo="sha512", os_hash_value="beefdead" * 16)
    shown = await me.look(broken["id"])
    assert shown["status"] == "queued" and shown["stores"] == "web" and shown["os_hash_value"] is None
    assert "promised" in (await task_of(me, broken["id"]))["message"]
    assert (await me.get(f"/v2/images/{broken['id']}/file", status=204)).body == b""
    await me.upload(broken["id"], b"something else", status=204)
    assert (await me.look(broken["id"]))["stores"] == "file"


async def test_a_signature_is_a_promise_too_gla_12(house: House, site: Site) -> None:
    me = house.someone()
    certificate_id = keep(house, certify("me", key("RSA-PSS")))
    good = await me.image(**properties("RSA-PSS", "SHA-256", CONTENT, certificate_id))
    await add(house, me, good["id"], site.url + "/disk")
    shown = await me.look(good["id"])
    assert shown["status"] == "active" and shown["os_hash_value"] == SHA512
    other = properties("RSA-PSS", "SHA-256", CONTENT + b"!", certificate_id)
    nobodys = properties("RSA-PSS", "SHA-256", CONTENT, str(uuid.uuid4()))
    for signed, word in ((other, "not what was signed"), (nobodys, "no certificate")):
        image = await me.image(**signed)
        await add(house, me, image["id"], site.url + "/disk")
        shown = await me.look(image["id"])
        assert shown["status"] == "queued" and shown["os_hash_value"] is None
        assert word in (await task_of(me, image["id"]))["message"]
    odd = await me.image(**other | {"img_signature_hash_method": "MD5"})
    await add(house, me, odd["id"], site.url + "/disk", status=400)


@pytest.mark.parametrize(("url", "promise"), [
    ("gopher://info.test", {}), ("http://169.254.169.254/x", {}), ("$/nothing", {}), ("file:///etc/passwd", {}),
    ("$/disk", {"os_hash_value": SHA512}), ("$/disk", {"os_hash_algo": "sha123", "os_hash_value": SHA512}),
    ("$/disk", {"os_hash_algo": "sha512", "os_hash_value": SHA256}), ("$/disk", {"os_hash_algo": "sha512"}),
    ("$/disk", {"os_hash_algo": "sha256", "os_hash_value": "z" * 64}),
])
async def test_a_location_that_cannot_be_is_refused(house: House, site: Site, url: str, promise: Any) -> None:
    me = house.someone()
    image = await me.image()
    await add(house, me, image["id"], url.replace("$", site.url), status=400, **promise)
    assert (await me.look(image["id"]))["status"] == "queued"


async def test_deleting_an_image_ends_the_reading_of_its_location(house: House, site: Site) -> None:
    me = house.someone()
    image = await me.image()
    await me.post(f"/v2/images/{image['id']}/locations", {"url": site.url + "/endless"}, status=202)
    shown = await me.look(image["id"])
    assert shown["status"] == "active" and shown["os_hash_algo"] == "sha512" and shown["os_hash_value"] is None
    await me.delete(f"/v2/images/{image['id']}", status=204)
    assert await house.core.sagas.idle(10)


async def test_services_are_told_where_content_is_and_users_not(house: House, site: Site) -> None:
    me = house.someone()
    image = await me.image()
    await add(house, me, image["id"], site.url + "/disk")
    await me.get(f"/v2/images/{image['id']}/locations", status=403)
    service = user_of(house.core.asgi, me.project_id, "service")
    told = (await service.get(f"/v2/images/{image['id']}/locations", status=200)).json
    assert told == [{"url": site.url + "/disk", "metadata": {"store": "web"}}]


# ---- the older way ---------------------------------------------------------------------------


async def two_locations(me: ImageUser, site: Site) -> dict[str, Any]:
    image = await me.image()
    assert image["locations"] == []
    for tail, told in (("/disk", {"foo": "bar"}), ("/disk#new", {"speed": "88mph"})):
        change = {"op": "add", "path": "/locations/-", "value": {"url": site.url + tail, "metadata": told}}
        await me.change(image["id"], change, status=200)
    return await me.look(image["id"])


async def test_locations_are_patched_in_and_the_administrator_takes_them_out(house: House, site: Site) -> None:
    me, admin = house.someone(), house.someone("admin")
    image = await two_locations(me, site)
    assert image["status"] == "active" and image["os_hash_value"] is None and image["stores"] == "web"
    first, second = image["locations"]
    assert first["metadata"]["foo"] == "bar" and second["url"].endswith("#new")
    await me.change(image["id"], {"op": "remove", "path": "/locations/0"}, status=403)
    await admin.change(image["id"], {"op": "remove", "path": "/locations/7"}, status=400)
    await admin.change(image["id"], {"op": "remove", "path": "/locations/0"}, status=200)
    assert (await me.look(image["id"]))["locations"] == [second]
    await admin.change(image["id"], {"op": "remove", "path": "/locations/0"}, status=403)
    assert (await me.get(f"/v2/images/{image['id']}/file", status=200)).body == CONTENT


async def test_replacing_changes_metadata_alone(house: House, site: Site) -> None:
    me = house.someone()
    image = await two_locations(me, site)
    before = image["locations"]
    before[0]["metadata"]["date"] = "2015-10-15"
    await me.change(image["id"], {"op": "replace", "path": "/locations", "value": before}, status=200)
    for wrong in (before[:1], [before[0], {**before[1], "url": site.url + "/disk#3"}], "x", [7], [{"url": 3}]):
        await me.change(image["id"], {"op": "replace", "path": "/locations", "value": wrong}, status=400)
    assert (await me.look(image["id"]))["locations"] == before


async def test_a_hash_given_once_is_not_contradicted(house: House, site: Site) -> None:
    me = house.someone()
    image = await me.image()
    said = {"checksum": "1" * 32, "os_hash_algo": "sha512", "os_hash_value": "deadbeef" * 16}

    def adding(tail: str, data: Any) -> dict[str, Any]:
        return {"op": "add", "path": "/locations/-", "value": {"url": site.url + tail, "validation_data": data}}

    await me.change(image["id"], adding("/disk", said), status=200)
    for name, value in (("checksum", "2" * 32), ("os_hash_value", "beefdead" * 16), ("os_hash_algo", "sha256")):
        other = {**said, name: value, **({"os_hash_value": "beefdead" * 8} if name == "os_hash_algo" else {})}
        await me.change(image["id"], adding("/disk#2", other), status=409)
    await me.change(image["id"], adding("/disk#2", said), status=200)
    shown = await me.look(image["id"])
    assert len(shown["locations"]) == 2 and shown["checksum"] == "1" * 32
    assert shown["os_hash_value"] == "deadbeef" * 16 and "validation_data" not in shown["locations"][0]


async def test_locations_are_shown_and_set_only_where_the_operator_wants_it(tmp_path: Path, site: Site) -> None:
    (tmp_path / "image-stores.toml").write_text(STORES)
    house = await start_house(tmp_path)
    try:
        me = house.someone()
        image = await me.image(CONTENT)
        assert "locations" not in image and "direct_url" not in image
        change = {"op": "add", "path": "/locations/-", "value": {"url": site.url + "/disk"}}
        await me.change(image["id"], change, status=403)
    finally:
        await house.core.stop()


async def test_the_place_that_is_read_first_is_shown_where_the_operator_wants_it(tmp_path: Path, site: Site) -> None:
    (tmp_path / "image-stores.toml").write_text(STORES)
    house = await start_house(
        tmp_path, outbound=Outbound(allow=["127.0.0.0/8"]), image=Image(show_image_direct_url=True)
    )
    try:
        me = house.someone()
        elsewhere, here, nowhere = await me.image(), await me.image(CONTENT), await me.image()
        await add(house, me, elsewhere["id"], site.url + "/disk")
        assert (await me.look(elsewhere["id"]))["direct_url"] == site.url + "/disk"
        assert here["direct_url"].startswith("file://file/") and str(tmp_path) not in here["direct_url"]
        assert "direct_url" not in nowhere and "locations" not in here
        await me.post("/v2/images", {"direct_url": "http://elsewhere.test/"}, status=403)
    finally:
        await house.core.stop()


async def test_the_location_of_an_upload_tells_no_path_of_the_machine(house: House) -> None:
    me = house.someone()
    image = await me.image(CONTENT)
    (location,) = image["locations"]
    assert location["url"].startswith(f"file://file/{image['id']}/") and location["metadata"] == {"store": "file"}


# ---- the cache -------------------------------------------------------------------------------


async def cached(house: House, admin: ImageUser) -> list[str]:
    await house.core.loops.run_once("image.caching")
    told = (await admin.get("/v2/cache", status=200)).json
    assert told["queued_images"] == []
    return [each["image_id"] for each in told["cached_images"]]


async def test_what_is_slow_to_read_is_fetched_once_gla_10(house: House, site: Site) -> None:
    me, admin = house.someone(), house.someone("admin")
    image = await me.image()
    await add(house, me, image["id"], site.url + "/disk")
    await me.get(f"/v2/images/{image['id']}/file", status=200)
    assert await cached(house, admin) == [image["id"]]
    assert (await admin.get(f"/v2/cache/nodes/{image['id']}", status=200)).json == [
        house.core.settings.public_url + "/image"
    ]
    await me.get(f"/v2/cache/nodes/{image['id']}", status=403)
    await admin.get("/v2/cache/nodes/nothing", status=404)
    asked = site.asked
    for _ in range(3):
        assert (await me.get(f"/v2/images/{image['id']}/file", status=200)).body == CONTENT
    assert site.asked == asked
    (told,) = (await admin.get("/v2/cache", status=200)).json["cached_images"]
    assert told["hits"] == 3 and told["size"] == len(CONTENT) and told["last_accessed"] > 0
    await me.delete(f"/v2/images/{image['id']}", status=204)
    assert await cached(house, admin) == []
    assert not [path for path in house.core.settings.image_cache_dir.rglob("*") if path.is_file()]


async def test_the_administrator_fills_and_empties_the_cache(house: House) -> None:
    me, admin = house.someone(), house.someone("admin")
    await me.get("/v2/cache", status=403)
    await admin.put("/v2/cache/nothing", status=404)
    queued, image = await me.image(), await me.image(CONTENT)
    await admin.put(f"/v2/cache/{queued['id']}", status=400)
    for _ in range(2):
        await admin.put(f"/v2/cache/{image['id']}", status=202)
    assert await cached(house, admin) == [image["id"]]
    await admin.delete("/v2/cache", headers={"x-image-cache-clear-target": "invalid"}, status=400)
    await admin.delete("/v2/cache", headers={"x-image-cache-clear-target": "queue"}, status=204)
    assert await cached(house, admin) == [image["id"]]
    await admin.post("/v2/cache/clean", status=204)
    await admin.delete(f"/v2/cache/{image['id']}", status=204)
    await admin.delete(f"/v2/cache/{image['id']}", status=404)
    assert await cached(house, admin) == []


async def test_what_is_done_to_the_cache_stands_in_the_journal(house: House) -> None:
    """Once for each request that changed something, under its id; what the loop does by itself does not."""
    me, admin = house.someone(), house.someone("admin")
    image = await me.image(CONTENT)
    path = f"/v2/cache/{image['id']}"
    asked = [
        (await admin.put(path, status=202), "cached_image.queue", image["id"]),
        (await admin.delete(path, status=204), "cached_image.delete", image["id"]),
        (await admin.put(path, status=202), "cached_image.queue", image["id"]),
        (await admin.delete("/v2/cache", status=204), "image_cache.clear", "cloud"),
        (await admin.post("/v2/cache/clean", status=204), "image_cache.clean", "cloud"),
        (await admin.post("/v2/cache/prune", status=200), "image_cache.prune", "cloud"),
    ]
    rehearsed = await admin.put(path, headers={"X-Dry-Run": "true"}, status=202)
    await cached(house, admin)
    told = sa.select(JOURNAL).where(JOURNAL.c.kind.in_(["cached_image", "image_cache"])).order_by(JOURNAL.c.id)
    rows = await context.internal(house.core).read(lambda tx, ctx: tx.all(told))
    assert [(row.action, row.resource_id) for row in rows] == [(action, id) for _, action, id in asked]
    assert [row.request_id for row in rows] == [answer.headers["x-openstack-request-id"] for answer, _, _ in asked]
    assert rows[3].state == {"name": "cloud", "target": "both", "images": 1}
    assert rehearsed.headers["x-openstack-request-id"] not in {row.request_id for row in rows}


async def test_the_cache_keeps_to_its_size(house: House) -> None:
    me, admin = house.someone(), house.someone("admin")
    images = [await me.image(CONTENT + bytes([i])) for i in range(4)]
    for image in images:
        await admin.put(f"/v2/cache/{image['id']}", status=202)
        await house.core.loops.run_once("image.caching")
    assert sorted(await cached(house, admin)) == sorted(image["id"] for image in images[2:])
    assert (await admin.post("/v2/cache/prune", status=200)).json == {"total_files_pruned": 0, "total_bytes_pruned": 0}


async def test_a_far_store_that_is_away_is_read_from_the_cache(house: House) -> None:
    far = FakeStore(name="far", far=True)
    house.keep_in(far)
    me, admin = house.someone(), house.someone("admin")
    image = await me.image(CONTENT)
    await admin.put(f"/v2/cache/{image['id']}", status=202)
    assert await cached(house, admin) == [image["id"]]
    far.away = True
    assert (await me.get(f"/v2/images/{image['id']}/file", status=200)).body == CONTENT
    assert blobs.stores_of(house.core).default is far
