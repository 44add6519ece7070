# SPDX-License-Identifier: Apache-2.0
"""Clouds for the image stories: the real application with only the image service in it.

Who asks is told by the token itself, `project/user/role,role`, so that these stories stand on
nothing but image. Each story takes fresh projects.
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from skyhold.core import errors
from skyhold.core.app import Core
from skyhold.core.blobs.file import FileStore
from skyhold.core.context import Ceilings, Context, Credentials
from skyhold.core.db.tx import Tx
from skyhold.core.operator.sagas import UNWIND
from skyhold.core.saga.runner import Run
from skyhold.core.settings.sections import Database
from skyhold.core.settings.whole import Settings
from skyhold.image.blobs import STAGING, Configured, Stores
from skyhold.image.drivers.base import BlobStore
from skyhold.image.service import SERVICE
from tests.kit.client import Answer, Client
from tests.kit.databases import emptied_url, servers

__all__ = ["emptied_url", "servers"]

IMPLIED = {
    "admin": ("admin", "manager", "member", "reader"), "member": ("member", "reader"), "reader": ("reader",),
    "service": ("service", "reader"),
}
V21 = "application/openstack-images-v2.1-json-patch"


class TokenIsTheAnswer:
    async def authenticate(self, token: str) -> Credentials:
        project, _, rest = token.partition("/")
        user, _, role = rest.partition("/")
        if role not in IMPLIED:
            raise errors.Unauthorized("no such token")
        return Credentials(
            user_id=user, user_name=user, project_id=project, scope="project", roles=frozenset(IMPLIED[role]),
            token=token,
        )


@dataclass
class ImageUser(Client):
    project_id: str = ""

    async def image(self, content: bytes | None = None, **attributes: Any) -> dict[str, Any]:
        body = {"disk_format": "raw", "container_format": "bare", "name": "an image", **attributes}
        made = (await self.post("/v2/images", body, status=201)).json
        if content is not None:
            await self.upload(made["id"], content, status=204)
        return await self.look(made["id"])

    async def look(self, image_id: str) -> dict[str, Any]:
        return (await self.get(f"/v2/images/{image_id}", status=200)).json

    async def upload(self, image_id: str, content: bytes, **kw: Any) -> Answer:
        headers = {"content-type": "application/octet-stream", **kw.pop("headers", {})}
        return await self.put(f"/v2/images/{image_id}/file", content, headers=headers, **kw)

    async def change(self, image_id: str, *changes: dict[str, Any], media: str = V21, **kw: Any) -> Answer:
        return await self.patch(f"/v2/images/{image_id}", list(changes), content_type=media, **kw)

    async def names(self, **query: Any) -> list[str]:
        return [image["name"] for image in (await self.get("/v2/images", query, status=200)).json["images"]]

    def with_role(self, role: str) -> ImageUser:
        return user_of(self.app, self.project_id, role)


class Bounded:
    """The unified limits, as identity would keep them; here everybody has the same."""

    def __init__(self, **limits: int) -> None:
        self.limits = limits

    def of(self, tx: Any, project_id: str, service_type: str, names: Sequence[str]) -> Ceilings:
        assert service_type == "image"
        return Ceilings({name: self.limits[name] for name in names if name in self.limits}, {}, ())


@dataclass
class House:
    core: Core

    def bound(self, **limits: int) -> None:
        """What a project may have from now on."""
        self.core.limits = Bounded(**limits)

    def someone(self, role: str = "member") -> ImageUser:
        return user_of(self.core.asgi, uuid.uuid4().hex, role)

    def keep_in(self, *stores: BlobStore) -> None:
        """The cloud's stores from now on; the first is the default one."""
        staging = FileStore(self.core.settings.image_staging_dir, STAGING)
        configured = [Configured(store, weight=-i) for i, store in enumerate(stores)]
        self.core.shelf["image.stores"] = Stores(configured, stores[0].name, staging)

    @property
    def files(self) -> list[Path]:
        return [path for path in self.core.settings.images_dir.rglob("*") if path.is_file()]


def aborted_after(monkeypatch: pytest.MonkeyPatch, module: Any, operation: str) -> None:
    """The operator aborts a saga in the very commit that runs this operation of its last step."""
    honest = getattr(module, operation)

    def then_abort(tx: Tx, ctx: Context, s: Run, *more: Any) -> None:
        honest(tx, ctx, s, *more)
        tx.execute(UNWIND, {"saga": s.id, "now": tx.now})

    monkeypatch.setattr(module, operation, then_abort)


def user_of(app: Any, project_id: str, role: str) -> ImageUser:
    return ImageUser(app, f"{project_id}/{uuid.uuid4().hex}/{role}", prefix="/image", project_id=project_id)


async def start_house(home: Path, **settings: Any) -> House:
    core = Core(Settings(home=home, **settings), [SERVICE])
    core.authenticator = TokenIsTheAnswer()
    await core.start()
    return House(core)


@pytest_asyncio.fixture
async def house(tmp_path: Path, emptied_url: str) -> AsyncIterator[House]:
    made = await start_house(tmp_path, database=Database(url=emptied_url))
    yield made
    await made.core.stop()
