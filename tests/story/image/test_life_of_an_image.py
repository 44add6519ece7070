# SPDX-License-Identifier: Apache-2.0
"""Stories of one image from creation to deletion (GLA-01), as its owner sees them.

Lists are test_lists.py, sharing is test_sharing.py, hostile content is test_hostile_content.py.
"""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path

import pytest

from skyhold.core.context import internal
from skyhold.image.drivers.fake import FakeStore
from tests.kit.patience import until
from tests.story.image.conftest import House, start_house
from tests.story.image.held import HeldStore

CONTENT = bytes(range(256)) * 5000


async def test_create_upload_download_delete_gla_01(house: House) -> None:
    me = house.someone()
    made = await me.post(
        "/v2/images",
        {"name": "disk", "disk_format": "raw", "container_format": "bare", "tags": ["b", "a", "b"], "colour": "red"},
        status=201,
    )
    image = made.json
    assert made.headers["location"].endswith("/image/v2/images/" + image["id"])
    assert image["status"] == "queued" and image["visibility"] == "shared" and image["owner"] == me.project_id
    assert image["tags"] == ["a", "b"] and image["colour"] == "red"
    assert image["size"] is None and image["checksum"] is None and image["file"].endswith("/file")

    await me.upload(image["id"], CONTENT, status=204)
    image = await me.look(image["id"])
    assert image["status"] == "active" and image["size"] == image["virtual_size"] == len(CONTENT)
    assert image["checksum"] == hashlib.md5(CONTENT, usedforsecurity=False).hexdigest()
    assert image["os_hash_algo"] == "sha512" and image["os_hash_value"] == hashlib.sha512(CONTENT).hexdigest()
    assert [path.stat().st_mode & 0o777 for path in house.files] == [0o600]

    got = await me.get(f"/v2/images/{image['id']}/file", status=200)
    assert got.body == CONTENT and got.headers["content-type"] == "application/octet-stream"
    assert got.headers["content-md5"] == image["checksum"] and got.headers["content-length"] == str(len(CONTENT))

    await me.delete(f"/v2/images/{image['id']}", status=204)
    await me.get(f"/v2/images/{image['id']}", status=404)
    await me.delete(f"/v2/images/{image['id']}", status=404)
    assert house.files == []


async def test_a_client_may_give_the_id_once(house: House) -> None:
    me = house.someone()
    wanted = "7f9b2c3e-0000-4000-8000-00000000abcd"
    assert (await me.image(id=wanted))["id"] == wanted
    taken = await me.post("/v2/images", {"id": wanted}, status=409)
    assert wanted in taken.json["error"]["message"]
    await me.post("/v2/images", {"id": "not-a-uuid"}, status=400)


@pytest.mark.parametrize(("asked", "start", "end"), [
    ("bytes=0-9", 0, 10), ("bytes=1000-", 1000, None), ("bytes=-7", -7, None), ("bytes=5-99999999", 5, None),
])
async def test_a_range_is_downloaded(house: House, asked: str, start: int, end: int | None) -> None:
    me = house.someone()
    image = await me.image(CONTENT)
    got = await me.get(f"/v2/images/{image['id']}/file", headers={"Range": asked}, status=206)
    assert got.body == CONTENT[start:end]
    first = start % len(CONTENT)
    assert got.headers["content-range"] == f"bytes {first}-{first + len(got.body) - 1}/{len(CONTENT)}"


@pytest.mark.parametrize("asked", ["bytes=9-3", "bytes=99999999-", "bytes=-", "lines=1-2", "bytes=0-1,4-5"])
async def test_a_range_that_cannot_be_given_is_416(house: House, asked: str) -> None:
    me = house.someone()
    image = await me.image(CONTENT)
    got = await me.get(f"/v2/images/{image['id']}/file", headers={"Range": asked}, status=416)
    assert got.headers["content-range"] == f"bytes */{len(CONTENT)}"


async def test_an_image_without_content_downloads_as_204(house: House) -> None:
    me = house.someone()
    image = await me.image()
    assert (await me.get(f"/v2/images/{image['id']}/file", status=204)).body == b""


async def test_an_empty_image_is_an_image(house: House) -> None:
    me = house.someone()
    image = await me.image(b"")
    assert image["status"] == "active" and image["size"] == 0


async def test_content_is_uploaded_only_once_and_only_as_octets(house: House) -> None:
    me = house.someone()
    image = await me.image(CONTENT)
    again = await me.upload(image["id"], b"other", status=409)
    assert "active" in again.json["error"]["message"]
    await me.put(f"/v2/images/{image['id']}/file", b"x", content_type="application/json", status=415)
    assert (await me.get(f"/v2/images/{image['id']}/file")).body == CONTENT


async def test_formats_must_be_set_before_the_upload(house: House) -> None:
    me = house.someone()
    image = await me.image(disk_format=None)
    refused = await me.upload(image["id"], b"x", status=400)
    assert "disk_format" in refused.json["error"]["message"]
    assert (await me.look(image["id"]))["status"] == "queued"


async def test_a_deactivated_image_is_downloaded_by_administrators_only(house: House) -> None:
    me = house.someone()
    image = await me.image(CONTENT)
    await me.post(f"/v2/images/{image['id']}/actions/deactivate", status=204)
    await me.post(f"/v2/images/{image['id']}/actions/deactivate", status=204)
    assert (await me.look(image["id"]))["status"] == "deactivated"
    refused = await me.get(f"/v2/images/{image['id']}/file", status=403)
    assert "deactivated" in refused.json["error"]["message"]
    await house.someone("admin").get(f"/v2/images/{image['id']}/file", status=200)
    await me.post(f"/v2/images/{image['id']}/actions/reactivate", status=204)
    await me.get(f"/v2/images/{image['id']}/file", status=200)


async def test_a_queued_image_cannot_be_deactivated(house: House) -> None:
    me = house.someone()
    image = await me.image()
    await me.post(f"/v2/images/{image['id']}/actions/deactivate", status=403)


async def test_a_protected_image_is_not_deleted(house: House) -> None:
    me = house.someone()
    image = await me.image(protected=True)
    refused = await me.delete(f"/v2/images/{image['id']}", status=403)
    assert "protected" in refused.json["error"]["message"]
    await me.change(image["id"], {"op": "replace", "path": "/protected", "value": False}, status=200)
    await me.delete(f"/v2/images/{image['id']}", status=204)


async def test_an_upload_that_breaks_off_leaves_the_image_queued_and_no_file(house: House) -> None:
    me = house.someone()
    image = await me.image()
    broken = await me.upload(image["id"], CONTENT, headers={"content-length": str(len(CONTENT) + 5)}, status=400)
    assert broken.json["error"]["reason"] == "client_gone"
    assert (await me.look(image["id"]))["status"] == "queued" and house.files == []
    await me.upload(image["id"], CONTENT, status=204)


async def test_an_image_deleted_during_its_upload_is_gone(house: House) -> None:
    me = house.someone()
    house.keep_in(slow := HeldStore())
    image = await me.image()
    uploading = asyncio.create_task(me.upload(image["id"], CONTENT))

    async def begun() -> bool:
        return bool((await me.look(image["id"]))["status"] == "saving")

    await until(begun, "the upload to begin")
    await me.upload(image["id"], b"a second one", status=409)
    await me.delete(f"/v2/images/{image['id']}", status=204)
    slow.go_on.set()
    assert (await uploading).status == 410
    assert slow.keys() == []


async def test_a_full_store_says_so_and_keeps_nothing(house: House) -> None:
    me = house.someone()
    house.keep_in(full := FakeStore(capacity_bytes=1000))
    image = await me.image()
    for content in (CONTENT, bytes(1001)):
        refused = await me.upload(image["id"], content, status=413)
        assert "full" in refused.json["error"]["message"]
    assert (await me.look(image["id"]))["status"] == "queued" and full.keys() == []
    await me.upload(image["id"], bytes(1000), status=204)


async def test_an_image_beyond_the_limit_is_too_large(tmp_path: Path) -> None:
    from skyhold.core.settings.sections import Image

    house = await start_house(tmp_path, image=Image(size_limit_bytes=1000))
    try:
        me = house.someone()
        image = await me.image()
        await me.upload(image["id"], bytes(1001), status=413)
        assert (await me.look(image["id"]))["status"] == "queued" and house.files == []
    finally:
        await house.core.stop()


async def test_a_download_outlives_its_image(house: House) -> None:
    from skyhold.image import files

    me = house.someone()
    image = await me.image(CONTENT)
    row = await internal(house.core).read(files.get, image["id"])
    reader = await files.opened(internal(house.core), row)
    pieces = files.pieces(reader, 0, len(CONTENT))
    got = await anext(pieces)
    await me.delete(f"/v2/images/{image['id']}", status=204)
    assert house.files == []
    assert got + b"".join([piece async for piece in pieces]) == CONTENT


async def test_a_restart_frees_the_images_of_dead_uploads(tmp_path: Path) -> None:
    from skyhold.image import blobs, files

    house = await start_house(tmp_path)
    me = house.someone()
    kept, stuck = await me.image(CONTENT), await me.image()
    claimed = await internal(house.core).write(files.claim, stuck["id"], 10**9, "file")
    writer = blobs.stores_of(house.core).default.create(claimed.row.blob)
    writer.write(b"half of it")
    assert len(house.files) == 2
    await house.core.stop()

    house = await start_house(tmp_path)
    try:
        me.app = house.core.asgi
        assert (await me.look(stuck["id"]))["status"] == "queued"
        await asyncio.gather(*blobs.DISCARDING)
        assert len(house.files) == 1
        assert (await me.get(f"/v2/images/{kept['id']}/file")).body == CONTENT
    finally:
        await house.core.stop()


async def test_a_silent_upload_is_given_up_by_the_loop_and_a_beating_one_is_not(house: House) -> None:
    from skyhold.image import blobs, files
    from skyhold.image.loops import uploads

    me = house.someone()
    image = await me.image()
    ctx = internal(house.core)
    claimed = await ctx.write(files.claim, image["id"], 10**9, "file")
    blobs.stores_of(house.core).default.create(claimed.row.blob).write(b"half of it")
    assert await ctx.write(uploads.requeue, ctx.now - 120_000_000) == 0
    assert len(house.files) == 1
    assert await ctx.write(uploads.requeue, ctx.now + 1) == 1
    await asyncio.gather(*blobs.DISCARDING)
    assert house.files == []
    assert (await me.look(image["id"]))["status"] == "queued"
    received = files.Received(1, 1, "0" * 32, "0" * 128)
    with pytest.raises(Exception, match="another upload"):
        await ctx.write(files.activate, claimed.row, received, "file")


async def test_readers_look_and_do_not_change(house: House) -> None:
    me = house.someone()
    image = await me.image(CONTENT)
    reader = me.with_role("reader")
    assert (await reader.look(image["id"]))["id"] == image["id"]
    await reader.post("/v2/images", {"name": "x"}, status=403)
    await reader.delete(f"/v2/images/{image['id']}", status=403)
    await reader.change(image["id"], {"op": "replace", "path": "/name", "value": "x"}, status=403)
    await reader.upload(image["id"], b"x", status=403)


async def test_a_rehearsed_delete_keeps_the_content(house: House) -> None:
    me = house.someone()
    image = await me.image(CONTENT)
    await me.delete(f"/v2/images/{image['id']}", headers={"X-Dry-Run": "true"}, status=204)
    assert (await me.get(f"/v2/images/{image['id']}/file", status=200)).body == CONTENT
