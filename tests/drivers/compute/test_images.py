# SPDX-License-Identifier: Apache-2.0
"""Images that lie, images fetched once, and images that change nothing when they fail.

Named after the advisories they repeat where there is one. No guest is started here.
"""

# ruff: noqa: ASYNC240
from __future__ import annotations

import asyncio
import os
import struct
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import aiohttp
import msgspec
import pytest

from skyhold.compute.drivers.base import GuestFailed, ImageSource, NoRoom
from skyhold.compute.drivers.qemu.images import ImageCache
from tests.kit.patience import PATIENCE_S

from .conftest import TOKEN, ImageService, source_of

MIB = 1 << 20


@pytest.fixture
async def cache(tmp_path: Path) -> AsyncIterator[ImageCache]:
    folder = tmp_path / "images"
    folder.mkdir()
    async with aiohttp.ClientSession() as session:
        made = ImageCache(folder, lambda: session)
        yield made
        await made.close()


def qemu_img(*argv: str) -> None:
    subprocess.run(["qemu-img", *argv], check=True, stdout=subprocess.DEVNULL)


def good(folder: Path) -> ImageSource:
    path = folder / "good.qcow2"
    qemu_img("create", "-f", "qcow2", str(path), "8M")
    return source_of(path, "qcow2", 8 * MIB)


def raw_that_is_qcow2(folder: Path) -> ImageSource:
    """CVE-2024-40767."""
    return msgspec.structs.replace(good(folder), format="raw")


def qcow2_that_is_raw(folder: Path) -> ImageSource:
    path = folder / "raw"
    path.write_bytes(b"just bytes".ljust(MIB, b"\0"))
    return source_of(path, "qcow2", MIB)


def raw_that_is_vmdk(folder: Path) -> ImageSource:
    """CVE-2022-47951."""
    path = folder / "disk.vmdk"
    qemu_img("create", "-f", "vmdk", str(path), "8M")
    return source_of(path, "raw", 8 * MIB)


def with_a_backing_file(folder: Path) -> ImageSource:
    path = folder / "backed.qcow2"
    qemu_img("create", "-u", "-f", "qcow2", "-b", "/etc/passwd", "-F", "raw", str(path), "8M")
    return source_of(path, "qcow2", 8 * MIB)


def with_a_data_file(folder: Path) -> ImageSource:
    """CVE-2024-32498."""
    path = folder / "data.qcow2"
    qemu_img("create", "-f", "qcow2", "-o", f"data_file={folder / 'data'}", str(path), "8M")
    return source_of(path, "qcow2", 8 * MIB)


def with_unknown_features(folder: Path) -> ImageSource:
    source = good(folder)
    path = Path(str(source.path))
    with path.open("r+b") as file:
        file.seek(72)
        file.write(struct.pack(">Q", 1 << 17))
    return source_of(path, "qcow2", 8 * MIB)


def larger_inside_than_said(folder: Path) -> ImageSource:
    return msgspec.structs.replace(good(folder), virtual_size_bytes=4 * MIB)


def of_another_checksum(folder: Path) -> ImageSource:
    """CVE-2024-47211."""
    return msgspec.structs.replace(good(folder), sha512="0" * 128)


def of_another_size(folder: Path) -> ImageSource:
    return msgspec.structs.replace(good(folder), size_bytes=17)


def without_a_checksum(folder: Path) -> ImageSource:
    return msgspec.structs.replace(good(folder), sha512="")


def named_to_climb_out(folder: Path) -> ImageSource:
    return msgspec.structs.replace(good(folder), sha512="../" * 42 + "xx")


def that_is_a_device(folder: Path) -> ImageSource:
    return msgspec.structs.replace(good(folder), path="/dev/zero")


LIES: list[Callable[[Path], ImageSource]] = [
    raw_that_is_qcow2,
    qcow2_that_is_raw,
    raw_that_is_vmdk,
    with_a_backing_file,
    with_a_data_file,
    with_unknown_features,
    larger_inside_than_said,
    of_another_checksum,
    of_another_size,
    without_a_checksum,
    named_to_climb_out,
]


@pytest.mark.parametrize("lie", LIES)
async def test_a_lying_image_is_refused_and_not_kept(
    cache: ImageCache, tmp_path: Path, lie: Callable[[Path], ImageSource]
) -> None:
    with pytest.raises(GuestFailed):
        await cache.ensure(lie(tmp_path))
    assert list(cache.folder.iterdir()) == []


async def test_cve_2024_47211_content_of_another_checksum_is_not_kept(cache: ImageCache, tmp_path: Path) -> None:
    """The checksum was there and nobody looked."""
    with pytest.raises(GuestFailed, match=r"checksum|sha512|SHA-512"):
        await cache.ensure(of_another_checksum(tmp_path))
    assert list(cache.folder.iterdir()) == []


async def test_a_device_is_not_an_image(cache: ImageCache, tmp_path: Path) -> None:
    async with asyncio.timeout(PATIENCE_S):
        with pytest.raises(GuestFailed, match="ordinary file"):
            await cache.ensure(that_is_a_device(tmp_path))
    assert list(cache.folder.iterdir()) == []


async def test_a_file_of_this_host_is_linked_not_copied(cache: ImageCache, tmp_path: Path) -> None:
    source = good(tmp_path)
    base = await cache.ensure(source)
    assert os.path.samefile(base, str(source.path))
    Path(str(source.path)).unlink()
    assert (await cache.ensure(source)).stat().st_size == source.size_bytes


async def test_a_partition_table_is_an_ordinary_raw_image(cache: ImageCache, tmp_path: Path) -> None:
    disk = bytearray(MIB)
    disk[446:462] = struct.pack("<B3sB3sII", 0x80, b"\0\2\0", 0x83, b"\0\0\0", 1, 2047)
    disk[510:512] = b"\x55\xaa"
    path = tmp_path / "disk.raw"
    path.write_bytes(disk)
    assert (await cache.ensure(source_of(path, "raw", MIB))).exists()


async def test_many_guests_share_one_download(
    cache: ImageCache, images: ImageService, tmp_path: Path
) -> None:
    source = _remote(good(tmp_path), images)
    paths = await asyncio.gather(*(cache.ensure(source) for _ in range(5)))
    assert len(set(paths)) == 1
    assert images.gets == 1
    assert paths[0].read_bytes() == images.served["image"]


async def test_a_guest_that_gives_up_does_not_spoil_the_fetch_for_others(
    cache: ImageCache, images: ImageService, tmp_path: Path
) -> None:
    images.hold = asyncio.Event()
    source = _remote(good(tmp_path), images)
    one, two = asyncio.create_task(cache.ensure(source)), asyncio.create_task(cache.ensure(source))
    await asyncio.sleep(0.05)
    one.cancel()
    images.hold.set()
    assert (await two).exists()
    assert images.gets == 1


async def test_a_wrong_token_is_the_users_and_a_silent_service_the_hosts_trouble(
    cache: ImageCache, images: ImageService, tmp_path: Path
) -> None:
    source = _remote(good(tmp_path), images)
    with pytest.raises(GuestFailed, match="401"):
        await cache.ensure(msgspec.structs.replace(source, token="wrong"))
    with pytest.raises(NoRoom, match="could not be fetched"):
        await cache.ensure(msgspec.structs.replace(source, url="http://127.0.0.1:9/image"))
    with pytest.raises(NoRoom, match="no address"):
        await cache.ensure(msgspec.structs.replace(source, url=None))
    assert (await cache.ensure(source)).exists()


async def test_more_bytes_than_promised_are_not_stored(
    cache: ImageCache, images: ImageService, tmp_path: Path
) -> None:
    source = _remote(good(tmp_path), images)
    images.served["image"] += bytes(8 * MIB)
    with pytest.raises(GuestFailed, match="promised"):
        await cache.ensure(source)
    assert list(cache.folder.iterdir()) == []


async def test_sweeping_keeps_what_is_used_or_was_just_wanted(cache: ImageCache, tmp_path: Path) -> None:
    base = await cache.ensure(good(tmp_path))
    assert cache.sweep(set(), 60) == []
    assert cache.sweep({base.name}, 0) == []
    assert cache.sweep(set(), 0) == [base.name]
    assert not base.exists()


def _remote(source: ImageSource, images: ImageService) -> ImageSource:
    images.served["image"] = Path(str(source.path)).read_bytes()
    return msgspec.structs.replace(source, path=None, url=f"{images.url}/image", token=TOKEN)
