# SPDX-License-Identifier: Apache-2.0
"""The images a host holds, each once, as base files that guests' overlays refer to.

Overlays are made in disks.py. A file gets its name only after its size, checksum and format were
found to be what was promised; until then it has a name that start-up removes.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import stat
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import aiohttp
from oslo_utils.imageutils import format_inspector

from skyhold.compute.drivers.base import GuestFailed, ImageSource, NoRoom

_CHUNK = 1 << 20
_PARTIAL = ".partial-"
# A partition table or an ISO 9660 label is what an ordinary raw disk begins with.
_RAW_LOOKS_LIKE = {"raw", "gpt", "iso"}
_STALL_S = 60


class ImageCache:
    """`folder` must be on the file system of the guests; `session` gives the shared HTTP client."""

    def __init__(self, folder: Path, session: Callable[[], aiohttp.ClientSession]) -> None:
        self.folder = folder
        self._session = session
        self._fetching: dict[str, asyncio.Task[None]] = {}
        self._held: dict[str, float] = {}

    @staticmethod
    def name_of(source: ImageSource) -> str:
        """Same bytes read as another format are another image. Raises GuestFailed."""
        if len(source.sha512) != 128 or set(source.sha512) - set("0123456789abcdef"):
            raise GuestFailed("The image has no SHA-512 checksum, so its bytes can't be trusted.")
        return f"{source.sha512[:48]}.{source.format}"

    async def ensure(self, source: ImageSource) -> Path:
        """The base file, fetched if need be; requests for the same image share one fetch.

        Raises GuestFailed when the bytes are not what `source` says, NoRoom when they can't be
        had here and now.
        """
        name = self.name_of(source)
        self._held[name] = time.monotonic()
        path = self.folder / name
        if not path.exists():
            task = self._fetching.get(name) or self._begin(name, source, path)
            await asyncio.shield(task)
        return path

    def sweep(self, used: set[str], unused_s: float) -> list[str]:
        """Removes base files that no overlay refers to and nobody asked for in `unused_s`."""
        removed, now = [], time.monotonic()
        for path in self.folder.iterdir():
            idle = now - self._held.setdefault(path.name, now) >= unused_s
            if path.name in used or path.name.startswith(_PARTIAL) or not idle:
                continue
            path.unlink(missing_ok=True)
            self._held.pop(path.name, None)
            removed.append(path.name)
        return removed

    def leftovers(self) -> list[Path]:
        """Fetches that were cut short, by this agent or the one before."""
        partial = [p for p in self.folder.iterdir() if p.name.startswith(_PARTIAL)]
        return [] if self._fetching else partial

    async def close(self) -> None:
        for task in list(self._fetching.values()):
            task.cancel()
        await asyncio.gather(*self._fetching.values(), return_exceptions=True)

    def _begin(self, name: str, source: ImageSource, path: Path) -> asyncio.Task[None]:
        task = asyncio.create_task(self._fetch(source, path))
        self._fetching[name] = task
        task.add_done_callback(lambda done: self._ended(name, done))
        return task

    def _ended(self, name: str, task: asyncio.Task[None]) -> None:
        self._fetching.pop(name, None)
        if not task.cancelled():
            task.exception()  # every waiter may be gone: the failure was still seen

    async def _fetch(self, source: ImageSource, path: Path) -> None:
        partial = self.folder / f"{_PARTIAL}{uuid.uuid4().hex}"
        try:
            digest = await self._bring(source, partial)
            if digest != source.sha512:
                raise GuestFailed("The image's bytes do not match its SHA-512 checksum.")
            await asyncio.to_thread(inspect, partial, source)
            partial.rename(path)
        except OSError as error:
            raise NoRoom(f"The image can't be stored on this host: {error.strerror or error}.") from error
        finally:
            partial.unlink(missing_ok=True)

    async def _bring(self, source: ImageSource, partial: Path) -> str:
        if source.path is not None:
            digest = await asyncio.to_thread(_link_or_copy, Path(source.path), partial, source.size_bytes)
            if digest is not None:
                return digest
        if source.url is None:
            raise NoRoom("The image's bytes are not on this host and there is no address to fetch them from.")
        try:
            return await self._download(source, partial)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise NoRoom(f"The image could not be fetched: {error or type(error).__name__}.") from error

    async def _download(self, source: ImageSource, partial: Path) -> str:
        headers = {"Accept-Encoding": "identity", **({"X-Auth-Token": source.token} if source.token else {})}
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=_STALL_S)
        digest, received = hashlib.sha512(), 0
        async with self._session().get(
            str(source.url), headers=headers, timeout=timeout, allow_redirects=False
        ) as answer:
            if answer.status != 200:
                kind: Callable[[str], Exception] = GuestFailed if 400 <= answer.status < 500 else NoRoom
                raise kind(f"The image could not be fetched: its address answered {answer.status}.")
            with partial.open("wb") as file:
                async for chunk in answer.content.iter_chunked(_CHUNK):
                    received += len(chunk)
                    if received > source.size_bytes:
                        break
                    await asyncio.to_thread(_take, file.write, digest.update, chunk)
        _check_size(received, source.size_bytes)
        return digest.hexdigest()


def inspect(path: Path, source: ImageSource) -> None:
    """Raises GuestFailed unless the file is safely what `source` says. No tool has opened it yet."""
    try:
        found = format_inspector.detect_file_format(str(path))
    except format_inspector.ImageFormatError as error:
        raise GuestFailed("The image looks like several formats at once; it is refused.") from error
    kind = str(found) if found is not None else "raw"
    if kind != source.format and not (source.format == "raw" and kind in _RAW_LOOKS_LIKE):
        raise GuestFailed(f"The image is said to be {source.format} but its bytes are {kind}; it is refused.")
    if source.format == "qcow2" and found is not None:
        _inspect_qcow2(found)
    size = found.virtual_size if source.format == "qcow2" and found is not None else path.stat().st_size
    if size > source.virtual_size_bytes:
        raise GuestFailed("The image's virtual size is larger than was said; it is refused.")


def _inspect_qcow2(found: format_inspector.FileInspector) -> None:
    try:
        found.safety_check()
    except (format_inspector.SafetyCheckFailed, format_inspector.ImageFormatError) as error:
        raise GuestFailed("The image names other files or has unknown features; it is refused.") from error


def _link_or_copy(source: Path, partial: Path, size_bytes: int) -> str | None:
    """The checksum, or None when there is no such file on this host."""
    try:
        found = source.lstat()
    except FileNotFoundError:
        return None
    # Before any byte is read: a device has no end, and a link may lead anywhere.
    if not stat.S_ISREG(found.st_mode):
        raise GuestFailed("The image is not an ordinary file; it is refused.")
    _check_size(found.st_size, size_bytes)
    try:
        os.link(source, partial, follow_symlinks=False)
    except OSError:
        shutil.copyfile(source, partial, follow_symlinks=False)
    with partial.open("rb") as file:
        return hashlib.file_digest(file, "sha512").hexdigest()


def _check_size(found: int, wanted: int) -> None:
    if found != wanted:
        raise GuestFailed(f"The image has {found} bytes where {wanted} were promised.")


def _take(write: Callable[[bytes], object], update: Callable[[bytes], None], chunk: bytes) -> None:
    write(chunk)
    update(chunk)
