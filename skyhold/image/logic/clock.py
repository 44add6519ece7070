# SPDX-License-Identifier: Apache-2.0
"""Moments as image prints them: 2015-11-04T21:20:00Z.

Everywhere else they are microseconds. A list prints two a row, so the form is written out with the
cheapest call there is for it.
"""

from __future__ import annotations

from time import gmtime


def seconds_z(at_us: int) -> str:
    year, month, day, hour, minute, second, *_ = gmtime(at_us // 1_000_000)
    return f"{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z"
