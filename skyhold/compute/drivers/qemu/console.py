# SPDX-License-Identifier: Apache-2.0
"""Reads the end of a guest's serial log, and keeps the logs from filling the disk.

QEMU itself writes them. A guest writes whatever bytes it likes and as many as it likes: the text
is made printable here, and a long log is moved aside while QEMU goes on appending.
"""

from __future__ import annotations

import os
from pathlib import Path

_STEP = 64 << 10
_MOST = 4 << 20
_ROTATE_AT = 4 << 20


def tail(log: Path, before: Path, lines: int | None) -> str:
    """The last `lines` lines, or up to 4 MiB when None. Bytes that aren't UTF-8 become U+FFFD."""
    if lines is not None and lines <= 0:
        return ""
    found = _tail(log, lines, _MOST)
    missing = None if lines is None else lines - found.count(b"\n")
    if before.exists() and (missing is None or missing > 0):
        found = _tail(before, missing, _MOST - len(found)) + found
    return found.decode("utf-8", errors="replace")


def rotate(log: Path, before: Path) -> None:
    """Bytes that arrive between the copy and the cut are lost; QEMU appends, so it needn't know."""
    try:
        if log.stat().st_size < _ROTATE_AT:
            return
        kept = _tail(log, None, _MOST)
        before.write_bytes(kept)
        os.truncate(log, 0)
    except FileNotFoundError:
        return


def _tail(path: Path, lines: int | None, most: int) -> bytes:
    """Reads backwards in steps, so the size of the log doesn't matter."""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return b""
    with file:
        at, found = file.seek(0, os.SEEK_END), b""
        while at > 0 and len(found) < most and (lines is None or found.count(b"\n") <= lines):
            step = min(_STEP, at, most - len(found))
            at -= step
            file.seek(at)
            found = file.read(step) + found
    return found if lines is None else _last(found, lines)


def _last(text: bytes, lines: int) -> bytes:
    parts = text.split(b"\n")
    return b"\n".join(parts[-lines - 1 :] if parts[-1] == b"" else parts[-lines:])
