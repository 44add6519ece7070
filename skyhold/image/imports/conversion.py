# SPDX-License-Identifier: Apache-2.0
"""The plug-in that converts imports to one disk format, the setting `image.conversion_format`.

qemu-img is fenced in by core/tools.py: it is nobody, has no network, and sees a directory with nothing but the content
and what it makes of it. The one thing to know first: it opens content only after our own inspection said what that is.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any, Final

from skyhold.core.blobs.file import FileStore
from skyhold.core.blobs.flow import finished
from skyhold.core.saga.base import Abort
from skyhold.core.saga.runner import Run
from skyhold.core.tools import Fence, ToolFailed, run_tool
from skyhold.image import blobs, content
from skyhold.image.imports import staged

DRIVERS: Final = {"raw": "raw", "qcow2": "qcow2", "vmdk": "vmdk", "vdi": "vdi", "vhd": "vpc", "vhdx": "vhdx"}
"""qemu-img's names of the formats that are disks; a CD stays one, and so do kernels and archives."""
NOBODY: Final = 65534
SOURCE: Final = "source"
MADE: Final = "made"
MIB: Final = 1024 * 1024
CPU_S: Final = 1800
WALL_S: Final = 3600.0
MEMORY_MB: Final = 1024


async def image_conversion(s: Run, row: Any) -> None:
    """Raises Abort for content that isn't what it is said to be, or becomes too large."""
    given = s.kept.attributes.get("disk_format") or row.disk_format
    target = s.ctx.core.settings.image.conversion_format
    if given == target or given not in DRIVERS or row.container_format != "bare":
        return
    found = await staged.inspected(s, row)
    limit_bytes = await s.read(staged.limit_of, row)
    if (found.virtual_size_bytes or 0) > limit_bytes:
        raise Abort(
            f"Converted to {target} the image would have up to {found.virtual_size_bytes} bytes; at most {limit_bytes} "
            "are left for it."
        )
    workshop = workshop_of(s)
    try:
        await finished(blobs.in_thread(furnish, workshop, await staged.path(s)))
        await convert(workshop, given, target, limit_bytes)
        await adopt_made(s, workshop / MADE)
        s.kept.attributes = {**s.kept.attributes, "disk_format": target}
    except ToolFailed as failed:
        raise Abort(f"The image can't be converted from {given} to {target}: {failed}.") from None
    finally:
        await clear(s)


def workshop_of(s: Run) -> Path:
    return s.ctx.core.settings.image_workshop_dir / s.id


async def clear(s: Run) -> None:
    """A process that was killed while it converted can't: its workshop goes with the import."""
    await blobs.in_thread(shutil.rmtree, workshop_of(s), True)


def furnish(workshop: Path, source: Path) -> None:
    """A directory that the tool may write to, with the content as a file that it may read."""
    shutil.rmtree(workshop, ignore_errors=True)
    workshop.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # The tool must not get out of its own: beside it may be another tenant's image, for a tool that is nobody too.
    workshop.parent.chmod(0o700)
    workshop.mkdir(mode=0o700)
    try:
        os.link(source, workshop / SOURCE)
    except OSError:
        shutil.copyfile(source, workshop / SOURCE)
    if os.geteuid() == 0:
        # What is staged is given up once it is converted, so its file may be the tool's own.
        for path in (workshop, workshop / SOURCE):
            os.chown(path, NOBODY, NOBODY)


async def convert(workshop: Path, given: str, target: str, limit_bytes: int) -> None:
    fence = Fence(
        owner=NOBODY if os.geteuid() == 0 else None, memory_mb=MEMORY_MB, cpu_s=CPU_S, wall_s=WALL_S,
        # A format's own tables come on top of what it holds.
        file_mb=limit_bytes // MIB + limit_bytes // MIB // 50 + 16,
    )
    await run_tool(
        "qemu-img", "convert", "-q", "-f", DRIVERS[given], "-O", DRIVERS[target], SOURCE, MADE, cwd=workshop,
        fence=fence,
    )


async def adopt_made(s: Run, made: Path) -> None:
    """What was made becomes the staged content, without a copy."""
    target = staged.place(s)
    key = await staged.begin_blob(s, blobs.STAGING)
    async with content.alive(s.ctx, key):
        size_bytes = await blobs.in_thread(take_over, made)
        if not isinstance(target, FileStore) or not await blobs.in_thread(target.adopt, made, key):
            raise Abort("The converted image can't be put into staging.")
    staged.adopt(s, key, size_bytes)


def take_over(made: Path) -> int:
    """A plain file of ours from now on, and on the disk; its size in bytes."""
    fd = os.open(made, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.fchown(fd, os.geteuid(), os.getegid())
        os.fchmod(fd, 0o600)
        os.fsync(fd)
        return os.fstat(fd).st_size
    finally:
        os.close(fd)
