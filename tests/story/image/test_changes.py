# SPDX-License-Identifier: Apache-2.0
"""Stories of changing an image (GLA-02): JSON patches, properties, tags, visibility.

What a patch may look like at all is tests/unit/image/test_patch.py.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.story.image.conftest import House

V20 = "application/openstack-images-v2.0-json-patch"


async def test_attributes_and_properties_change_in_one_patch_gla_02(house: House) -> None:
    me = house.someone()
    image = await me.image(colour="red", shape="round")
    changed = await me.change(
        image["id"], {"op": "replace", "path": "/name", "value": "new"}, {"op": "add", "path": "/min_ram", "value": 64},
        {"op": "replace", "path": "/colour", "value": "blue"}, {"op": "remove", "path": "/shape"},
        {"op": "add", "path": "/a~1b~0c", "value": "odd name"}, {"op": "replace", "path": "/tags", "value": ["x", "x"]},
        status=200,
    )
    new = changed.json
    assert (new["name"], new["min_ram"], new["colour"], new["a/b~c"], new["tags"]) == (
        "new", 64, "blue", "odd name", ["x"],
    )
    assert "shape" not in new and new["updated_at"] >= image["updated_at"]
    assert await me.look(image["id"]) == new


async def test_the_draft_patch_of_older_clients_works_too(house: House) -> None:
    me = house.someone()
    image = await me.image(colour="red")
    new = (await me.change(
        image["id"], {"replace": "/name", "value": "old style"}, {"add": "/size_of_it", "value": "big"},
        {"remove": "/colour"}, media=V20, status=200,
    )).json
    assert new["name"] == "old style" and new["size_of_it"] == "big" and "colour" not in new
    await me.change(image["id"], {"add": "/size_of_it", "value": "huge"}, media=V20, status=409)


@pytest.mark.parametrize("name", ["status", "size", "checksum", "id", "created_at", "os_hash_value", "file", "self"])
async def test_read_only_attributes_are_403(house: House, name: str) -> None:
    me = house.someone()
    image = await me.image()
    refused = await me.change(image["id"], {"op": "replace", "path": f"/{name}", "value": "x"}, status=403)
    assert "read-only" in refused.json["error"]["message"]
    if name != "id":
        await me.post("/v2/images", {name: "x"}, status=403)


@pytest.mark.parametrize("name", ["location", "deleted", "os_glance_importing_to_stores"])
async def test_reserved_names_are_403(house: House, name: str) -> None:
    me = house.someone()
    image = await me.image()
    await me.change(image["id"], {"op": "add", "path": f"/{name}", "value": "x"}, status=403)
    await me.post("/v2/images", {name: "x"}, status=403)


@pytest.mark.parametrize(("change", "status"), [
    ({"op": "replace", "path": "/nothing", "value": "x"}, 409),
    ({"op": "remove", "path": "/nothing"}, 409),
    ({"op": "remove", "path": "/name"}, 403),
    ({"op": "replace", "path": "/min_disk", "value": "many"}, 400),
    ({"op": "replace", "path": "/min_disk", "value": -1}, 400),
    ({"op": "replace", "path": "/min_disk", "value": 2**31}, 400),
    ({"op": "replace", "path": "/name", "value": "x" * 256}, 400),
    ({"op": "replace", "path": "/name", "value": "a\x00b"}, 400),
    ({"op": "replace", "path": "/protected", "value": "maybe"}, 400),
    ({"op": "replace", "path": "/visibility", "value": "secret"}, 400),
    ({"op": "replace", "path": "/disk_format", "value": "floppy"}, 400),
    ({"op": "replace", "path": "/tags", "value": "not-a-list"}, 400),
    ({"op": "replace", "path": "/tags", "value": ["x" * 256]}, 400),
    ({"op": "add", "path": "/colour", "value": 7}, 400),
    ({"op": "add", "path": "/colour", "value": "a\x00b"}, 400),
    ({"op": "add", "path": "/colour", "value": "x" * 65536}, 400),
    ({"op": "replace", "path": "/tags", "value": [str(i) for i in range(129)]}, 413),
    ({"op": "replace", "path": "/owner", "value": "someone-else"}, 403),
    ({"op": "replace", "path": "/visibility", "value": "public"}, 403),
    ({"op": "test", "path": "/name", "value": "x"}, 400),
    ({"op": "replace", "path": "/name"}, 400),
    ({"op": "replace", "path": "name", "value": "x"}, 400),
    ({"op": "replace", "path": "/tags/0", "value": "x"}, 400),
    ({"op": "replace", "path": 7, "value": "x"}, 400),
])
async def test_a_patch_that_cannot_be_is_refused_whole(house: House, change: dict[str, Any], status: int) -> None:
    me = house.someone()
    image = await me.image()
    refused = await me.change(image["id"], {"op": "add", "path": "/first", "value": "ok"}, change, status=status)
    assert refused.json["error"]["message"]
    assert await me.look(image["id"]) == image


@pytest.mark.parametrize("body", [b"{", b"{}", b"[7]", b"null", b'"x"', b"[{}]", b""])
async def test_a_body_that_is_no_patch_is_400(house: House, body: bytes) -> None:
    me = house.someone()
    image = await me.image()
    headers = {"content-type": "application/openstack-images-v2.1-json-patch"}
    await me.patch(f"/v2/images/{image['id']}", body, headers=headers, status=400)


async def test_a_patch_must_be_declared_as_one(house: House) -> None:
    me = house.someone()
    image = await me.image()
    await me.patch(f"/v2/images/{image['id']}", [], content_type="application/json", status=415)


async def test_formats_are_fixed_once_there_is_content(house: House) -> None:
    me = house.someone()
    image = await me.image()
    await me.change(image["id"], {"op": "replace", "path": "/disk_format", "value": "iso"}, status=200)
    await me.change(image["id"], {"op": "replace", "path": "/disk_format", "value": "raw"}, status=200)
    await me.upload(image["id"], b"content", status=204)
    await me.change(image["id"], {"op": "replace", "path": "/disk_format", "value": "raw"}, status=200)
    await me.change(image["id"], {"op": "replace", "path": "/disk_format", "value": "iso"}, status=403)


async def test_only_administrators_make_images_public_gla_07(house: House) -> None:
    me, admin = house.someone(), house.someone("admin")
    await me.post("/v2/images", {"name": "x", "visibility": "public"}, status=403)
    image = await me.image()
    publish = {"op": "replace", "path": "/visibility", "value": "public"}
    await me.change(image["id"], publish, status=403)
    await admin.change(image["id"], publish, status=200)
    stranger = house.someone("reader")
    assert (await stranger.look(image["id"]))["visibility"] == "public"
    await house.someone().change(image["id"], {"op": "replace", "path": "/name", "value": "mine"}, status=403)
    await house.someone().delete(f"/v2/images/{image['id']}", status=403)


async def test_only_administrators_choose_the_owner(house: House) -> None:
    me, admin, other = house.someone(), house.someone("admin"), house.someone()
    refused = await me.post("/v2/images", {"name": "x", "owner": other.project_id}, status=403)
    assert other.project_id in refused.json["error"]["message"]
    image = await admin.image(owner=me.project_id)
    assert (await me.look(image["id"]))["owner"] == me.project_id
    await admin.change(image["id"], {"op": "replace", "path": "/owner", "value": other.project_id}, status=200)
    await me.get(f"/v2/images/{image['id']}", status=404)
    await other.look(image["id"])


async def test_tags_are_added_and_removed_one_by_one(house: House) -> None:
    me = house.someone()
    image = await me.image(tags=["one"])
    await me.put(f"/v2/images/{image['id']}/tags/two%20words", status=204)
    await me.put(f"/v2/images/{image['id']}/tags/two%20words", status=204)
    assert (await me.look(image["id"]))["tags"] == ["one", "two words"]
    assert await me.names(tag="two words") == ["an image"]
    await me.delete(f"/v2/images/{image['id']}/tags/one", status=204)
    await me.delete(f"/v2/images/{image['id']}/tags/one", status=404)
    await me.put(f"/v2/images/{image['id']}/tags/{'x' * 256}", status=400)
    assert await me.names(tag="one") == []


async def test_others_private_images_are_not_there(house: House) -> None:
    me, other = house.someone(), house.someone()
    image = await me.image(b"secret", visibility="private")
    path = f"/v2/images/{image['id']}"
    await other.get(path, status=404)
    await other.get(path + "/file", status=404)
    await other.upload(image["id"], b"x", status=404)
    await other.change(image["id"], {"op": "replace", "path": "/name", "value": "x"}, status=404)
    await other.delete(path, status=404)
    await other.put(path + "/tags/x", status=404)
    await other.post(path + "/actions/deactivate", status=404)
    await other.get(path + "/members", status=404)
    await other.get("/v2/images/%00", status=404)


@pytest.mark.parametrize("body", [
    {"name": 7}, {"tags": "x"}, {"tags": [7]}, {"min_ram": "1"}, {"visibility": "nobody"}, {"protected": "x"},
    {"colour": 7}, {"colour": None}, {"colour": ["x"]}, {"name": "a\x00b"}, {"colour": "\x00"},
    {"disk_format": "floppy"}, {"container_format": "box"}, {"min_disk": 2**63}, [], "x", {"": "x"}, {"x" * 256: "y"},
])
async def test_what_cannot_be_an_image_is_400(house: House, body: Any) -> None:
    refused = await house.someone().post("/v2/images", body, status=400)
    assert refused.json["error"]["message"]
