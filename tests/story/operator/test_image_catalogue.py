# SPDX-License-Identifier: Apache-2.0
"""Stories of `skyhold image catalogue import` (GLA-15): a publisher's web server, a cloud that listens, the command.

How checksums are read is tests/unit/image/test_catalogue.py.
"""

from __future__ import annotations

import asyncio
import bz2
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from aiohttp import web

from skyhold.cmd import images
from skyhold.core.settings.whole import Settings
from skyhold.host.machine import Machine
from skyhold.image.catalogue import Entry
from tests.kit.cloud import ADMIN_PASSWORD, Cloud

NAME = "disk"
CONTENT = bytes(range(256)) * 4000


class Publisher:
    def __init__(self) -> None:
        self.content, self.sums, self.base = CONTENT, "", ""
        self.says(CONTENT)

    def says(self, content: bytes, name: str = "disk.img") -> None:
        self.sums = f"{hashlib.sha512(content).hexdigest()}  {name}\n"

    async def answer(self, request: web.Request) -> web.StreamResponse:
        return web.Response(body=self.sums.encode() if request.path.endswith("SUMS") else self.content)

    def entry(self, **more: Any) -> Entry:
        made = Entry(
            title="A disk", url=f"{self.base}/disk.img", checksums=f"{self.base}/SHA512SUMS", algorithm="sha512",
            moving=False, disk_format="raw", min_disk_gb=1, properties={"os_distro": "debian"},
        )
        return msgspec.structs.replace(made, **more)


@pytest_asyncio.fixture(loop_scope="session")
async def publisher() -> AsyncIterator[Publisher]:
    made = Publisher()
    app = web.Application()
    app.router.add_get("/{name}", made.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.base = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield made
    await runner.cleanup()


@pytest.fixture(autouse=True)
def password(cloud: Cloud, host: Machine) -> None:
    """The cloud listens, and its administrator's password is where `skyhold up` puts it."""
    (cloud.core.settings.home / "admin-password").write_text(ADMIN_PASSWORD)


async def bring(cloud: Cloud, entry: Entry, **more: Any) -> str:
    told = {"public": True, "accept_change": False, **more}
    return await asyncio.to_thread(images.import_entry, cloud.core.settings, NAME, entry, **told)


def leftovers(cloud: Cloud) -> list[Path]:
    return list(cloud.core.settings.home.glob(".catalogue-*"))


async def test_an_image_is_fetched_verified_and_offered_once(cloud: Cloud, publisher: Publisher) -> None:
    image_id = await bring(cloud, publisher.entry())
    shown = (await cloud.admin.get(f"/image/v2/images/{image_id}", status=200)).json
    assert shown["status"] == "active" and shown["visibility"] == "public" and shown["os_distro"] == "debian"
    assert shown["os_hash_value"] == hashlib.sha512(CONTENT).hexdigest()
    assert await bring(cloud, publisher.entry()) == image_id and leftovers(cloud) == []


async def test_what_is_packed_is_unpacked_after_it_was_verified(cloud: Cloud, publisher: Publisher) -> None:
    publisher.content = bz2.compress(CONTENT)
    publisher.says(publisher.content)
    image_id = await bring(cloud, publisher.entry())
    assert (await cloud.admin.get(f"/image/v2/images/{image_id}/file", status=200)).body == CONTENT


async def test_content_that_is_not_what_its_publisher_says_is_no_image(cloud: Cloud, publisher: Publisher) -> None:
    publisher.content = CONTENT + b"one more"
    with pytest.raises(images.Unusable, match="Nothing was imported"):
        await bring(cloud, publisher.entry())
    publisher.sums = "nothing"
    with pytest.raises(images.Unusable, match="no sha512 digest"):
        await bring(cloud, publisher.entry())
    source = {"catalogue_source": publisher.entry().url}
    listed = (await cloud.admin.get("/image/v2/images", source, status=200)).json["images"]
    assert listed == [] and leftovers(cloud) == []


async def test_an_address_that_never_changes_is_held_to_its_first_content(cloud: Cloud, publisher: Publisher) -> None:
    await bring(cloud, publisher.entry())
    publisher.content = CONTENT[::-1]
    publisher.says(publisher.content)
    with pytest.raises(images.Unusable, match="--accept-change"):
        await bring(cloud, publisher.entry())
    await bring(cloud, publisher.entry(moving=True))
    publisher.content = CONTENT[1:]
    publisher.says(publisher.content)
    await bring(cloud, publisher.entry(), accept_change=True)


async def test_an_operator_pins_a_build(cloud: Cloud, publisher: Publisher, monkeypatch: pytest.MonkeyPatch) -> None:
    entry, right = publisher.entry(moving=True), hashlib.sha512(CONTENT).hexdigest()
    monkeypatch.setattr(images.catalogue, "entries", lambda: {NAME: entry})

    async def import_pinned(digest: str) -> str:
        return await asyncio.to_thread(images.bring, cloud.core.settings, NAME, pinned=digest)

    for digest, word in (("0" * 128, right), (right[:-1], "128 hexadecimal digits")):
        with pytest.raises(SystemExit, match=word):
            await import_pinned(digest)
    image_id = await import_pinned(right.upper())
    assert (await cloud.admin.get(f"/image/v2/images/{image_id}", status=200)).json["catalogue_sha512"] == right


async def test_without_a_cloud_nothing_is_fetched(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="no cloud"):
        await asyncio.to_thread(images.bring, Settings(home=tmp_path / "nowhere"), "debian-13")


async def test_the_list_needs_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    images.show()
    assert "debian-13" in capsys.readouterr().out


async def test_a_machine_without_the_network_is_told_what_to_do(cloud: Cloud, publisher: Publisher) -> None:
    entry = publisher.entry(checksums="https://nowhere.invalid/SUMS")
    with pytest.raises(images.Unusable, match="openstack image create --file"):
        await bring(cloud, entry)
