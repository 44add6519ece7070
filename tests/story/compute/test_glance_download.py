# SPDX-License-Identifier: Apache-2.0
"""Stories of images that come from another region's image service (GLA-04), with the user's own rights there.

The other region here is this very cloud under another name: what differs is only the way the catalogue shows. Other
ways of importing are tests/story/image/test_imports.py.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest_asyncio

from skyhold.core.qcow2 import empty
from tests.kit.client import Client
from tests.kit.cloud import Cloud
from tests.kit.host import Machine
from tests.kit.patience import PATIENCE_S

IMAGES = "/image/v2/images"


@pytest_asyncio.fixture(loop_scope="session")
async def region(cloud: Cloud, host: Machine) -> AsyncIterator[str]:
    """Another region, whose image service is ours; `host` has the cloud listen."""
    name = f"region-{uuid.uuid4().hex[:8]}"
    await cloud.admin.post("/identity/v3/regions", {"region": {"id": name}}, status=201)
    services = (await cloud.admin.get("/identity/v3/services", {"type": "image"}, status=200)).json["services"]
    url = f"{cloud.core.settings.public_url}/image"
    wish = {"service_id": services[0]["id"], "interface": "public", "region_id": name, "url": url}
    made = (await cloud.admin.post("/identity/v3/endpoints", {"endpoint": wish}, status=201)).json["endpoint"]
    yield name
    await cloud.admin.delete(f"/identity/v3/endpoints/{made['id']}", status=204)
    await cloud.admin.delete(f"/identity/v3/regions/{name}", status=204)


async def an_image(user: Client, content: bytes | None = None, **attributes: Any) -> str:
    made = (await user.post(IMAGES, {"name": "an image", **attributes}, status=201)).json
    if content is not None:
        file = f"{IMAGES}/{made['id']}/file"
        await user.request("PUT", file, content, content_type="application/octet-stream", status=204)
    return str(made["id"])


async def fetched(user: Client, image_id: str, region: str, theirs: str) -> dict[str, Any]:
    """The image once its import has ended, well or not."""
    method = {"name": "glance-download", "glance_region": region, "glance_image_id": theirs}
    await user.post(f"{IMAGES}/{image_id}/import", {"method": method}, status=202)
    async with asyncio.timeout(PATIENCE_S):
        while (seen := (await user.get(f"{IMAGES}/{image_id}", status=200)).json)["status"] == "importing":
            await asyncio.sleep(0.01)
    return dict(seen)


async def test_content_formats_and_what_describes_them_come_along(cloud: Cloud, region: str) -> None:
    ana = await cloud.project()
    theirs = await an_image(ana, empty(), disk_format="qcow2", container_format="bare", os_distro="debian", my="own")
    mine = await fetched(ana, await an_image(ana), region, theirs)
    assert (mine["status"], mine["disk_format"], mine["container_format"]) == ("active", "qcow2", "bare")
    assert mine["os_distro"] == "debian" and "my" not in mine
    assert (await ana.get(f"{IMAGES}/{mine['id']}/file", status=200)).body == empty()


async def test_anothers_private_image_does_not_come(cloud: Cloud, region: str) -> None:
    ana, ben = await cloud.project(), await cloud.project()
    theirs = await an_image(ben, empty(), disk_format="qcow2", container_format="bare")
    mine = await fetched(ana, await an_image(ana), region, theirs)
    assert mine["status"] == "queued" and mine["os_hash_value"] is None
    [task] = (await ana.get(f"{IMAGES}/{mine['id']}/tasks", status=200)).json["tasks"]
    assert task["status"] == "failure" and "404" in task["message"]


async def test_a_region_that_is_not_in_the_catalogue_is_told(cloud: Cloud, host: Machine) -> None:
    ana = await cloud.project()
    mine = await fetched(ana, await an_image(ana), "nowhere", str(uuid.uuid4()))
    [task] = (await ana.get(f"{IMAGES}/{mine['id']}/tasks", status=200)).json["tasks"]
    assert mine["status"] == "queued" and "in region nowhere" in task["message"]
