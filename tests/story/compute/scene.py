# SPDX-License-Identifier: Apache-2.0
"""The scene of compute stories: a project with a network, an image, a flavor, and a host.

Made once a story by the `scene` fixture (conftest.py beside this file).
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

from skyhold.core.qcow2 import empty
from skyhold.host.machine import Machine
from tests.kit.cloud import Cloud, Persona

VERSION = {"OpenStack-API-Version": "compute 2.90"}


@dataclass
class Scene:
    cloud: Cloud
    user: Persona
    host: Machine
    network_id: str
    image_id: str
    flavor_id: str
    flavor_name: str

    def wish(self, name: str, **more: Any) -> dict[str, Any]:
        body = {
            "name": name, "imageRef": self.image_id, "flavorRef": self.flavor_id,
            "networks": [{"uuid": self.network_id}],
        }
        return {"server": body | more}

    async def server(
        self, name: str, *, flavor: str | None = None, image: str | None = None, expect: str = "ACTIVE",
        ram_quota: int | None = None,
    ) -> dict[str, Any]:
        """A server that has come to rest in the expected status."""
        if ram_quota is not None:
            quota = {"quota_set": {"ram": ram_quota, "force": True}}
            await self.cloud.admin.put(f"/compute/v2.1/os-quota-sets/{self.user.project_id}", quota, status=200)
        body = self.wish(name, **({"flavorRef": flavor} if flavor else {}), **({"imageRef": image} if image else {}))
        answer = await self.user.post("/compute/v2.1/servers", body, status=202)
        await self.settled()
        server = await self.show(answer.json["server"])
        assert server["status"] == expect, server.get("fault")
        return server

    async def show(self, server: dict[str, Any]) -> dict[str, Any]:
        answer = await self.user.get(f"/compute/v2.1/servers/{server['id']}", headers=VERSION, status=200)
        shown: dict[str, Any] = answer.json["server"]
        return shown

    async def act(self, server: dict[str, Any], body: dict[str, Any]) -> None:
        await self.user.post(f"/compute/v2.1/servers/{server['id']}/action", body, status=202)
        await self.settled()

    async def settled(self) -> None:
        assert await self.cloud.core.sagas.idle(), "something is still going on"

    async def flavor(self, *, ram: int = 128, vcpus: int = 1, disk: int = 1) -> str:
        name = "flavor-" + uuid.uuid4().hex[:8]
        body = {"flavor": {"name": name, "ram": ram, "vcpus": vcpus, "disk": disk}}
        made = await self.cloud.admin.post("/compute/v2.1/flavors", body, status=200)
        return str(made.json["flavor"]["id"])

    async def used(self) -> dict[str, int]:
        """Quota in use, as the API tells it."""
        answer = await self.user.get(
            f"/compute/v2.1/os-quota-sets/{self.user.project_id}/detail", status=200
        )
        quota = answer.json["quota_set"]
        return {name: quota[name]["in_use"] for name in ("instances", "cores", "ram")}


async def make_scene(cloud: Cloud, host: Machine) -> Scene:
    user = await cloud.project(["member", "reader"])
    net = (await user.post("/network/v2.0/networks", {"network": {"name": "net"}}, status=201)).json["network"]
    subnet = {"network_id": net["id"], "ip_version": 4, "cidr": "10.20.30.0/24"}
    await user.post("/network/v2.0/subnets", {"subnet": subnet}, status=201)
    body = {"name": "tiny", "disk_format": "qcow2", "container_format": "bare"}
    image = (await user.post("/image/v2/images", body, status=201)).json
    await user.put(
        f"/image/v2/images/{image['id']}/file", empty(), content_type="application/octet-stream", status=204
    )
    scene = Scene(cloud, user, host, net["id"], image["id"], "", "")
    scene.flavor_id = await scene.flavor()
    shown = await user.get(f"/compute/v2.1/flavors/{scene.flavor_id}", status=200)
    scene.flavor_name = shown.json["flavor"]["name"]
    return scene
