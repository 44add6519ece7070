# SPDX-License-Identifier: Apache-2.0
"""Makes and grows the disk files of one guest: an overlay over its image, and blank ones.

Fetching the image is images.py and naming the files to QEMU is command.py. Formats are always
said, never guessed, and a backing file is named only by us: nothing a guest wrote is believed.
"""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import msgspec

from skyhold.compute.drivers.base import DiskSpec, GuestFailed, GuestSpec, ImageSource, NoRoom
from skyhold.compute.drivers.qemu.folder import Folder
from skyhold.compute.drivers.qemu.images import ImageCache
from skyhold.core import qcow2
from skyhold.core.tools import Fence, ToolFailed, run_tool

IMAGES_FROM_RUN = "../../../images"
_SPARE_BYTES = 64 << 20


class DiskFile(msgspec.Struct, frozen=True, kw_only=True):
    """A disk as a file in the guest's `run` folder; `base` is relative to that folder."""

    node: str
    name: str
    base: str | None = None
    base_format: str | None = None


def files_of(spec: GuestSpec) -> list[DiskFile]:
    """Names follow from the order in the spec alone, so they are the same after any restart."""
    files, count = [], {"root": 0, "ephemeral": 0, "swap": 0}
    for disk in spec.disks:
        node = "root" if disk.role == "root" else f"{disk.role}{count[disk.role]}"
        count[disk.role] += 1
        files.append(_file_of(disk, node))
    if count["root"] + sum(volume.boot for volume in spec.volumes) != 1:
        raise GuestFailed("A guest needs exactly one root disk.")
    return files


async def prepare(spec: GuestSpec, folder: Folder, cache: ImageCache) -> None:
    """Makes what is missing and grows what is too small; does nothing to a running guest's files.

    Raises GuestFailed for an image that is not what it claims or is larger than its disk.
    """
    for disk, file in zip(spec.disks, files_of(spec), strict=True):
        if disk.source is not None:
            _check_fits(disk, disk.source)
        if not await _is_ready(disk, file, folder, cache):
            await _make(disk, file, folder, cache)


async def _is_ready(disk: DiskSpec, file: DiskFile, folder: Folder, cache: ImageCache) -> bool:
    path = folder.run / file.name
    if not path.exists():
        return False
    header = trusted_header(path)
    if header.backing != file.base:
        return False
    if disk.source is not None:
        await cache.ensure(disk.source)
    if header.virtual_size_bytes < disk.size_bytes:
        await _grow(path, disk.size_bytes, folder)
    return True


def trusted_header(path: Path) -> qcow2.Header:
    """QEMU would follow a data file that the header names to any file of the machine."""
    try:
        header = qcow2.read_header(path)
    except ValueError as broken:
        raise GuestFailed(f"The guest's disk {path.name} is damaged: it isn't qcow2 any more.") from broken
    if header.data_file:
        raise GuestFailed(f"The guest's disk {path.name} was altered to name another file; it stays closed.")
    return header


def _file_of(disk: DiskSpec, node: str) -> DiskFile:
    if disk.source is None:
        return DiskFile(node=node, name=f"{node}.qcow2")
    base = f"{IMAGES_FROM_RUN}/{ImageCache.name_of(disk.source)}"
    return DiskFile(node=node, name=f"{node}.qcow2", base=base, base_format=disk.source.format)


def _check_fits(disk: DiskSpec, source: ImageSource) -> None:
    if disk.size_bytes < source.virtual_size_bytes:
        raise GuestFailed(
            f"The disk of {_size(disk.size_bytes)} is too small for the image, "
            f"which needs {_size(source.virtual_size_bytes)}."
        )


async def _make(disk: DiskSpec, file: DiskFile, folder: Folder, cache: ImageCache) -> None:
    check_space(folder.run, disk.size_bytes)
    argv = ["qemu-img", "create", "-q", "-f", "qcow2"]
    if disk.source is not None:
        await cache.ensure(disk.source)
        # -u: the size is known from our own inspection, so the tool need not open the image.
        argv += ["-u", "-b", str(file.base), "-F", str(file.base_format)]
    fresh = f"{file.name}.new"
    (folder.run / fresh).unlink(missing_ok=True)
    try:
        await run_tool(*argv, fresh, str(disk.size_bytes), cwd=folder.run, fence=Fence(owner=folder.owner))
    except ToolFailed as failed:
        raise NoRoom(f"The guest's disk can't be created here: {failed}.") from failed
    (folder.run / fresh).rename(folder.run / file.name)


async def _grow(path: Path, size_bytes: int, folder: Folder) -> None:
    node = {"driver": "qcow2", "file": {"driver": "file", "filename": path.name}, "backing": None}
    check_space(folder.run, size_bytes - trusted_header(path).virtual_size_bytes)
    try:
        await run_tool(
            "qemu-img", "resize", "-q", "json:" + json.dumps(node), str(size_bytes),
            cwd=folder.run, fence=Fence(owner=folder.owner),
        )  # fmt: skip
    except ToolFailed as failed:
        raise NoRoom(f"The guest's disk can't be grown here: {failed}.") from failed


def check_space(where: Path, wanted_bytes: int) -> None:
    """Raises NoRoom when the file system could not hold `wanted_bytes` more if all were written."""
    stat = os.statvfs(where)
    free = stat.f_bavail * stat.f_frsize
    if free < wanted_bytes + _SPARE_BYTES:
        raise NoRoom(f"This host has {_size(free)} of disk left and {_size(wanted_bytes)} are needed.")


def no_room(error: OSError) -> NoRoom | None:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return NoRoom("This host's disk is full.")
    return None


def _size(count: int) -> str:
    return f"{count / (1 << 30):.1f} GiB" if count >= 1 << 30 else f"{count / (1 << 20):.0f} MiB"
