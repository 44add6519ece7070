# SPDX-License-Identifier: Apache-2.0
"""Which names a listing shows: by prefix, markers and limit, those with a delimiter rolled into one.

Where rows come from is engine/containers.py and objects.py; how a listing is printed is swift/listings.py. The one
thing to know first: names are compared as bytes, and a range of them is `low <= name < high`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import msgspec

BATCH: Final = 1000
"""Rows looked at between two jumps over what rolls into one."""


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """`flat` leaves out what lies deeper than the delimiter, in place of naming it."""

    prefix: str = ""
    delimiter: str = ""
    marker: str = ""
    end_marker: str = ""
    limit: int
    reverse: bool = False
    flat: bool = False


class Span(msgspec.Struct, frozen=True):
    low: bytes
    high: bytes | None

    @property
    def empty(self) -> bool:
        return self.high is not None and self.low >= self.high


Fetch = Callable[[Span, int], Sequence[Any]]
"""`(span, limit)`: rows with a `name`, in the order of the listing."""


def listed(wish: Wish, fetch: Fetch) -> list[Any]:
    """Rows, and texts for what was rolled into one."""
    found: list[Any] = []
    span = whole(wish)
    last = wish.marker
    while len(found) < wish.limit and not span.empty:
        asked = wish.limit - len(found)
        asked = min(asked, BATCH) if wish.delimiter else asked
        rows = fetch(span, asked)
        for entry in rolled(rows, wish, last):
            found.append(entry)
        if len(rows) < asked:
            break
        last = directory(rows[-1].name, wish)
        span = beyond(span, rows[-1].name, last, wish.reverse)
    return found[:wish.limit]


def rolled(rows: Sequence[Any], wish: Wish, last: str) -> Iterator[Any]:
    """`last` is the one that rows were rolled into before, or the marker, which may be one."""
    for row in rows:
        name = directory(row.name, wish)
        if wish.flat:
            # What is called like the directory itself isn't in it.
            if name in ("", row.name) and row.name != wish.prefix:
                yield row
        elif not name:
            yield row
        elif name != last:
            yield name
        last = name or last


def directory(name: str, wish: Wish) -> str:
    """What the name rolls into; empty for a name that stays."""
    if not wish.delimiter:
        return ""
    at = name.find(wish.delimiter, len(wish.prefix))
    return name[:at + len(wish.delimiter)] if at >= 0 else ""


def whole(wish: Wish) -> Span:
    first, last = (wish.end_marker, wish.marker) if wish.reverse else (wish.marker, wish.end_marker)
    low, high = wish.prefix.encode(), after(wish.prefix)
    if first:
        low = max(low, first.encode() + b"\0")
    if last:
        high = last.encode() if high is None else min(high, last.encode())
    return Span(low, high)


def beyond(span: Span, name: str, into: str, reverse: bool) -> Span:
    """What is left after this name, or after all that rolls into the same."""
    if reverse:
        return Span(span.low, (into or name).encode())
    return Span(after(into) or b"" if into else name.encode() + b"\0", span.high)


def after(prefix: str) -> bytes | None:
    """The least bytes greater than all that begin so. UTF-8 has no byte that couldn't be counted up."""
    if not prefix:
        return None
    whole = prefix.encode()
    return whole[:-1] + bytes([whole[-1] + 1])
