# SPDX-License-Identifier: Apache-2.0
"""Booting copies nothing (GLA-16): a disk on a large image that the host holds takes no room.

What disks are made of is test_disks.py, how images get to a host test_images.py.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import msgspec

from skyhold.compute.drivers.qemu import disks
from skyhold.compute.drivers.qemu.folder import Folder
from skyhold.compute.drivers.qemu.images import ImageCache

from .test_disks import spec_on

GIB = 1 << 30


async def test_disks_on_a_two_gib_image_take_no_room_gla_16(tmp_path: Path) -> None:
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
    for turn in range(3):
        folder = Folder(tmp_path / "guests", f"guest-{turn}")
        folder.owner = None
        folder.create()
        await disks.prepare(spec, folder, cache)
        made = next(folder.run.glob("*.qcow2"))
        assert made.stat().st_blocks * 512 < 1 << 20
