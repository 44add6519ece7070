# SPDX-License-Identifier: Apache-2.0
"""Stories of quota (GLA-14): four limits, refused with numbers, given back whatever goes wrong.

Setting limits is identity's; what is counted when is image/quotas.py.
"""

from __future__ import annotations

import asyncio
import uuid

from skyhold.core.context import internal
from skyhold.image.drivers.fake import FakeStore
from tests.kit import recount
from tests.kit.patience import PATIENCE_S
from tests.story.image.conftest import House, ImageUser
from tests.story.image.held import HeldStore
from tests.story.image.test_imports import imported, quiet, staged
from tests.unit.image import corpus

MIB = 1024 * 1024


async def used(who: ImageUser) -> dict[str, int]:
    usage = (await who.get("/v2/info/usage", status=200)).json["usage"]
    return {name: each["usage"] for name, each in usage.items()}


async def nothing_drifts(house: House) -> None:
    await quiet(house)
    assert await internal(house.core).read(lambda tx, ctx: recount.drift(tx.all)) == []


def over(answer: object, resource: str, asked: int, taken: int, limit: int) -> bool:
    error = answer.json["error"]  # type: ignore[attr-defined]
    numbers = f"{resource}: requested {asked}, but already used {taken} of {limit}"
    return error["reason"] == "over_quota" and numbers in error["message"]


async def test_images_are_counted_gla_14(house: House) -> None:
    me = house.someone()
    house.bound(image_count_total=2)
    first = await me.image()
    await me.image(id=str(uuid.uuid4()))
    assert over(await me.post("/v2/images", {"name": "third"}, status=413), "image_count_total", 1, 2, 2)
    await house.someone().image()
    await me.delete(f"/v2/images/{first['id']}", status=204)
    await me.image()
    assert (await used(me))["image_count_total"] == 2
    await nothing_drifts(house)


async def test_content_is_counted_in_mebibytes_gla_14(house: House) -> None:
    me = house.someone()
    house.bound(image_size_total=2)
    first, second, third = [await me.image() for _ in range(3)]
    assert over(await me.upload(first["id"], bytes(2 * MIB + 1), status=413), "image_size_total", 3, 0, 2)
    await me.upload(first["id"], bytes(MIB + 1), status=204)
    assert over(await me.upload(second["id"], b"x", status=413), "image_size_total", 1, 2, 2)
    assert (await me.look(second["id"]))["status"] == "queued"
    await me.delete(f"/v2/images/{first['id']}", status=204)
    await me.upload(second["id"], b"x", status=204)
    await me.upload(third["id"], bytes(MIB), status=204)
    shown = (await me.get("/v2/info/usage", status=200)).json["usage"]
    assert shown["image_size_total"] == {"limit": 2, "usage": 2}
    assert shown["image_count_uploading"] == {"limit": -1, "usage": 0}
    await nothing_drifts(house)


async def test_uploads_at_once_are_counted_and_given_back_however_they_end_gla_14(house: House) -> None:
    me = house.someone()
    house.bound(image_count_uploading=1)
    first, second = await me.image(), await me.image()
    house.keep_in(slow := HeldStore())
    sending = asyncio.create_task(me.upload(first["id"], b"x" * 1000, status=204))
    async with asyncio.timeout(PATIENCE_S):
        while (await me.look(first["id"]))["status"] == "queued":
            await asyncio.sleep(0.01)
    assert (await used(me))["image_count_uploading"] == 1
    assert over(await me.upload(second["id"], b"x", status=413), "image_count_uploading", 1, 1, 1)
    slow.go_on.set()
    await sending
    await me.upload(second["id"], b"x", status=204)
    lying = await me.image()
    await me.upload(lying["id"], corpus.qcow2(), status=415)
    assert (await used(me))["image_count_uploading"] == 0
    await nothing_drifts(house)


async def test_what_is_staged_is_counted_until_it_is_imported_gla_14(house: House) -> None:
    me = house.someone()
    house.bound(image_stage_total=2, image_count_uploading=2)
    image = await staged(me, bytes(MIB + 1))
    assert await used(me) == {
        "image_count_total": 1, "image_size_total": 0, "image_stage_total": 2, "image_count_uploading": 1,
    }
    other = await me.image()
    stage = f"/v2/images/{other['id']}/stage"
    refused = await me.put(stage, b"x", content_type="application/octet-stream", status=413)
    assert over(refused, "image_stage_total", 1, 2, 2)
    await imported(house, me, image["id"], "glance-direct")
    assert await used(me) == {
        "image_count_total": 2, "image_size_total": 2, "image_stage_total": 0, "image_count_uploading": 0,
    }
    await me.put(stage, b"x", content_type="application/octet-stream", status=204)
    await me.delete(f"/v2/images/{other['id']}", status=204)
    assert (await used(me))["image_stage_total"] == 0
    await nothing_drifts(house)


async def test_an_import_beyond_the_quota_fails_with_the_numbers_and_leaves_nothing(house: House) -> None:
    me = house.someone()
    image = await staged(me, bytes(2 * MIB))
    house.bound(image_size_total=1)
    await imported(house, me, image["id"], "glance-direct")
    (task,) = (await me.get(f"/v2/images/{image['id']}/tasks", status=200)).json["tasks"]
    assert task["status"] == "failure" and "image_size_total: requested 2, but already used 0 of 1" in task["message"]
    assert (await me.look(image["id"]))["status"] == "queued"
    assert await used(me) == {
        "image_count_total": 1, "image_size_total": 0, "image_stage_total": 0, "image_count_uploading": 0,
    }
    await nothing_drifts(house)


async def test_an_image_given_away_counts_for_its_new_owner(house: House) -> None:
    admin, me, other = house.someone("admin"), house.someone(), house.someone()
    image = await me.image(bytes(MIB))
    await admin.change(image["id"], {"op": "replace", "path": "/owner", "value": other.project_id}, status=200)
    assert (await used(me))["image_count_total"] == 0 and (await used(me))["image_size_total"] == 0
    assert (await used(other))["image_count_total"] == 1 and (await used(other))["image_size_total"] == 1
    house.bound(image_count_total=0)
    mine = {"op": "replace", "path": "/owner", "value": me.project_id}
    await admin.change(image["id"], mine, status=413)
    assert (await used(other))["image_count_total"] == 1
    await nothing_drifts(house)


async def test_a_copy_into_another_store_counts_while_it_is_under_way(house: House) -> None:
    me, admin, slow = house.someone(), house.someone("admin"), HeldStore("b")
    house.keep_in(FakeStore(name="a"), slow)
    image, other = await me.image(b"x" * 1000), await me.image()
    house.bound(image_count_uploading=1)
    wish = {"method": {"name": "copy-image"}, "stores": ["b"]}
    await admin.post(f"/v2/images/{image['id']}/import", wish, status=202)
    assert (await used(me))["image_count_uploading"] == 1
    await me.upload(other["id"], b"x", status=413)
    slow.go_on.set()
    await quiet(house)
    assert (await me.look(image["id"]))["stores"] == "a,b"
    assert (await used(me))["image_count_uploading"] == 0
    await nothing_drifts(house)
