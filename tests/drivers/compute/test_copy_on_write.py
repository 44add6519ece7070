# SPDX-License-Identifier: Apache-2.0
"""Booting copies nothing (GLA-16): a disk on a large image that the host holds is there at once, and takes no room.

What disks are made of is test_disks.py, how images get to a host test_images.py.
"""

from __future__ import annotations

import hashlib
import os
import statistics
import time
from pathlib import Path

import msgspec

from skyhold.compute.drivers.qemu import disks
from skyhold.compute.drivers.qemu.folder import Folder
from skyhold.compute.drivers.qemu.images import ImageCache

from .test_disks import spec_on

GIB = 1 << 30
GOAL_S = 0.1
TURNS = 5


async def test_a_disk_on_a_two_gib_image_is_ready_within_a_tenth_of_a_second_gla_16(tmp_path: Path) -> None:
    image = tmp_path / "image"
    with image.open("wb") as file:
        file.truncate(2 * GIB)
        file.write(os.urandom(1 << 20))
    (tmp_path / "images").mkdir()
    (tmp_path / "guests").mkdir()
    cache = ImageCache(tmp_path / "images", session=None)  # type: ignore[arg-type]
    with image.open("rb") as file:
        sha512 = hashlib.file_digest(file, "sha512").hexdigest()
    (tmp_path / "little").write_bytes(b"little")
    like = spec_on(tmp_path / "little", "raw", 3 * GIB)
    source = msgspec.structs.replace(
        like.disks[0].source, size_bytes=2 * GIB, virtual_size_bytes=2 * GIB, sha512=sha512, path=str(image)
    )
    spec = msgspec.structs.replace(like, disks=[msgspec.structs.replace(like.disks[0], source=source)])
    base = await cache.ensure(source)
    assert base.samefile(image)
    walls = []
    for turn in range(TURNS):
        folder = Folder(tmp_path / "guests", f"guest-{turn}")
        folder.owner = None
        folder.create()
        began = time.perf_counter()
        await disks.prepare(spec, folder, cache)
        walls.append(time.perf_counter() - began)
        made = next(folder.run.glob("*.qcow2"))
        assert made.stat().st_blocks * 512 < 1 << 20
    # The quickest: what others do on this machine meanwhile is not the disk's doing.
    assert min(walls) < GOAL_S, f"{min(walls):.3f} s at best, {statistics.median(walls):.3f} s in the middle"
    print(f"{min(walls) * 1e3:.0f} ms at best, {statistics.median(walls) * 1e3:.0f} ms in the middle")
