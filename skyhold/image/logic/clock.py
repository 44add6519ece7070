# SPDX-License-Identifier: Apache-2.0
"""Moments as image prints them: 2015-11-04T21:20:00Z.

Everywhere else they are microseconds. A list prints two a row, and one that is asked for again and again the same.
"""

from __future__ import annotations

from functools import lru_cache
from time import gmtime


def seconds_z(at_us: int) -> str:
    return printed(at_us // 1_000_000)


@lru_cache(maxsize=16384)
def printed(seconds: int) -> str:
    year, month, day, hour, minute, second, *_ = gmtime(seconds)
    return f"{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z"
