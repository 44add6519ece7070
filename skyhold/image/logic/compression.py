# SPDX-License-Identifier: Apache-2.0
"""Compressed content, recognised by its first bytes and unpacked in small pieces, however much it becomes.

Who sets the limit is the caller, by ceasing to ask (imports/plugins.py). No piece is larger than was asked for, and no
decompressor takes more memory than its format's ordinary levels need; so a bomb costs what it was allowed to become.
"""

from __future__ import annotations

import bz2
import lzma
import zipfile
import zlib
from collections.abc import Callable, Iterator
from typing import IO, Any, Final

MAGIC: Final = {b"\x1f\x8b\x08": "gzip", b"BZh": "bzip2", b"\xfd7zXZ\x00": "xz", b"PK\x03\x04": "zip"}
XZ_MEMORY_BYTES: Final = 192 * 1024 * 1024
"""What unpacking `xz -9` takes is a third of it."""
MOST_MEMBERS: Final = 100_000
READ_BYTES: Final = 256 * 1024
ZIP_METHODS: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""Those that zipfile unpacks in pieces. Of the others it makes all at once whatever a piece holds: gigabytes of a few
hundred bytes, or a dictionary as large as the archive says."""
ZIP_DIRECTORY_BYTES: Final = 1024 * 1024
"""What an archive may say about its files: zipfile has it all in memory, and several times as much of each."""
TROUBLES: Final = (
    OSError, EOFError, ValueError, RuntimeError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, NotImplementedError,
)


class Damaged(Exception):
    """The content begins like a compressed one, and goes on like none."""


def kind_of(head: bytes) -> str | None:
    return next((kind for magic, kind in MAGIC.items() if head.startswith(magic)), None)


def unpacked(kind: str, file: IO[bytes], piece_bytes: int) -> Iterator[bytes]:
    """Pieces of at most that many bytes. Raises Damaged."""
    try:
        yield from (members if kind == "zip" else streams)(kind, file, piece_bytes)
    except TROUBLES as why:
        raise Damaged(f"The {kind} content can't be unpacked: {why or type(why).__name__}.") from None


def members(kind: str, file: IO[bytes], piece_bytes: int) -> Iterator[bytes]:
    """The one file in a zip archive."""
    with zipfile.ZipFile(InPieces(file, max(ZIP_DIRECTORY_BYTES, piece_bytes))) as archive:
        found = [each for each in archive.infolist() if not each.is_dir()]
        if len(found) != 1:
            raise Damaged(f"A zip archive must hold exactly one file; this one holds {len(found)}.")
        if found[0].compress_type not in ZIP_METHODS:
            raise Damaged("The file in a zip archive must be compressed by deflate, or not at all.")
        with archive.open(found[0]) as member:
            while piece := member.read(piece_bytes):
                yield piece


class InPieces:
    """A file of which nobody takes more than that at once."""

    def __init__(self, file: IO[bytes], most_bytes: int) -> None:
        self._file, self._most_bytes = file, most_bytes
        self.seek, self.tell, self.seekable = file.seek, file.tell, file.seekable

    def read(self, size: int = -1) -> bytes:
        if size > self._most_bytes:
            raise Damaged("The zip archive says too much about its files.")
        return self._file.read(self._most_bytes if size < 0 else size)


MAKE: Final[dict[str, Callable[[], Any]]] = {
    "gzip": lambda: Gzip(),
    "bzip2": bz2.BZ2Decompressor,
    "xz": lambda: lzma.LZMADecompressor(memlimit=XZ_MEMORY_BYTES),
}


def streams(kind: str, file: IO[bytes], piece_bytes: int) -> Iterator[bytes]:
    """One compressed stream after another, as those tools write them."""
    rest = file.read(READ_BYTES)
    for _ in range(MOST_MEMBERS):
        one = MAKE[kind]()
        while not one.eof:
            if one.needs_input and not rest and not (rest := file.read(READ_BYTES)):
                raise EOFError("it ends early")
            piece = one.decompress(rest, piece_bytes)
            rest = b""
            if piece:
                yield piece
        rest = (one.unused_data or file.read(READ_BYTES)).lstrip(b"\0")
        if not rest:
            return
    raise Damaged(f"The content is made of more than {MOST_MEMBERS} streams.")


class Gzip:
    """zlib's decompressor with the manners of the other two."""

    def __init__(self) -> None:
        self._made = zlib.decompressobj(zlib.MAX_WBITS | 16)

    @property
    def eof(self) -> bool:
        return self._made.eof

    @property
    def needs_input(self) -> bool:
        return not self._made.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._made.unused_data

    def decompress(self, more: bytes, piece_bytes: int) -> bytes:
        return self._made.decompress(self._made.unconsumed_tail + more, piece_bytes)
