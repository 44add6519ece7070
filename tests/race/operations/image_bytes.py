# SPDX-License-Identifier: Apache-2.0
"""Races of what moves images' bytes: staging, imports, tasks, stores, locations, the cache.

What an entry means is ../duel.py; uploads and the images themselves are image.py.
"""

from __future__ import annotations

from skyhold.core.qcow2 import empty
from skyhold.image import blobs
from skyhold.image.drivers.fake import FakeStore
from tests.race.duel import Call, Duel, Ground, race
from tests.race.operations.image import BYTES, an_image, duel

CACHE = "/image/v2/cache"


async def staged(g: Ground) -> str:
    image = await an_image(g, filled=False)
    await g.user.put(f"{image}/stage", empty(), content_type=BYTES, status=204)
    return image


async def imported(g: Ground) -> tuple[str, str]:
    """An image, and the path of the task that made it."""
    image = await staged(g)
    await g.user.post(f"{image}/import", {"method": {"name": "glance-direct"}}, status=202)
    assert await g.cloud.core.sagas.idle()
    task = (await g.user.get(f"{image}/tasks", status=200)).json["tasks"][0]
    return image, f"/image/v2/tasks/{task['id']}"


@race("PUT /image/v2/images/{image_id}/stage")
async def stage(g: Ground) -> Duel:
    image = await an_image(g, filled=False)
    one = Call(g.user, "PUT", f"{image}/stage", empty(), content_type=BYTES)
    return duel(g, one, image, winners=(1,), refusals=(410,))


@race("POST /image/v2/images/{image_id}/import")
async def begin(g: Ground) -> Duel:
    image = await staged(g)
    return duel(g, Call(g.user, "POST", f"{image}/import", {"method": {"name": "glance-direct"}}), image, winners=(1,))


@race("POST /image/v2/tasks")
async def import_by_task(g: Ground) -> Duel:
    image = await an_image(g, filled=False)
    wish = {"type": "import", "input": {
        "import_from": "http://nowhere.test/disk", "import_from_format": "raw", "image_properties": {"name": "x"},
    }}
    return duel(g, Call(g.admin, "POST", "/image/v2/tasks", wish), image, winners=(2,))


@race("DELETE /image/v2/tasks/{task_id}")
async def forget_task(g: Ground) -> Duel:
    image, task = await imported(g)
    return duel(g, Call(g.admin, "DELETE", task), image, winners=(1,))


@race("DELETE /image/v2/stores/{store_id}/{image_id}")
async def take_out(g: Ground) -> Duel:
    has = blobs.stores_of(g.cloud.core)
    if "second" not in has.names:
        second = blobs.Configured(FakeStore(name="second"))
        g.cloud.core.shelf["image.stores"] = blobs.Stores(
            [blobs.Configured(has.default), second], has.default.name, has.get(blobs.STAGING)
        )
    image = await an_image(g)
    wish = {"method": {"name": "copy-image"}, "stores": ["second"]}
    await g.admin.post(f"{image}/import", wish, status=202)
    assert await g.cloud.core.sagas.idle()
    path = f"/image/v2/stores/second/{image.rpartition('/')[2]}"
    return duel(g, Call(g.admin, "DELETE", path), image, winners=(1,))


@race("POST /image/v2/images/{image_id}/locations")
async def add_location(g: Ground) -> Duel:
    """No store of this ground reads URLs: what races is the refusal."""
    image = await an_image(g, filled=False)
    one = Call(g.user, "POST", f"{image}/locations", {"url": "http://nowhere.test/disk"})
    return duel(g, one, image, winners=(0,), refusals=(400,))


@race("PUT /image/v2/cache/{image_id}")
async def queue(g: Ground) -> Duel:
    image = await an_image(g)
    return duel(g, Call(g.admin, "PUT", f"{CACHE}/{image.rpartition('/')[2]}"), image, winners=(2,))


@race("DELETE /image/v2/cache/{image_id}")
async def unqueue(g: Ground) -> Duel:
    image = await an_image(g)
    path = f"{CACHE}/{image.rpartition('/')[2]}"
    await g.admin.put(path, status=202)
    return duel(g, Call(g.admin, "DELETE", path), image, winners=(1,))


async def cached(g: Ground) -> str:
    image = await an_image(g)
    await g.admin.put(f"{CACHE}/{image.rpartition('/')[2]}", status=202)
    return image


@race("DELETE /image/v2/cache")
async def empty_cache(g: Ground) -> Duel:
    return duel(g, Call(g.admin, "DELETE", CACHE), await cached(g), winners=(2,))


@race("POST /image/v2/cache/clean")
async def clean(g: Ground) -> Duel:
    return duel(g, Call(g.admin, "POST", f"{CACHE}/clean"), await cached(g), winners=(2,))


@race("POST /image/v2/cache/prune")
async def prune(g: Ground) -> Duel:
    return duel(g, Call(g.admin, "POST", f"{CACHE}/prune"), await cached(g), winners=(2,))
