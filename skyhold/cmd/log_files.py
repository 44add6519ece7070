# SPDX-License-Identifier: Apache-2.0
"""Finds the log lines of one request, in files that are large, and in those that were rotated away.

What a line means is trace.py's business, and what is written core/logs.py's. Lines stand in the order of time,
so where the time of the request is known a file is halved until only that time is left of it: how large the file
is, and whether any of it is in memory, then makes no difference.
"""

from __future__ import annotations

import gzip
import mmap
import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

TIME = rb"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}[.0-9]{0,7}Z)"
STAMP = re.compile(rb'"timestamp":"' + TIME + rb'"|^' + TIME + rb" ", re.MULTILINE)
"""A line's time, in either of the two formats."""
AROUND_US = 3_600_000_000
"""A request may be at work for that long before the first and after the last thing that the journal knows of it, and
the clocks of two machines differ by less."""
SMALL = 1 << 20
"""Bytes that are searched faster than halved."""


class Span(NamedTuple):
    """From `since` to `until`, in microseconds."""

    since: int
    until: int


FOREVER = Span(0, 1 << 62)


def around(times_us: list[int], going_on: bool) -> Span:
    """Where lines may be of what happened at these times; for all time when there are none."""
    if not times_us:
        return FOREVER
    return Span(min(times_us) - AROUND_US, FOREVER.until if going_on else max(times_us) + AROUND_US)


def lines_with(directory: Path, words: bytes, span: Span = FOREVER) -> Iterator[tuple[str, bytes]]:
    """Each line that has the words in it, with the name of its log."""
    for path in sorted(directory.glob("*.log*")):
        # A file is written last when its last line is, and stays so when it is moved, copied or packed.
        if path.stat().st_mtime_ns // 1000 >= span.since:
            search = packed if path.suffix == ".gz" else plain
            for line in search(path, words, span):
                yield path.name.partition(".")[0], line


def packed(path: Path, words: bytes, span: Span) -> Iterator[bytes]:
    with gzip.open(path) as file:
        for line in file:
            if words in line:
                yield line.rstrip(b"\n")
            elif (found := STAMP.search(line)) and time_of(found) > span.until:
                return


def plain(path: Path, words: bytes, span: Span) -> Iterator[bytes]:
    if not path.stat().st_size:
        return
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text:
        # A line that is read may begin before the place where the later ones do.
        end = halved(text, span.until)[1] + SMALL
        at = text.find(words, halved(text, span.since)[0], end)
        while at >= 0:
            stop = text.find(b"\n", at)
            stop = stop if stop >= 0 else len(text)
            yield text[text.rfind(b"\n", 0, at) + 1:stop]
            at = text.find(words, stop, end)


def halved(text: mmap.mmap, at_us: int) -> tuple[int, int]:
    """Two places: lines that begin before the first are earlier than `at_us`, those that begin after the second are
    not. They are close together but where a stretch of the file tells no time, such as the traceback of an accident."""
    low, high = 0, len(text)
    while high - low > SMALL:
        middle = (low + high) // 2
        found = STAMP.search(text, middle, min(high, middle + SMALL))
        if found is None:
            break
        if time_of(found) < at_us:
            low = middle
        else:
            high = middle
    return low, high


def time_of(found: re.Match[bytes]) -> int:
    moment = datetime.fromisoformat(found[found.lastindex or 0].decode())
    return int(moment.timestamp() * 1e6)
