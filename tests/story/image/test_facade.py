# SPDX-License-Identifier: Apache-2.0
"""What compute and volume get through the image service's door.

The HTTP side of the same images is in the other stories.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest

from skyhold.core import errors
from skyhold.core.context import Context, internal
from skyhold.image import facade
from tests.story.image.conftest import House, ImageUser, TokenIsTheAnswer


async def ctx_of(house: House, who: ImageUser) -> Context:
    return Context(house.core, await TokenIsTheAnswer().authenticate(who.token or ""))


async def view_of(house: House, image_id: str) -> Any:
    return await internal(house.core).read(facade.find, image_id)


async def test_an_image_is_got_by_those_who_see_it_and_found_by_the_program(house: House) -> None:
    me, friend, stranger, admin = house.someone(), house.someone(), house.someone(), house.someone("admin")
    image = await me.image(b"content", hw_disk_bus="virtio", min_disk=3)
    await me.post(f"/v2/images/{image['id']}/members", {"member": friend.project_id}, status=200)
    for who in (me, friend, admin):
        ctx = await ctx_of(house, who)
        for run in (ctx.read, ctx.write):
            view = await run(facade.get, image["id"])
            assert (view.status, view.size_bytes, view.min_disk_gb) == ("active", 7, 3)
            assert view.properties == {"hw_disk_bus": "virtio"} and view.owner_id == me.project_id
    ctx = await ctx_of(house, stranger)
    for run in (ctx.read, ctx.write):
        with pytest.raises(errors.NotFound):
            await run(facade.get, image["id"])
    assert (await internal(house.core).read(facade.find, image["id"])) == view
    assert await internal(house.core).read(facade.find, "nothing") is None


async def test_public_and_community_images_are_got_in_a_writing_transaction(house: House) -> None:
    admin, stranger = house.someone("admin"), house.someone()
    ctx = await ctx_of(house, stranger)
    for visibility in ("public", "community"):
        image = await admin.image(b"x", visibility=visibility)
        assert (await ctx.write(facade.get, image["id"])).visibility == visibility


async def test_a_host_links_the_content_instead_of_copying_it(house: House, tmp_path: Path) -> None:
    me = house.someone()
    image = await me.image()
    assert facade.local_path(house.core, await view_of(house, image["id"])) is None
    await me.upload(image["id"], b"content", status=204)
    path = facade.local_path(house.core, await view_of(house, image["id"]))
    assert path is not None
    os.link(path, tmp_path / "disk")
    view = await view_of(house, image["id"])
    await me.delete(f"/v2/images/{image['id']}", status=204)
    assert (tmp_path / "disk").read_bytes() == b"content"
    assert facade.local_path(house.core, view) is None


async def snapshot(ctx: Context, **more: Any) -> facade.ImageView:
    wanted = {"name": "snap", "properties": {"base_image_ref": "x"}, "min_disk_gb": 1, "min_ram_mb": 0, **more}
    return await ctx.write(lambda tx, ctx: facade.create_for_snapshot(tx, ctx, **wanted))


async def test_a_snapshot_is_created_uploaded_or_abandoned(house: House) -> None:
    from tests.unit.image import corpus

    me = house.someone()
    ctx = await ctx_of(house, me)
    made, lost = await snapshot(ctx), await snapshot(ctx)
    assert made.status == "queued" and made.visibility == "private" and made.owner_id == me.project_id
    url = facade.upload_url(house.core, made.id)
    assert url == facade.download_url(house.core, made.id) and url.endswith(f"/image/v2/images/{made.id}/file")
    await me.upload(made.id, corpus.qcow2(), status=204)
    for view in (made, lost):
        await ctx.write(facade.abandon, view.id)
    assert (await me.look(made.id))["status"] == "active"
    await me.get(f"/v2/images/{lost.id}", status=404)
    await ctx.write(facade.abandon, lost.id)


async def test_a_snapshot_keeps_to_policy_quota_and_reserved_names(house: House) -> None:
    me = house.someone()
    ctx = await ctx_of(house, me)
    with pytest.raises(errors.Forbidden):
        await snapshot(await ctx_of(house, me.with_role("reader")))
    with pytest.raises(errors.Forbidden):
        await snapshot(ctx, properties={"os_glance_x": "y"})
    house.bound(image_count_total=1)
    await snapshot(ctx)
    with pytest.raises(errors.OverQuota):
        await snapshot(ctx)


async def test_an_upload_under_way_of_an_abandoned_snapshot_is_gone(house: House) -> None:
    from skyhold.image import files

    me = house.someone()
    ctx = await ctx_of(house, me)
    made = await snapshot(ctx)
    claimed = await ctx.write(files.claim, made.id, 10**9, "file")
    writer = facade.blobs.stores_of(house.core).default.create(claimed.row.blob)
    writer.write(b"x")
    await ctx.write(facade.abandon, made.id)
    await asyncio.gather(*facade.blobs.DISCARDING)
    assert house.files == []
    with pytest.raises(errors.Gone):
        await ctx.write(files.activate, claimed.row, files.Received(1, 1, "", ""), "file")


async def test_the_last_byte_of_an_abandoned_snapshot_is_gone_too(house: House) -> None:
    """It had been written, and only the image's row was still to say so: the upload takes its bytes away itself."""
    from skyhold.image import files

    ctx = await ctx_of(house, house.someone())
    made = await snapshot(ctx)
    claimed = await ctx.write(files.claim, made.id, 10**9, "file")
    with pytest.raises(errors.Gone):
        async with files.given_back(ctx, claimed):
            await ctx.write(facade.abandon, made.id)
            await asyncio.gather(*facade.blobs.DISCARDING)
            writer = facade.blobs.stores_of(house.core).default.create(claimed.row.blob)
            writer.write(b"x")
            writer.commit()
            assert len(house.files) == 1
            await ctx.write(files.activate, claimed.row, files.Received(1, 1, "", ""), "file")
    assert house.files == []
