# SPDX-License-Identifier: Apache-2.0
"""Blobs as files of this machine: `<root>/<group>/<blob>`, an image and its upload for instance.

What raises and what a blob is stands in base.py, how a stream becomes one in flow.py. A file under its final name is
complete and durable, because it is written under another, flushed to the disk and renamed; so hosts on this
machine may hard-link an image and boot from it without copying.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from skyhold.core.blobs.base import NoSuchBlob, Piece, StoreFull

PART = ".part"
PART_OF_KEY = re.compile(r"[0-9A-Za-z][0-9A-Za-z-]{0,63}")
KEY = re.compile(f"{PART_OF_KEY.pattern}/{PART_OF_KEY.pattern}")
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
KEPT_BYTES = 64 * 1024 * 1024
BLOCK_BYTES = 4096
LET_GO_EVERY_BYTES = 16 * 1024 * 1024
ON_ITS_WAY_BYTES = 64 * 1024 * 1024


class FileStore:
    """`root` is made with the first blob; `label` is what messages call the store."""

    kind = "file"
    read_only = False
    far = False

    def __init__(self, root: Path, name: str = "file", label: str = "image store") -> None:
        self._root, self.name, self.label = root, name, label

    def create(self, key: str, expected_bytes: int | None = None) -> FileWriter:
        target = self._path(key)
        free = self.free_bytes()
        if expected_bytes is not None and expected_bytes > free:
            raise StoreFull(f"The {self.label} has {free} bytes free; this needs {expected_bytes}.")
        while True:
            target.parent.mkdir(mode=0o700, exist_ok=True)
            # An outdated upload of the same group may remove the directory in this very moment.
            with suppress(FileNotFoundError):
                return FileWriter(target, self.label, expected_bytes)

    def open(self, key: str) -> FileReader:
        try:
            return FileReader(self._path(key))
        except FileNotFoundError:
            raise NoSuchBlob(f"The {self.label} has nothing under {key}.") from None

    def delete(self, key: str) -> None:
        target = self._path(key)
        for path in (target, part_of(target)):
            path.unlink(missing_ok=True)
        with suppress(OSError):
            # Not empty: there is more in the same group.
            target.parent.rmdir()

    def path(self, key: str) -> Path | None:
        if not KEY.fullmatch(key):
            return None
        path = self._root / key
        return path if path.is_file() else None

    def url(self, key: str) -> str:
        return f"file://{self.name}/{key}"

    def properties(self) -> dict[str, Any]:
        return {"data_dir": str(self._root), "chunk_size": 1024 * 1024}

    def adopt(self, path: Path, key: str) -> bool:
        """Make the finished file at `path` the blob of `key` without copying; False where that can't be done."""
        target = self._path(key)
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            os.link(path, target, follow_symlinks=False)
        except FileExistsError:
            return True
        except OSError:
            return False
        sync_directory(target.parent)
        sync_directory(target.parent.parent)
        return True

    def keys(self) -> Iterator[str]:
        with suppress(FileNotFoundError):
            for group in os.scandir(self._root):
                if group.is_dir(follow_symlinks=False):
                    yield from self._keys_of(group.name)

    def _keys_of(self, group: str) -> Iterator[str]:
        with suppress(FileNotFoundError):
            names = {name.removesuffix(PART) for name in os.listdir(self._root / group)}
            yield from (key for name in names if KEY.fullmatch(key := f"{group}/{name}"))

    def free_bytes(self) -> int:
        self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
        stat = os.statvfs(self._root)
        return stat.f_bavail * stat.f_frsize

    def _path(self, key: str) -> Path:
        if not KEY.fullmatch(key):
            raise NoSuchBlob(f"{key[:80]!r} can't be a key of the {self.label}.")
        return self._root / key


class FileWriter:
    far = False

    def __init__(self, target: Path, label: str = "image store", expected_bytes: int | None = None) -> None:
        self._target, self._part, self._label = target, part_of(target), label
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
        self._fd = os.open(self._part, flags, 0o600)
        self._size_bytes = 0
        self._spare_from_bytes = KEPT_BYTES if (expected_bytes or 0) <= KEPT_BYTES else 0
        self._straight: bool | None = None

    def write(self, piece: Piece) -> None:
        if self._size_bytes >= self._spare_from_bytes:
            self._spare_memory()
        view = memoryview(piece)
        try:
            if self._straight:
                view = self._write_straight(view)
            while view:
                view = view[os.write(self._fd, view):]
        except OSError as error:
            raise full(error, self._label) from None
        self._size_bytes += len(piece)

    def _spare_memory(self) -> None:
        """Past the page cache from now on; where that can't be, begin to write to the disk what is new, and give back
        the memory of what is there already.

        A large blob would else go through gigabytes of memory that nothing needs: a virtual machine pays for the
        first touch of each page with a fault of its hypervisor, which cost more than both hashes. Small ones stay in
        memory, for whoever reads them soon: guests that are made of an image.
        """
        self._spare_from_bytes = self._size_bytes + LET_GO_EVERY_BYTES
        if self._straight is None:
            self._straight = past_cache(self._fd, True)
        if not self._straight:
            start = max(0, self._size_bytes - ON_ITS_WAY_BYTES)
            with suppress(OSError):
                os.posix_fadvise(self._fd, start, ON_ITS_WAY_BYTES, os.POSIX_FADV_DONTNEED)

    def _write_straight(self, view: memoryview) -> memoryview:
        """The whole blocks. Returns what is left: an end that is none, or a piece that isn't aligned; from there on all
        goes through the page cache."""
        blocks = len(view) - len(view) % BLOCK_BYTES
        while blocks:
            try:
                written = os.write(self._fd, view[:blocks])
            except OSError as error:
                if error.errno != errno.EINVAL:
                    raise
                break
            view, blocks = view[written:], blocks - written
        if view:
            self._straight = past_cache(self._fd, False)
        return view

    def commit(self) -> None:
        try:
            os.fsync(self._fd)
        except OSError as error:
            raise full(error, self._label) from None
        os.close(self._fd)
        self._fd = -1
        try:
            os.rename(self._part, self._target)
        except FileNotFoundError:
            raise NoSuchBlob(f"{self._target.name} was deleted while it was written.") from None
        sync_directory(self._target.parent)
        sync_directory(self._target.parent.parent)

    def abort(self) -> None:
        if self._fd < 0:
            return
        os.close(self._fd)
        self._fd = -1
        self._part.unlink(missing_ok=True)
        with suppress(OSError):
            self._part.parent.rmdir()


class FileReader:
    far = False

    def __init__(self, path: Path) -> None:
        self._file = open(path, "rb", buffering=0)  # noqa: SIM115 - closed by `close`, or with its last reference
        self._fd = self._file.fileno()
        self.size_bytes = os.fstat(self._fd).st_size

    def ready(self, offset: int, length: int) -> bytes | bytearray | None:
        buffer = bytearray(length)
        try:
            got = os.preadv(self._fd, [buffer], offset, os.RWF_NOWAIT)
        except OSError:
            # Not in the page cache, or a file system that can't tell.
            return None
        del buffer[got:]
        return buffer or None

    def read(self, offset: int, length: int) -> bytes:
        return os.pread(self._fd, length, offset)

    def close(self) -> None:
        self._file.close()


def past_cache(fd: int, wanted: bool) -> bool:
    """Whether what is written from now on goes past the page cache: not every file system has that."""
    flags = fcntl.fcntl(fd, fcntl.F_GETFL) & ~os.O_DIRECT
    try:
        fcntl.fcntl(fd, fcntl.F_SETFL, flags | os.O_DIRECT if wanted else flags)
    except OSError:
        return False
    return wanted


def part_of(target: Path) -> Path:
    return target.with_name(target.name + PART)


def full(error: OSError, label: str = "image store") -> Exception:
    """A disk that is full is the user's business; any other error of the disk is not."""
    if error.errno in FULL:
        return StoreFull(f"The {label} is full: {os.strerror(error.errno or 0)}.")
    return error


def sync_directory(path: Path) -> None:
    """A rename is only durable once its directory is."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
