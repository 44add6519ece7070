# SPDX-License-Identifier: Apache-2.0
"""What every driver of volumes does, on the fake and on files with the real qemu-img.

What only files can do wrong (headers, leftovers, formats) is test_file.py.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from skyhold.core.qcow2 import empty
from skyhold.volume.drivers.base import (
    ImageSource,
    SnapshotSpec,
    VolumeDriver,
    VolumeFailed,
    VolumeSpec,
)
from skyhold.volume.drivers.fake import FakeVolumes
from skyhold.volume.drivers.file import FileVolumes

MIB = 1 << 20


def made(kind: str, home: Path) -> VolumeDriver:
    return FakeVolumes(state_dir=home) if kind == "fake" else FileVolumes(home / "volumes")


@pytest_asyncio.fixture(params=["fake", "file"])
async def driver(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[VolumeDriver]:
    driver = made(request.param, tmp_path)
    await driver.start()
    yield driver
    await driver.stop()


def image(tmp_path: Path, content: bytes, **more: object) -> ImageSource:
    path = tmp_path / "image-content"
    path.write_bytes(content)
    told = {
        "image_id": "i", "format": "qcow2", "size_bytes": len(content), "virtual_size_bytes": MIB,
        "sha512": hashlib.sha512(content).hexdigest(), "path": str(path),
    }
    return ImageSource(**(told | more))  # type: ignore[arg-type]


async def test_made_once_grown_and_gone(driver: VolumeDriver) -> None:
    first = await driver.ensure(VolumeSpec(volume_id="v", size_bytes=8 * MIB))
    assert first.size_bytes == 8 * MIB
    assert await driver.ensure(VolumeSpec(volume_id="v", size_bytes=8 * MIB)) == first
    grown = await driver.ensure(VolumeSpec(volume_id="v", size_bytes=16 * MIB, anew=False))
    assert grown.size_bytes == 16 * MIB
    assert (await driver.ensure(VolumeSpec(volume_id="v", size_bytes=8 * MIB))).size_bytes == 16 * MIB, "never shrunk"
    assert (await driver.list()).volumes == ["v"]
    await driver.absent("v")
    await driver.absent("v")
    assert (await driver.list()).volumes == []


async def test_one_that_was_lost_is_not_replaced_by_an_empty_one(driver: VolumeDriver) -> None:
    with pytest.raises(VolumeFailed, match="gone"):
        await driver.ensure(VolumeSpec(volume_id="v", size_bytes=MIB, anew=False))
    with pytest.raises(VolumeFailed, match="gone"):
        await driver.ensure(VolumeSpec(volume_id="v", size_bytes=MIB, source_volume_id="w"))
    with pytest.raises(VolumeFailed, match="gone"):
        await driver.ensure(VolumeSpec(volume_id="v", size_bytes=MIB, snapshot_id="w"))
    with pytest.raises(VolumeFailed, match="gone"):
        await driver.snapshot(SnapshotSpec(snapshot_id="s", volume_id="v"))
    assert (await driver.list()).volumes == []


async def test_copies_outlive_what_they_were_made_of(driver: VolumeDriver) -> None:
    await driver.ensure(VolumeSpec(volume_id="v", size_bytes=4 * MIB))
    await driver.snapshot(SnapshotSpec(snapshot_id="s", volume_id="v"))
    await driver.snapshot(SnapshotSpec(snapshot_id="s", volume_id="v"))
    await driver.ensure(VolumeSpec(volume_id="child", size_bytes=8 * MIB, snapshot_id="s"))
    await driver.ensure(VolumeSpec(volume_id="clone", size_bytes=4 * MIB, source_volume_id="v"))
    await driver.absent("v")
    await driver.snapshot_absent("s")
    await driver.snapshot_absent("s")
    found = await driver.list()
    assert (found.volumes, found.snapshots) == (["child", "clone"], [])
    assert (await driver.ensure(VolumeSpec(volume_id="child", size_bytes=16 * MIB, anew=False))).size_bytes == 16 * MIB


async def test_of_an_image(driver: VolumeDriver, tmp_path: Path) -> None:
    made_of = image(tmp_path, empty())
    with pytest.raises(VolumeFailed, match="too small"):
        await driver.ensure(VolumeSpec(volume_id="v", size_bytes=MIB // 2, image=made_of))
    status = await driver.ensure(VolumeSpec(volume_id="v", size_bytes=8 * MIB, image=made_of))
    assert status.size_bytes == 8 * MIB


async def test_kept_over_a_restart(driver: VolumeDriver, tmp_path: Path) -> None:
    await driver.ensure(VolumeSpec(volume_id="v", size_bytes=4 * MIB))
    await driver.snapshot(SnapshotSpec(snapshot_id="s", volume_id="v"))
    await driver.stop()
    other = made("fake" if isinstance(driver, FakeVolumes) else "file", tmp_path)
    await other.start()
    found = await other.list()
    assert (found.volumes, found.snapshots, found.leftovers) == (["v"], ["s"], [])


async def test_its_pool_has_room(driver: VolumeDriver) -> None:
    pool = await driver.pool()
    assert 0 < pool.free_bytes <= pool.total_bytes
