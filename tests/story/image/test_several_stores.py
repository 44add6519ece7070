# SPDX-License-Identifier: Apache-2.0
"""Stories of images in several stores (GLA-08), each content once (GLA-16).

Imports into several stores are test_imports.py; each store's own promises are tests/drivers/image.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from skyhold.core.context import internal
from skyhold.core.settings.sections import Image
from skyhold.core.settings.whole import SettingsError
from skyhold.image import audit, blobs
from skyhold.image.drivers.fake import FakeStore
from skyhold.image.tables import BLOBS, IMAGES
from tests.story.image.conftest import House, ImageUser, start_house

CONTENT = bytes(range(256)) * 2000
FILE = """
[fast]
type = "file"
weight = 20
description = "NVMe"
[plain]
type = "file"
default = true
[web]
type = "http"
"""


async def refs(house: House) -> list[int]:
    rows = await internal(house.core).read(lambda tx, ctx: tx.all(sa.select(BLOBS.c.refs)))
    return sorted(row.refs for row in rows)


async def findings(house: House) -> list[Any]:
    return await audit.run(internal(house.core))


async def two(house: House) -> tuple[ImageUser, FakeStore, FakeStore]:
    first, second = FakeStore(name="first"), FakeStore(name="second")
    house.keep_in(first, second)
    return house.someone(), first, second


async def test_stores_are_told_with_weights_and_which_one_is_read_only_gla_08(tmp_path: Path) -> None:
    (tmp_path / "image-stores.toml").write_text(FILE)
    house = await start_house(tmp_path)
    try:
        me = house.someone()
        told = (await me.get("/v2/info/stores", status=200)).json["stores"]
        assert told == [
            {"id": "fast", "description": "NVMe", "weight": 20},
            {"id": "plain", "description": "", "weight": 0, "default": "true"},
            {"id": "web", "description": "", "weight": 0, "read-only": "true"},
        ]
        await me.get("/v2/info/stores/detail", status=403)
        detail = (await house.someone("admin").get("/v2/info/stores/detail", status=200)).json["stores"]
        assert [each["type"] for each in detail] == ["file", "file", "http"]
        made = await me.post("/v2/images", {"disk_format": "raw", "container_format": "bare"}, status=201)
        assert made.headers["openstack-image-store-ids"] == "fast,plain"
        image = await me.image(CONTENT)
        assert image["stores"] == "plain"
        assert len(list((tmp_path / "images-plain").rglob("*"))) == 2
    finally:
        await house.core.stop()


@pytest.mark.parametrize(("text", "said"), [
    ('[a]\ntype = "tape"', "type"), ('[a]\ntype = "file"\ncolour = 1', "colour"), ('[a]\ntype = "http"', "default"),
    ('[a]\ntype = "file"\ndefault = true\n[b]\ntype = "file"\ndefault = true', "exactly one"),
    ('["../x"]\ntype = "file"', "name"), ("no toml", "read"),
])
async def test_a_file_of_stores_that_cannot_be_used_stops_the_start(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "image-stores.toml").write_text(text)
    with pytest.raises(SettingsError, match=said):
        await start_house(tmp_path)


async def test_an_upload_may_choose_its_store(house: House) -> None:
    me, first, second = await two(house)
    image = await me.image()
    refused = await me.upload(image["id"], CONTENT, headers={"X-Image-Meta-Store": "third"}, status=400)
    assert "first, second" in refused.json["error"]["message"]
    await me.upload(image["id"], CONTENT, headers={"X-Image-Meta-Store": "second"}, status=204)
    assert (await me.look(image["id"]))["stores"] == "second"
    assert len(second.keys()) == 1 and first.keys() == []


async def test_equal_content_is_stored_once_and_goes_with_its_last_image_gla_16(house: House) -> None:
    me, other = house.someone(), house.someone()
    mine, theirs, again = await me.image(CONTENT), await other.image(CONTENT), await me.image(CONTENT)
    assert len(house.files) == 1 and await refs(house) == [3]
    assert (await other.image(CONTENT + b"x"))["checksum"] != theirs["checksum"]
    assert await refs(house) == [1, 3]
    for who, image in ((me, mine), (other, theirs)):
        await who.delete(f"/v2/images/{image['id']}", status=204)
    assert (await me.get(f"/v2/images/{again['id']}/file", status=200)).body == CONTENT
    assert await findings(house) == []
    await me.delete(f"/v2/images/{again['id']}", status=204)
    assert len(house.files) == 1 and await refs(house) == [1]


async def test_uploads_of_one_content_at_once_keep_it_once(house: House) -> None:
    me = house.someone()
    images = [await me.image() for _ in range(6)]
    await asyncio.gather(*(me.upload(image["id"], CONTENT, status=204) for image in images))
    assert len(house.files) == 1 and await refs(house) == [6]
    gone = asyncio.gather(*(me.delete(f"/v2/images/{image['id']}", status=204) for image in images))
    late = [await me.image() for _ in range(3)]
    await asyncio.gather(gone, *(me.upload(image["id"], CONTENT, status=204) for image in late))
    assert await refs(house) == [3] and len(house.files) == 1
    for image in late:
        assert (await me.get(f"/v2/images/{image['id']}/file", status=200)).body == CONTENT
    assert await findings(house) == []


async def test_the_audit_recounts_references(house: House) -> None:
    me = house.someone()
    await me.image(CONTENT)
    await internal(house.core).write(lambda tx, ctx: tx.execute(BLOBS.update().values(refs=5)))
    assert [finding.kind for finding in await findings(house)] == ["image blob"]


async def test_an_image_is_taken_out_of_one_store_but_not_out_of_the_last(house: House) -> None:
    me, first, second = await two(house)
    admin = house.someone("admin")
    image = await me.image(CONTENT)
    body = {"method": {"name": "copy-image"}, "stores": ["second"]}
    await admin.post(f"/v2/images/{image['id']}/import", body, status=202)
    assert await house.core.sagas.idle()
    assert (await me.look(image["id"]))["stores"] == "first,second"
    await me.delete(f"/v2/stores/first/{image['id']}", status=403)
    await admin.delete(f"/v2/stores/tape/{image['id']}", status=409)
    await admin.delete(f"/v2/stores/first/{image['id']}", status=204)
    assert first.keys() == [] and (await me.look(image["id"]))["stores"] == "second"
    assert (await me.get(f"/v2/images/{image['id']}/file", status=200)).body == CONTENT
    await admin.delete(f"/v2/stores/first/{image['id']}", status=404)
    await admin.delete(f"/v2/stores/second/{image['id']}", status=403)
    queued = await me.image()
    await admin.delete(f"/v2/stores/second/{queued['id']}", status=409)


async def test_the_heaviest_store_is_read_first_and_another_when_it_is_away(house: House) -> None:
    me, first, second = await two(house)
    image = await me.image(CONTENT)
    body = {"method": {"name": "copy-image"}, "all_stores": True}
    await house.someone("admin").post(f"/v2/images/{image['id']}/import", body, status=202)
    assert await house.core.sagas.idle()
    first.away = True
    assert (await me.get(f"/v2/images/{image['id']}/file", status=200)).body == CONTENT
    second.away = True
    away = await me.get(f"/v2/images/{image['id']}/file", status=503)
    assert "answers" in away.json["error"]["message"]
    queued = await me.image()
    await me.upload(queued["id"], CONTENT, status=503)
    assert (await me.look(queued["id"]))["status"] == "queued"


async def test_images_of_a_release_with_one_store_are_adopted(tmp_path: Path) -> None:
    house = await start_house(tmp_path)
    me = house.someone()
    image, twin = await me.image(CONTENT), await me.image(CONTENT)
    ctx = internal(house.core)
    key = await ctx.read(lambda tx, ctx: tx.scalar(sa.select(BLOBS.c.id)))
    await ctx.write(lambda tx, ctx: tx.execute(IMAGES.update().values(locations=None, blob=key)))
    await ctx.write(lambda tx, ctx: tx.execute(BLOBS.delete()))
    await ctx.write(lambda tx, ctx: tx.execute(IMAGES.delete().where(IMAGES.c.id == twin["id"])))
    await house.core.stop()
    house = await start_house(tmp_path)
    try:
        me.app = house.core.asgi
        await house.core.loops.run_once("image.orphans")
        assert (await me.get(f"/v2/images/{image['id']}/file", status=200)).body == CONTENT
        assert await refs(house) == [1] and blobs.stores_of(house.core).default.name == "file"
    finally:
        await house.core.stop()


# ---- a disk that is really full --------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 8 MiB."""
    place = tmp_path / "small"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", place], check=True)
    yield place
    subprocess.run(["umount", place], check=True)


@pytest.mark.root
async def test_a_disk_that_fills_up_during_an_upload_is_told_and_left_clean(tmp_path: Path, small_disk: Path) -> None:
    house = await start_house(tmp_path, image=Image(store_dir=str(small_disk)))
    try:
        me = house.someone()
        image = await me.image()
        room = os.statvfs(small_disk).f_bavail
        for path in ("file", "stage"):
            # Without a length nobody can know beforehand.
            refused = await me.put(
                f"/v2/images/{image['id']}/{path}", bytes(9 << 20), content_type="application/octet-stream",
                headers={"content-length": ""}, status=413,
            )
            assert refused.json["error"]["reason"] == "storage_full"
            assert (await me.look(image["id"]))["status"] == "queued" and house.files == []
            assert os.statvfs(small_disk).f_bavail == room and await refs(house) == []
        await me.upload(image["id"], bytes(1 << 20), status=204)
        assert await findings(house) == []
    finally:
        await house.core.stop()
