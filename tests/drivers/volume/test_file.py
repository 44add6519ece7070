# SPDX-License-Identifier: Apache-2.0
"""Volumes as files: content, formats, headers that lie, and what is left after a kill. With the real qemu-img."""

from __future__ import annotations

import asyncio
import hashlib
import os
import struct
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio
from aiohttp import web

from skyhold.core import qcow2
from skyhold.core.tools import Fence, ToolFailed, run_tool
from skyhold.image.drivers.hosts import CantSend
from skyhold.image.logic.inspection import Inspection, Refused
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


@pytest.mark.skipif(os.geteuid() != 0, reason="who isn't root has nobody to become")
async def test_no_tool_that_reads_what_a_guest_wrote_is_more_than_nobody(
    driver: FileVolumes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It sees the one file it works on: whatever a guest puts into its volume's tables, there is nothing to be had."""
    ran: list[str] = []

    async def watched(*argv: str, cwd: Path, fence: Fence) -> str:
        ran.append(argv[1])
        assert fence.owner == 65534 and not any("/" in word for word in argv[1:])
        assert {owner(os.path.join(cwd, name)) for name in (".", *os.listdir(cwd))} == {65534}
        for other in ("../other.qcow2", str(driver.folder / "other.qcow2"), "../snapshots"):
            with pytest.raises(ToolFailed):
                await run_tool("ls", other, cwd=cwd, fence=fence)
        return await run_tool(*argv, cwd=cwd, fence=fence)

    await driver.ensure(VolumeSpec(volume_id="other", size_bytes=MIB))
    monkeypatch.setattr("skyhold.volume.drivers.file.run_tool", watched)
    await driver.ensure(VolumeSpec(volume_id="v", size_bytes=MIB, image=raw_image(tmp_path)))
    os.chown(driver.path_of("v"), 0, 0)  # as it was made before tools were nobody
    await driver.ensure(VolumeSpec(volume_id="v", size_bytes=4 * MIB, anew=False))
    await driver.snapshot(SnapshotSpec(snapshot_id="s", volume_id="v"))
    await driver.ensure(VolumeSpec(volume_id="blank", size_bytes=MIB))
    await driver.ensure(VolumeSpec(volume_id="copy", size_bytes=8 * MIB, snapshot_id="s"))
    async with image_service("raw") as (target, _):
        await driver.upload(VolumeUpload(volume_id="copy", target=target))
    assert ran == ["convert", "resize", "convert", "create", "convert", "resize", "convert"]
    assert raw_of(driver.path_of("copy")) == WORDS.ljust(8 * MIB, b"\0")
    assert sorted((await driver.list()).volumes) == ["blank", "copy", "other", "v"]


async def test_what_a_tool_put_in_the_place_of_what_it_made_is_neither_kept_nor_sent(
    driver: FileVolumes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Taken over by what it read, it could name a file that only the agent may read."""
    secret = tmp_path / "secret"
    secret.write_text("the machine's")
    await driver.ensure(VolumeSpec(volume_id="v", size_bytes=MIB))

    async def taken_over(*argv: str, cwd: Path, fence: Fence) -> str:
        said = await run_tool(*argv, cwd=cwd, fence=fence)
        (cwd / "made").unlink()
        (cwd / "made").symlink_to(secret)
        return said

    monkeypatch.setattr("skyhold.volume.drivers.file.run_tool", taken_over)
    for wish in (
        driver.snapshot(SnapshotSpec(snapshot_id="s", volume_id="v")),
        driver.upload(VolumeUpload(volume_id="v", target=nowhere("raw"))),
    ):
        with pytest.raises(VolumeFailed, match="not what the host made"):
            await wish
    assert (await driver.list()).snapshots == []


async def test_no_refusal_tells_where_a_file_lies(driver: FileVolumes) -> None:
    """Tenants read it as the reason of a volume or a server in error."""
    for name in ("broken", "open"):
        await driver.ensure(VolumeSpec(volume_id=name, size_bytes=4 * MIB))
    with driver.path_of("broken").open("r+b") as file:
        file.seek(40)
        file.write(struct.pack(">Q", 7))  # where QEMU would look for its first table
    wishes = [
        driver.ensure(VolumeSpec(volume_id="c", size_bytes=4 * MIB, source_volume_id="broken")),
        driver.ensure(VolumeSpec(volume_id="broken", size_bytes=8 * MIB, anew=False)),
        driver.snapshot(SnapshotSpec(snapshot_id="s", volume_id="broken")),
        driver.upload(VolumeUpload(volume_id="broken", target=nowhere("qcow2"))),
        driver.ensure(VolumeSpec(volume_id="c", size_bytes=4 * MIB, source_volume_id="gone")),
        driver.upload(VolumeUpload(volume_id="open", target=nowhere("raw"))),
    ]
    for wish in wishes:
        with pytest.raises((NoRoom, VolumeFailed, CantSend)) as refusal:
            await wish
        assert str(driver.folder.parent) not in str(refusal.value)


def nowhere(format: str) -> ImageTarget:
    return ImageTarget(image_id="i", url="http://127.0.0.1:9/file", token="t", format=format)  # type: ignore[arg-type]


async def test_a_new_volume_holds_no_byte_of_one_that_was_deleted(driver: FileVolumes, tmp_path: Path) -> None:
    """Nor does what an extension adds, or what a larger copy has beyond its source."""
    secret = b"another tenant's words".ljust(512, b".") * 2048
    for _ in range(3):
        source = image(tmp_path, secret, format="raw", virtual_size_bytes=len(secret))
        await driver.ensure(VolumeSpec(volume_id="v", size_bytes=4 * MIB, image=source))
        await driver.snapshot(SnapshotSpec(snapshot_id="s", volume_id="v"))
        await driver.absent("v")
        await driver.snapshot_absent("s")
        await driver.ensure(VolumeSpec(volume_id="next", size_bytes=4 * MIB))
        await driver.ensure(VolumeSpec(volume_id="next", size_bytes=8 * MIB, anew=False))
        await driver.ensure(VolumeSpec(volume_id="copy", size_bytes=16 * MIB, source_volume_id="next"))
        for name, size in (("next", 8 * MIB), ("copy", 16 * MIB)):
            assert raw_of(driver.path_of(name)) == bytes(size)
            assert secret[:22] not in driver.path_of(name).read_bytes()
            await driver.absent(name)


async def test_invariant_13_a_path_never_leads_to_what_came_after(driver: FileVolumes) -> None:
    """CVE-2023-2088: a device was used again while its old name was still held."""
    await driver.ensure(VolumeSpec(volume_id="mine", size_bytes=MIB))
    path = driver.path_of("mine")
    with path.open("rb") as held:
        await driver.absent("mine")
        await driver.ensure(VolumeSpec(volume_id="theirs", size_bytes=MIB))
        assert not path.exists() and driver.path_of("theirs") != path
        assert os.fstat(held.fileno()).st_ino != driver.path_of("theirs").stat().st_ino
    with pytest.raises(KeyError):
        driver.path_of("mine")
    with pytest.raises(VolumeFailed, match="gone"):
        await driver.ensure(VolumeSpec(volume_id="mine", size_bytes=MIB, anew=False))


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


@asynccontextmanager
async def image_service(to: str) -> AsyncIterator[tuple[ImageTarget, list[bytes]]]:
    """Where an image may be sent, and what was; it looks at what comes as the real one does."""
    heard: list[bytes] = []

    async def take(request: web.Request) -> web.Response:
        assert request.headers["X-Auth-Token"] == "token"
        heard.append(await request.read())
        inspection = Inspection(to, "bare", 1 << 40)
        try:
            inspection.feed(heard[0])
            inspection.conclude()
        except Refused:
            return web.Response(status=415)
        return web.Response(status=204)

    app = web.Application(client_max_size=1 << 30)
    app.router.add_put("/file", take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/file"
    yield ImageTarget(image_id="i", url=url, token="token", format=to), heard  # type: ignore[arg-type]
    await runner.cleanup()


@pytest.mark.parametrize("to", ["raw", "qcow2"])
async def test_uploaded_as_one_file(driver: FileVolumes, tmp_path: Path, to: str) -> None:
    await driver.ensure(VolumeSpec(volume_id="v", size_bytes=MIB, image=raw_image(tmp_path)))
    async with image_service(to) as (target, heard):
        await driver.upload(VolumeUpload(volume_id="v", target=target))
    (tmp_path / "got").write_bytes(heard[0])
    content = heard[0] if to == "raw" else raw_of(tmp_path / "got")
    assert content == WORDS.ljust(MIB, b"\0")


async def test_cve_2024_40767_what_a_guest_writes_is_content_whatever_it_looks_like(
    driver: FileVolumes, tmp_path: Path
) -> None:
    """It writes a qcow2 header that names a file of the host: copies don't follow it, and no raw image begins so."""
    lie = tmp_path / "lie"
    (tmp_path / "secret").write_bytes(b"s" * MIB)
    qemu_img("create", "-q", "-f", "qcow2", "-b", str(tmp_path / "secret"), "-F", "raw", str(lie), cwd=tmp_path)
    written = lie.read_bytes()[:4096]
    (tmp_path / "head").write_bytes(written)
    await driver.ensure(VolumeSpec(volume_id="v", size_bytes=4 * MIB))
    write = ["qemu-io", "-f", "qcow2", "-c", f"write -s {tmp_path}/head 0 4096", str(driver.path_of("v"))]
    subprocess.run(write, check=True, capture_output=True)  # noqa: ASYNC221
    await driver.snapshot(SnapshotSpec(snapshot_id="s", volume_id="v"))
    await driver.ensure(VolumeSpec(volume_id="copy", size_bytes=8 * MIB, snapshot_id="s"))
    assert raw_of(driver.path_of("copy")) == written.ljust(8 * MIB, b"\0")
    async with image_service("qcow2") as (target, heard):
        await driver.upload(VolumeUpload(volume_id="v", target=target))
    (tmp_path / "got").write_bytes(heard[0])
    assert raw_of(tmp_path / "got") == written.ljust(4 * MIB, b"\0")
    async with image_service("raw") as (target, _):
        with pytest.raises(VolumeFailed, match="415"):
            await driver.upload(VolumeUpload(volume_id="v", target=target))


async def test_only_a_lock_is_told_as_a_lock(driver: FileVolumes, monkeypatch: pytest.MonkeyPatch) -> None:
    """What has to do with blocks has nothing to do with a guest."""
    for reason, told in (
        ("qemu-img: error while writing block 7: No space left", NoRoom),
        ('qemu-img: Could not open \'lent\': Failed to get shared "write" lock', VolumeFailed),
    ):
        async def failing(*argv: str, reason: str = reason, **more: object) -> None:
            raise ToolFailed(reason)

        monkeypatch.setattr("skyhold.volume.drivers.file.run_tool", failing)
        with pytest.raises(told):
            await driver.ensure(VolumeSpec(volume_id="v", size_bytes=MIB, anew=True))
