# SPDX-License-Identifier: Apache-2.0
"""Volumes as files on the host's own disk, one qcow2 a volume; needs no root.

Bringing images is image/drivers/bringing.py. A volume made of something, and a snapshot, is a whole copy: no file
ever needs another, so each can be removed at any time. A file gets its name only when it is complete; until then it
has one that a start removes. Formats are always said, and no header is believed that names another file. Tools are
nobody, in a folder with nothing but what they work on: files are nobody's, in folders that nobody can enter.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import BinaryIO
from weakref import WeakValueDictionary

import aiohttp
import msgspec

from skyhold.core import qcow2
from skyhold.core.blobs.file import sync_directory
from skyhold.core.tools import Fence, NotMade, ToolFailed, open_made, run_tool
from skyhold.image.drivers.bringing import BadImage, CantBring, bring
from skyhold.image.drivers.sending import Refused, send
from skyhold.volume.drivers.base import (
    ImageSource,
    LiveCopies,
    NoRoom,
    SnapshotSpec,
    VolumeFailed,
    VolumeList,
    VolumePool,
    VolumeSpec,
    VolumeStatus,
    VolumeUpload,
)

_SAFE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_LOCKED = re.compile("Failed to get .*lock|Failed to lock byte")
"""As QEMU says it; many a reason has something to do with blocks."""
_WORK = ".work-"
_SUFFIX = ".qcow2"
_SPARE_BYTES = 64 << 20
_COPYING = Fence(memory_mb=4096, cpu_s=3600, wall_s=3600.0)
_NOBODY = 65534


class FileVolumes:
    """A base.VolumeDriver, and for whoever runs guests the source of volumes' paths. `guests` copies volumes that a
    running guest has open, since two processes can't."""

    def __init__(self, folder: Path, guests: LiveCopies | None = None) -> None:
        self.folder = folder
        self.snapshots = folder / "snapshots"
        self.guests = guests
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        for place in (self.folder, self.snapshots):
            place.mkdir(mode=0o700, parents=True, exist_ok=True)
            # A tool in a folder of its own below must not get out of it.
            place.chmod(0o700)
        for path in await asyncio.to_thread(_works, self.folder):
            await asyncio.to_thread(_discard, path)

    async def stop(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    def path_of(self, volume_id: str) -> Path:
        """Raises KeyError for a volume that isn't here."""
        path = self._volume(volume_id)
        if not path.exists():
            raise KeyError(volume_id)
        return path

    async def pool(self) -> VolumePool:
        found = os.statvfs(self.folder)
        size = found.f_frsize
        return VolumePool(backend="file", total_bytes=found.f_blocks * size, free_bytes=found.f_bavail * size)

    async def ensure(self, spec: VolumeSpec) -> VolumeStatus:
        path = self._volume(spec.volume_id)
        async with self._turn(spec.volume_id):
            if not path.exists():
                await self._make(spec, path)
            size_bytes = _header(path).virtual_size_bytes
            if size_bytes < spec.size_bytes:
                await self._grow(path, spec.size_bytes - size_bytes, spec.size_bytes)
        return VolumeStatus(volume_id=spec.volume_id, size_bytes=max(size_bytes, spec.size_bytes))

    async def absent(self, volume_id: str) -> None:
        async with self._turn(volume_id):
            await asyncio.to_thread(self._volume(volume_id).unlink, missing_ok=True)

    async def snapshot(self, spec: SnapshotSpec) -> None:
        target = self._snapshot(spec.snapshot_id)
        if target.exists():
            return
        source = self._known(spec.volume_id)
        async with self._turn(spec.volume_id), self._work() as work:
            made = work / "made"
            if not await self._copied_live(spec.volume_id, source, made):
                await self._copy(source, made)
            await asyncio.to_thread(_keep, made, target)

    async def snapshot_absent(self, snapshot_id: str) -> None:
        await asyncio.to_thread(self._snapshot(snapshot_id).unlink, missing_ok=True)

    async def upload(self, want: VolumeUpload) -> None:
        source = self._known(want.volume_id)
        async with self._turn(want.volume_id), self._work() as work:
            made = work / "made"
            await self._copy(source, made, want.target.format)
            with _opened(made) as file:
                try:
                    await send(file, os.fstat(file.fileno()).st_size, want.target, self._http())
                except Refused as error:
                    raise VolumeFailed(str(error)) from error

    async def list(self) -> VolumeList:
        volumes, strangers = _named(self.folder)
        snapshots, more = _named(self.snapshots)
        return VolumeList(volumes=volumes, snapshots=snapshots, leftovers=sorted(strangers + more))

    # Below: how a file is made.

    async def _make(self, spec: VolumeSpec, path: Path) -> None:
        if not spec.anew:
            self._known(spec.volume_id)
        self._check_space(spec.size_bytes)
        async with self._work() as work:
            made = work / "made"
            if spec.image is not None:
                await self._of_image(spec.image, work, made)
            elif spec.snapshot_id is not None:
                await self._copy(self._known_snapshot(spec.snapshot_id), made)
            elif spec.source_volume_id is not None:
                async with self._turn(spec.source_volume_id):
                    await self._copy(self._known(spec.source_volume_id), made)
            else:
                await self._blank(made, spec.size_bytes)
            if _header(made).virtual_size_bytes > spec.size_bytes:
                raise VolumeFailed("The volume is too small for what it is to be made of.")
            await asyncio.to_thread(_keep, made, path)

    async def _of_image(self, image: ImageSource, work: Path, made: Path) -> None:
        brought = work / "image"
        try:
            await bring(image, brought, self._http)
            await asyncio.to_thread(_give_away, brought)
        except BadImage as error:
            raise VolumeFailed(str(error)) from error
        except CantBring as error:
            raise NoRoom(str(error)) from error
        most_mb = (image.virtual_size_bytes >> 20) * 102 // 100 + 16
        fence = msgspec.structs.replace(_COPYING, file_mb=most_mb)
        await self._tool("convert", "-q", "-f", image.format, "-O", "qcow2", "image", "made", cwd=work, fence=fence)

    async def _blank(self, made: Path, size_bytes: int) -> None:
        await self._tool("create", "-q", "-f", "qcow2", made.name, str(size_bytes), cwd=made.parent)

    async def _copy(self, source: Path, made: Path, to: str = "qcow2") -> None:
        """A whole copy of one of our own files, which nobody may have open for writing meanwhile."""
        self._check_space(_written_bytes(source))
        lent = _lend(source, made.parent)
        await self._tool("convert", "-q", "-O", to, lent, made.name, cwd=made.parent, fence=_COPYING)

    async def _copied_live(self, volume_id: str, source: Path, made: Path) -> bool:
        if self.guests is None:
            return False
        await self._blank(made, _header(source).virtual_size_bytes)
        if await self.guests.copy_volume(volume_id, made):
            return True
        await asyncio.to_thread(made.unlink)
        return False

    async def _grow(self, path: Path, more_bytes: int, size_bytes: int) -> None:
        self._check_space(more_bytes)
        async with self._work() as work:
            await self._tool("resize", "-q", _lend(path, work), str(size_bytes), cwd=work)

    async def _tool(self, *argv: str, cwd: Path, fence: Fence | None = None) -> None:
        owner = _NOBODY if os.geteuid() == 0 else None
        try:
            await run_tool("qemu-img", *argv, cwd=cwd, fence=msgspec.structs.replace(fence or Fence(), owner=owner))
        except ToolFailed as failed:
            if _LOCKED.search(str(failed)):
                raise VolumeFailed("A running guest has the volume open: detach it, or stop the guest.") from failed
            raise NoRoom(f"the volume can't be made there: {failed}") from failed

    def _check_space(self, wanted_bytes: int) -> None:
        found = os.statvfs(self.folder)
        free = found.f_bavail * found.f_frsize
        if free < wanted_bytes + _SPARE_BYTES:
            raise NoRoom(f"it has {free / (1 << 30):.1f} GiB free and {wanted_bytes / (1 << 30):.1f} are needed")

    def _http(self) -> aiohttp.ClientSession:
        self._session = self._session or aiohttp.ClientSession()
        return self._session

    # Below: names.

    def _volume(self, volume_id: str) -> Path:
        return self.folder / (_safe(volume_id) + _SUFFIX)

    def _snapshot(self, snapshot_id: str) -> Path:
        return self.snapshots / (_safe(snapshot_id) + _SUFFIX)

    def _known(self, volume_id: str) -> Path:
        return _sound(self._volume(volume_id), f"volume {volume_id}")

    def _known_snapshot(self, snapshot_id: str) -> Path:
        return _sound(self._snapshot(snapshot_id), f"snapshot {snapshot_id}")

    def _turn(self, volume_id: str) -> asyncio.Lock:
        """One at a time about a volume, whoever's saga it is: a copy needs it still."""
        return self._turns.setdefault(volume_id, asyncio.Lock())

    @asynccontextmanager
    async def _work(self) -> AsyncIterator[Path]:
        """A tool's folder, for a file that isn't complete yet; it goes, whatever happens."""
        work = self.folder / f"{_WORK}{uuid.uuid4().hex}"
        work.mkdir(mode=0o700)
        try:
            _hand_over(work)
            yield work
        except OSError as error:
            raise NoRoom(f"its disk can't take the volume: {error.strerror or error}") from error
        finally:
            # To free gigabytes takes a file system a while.
            await asyncio.to_thread(_discard, work)


def _safe(id: str) -> str:
    if not _SAFE_ID.fullmatch(id):
        raise VolumeFailed(f"{id!r} can't be the id of a volume.")
    return id


def _sound(path: Path, what: str) -> Path:
    if not path.exists():
        raise VolumeFailed(f"The bytes of {what} are gone from this host.")
    _header(path)
    return path


def _header(path: Path) -> qcow2.Header:
    """Raises VolumeFailed for a file of ours whose header a guest that broke out could have rewritten."""
    try:
        header = qcow2.read_header(path)
    except ValueError as broken:
        raise VolumeFailed("The volume's file is damaged: it isn't qcow2 any more.") from broken
    if header.data_file or header.backing is not None:
        raise VolumeFailed("The volume's file was altered to name another file; it stays closed.")
    return header


def _lend(path: Path, work: Path) -> str:
    """One of our own files by a second name in a tool's folder, as QEMU's block layer is told of it: its format said,
    and no backing file whatever it claims. What goes wrong is told with that name, and users read it."""
    os.link(path, work / "lent", follow_symlinks=False)
    _hand_over(work / "lent")
    return "json:" + json.dumps({"driver": "qcow2", "file": {"driver": "file", "filename": "lent"}, "backing": None})


def _hand_over(path: Path) -> None:
    if os.geteuid() == 0:
        os.chown(path, _NOBODY, _NOBODY, follow_symlinks=False)


def _written_bytes(path: Path) -> int:
    return path.stat().st_blocks * 512


def _keep(made: Path, path: Path) -> None:
    """On the disk before it has its name."""
    with _opened(made) as file:
        os.fchmod(file.fileno(), 0o600)
        os.fsync(file.fileno())
    made.rename(path)
    sync_directory(path.parent)


def _opened(made: Path) -> BinaryIO:
    try:
        return open_made(made, os.geteuid() or _NOBODY)
    except NotMade as error:
        raise VolumeFailed("The volume's file is not what the host made; it stays closed.") from error


def _give_away(brought: Path) -> None:
    """The image may be another name of the store's own file, which must not change hands: then it is copied."""
    if os.geteuid() != 0:
        return
    if brought.stat().st_nlink > 1:
        copy = brought.with_suffix(".copy")
        shutil.copyfile(brought, copy)
        copy.replace(brought)
    _hand_over(brought)


def _works(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.name.startswith(_WORK)]


def _discard(work: Path) -> None:
    for path in work.iterdir():
        path.unlink(missing_ok=True)
    work.rmdir()


def _named(folder: Path) -> tuple[list[str], list[str]]:
    """Ids, and the names of files that are none of ours."""
    ids, strangers = [], []
    for path in sorted(folder.iterdir()):
        if path.suffix == _SUFFIX and path.is_file():
            ids.append(path.name.removesuffix(_SUFFIX))
        elif not path.is_dir():
            strangers.append(path.name)
    return ids, strangers
