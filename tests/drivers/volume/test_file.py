# SPDX-License-Identifier: Apache-2.0
"""Volumes as files: content, formats, headers that lie, and what is left after a kill. With the real qemu-img."""

from __future__ import annotations

import asyncio
import hashlib
import os
import struct
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from aiohttp import web

from skyhold.core import qcow2
from skyhold.volume.drivers.base import (
    ImageSource,
    ImageTarget,
    NoRoom,
    SnapshotSpec,
    VolumeFailed,
    VolumeSpec,
    VolumeUpload,
)
from skyhold.volume.drivers.file import FileVolumes
from tests.drivers.volume.test_conformance import MIB, image

WORDS = b"what a disk may hold" * 1000


@pytest_asyncio.fixture
async def driver(tmp_path: Path) -> AsyncIterator[FileVolumes]:
    made = FileVolumes(tmp_path / "volumes")
    await made.start()
    yield made
    await made.stop()


def raw_of(path: Path) -> bytes:
    out = path.with_suffix(".raw-test")
    subprocess.run(["qemu-img", "convert", "-f", "qcow2", "-O", "raw", str(path), str(out)], check=True)
    content = out.read_bytes()
    out.unlink()
    return content


def owner(path: str) -> int:
    return os.stat(path).st_uid


def qemu_img(*argv: str, cwd: Path) -> None:
    subprocess.run(["qemu-img", *argv], check=True, cwd=cwd)


def raw_image(tmp_path: Path) -> ImageSource:
    content = WORDS.ljust(MIB, b"\0")
    return image(tmp_path, content, format="raw", virtual_size_bytes=MIB)


async def test_a_volume_holds_what_its_image_holds_and_so_do_its_copies(driver: FileVolumes, tmp_path: Path) -> None:
    source = raw_image(tmp_path)
    await driver.ensure(VolumeSpec(volume_id="v", size_bytes=4 * MIB, image=source))
    assert owner(str(source.path)) == owner(str(tmp_path)), "the store's own file changed hands"
    expected = WORDS.ljust(4 * MIB, b"\0")
    assert raw_of(driver.path_of("v")) == expected
    await driver.snapshot(SnapshotSpec(snapshot_id="s", volume_id="v"))
    await driver.ensure(VolumeSpec(volume_id="clone", size_bytes=4 * MIB, source_volume_id="v"))
    await driver.absent("v")
    await driver.ensure(VolumeSpec(volume_id="child", size_bytes=4 * MIB, snapshot_id="s"))
    assert raw_of(driver.path_of("clone")) == raw_of(driver.path_of("child")) == expected
    with pytest.raises(KeyError):
        driver.path_of("v")


@pytest.mark.parametrize("name", ["v", "snapshots"])
async def test_files_are_the_agents_alone(driver: FileVolumes, name: str) -> None:
    await driver.ensure(VolumeSpec(volume_id="v", size_bytes=MIB))
    path = driver.path_of("v") if name == "v" else driver.snapshots
    assert path.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("id", ["../escape", "a/b", "", "-option", "a" * 65])
async def test_an_id_is_never_a_path_or_an_option(driver: FileVolumes, id: str) -> None:
    with pytest.raises(VolumeFailed):
        await driver.ensure(VolumeSpec(volume_id=id, size_bytes=MIB))


async def test_cve_2024_32498_an_image_that_names_a_data_file_is_refused(driver: FileVolumes, tmp_path: Path) -> None:
    """Also CVE-2022-47951 and CVE-2024-40767: what the bytes are is found out before any tool opens them."""
    (tmp_path / "secret").write_bytes(b"s" * MIB)
    evil = tmp_path / "evil.qcow2"
    options = "data_file=secret,data_file_raw=on"
    qemu_img("create", "-q", "-f", "qcow2", "-o", options, str(evil), "1M", cwd=tmp_path)
    with pytest.raises(VolumeFailed, match="refused"):
        await driver.ensure(VolumeSpec(volume_id="v", size_bytes=4 * MIB, image=image(tmp_path, evil.read_bytes())))
    backed = tmp_path / "backed.qcow2"
    qemu_img("create", "-q", "-f", "qcow2", "-b", "secret", "-F", "raw", str(backed), cwd=tmp_path)
    for told in ({"format": "qcow2"}, {"format": "raw"}):
        lying = image(tmp_path, backed.read_bytes(), **told)
        with pytest.raises(VolumeFailed, match="refused"):
            await driver.ensure(VolumeSpec(volume_id="v", size_bytes=4 * MIB, image=lying))
    assert (await driver.list()).volumes == []


async def test_bytes_that_are_not_those_promised_are_refused(driver: FileVolumes, tmp_path: Path) -> None:
    lying = image(tmp_path, qcow2.empty(), sha512=hashlib.sha512(b"other").hexdigest())
    with pytest.raises(VolumeFailed, match="checksum"):
        await driver.ensure(VolumeSpec(volume_id="v", size_bytes=4 * MIB, image=lying))


async def test_a_header_that_a_guest_rewrote_is_not_believed(driver: FileVolumes) -> None:
    """A guest that broke out of QEMU can write its volume's file: nobody follows it to other files."""
    await driver.ensure(VolumeSpec(volume_id="v", size_bytes=4 * MIB))
    path = driver.path_of("v")
    with path.open("r+b") as file:
        file.seek(8)
        file.write(struct.pack(">QI", 0x200, 11))
        file.seek(0x200)
        file.write(b"/etc/shadow")
    for wish in (
        driver.snapshot(SnapshotSpec(snapshot_id="s", volume_id="v")),
        driver.ensure(VolumeSpec(volume_id="c", size_bytes=4 * MIB, source_volume_id="v")),
        driver.ensure(VolumeSpec(volume_id="v", size_bytes=8 * MIB, anew=False)),
    ):
        with pytest.raises(VolumeFailed, match="altered"):
            await wish


async def test_what_an_agent_left_half_done_goes_at_the_next_start(driver: FileVolumes) -> None:
    work = driver.folder / ".work-dead"
    work.mkdir()
    (work / "made").write_bytes(b"half")
    (driver.folder / "stranger").write_bytes(b"")
    await FileVolumes(driver.folder).start()
    assert not work.exists()
    assert (await driver.list()).leftovers == ["stranger"], "what isn't ours is told, not removed"


async def test_cut_short_it_leaves_nothing(driver: FileVolumes, tmp_path: Path) -> None:
    task = asyncio.create_task(driver.ensure(VolumeSpec(volume_id="v", size_bytes=MIB, image=raw_image(tmp_path))))
    await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert [path.name for path in driver.folder.iterdir()] == ["snapshots"]
    await driver.ensure(VolumeSpec(volume_id="v", size_bytes=MIB, image=raw_image(tmp_path)))


async def test_no_room_is_said_before_anything_is_written(driver: FileVolumes) -> None:
    with pytest.raises(NoRoom, match="GiB free"):
        await driver.ensure(VolumeSpec(volume_id="v", size_bytes=1 << 60))
    assert (await driver.list()).volumes == []


async def test_one_that_is_open_elsewhere_is_copied_by_whoever_has_it(driver: FileVolumes) -> None:
    asked = []

    class Guests:
        async def copy_volume(self, volume_id: str, target: Path) -> bool:
            asked.append((volume_id, qcow2.read_header(target).virtual_size_bytes))
            return volume_id == "open"

    driver.guests = Guests()
    for name in ("open", "closed"):
        await driver.ensure(VolumeSpec(volume_id=name, size_bytes=4 * MIB))
        await driver.snapshot(SnapshotSpec(snapshot_id=f"of-{name}", volume_id=name))
    assert asked == [("open", 4 * MIB), ("closed", 4 * MIB)]
    assert (await driver.list()).snapshots == ["of-closed", "of-open"]


@pytest.mark.parametrize("to", ["raw", "qcow2"])
async def test_uploaded_as_one_file(driver: FileVolumes, tmp_path: Path, to: str) -> None:
    await driver.ensure(VolumeSpec(volume_id="v", size_bytes=MIB, image=raw_image(tmp_path)))
    heard: list[bytes] = []

    async def take(request: web.Request) -> web.Response:
        assert request.headers["X-Auth-Token"] == "token"
        heard.append(await request.read())
        return web.Response(status=204)

    app = web.Application(client_max_size=1 << 30)
    app.router.add_put("/file", take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    target = ImageTarget(image_id="i", url=f"http://127.0.0.1:{port}/file", token="token", format=to)  # type: ignore[arg-type]
    await driver.upload(VolumeUpload(volume_id="v", target=target))
    await runner.cleanup()
    (tmp_path / "got").write_bytes(heard[0])
    content = heard[0] if to == "raw" else raw_of(tmp_path / "got")
    assert content == WORDS.ljust(MIB, b"\0")
