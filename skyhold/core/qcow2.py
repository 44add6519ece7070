# SPDX-License-Identifier: Apache-2.0
"""Reads and makes the first bytes of a qcow2 file, without any tool.

Judging an image that comes from outside is images.py; this is for overlays, whose header a guest
that broke out of its processor could have rewritten, and for the smallest valid image. Source:
docs/interop/qcow2.txt of QEMU.
"""

from __future__ import annotations

import struct
from pathlib import Path

import msgspec

_MAGIC = b"QFI\xfb"
_DATA_FILE_BIT = 1 << 2


class Header(msgspec.Struct, frozen=True):
    virtual_size_bytes: int
    backing: str | None
    data_file: bool


def read_header(path: Path) -> Header:
    """Raises ValueError when this isn't a qcow2 file."""
    with path.open("rb") as file:
        start = file.read(104)
        if len(start) < 72 or start[:4] != _MAGIC:
            raise ValueError(f"{path.name} is not a qcow2 file")
        version, backing_at, backing_length, _, size = struct.unpack_from(">IQIIQ", start, 4)
        features = struct.unpack_from(">Q", start, 72)[0] if version >= 3 and len(start) >= 80 else 0
        backing = None
        if backing_at:
            file.seek(backing_at)
            backing = file.read(min(backing_length, 1023)).decode(errors="replace")
    return Header(size, backing, bool(features & _DATA_FILE_BIT))


def empty(virtual_size_bytes: int = 1 << 20) -> bytes:
    """A valid qcow2 of 2 KiB that reads as zeroes; `virtual_size_bytes` is at most 2 MiB."""
    cluster = 512
    l1_entries = -(-virtual_size_bytes // (cluster * cluster // 8))
    # Version, no backing file, clusters of 2^9 bytes, size, no encryption, then where tables are.
    header = struct.pack(">4sIQIIQI", _MAGIC, 2, 0, 0, 9, virtual_size_bytes, 0)
    header += struct.pack(">IQQIIQ", l1_entries, 3 * cluster, cluster, 1, 0, 0)
    refcount_table = struct.pack(">Q", 2 * cluster)
    refcounts = struct.pack(">4H", 1, 1, 1, 1)
    return b"".join(part.ljust(cluster, b"\0") for part in (header, refcount_table, refcounts, b""))
