# SPDX-License-Identifier: Apache-2.0
"""Brings an image's bytes to a host and looks at them: what every driver does that makes disks of images.

Keeping them for the next disk is the driver's business (compute's images.py). No tool has opened the file when this
is done: size, checksum and format were found to be what was promised, and it names no other file.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path

import aiohttp
from oslo_utils.imageutils import format_inspector

from skyhold.image.drivers.hosts import ImageSource

CHUNK = 1 << 20
# A partition table or an ISO 9660 label is what an ordinary raw disk begins with.
RAW_LOOKS_LIKE = {"raw", "gpt", "iso"}
STALL_S = 60


class BadImage(Exception):
    """The bytes are not what was promised, on any host; the text is for the user."""


class CantBring(Exception):
    """The bytes can't be had here and now."""


async def bring(source: ImageSource, partial: Path, session: Callable[[], aiohttp.ClientSession]) -> None:
    """Makes the file `partial`, linked, copied or downloaded. Raises BadImage or CantBring; then it may be there in
    part, and is the caller's to remove."""
    try:
        digest = await _bring(source, partial, session)
        if digest != source.sha512:
            raise BadImage("The image's bytes do not match its SHA-512 checksum.")
        await asyncio.to_thread(inspect, partial, source)
    except OSError as error:
        raise CantBring(f"The image can't be stored on this host: {error.strerror or error}.") from error


async def _bring(source: ImageSource, partial: Path, session: Callable[[], aiohttp.ClientSession]) -> str:
    if source.path is not None:
        digest = await asyncio.to_thread(_link_or_copy, Path(source.path), partial, source.size_bytes)
        if digest is not None:
            return digest
    if source.url is None:
        raise CantBring("The image's bytes are not on this host and there is no address to fetch them from.")
    try:
        return await _download(source, partial, session())
    except (aiohttp.ClientError, TimeoutError) as error:
        raise CantBring(f"The image could not be fetched: {error or type(error).__name__}.") from error


async def _download(source: ImageSource, partial: Path, session: aiohttp.ClientSession) -> str:
    headers = {"Accept-Encoding": "identity", **({"X-Auth-Token": source.token} if source.token else {})}
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=STALL_S)
    digest, received = hashlib.sha512(), 0
    async with session.get(str(source.url), headers=headers, timeout=timeout, allow_redirects=False) as answer:
        if answer.status != 200:
            kind: Callable[[str], Exception] = BadImage if 400 <= answer.status < 500 else CantBring
            raise kind(f"The image could not be fetched: its address answered {answer.status}.")
        with partial.open("wb") as file:
            async for chunk in answer.content.iter_chunked(CHUNK):
                received += len(chunk)
                if received > source.size_bytes:
                    break
                await asyncio.to_thread(_take, file.write, digest.update, chunk)
    _check_size(received, source.size_bytes)
    return digest.hexdigest()


def inspect(path: Path, source: ImageSource) -> None:
    """Raises BadImage unless the file is safely what `source` says. No tool has opened it yet."""
    try:
        found = format_inspector.detect_file_format(str(path))
    except format_inspector.ImageFormatError as error:
        raise BadImage("The image looks like several formats at once; it is refused.") from error
    kind = str(found) if found is not None else "raw"
    if kind != source.format and not (source.format == "raw" and kind in RAW_LOOKS_LIKE):
        raise BadImage(f"The image is said to be {source.format} but its bytes are {kind}; it is refused.")
    if source.format == "qcow2" and found is not None:
        _inspect_qcow2(found)
    size = found.virtual_size if source.format == "qcow2" and found is not None else path.stat().st_size
    if size > source.virtual_size_bytes:
        raise BadImage("The image's virtual size is larger than was said; it is refused.")


def _inspect_qcow2(found: format_inspector.FileInspector) -> None:
    try:
        found.safety_check()
    except (format_inspector.SafetyCheckFailed, format_inspector.ImageFormatError) as error:
        raise BadImage("The image names other files or has unknown features; it is refused.") from error


def _link_or_copy(source: Path, partial: Path, size_bytes: int) -> str | None:
    """The checksum, or None when there is no such file on this host."""
    try:
        found = source.lstat()
    except FileNotFoundError:
        return None
    # Before any byte is read: a device has no end, and a link may lead anywhere.
    if not stat.S_ISREG(found.st_mode):
        raise BadImage("The image is not an ordinary file; it is refused.")
    _check_size(found.st_size, size_bytes)
    try:
        os.link(source, partial, follow_symlinks=False)
    except OSError:
        shutil.copyfile(source, partial, follow_symlinks=False)
    with partial.open("rb") as file:
        return hashlib.file_digest(file, "sha512").hexdigest()


def _check_size(found: int, wanted: int) -> None:
    if found != wanted:
        raise BadImage(f"The image has {found} bytes where {wanted} were promised.")


def _take(write: Callable[[bytes], object], update: Callable[[bytes], None], chunk: bytes) -> None:
    write(chunk)
    update(chunk)
