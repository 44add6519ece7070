# SPDX-License-Identifier: Apache-2.0
"""Disks of a guest as files: what the tools are told when they make and grow them, and what is never opened.

Images have test_images.py; whole guests test_qemu.py. The tools are the real ones, no guest is started.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import msgspec
import pytest

from skyhold.compute.drivers.base import DiskSpec, GuestFailed, GuestSpec, InstanceMetadata
from skyhold.compute.drivers.qemu import disks
from skyhold.compute.drivers.qemu.folder import Folder
from skyhold.core import qcow2
from skyhold.core.tools import run_tool

from .conftest import source_of

MIB = 1 << 20
GIB = 1 << 30


class Cache:
    """Has every image already, as the cache of images.py after a fetch."""

    async def ensure(self, source: Any) -> Path:
        return Path(str(source.path))


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """Every argument list that a tool was run with."""
    found: list[tuple[str, ...]] = []

    async def spy(*argv: str, **more: Any) -> str:
        found.append(argv)
        return await run_tool(*argv, **more)

    monkeypatch.setattr(disks, "run_tool", spy)
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    (tmp_path / "images").mkdir()
    (tmp_path / "guests").mkdir()
    tmp_path.chmod(0o755)
    made = Folder(tmp_path / "guests", "guest")
    made.owner = None
    made.create()
    return made


def spec_on(image: Path, format_: str, size_bytes: int) -> GuestSpec:
    disk = DiskSpec(role="root", size_bytes=size_bytes, source=source_of(image, format_, MIB))
    about = InstanceMetadata(
        server_id="guest", project_id="p", name="guest", hostname="guest", availability_zone="nova"
    )
    return GuestSpec(guest_id="guest", name="guest", vcpus=1, ram_mb=64, disks=[disk], ports=[], metadata=about)


def poisoned(path: Path) -> Path:
    """Raw bytes that a guessing tool would take for a qcow2 over a file of the host."""
    subprocess.run(
        ["qemu-img", "create", "-q", "-u", "-f", "qcow2", "-b", "/etc/passwd", "-F", "raw", str(path), "1M"], check=True
    )
    return path


async def test_cve_2026_24708_a_disk_is_grown_by_its_said_format_and_nothing_else_is_opened(
    folder: Folder, told: list[tuple[str, ...]]
) -> None:
    """A resize without a format guessed it from bytes that the guest had written."""
    image = poisoned(folder.path.parent.parent / "images" / "raw-that-looks-like-qcow2")
    await disks.prepare(spec_on(image, "raw", GIB), folder, Cache())  # type: ignore[arg-type]
    await disks.prepare(spec_on(image, "raw", 2 * GIB), folder, Cache())  # type: ignore[arg-type]
    (create, resize) = told
    assert create[:5] == ("qemu-img", "create", "-q", "-f", "qcow2")
    assert create[create.index("-F") + 1] == "raw" and "-u" in create
    assert resize[:2] == ("qemu-img", "resize")
    node = json.loads(resize[3].removeprefix("json:"))
    assert (node["driver"], node["file"]["driver"], node["backing"]) == ("qcow2", "file", None)
    grown = qcow2.read_header(folder.run / "root.qcow2")
    assert grown.virtual_size_bytes == 2 * GIB
    assert grown.backing is not None and "passwd" not in grown.backing


@pytest.mark.parametrize("bytes_", [b"", b"QFI\xfb" + bytes(10), b"just bytes".ljust(4096, b"\0")])
async def test_cve_2026_24708_a_disk_that_is_no_qcow2_any_more_is_given_to_no_tool(
    folder: Folder, told: list[tuple[str, ...]], bytes_: bytes
) -> None:
    image = folder.path.parent.parent / "images" / "raw"
    image.write_bytes(bytes(MIB))
    wanted = spec_on(image, "raw", GIB)
    await disks.prepare(wanted, folder, Cache())  # type: ignore[arg-type]
    (folder.run / "root.qcow2").write_bytes(bytes_)
    told.clear()
    bigger = [msgspec.structs.replace(wanted.disks[0], size_bytes=2 * GIB)]
    with pytest.raises(GuestFailed, match="qcow2"):
        await disks.prepare(msgspec.structs.replace(wanted, disks=bigger), folder, Cache())  # type: ignore[arg-type]
    assert told == []
