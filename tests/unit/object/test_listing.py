# SPDX-License-Identifier: Apache-2.0
"""Which names a listing shows, held against a plain search through all of them.

The rows of a database are a sorted list here; stories ask the real one.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from skyhold.object.logic import listing
from skyhold.object.logic.listing import Span, Wish, listed

Row = namedtuple("Row", "name")
LETTERS = st.text(alphabet="ab/ü鳥", max_size=5)
NAMES = st.lists(LETTERS.filter(bool), max_size=30, unique=True)


class Table:
    """Rows as a database gives them, in small bites."""

    def __init__(self, names: Sequence[str], reverse: bool) -> None:
        self.rows = sorted((name.encode() for name in names), reverse=reverse)
        self.asked = 0

    def fetch(self, span: Span, limit: int) -> list[Row]:
        self.asked += 1
        assert self.asked <= 200, "a listing comes to an end"
        within = [each for each in self.rows if each >= span.low and (span.high is None or each < span.high)]
        return [Row(each.decode()) for each in within[:limit]]


def plain(names: Sequence[str], wish: Wish) -> list[str]:
    """The same, the slow way: everything, rolled, then cut."""
    found: list[str] = []
    for name in sorted(names, key=str.encode, reverse=wish.reverse):
        if not name.startswith(wish.prefix) or not between(name, wish):
            continue
        at = name.find(wish.delimiter, len(wish.prefix)) if wish.delimiter else -1
        shown = name if at < 0 else name[:at + len(wish.delimiter)]
        if wish.flat and (shown != name or name == wish.prefix):
            continue
        if at >= 0 and not wish.flat and shown == wish.marker:
            continue
        if shown not in found or at < 0:
            found.append(shown)
    return found[:wish.limit]


def between(name: str, wish: Wish) -> bool:
    first, last = (wish.end_marker, wish.marker) if wish.reverse else (wish.marker, wish.end_marker)
    return (not first or name.encode() > first.encode()) and (not last or name.encode() < last.encode())


@given(
    NAMES, LETTERS, st.sampled_from(["", "/", "a", "ab"]), LETTERS, LETTERS, st.integers(0, 12), st.booleans(),
    st.booleans(), st.integers(1, 4),
)
def test_a_listing_is_what_a_plain_search_finds(
    names: list[str], prefix: str, delimiter: str, marker: str, end: str, limit: int, reverse: bool, flat: bool,
    batch: int,
) -> None:
    wish = Wish(
        prefix=prefix, delimiter=delimiter, marker=marker, end_marker=end, limit=limit, reverse=reverse,
        flat=flat and bool(delimiter),
    )
    before, listing.BATCH = listing.BATCH, batch
    try:
        found = listed(wish, Table(names, reverse).fetch)
    finally:
        listing.BATCH = before
    assert [each if isinstance(each, str) else each.name for each in found] == plain(names, wish)


def test_what_rolls_into_one_is_jumped_over() -> None:
    table = Table([f"a/{i:06}" for i in range(50_000)] + ["b"], False)
    found = listed(Wish(delimiter="/", limit=10_000), table.fetch)
    assert found == ["a/", Row("b")] and table.asked == 2
