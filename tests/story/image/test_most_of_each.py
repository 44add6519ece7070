# SPDX-License-Identifier: Apache-2.0
"""Stories of how many properties, tags, members and locations an image may have: the operator's settings, named as
upstream's.

Quota of a project's images is test_quotas.py.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from skyhold.core.settings.sections import Image
from tests.story.image.conftest import House, ImageUser, start_house

WEB = '[file]\ntype = "file"\ndefault = true\n[web]\ntype = "http"\n'


async def with_settings(home: Path, **told: Any) -> House:
    return await start_house(home, image=Image(**told))


async def properties(me: ImageUser, image_id: str, number: int, status: int) -> None:
    changes = [{"op": "add", "path": f"/colour-{i}", "value": "grey"} for i in range(number)]
    await me.change(image_id, *changes, status=status)


@pytest.mark.parametrize(("quota", "number", "status"), [(2, 2, 200), (2, 3, 413), (0, 1, 413), (-1, 200, 200)])
async def test_properties_tags_and_members(tmp_path: Path, quota: int, number: int, status: int) -> None:
    house = await with_settings(
        tmp_path, image_property_quota=quota, image_tag_quota=quota, image_member_quota=quota
    )
    try:
        me = house.someone()
        image = await me.image()
        await properties(me, image["id"], number, status)
        tags = [str(i) for i in range(number)]
        await me.change(image["id"], {"op": "replace", "path": "/tags", "value": tags}, status=status)
        await me.post("/v2/images", {"tags": tags}, status=201 if status == 200 else status)
        answers = [
            (await me.post(f"/v2/images/{image['id']}/members", {"member": str(i)})).status for i in range(number)
        ]
        assert answers[-1] == status and set(answers[:-1]) <= {200}
    finally:
        await house.core.stop()


async def test_an_image_that_had_more_may_still_have_fewer(tmp_path: Path) -> None:
    house = await with_settings(tmp_path)
    me = house.someone()
    image = await me.image(tags=["a", "b", "c"], one="1", two="2", three="3")
    await house.core.stop()
    house = await with_settings(tmp_path, image_property_quota=1, image_tag_quota=1)
    try:
        me.app = house.core.asgi
        await me.change(image["id"], {"op": "replace", "path": "/one", "value": "first"}, status=200)
        await me.change(image["id"], {"op": "remove", "path": "/two"}, status=200)
        await me.delete(f"/v2/images/{image['id']}/tags/a", status=204)
        await me.change(image["id"], {"op": "add", "path": "/four", "value": "4"}, status=413)
        await me.put(f"/v2/images/{image['id']}/tags/d", status=413)
        assert (await me.look(image["id"]))["tags"] == ["b", "c"]
    finally:
        await house.core.stop()


async def test_locations(tmp_path: Path) -> None:
    (tmp_path / "image-stores.toml").write_text(WEB)
    house = await with_settings(tmp_path, show_multiple_locations=True, image_location_quota=2)
    try:
        me = house.someone()
        image = await me.image()
        given = [{"url": f"http://elsewhere.test/{i}", "metadata": {}} for i in range(3)]
        # Before anybody goes out to look.
        refused = await me.change(image["id"], {"op": "replace", "path": "/locations", "value": given}, status=413)
        assert "at most 2 locations" in refused.json["error"]["message"]
    finally:
        await house.core.stop()
