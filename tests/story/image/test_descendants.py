# SPDX-License-Identifier: Apache-2.0
"""Stories of what stands on an image (GLA-17), told by whoever makes something of images.

Servers, the first of them, are tests/story/compute/test_descendants.py.
"""

from __future__ import annotations

from typing import Any

import pytest

from skyhold.image import descendants, facade
from tests.story.image.conftest import House


class Makers:
    """A service that made so many things of every image, all of one project."""

    def __init__(self, kind: str, project_id: str, number: int) -> None:
        self.kind, self.project_id, self.number = kind, project_id, number

    def __call__(self, tx: Any, ctx: Any, image_id: str, project_id: str | None, most: int) -> facade.Found:
        mine = [
            facade.Descendant(type=self.kind, id=f"{self.kind}-{i}", name="", project_id=self.project_id)
            for i in range(self.number)
        ]
        return facade.Found(mine[:most] if project_id in (None, self.project_id) else [], self.number)


async def test_nobody_made_anything(house: House) -> None:
    me = house.someone()
    image = await me.image(b"content")
    path = f"/v2/images/{image['id']}"
    assert (await me.get(path + "/descendants", status=200)).json["total"] == 0
    await house.someone().get(path + "/descendants", status=404)
    await me.get("/v2/images/nothing/descendants", status=404)
    await me.delete(path + "?if_unused=true", status=204)


async def test_all_makers_are_asked(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    me, other, admin = house.someone(), house.someone(), house.someone("admin")
    image = await me.image(visibility="community")
    path = f"/v2/images/{image['id']}"
    for maker in (Makers("server", me.project_id, 2), Makers("volume", other.project_id, 3)):
        facade.add_source_of_descendants(house.core, maker)
        facade.add_source_of_descendants(house.core, maker)
    told = (await me.get(path + "/descendants", status=200)).json
    assert [each["id"] for each in told["descendants"]] == ["server-0", "server-1"] and told["total"] == 5
    await other.get(path + "/descendants", status=403)
    assert len((await admin.get(path + "/descendants", status=200)).json["descendants"]) == 5
    monkeypatch.setattr(descendants, "MOST", 4)
    told = (await admin.get(path + "/descendants", status=200)).json
    assert len(told["descendants"]) == 4 and told["total"] == 5
    refused = await me.delete(path + "?if_unused=true", status=409)
    assert refused.json["error"]["reason"] == "image_in_use" and "5 descendants" in refused.json["error"]["message"]
    await me.delete(path + "?if_unused=false", status=204)
