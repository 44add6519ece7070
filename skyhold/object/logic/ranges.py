# SPDX-License-Identifier: Apache-2.0
"""Which bytes a Range header means (RFC 9110), and how several parts are wrapped.

What is sent of them is swift/downloads.py. A header that can't be read is no header; one that no part of the object
meets is an error; many small or overlapping parts are refused, because they cost more than they can be good for.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Final

from skyhold.object.errors import RangeUnsatisfiable

MOST: Final = 50
MOST_OVERLAPS: Final = 2
MOST_BACKWARDS: Final = 8
PART: Final = re.compile(r"([0-9]{0,18})-([0-9]{0,18})")
LONGEST: Final = 4096

Part = tuple[int, int]
"""First byte, and the byte after the last."""


def parts(header: str | None, size_bytes: int) -> list[Part]:
    """Empty for the whole. Raises RangeUnsatisfiable."""
    asked = read(header)
    if asked is None:
        return []
    found = [part for each in asked if (part := within(*each, size_bytes)) is not None]
    if not found or len(found) > MOST or wasteful(found):
        raise RangeUnsatisfiable(f"The object has {size_bytes} bytes; other ones were asked for, or in too many parts.",
                                 size_bytes=size_bytes)
    return found


def read(header: str | None) -> list[tuple[str, str]] | None:
    unit, _, rest = (header or "").partition("=")
    if unit.strip().lower() != "bytes" or not rest or len(rest) > LONGEST:
        return None
    matches = [PART.fullmatch(each.strip()) for each in rest.split(",")]
    found = [match.groups() for match in matches if match is not None and any(match.groups())]
    wrong = len(found) < len(matches) or any(first and last and int(first) > int(last) for first, last in found)
    return None if wrong else [(first, last) for first, last in found]


def within(first: str, last: str, size_bytes: int) -> Part | None:
    if not first:
        start, end = max(0, size_bytes - int(last)), size_bytes
    else:
        start, end = int(first), min(int(last) + 1, size_bytes) if last else size_bytes
    return (start, end) if start < end else None


def wasteful(found: list[Part]) -> bool:
    backwards = sum(one[0] > two[0] for one, two in pairwise(found))
    overlaps = sum(one[1] > two[0] for one, two in pairwise(sorted(found)))
    return backwards >= MOST_BACKWARDS or overlaps > MOST_OVERLAPS


def opening(part: Part, size_bytes: int, content_type: str, boundary: str) -> bytes:
    """What stands before a part of multipart/byteranges."""
    start, end = part
    lines = (f"--{boundary}", f"Content-Type: {content_type}", f"Content-Range: bytes {start}-{end - 1}/{size_bytes}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def closing(boundary: str) -> bytes:
    return f"--{boundary}--".encode()
