# SPDX-License-Identifier: Apache-2.0
"""The scene of volume stories: a project with words for what is done with its volumes, on the run's one fake host.

Made once a story by the `scene` fixture (conftest.py beside this file).
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

from skyhold.core.context import internal
from skyhold.core.qcow2 import empty
from skyhold.host.machine import Machine
from tests.kit.cloud import Cloud, Persona

V = "/volume/v3"
LATEST = {"OpenStack-API-Version": "volume 3.70"}


@dataclass
class Scene:
    cloud: Cloud
    user: Persona
    host: Machine

    async def make(self, *, expect: str = "available", **wish: Any) -> dict[str, Any]:
        """A volume that has come to rest in the expected state."""
        answer = await self.user.post(f"{V}/volumes", {"volume": {"size": 1} | wish}, headers=LATEST, status=202)
        assert answer.json["volume"]["status"] == "creating"
        await self.settled()
        volume = await self.show(answer.json["volume"]["id"])
        assert volume["status"] == expect
        return volume

    async def snapshot(self, volume: dict[str, Any], *, expect: str = "available", **wish: Any) -> dict[str, Any]:
        body = {"snapshot": {"volume_id": volume["id"]} | wish}
        made = await self.user.post(f"{V}/snapshots", body, headers=LATEST, status=202)
        await self.settled()
        shown = await self.user.get(f"{V}/snapshots/{made.json['snapshot']['id']}", headers=LATEST, status=200)
        assert shown.json["snapshot"]["status"] == expect
        return shown.json["snapshot"]

    async def show(self, volume_id: str) -> dict[str, Any]:
        return (await self.user.get(f"{V}/volumes/{volume_id}", headers=LATEST, status=200)).json["volume"]

    async def act(self, volume: dict[str, Any], body: dict[str, Any], *, status: int = 202, who: Any = None) -> Any:
        path = f"{V}/volumes/{volume['id']}/action"
        answer = await (who or self.user).post(path, body, headers=LATEST, status=status)
        await self.settled()
        return answer.json

    async def delete(self, volume: dict[str, Any], *, status: int = 202, query: str = "") -> Any:
        answer = await self.user.delete(f"{V}/volumes/{volume['id']}{query}", headers=LATEST, status=status)
        await self.settled()
        return answer.json

    async def settled(self) -> None:
        assert await self.cloud.core.sagas.idle()

    async def image(self, **more: Any) -> str:
        body = {"name": "disk", "disk_format": "qcow2", "container_format": "bare"} | more
        made = await self.user.post("/image/v2/images", body, status=201)
        await self.user.put(f"/image/v2/images/{made.json['id']}/file", empty(), status=204,
                            content_type="application/octet-stream")
        return str(made.json["id"])

    async def used(self) -> dict[str, int]:
        """Of the quota."""
        path = f"{V}/os-quota-sets/{self.user.project_id}?usage=true"
        found = (await self.user.get(path, status=200)).json["quota_set"]
        return {name: found[name]["in_use"] for name in ("volumes", "snapshots", "gigabytes")}

    async def quota(self, **limits: int) -> None:
        path = f"{V}/os-quota-sets/{self.user.project_id}"
        await self.cloud.admin.put(path, {"quota_set": limits}, status=200)

    async def on_host(self) -> tuple[set[str], set[str]]:
        found = await self.host.volumes.list()
        return set(found.volumes), set(found.snapshots)

    async def read(self, operation: Any, *args: Any) -> Any:
        return await internal(self.cloud.core).read(operation, *args)

    async def write(self, operation: Any, *args: Any, **kw: Any) -> Any:
        return await internal(self.cloud.core).write(operation, *args, **kw)


def fresh_id() -> str:
    return str(uuid.uuid4())
