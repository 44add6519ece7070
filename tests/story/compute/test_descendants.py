# SPDX-License-Identifier: Apache-2.0
"""Stories of what stands on an image (GLA-17): its owner sees its own servers, and deletes it only when nothing does.

The image service alone, without anybody who makes something of images, is tests/story/image.
"""

from __future__ import annotations

from typing import Any

from tests.story.compute.scene import Scene


async def own_image(scene: Scene) -> str:
    """Of the user's own, and for everybody."""
    body = {"name": "base", "disk_format": "raw", "container_format": "bare", "visibility": "community"}
    made = (await scene.user.post("/image/v2/images", body, status=201)).json["id"]
    path = f"/image/v2/images/{made}/file"
    await scene.user.put(path, b"x" * 4096, content_type="application/octet-stream", status=204)
    return str(made)


async def told(who: Any, image_id: str, status: int = 200) -> dict[str, Any]:
    return (await who.get(f"/image/v2/images/{image_id}/descendants", status=status)).json


async def test_gla_17_the_owner_sees_its_servers_and_counts_the_others(scene: Scene) -> None:
    image = await own_image(scene)
    assert await told(scene.user, image) == {"image_id": image, "descendants": [], "total": 0}
    first, second = await scene.server("first", image=image), await scene.server("second", image=image)
    await scene.server("of another image")
    mine = [
        {"type": "server", "id": server["id"], "name": server["name"], "project_id": scene.user.project_id}
        for server in (second, first)
    ]
    assert await told(scene.user, image) == {"image_id": image, "descendants": mine, "total": 2}
    # A stranger may use the image and boot from it, and isn't told of anybody's servers.
    stranger = await scene.cloud.project(["member", "reader"])
    await stranger.get(f"/image/v2/images/{image}", status=200)
    await told(stranger, image, status=403)
    # The image changes hands: its new owner counts the servers of the old one without seeing them.
    change = [{"op": "replace", "path": "/owner", "value": stranger.project_id}]
    media = "application/openstack-images-v2.1-json-patch"
    await scene.cloud.admin.patch(f"/image/v2/images/{image}", change, content_type=media, status=200)
    assert await told(stranger, image) == {"image_id": image, "descendants": [], "total": 2}
    assert (await told(scene.cloud.admin, image))["descendants"] == mine


async def test_gla_17_an_image_is_deleted_only_if_unused(scene: Scene) -> None:
    image = await own_image(scene)
    server = await scene.server("on it", image=image)
    path = f"/image/v2/images/{image}"
    refused = await scene.user.delete(path + "?if_unused=true", status=409)
    assert "1 descendants" in refused.body.decode()
    await scene.user.delete(path + "?if_unused=perhaps", status=400)
    await scene.user.get(path, status=200)
    await scene.user.delete(f"/compute/v2.1/servers/{server['id']}", status=204)
    await scene.settled()
    await scene.user.delete(path + "?if_unused=true", status=204)


async def test_without_that_an_image_goes_and_its_servers_stay(scene: Scene) -> None:
    image = await own_image(scene)
    server = await scene.server("stays", image=image)
    await scene.user.delete(f"/image/v2/images/{image}", status=204)
    assert (await scene.show(server))["status"] == "ACTIVE"
