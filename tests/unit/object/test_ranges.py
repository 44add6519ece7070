# SPDX-License-Identifier: Apache-2.0
"""Which bytes a Range header means, and when a conditional request holds; whole answers are in the stories."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skyhold.object.errors import RangeUnsatisfiable
from skyhold.object.logic.conditions import Conditions, judged, moment, seconds
from skyhold.object.logic.ranges import parts


@given(st.integers(0, 40), st.integers(0, 40), st.integers(1, 30))
def test_a_range_is_what_slicing_gives(first: int, last: int, size: int) -> None:
    content = bytes(range(size))
    try:
        found = parts(f"bytes={first}-{last}", size)
    except RangeUnsatisfiable:
        assert first >= size
        return
    if last < first:
        assert found == []
        return
    (start, end), = found
    assert content[start:end] == content[first:last + 1]


@given(st.integers(1, 40), st.integers(1, 30))
def test_a_suffix_is_what_slicing_gives(last: int, size: int) -> None:
    (start, end), = parts(f"bytes=-{last}", size)
    content = bytes(range(size))
    assert content[start:end] == content[-last:]


@given(st.text(max_size=40))
def test_no_header_is_too_odd(text: str) -> None:
    for header in (text, "bytes=" + text):
        try:
            found = parts(header, 10)
        except RangeUnsatisfiable:
            continue
        assert all(0 <= start < end <= 10 for start, end in found)


@pytest.mark.parametrize("header", ["bytes=0-0,1-1,20-30", "bytes=20-30,-1"])
def test_parts_that_are_not_there_are_left_out(header: str) -> None:
    assert all(end <= 10 for _, end in parts(header, 10))


@pytest.mark.parametrize("header", [
    "bytes=10-", "bytes=-0", "bytes=" + ",".join(["9-9", "0-0"] * 10), "bytes=0-,0-,0-,0-",
])
def test_what_cannot_or_will_not_be_given(header: str) -> None:
    with pytest.raises(RangeUnsatisfiable):
        parts(header, 10)


def test_dates_have_whole_seconds() -> None:
    date = "Thu, 01 Jan 1970 00:00:05 GMT"
    assert moment(date) == 5 and moment("never") is None and moment("Thu, 99 Jan 1970") is None
    assert moment("Thu Jan  1 00:00:05 1970") == 5, "without a zone it is UTC"
    assert seconds(4_000_001) == 5 and seconds(5_000_000) == 5
    for changed_us, verdict in ((4_000_001, "same"), (5_000_000, "same"), (5_000_001, "go")):
        assert judged(Conditions(modified_since=date), "e", changed_us) == verdict
        assert judged(Conditions(unmodified_since=date), "e", changed_us) == (
            "failed" if verdict == "go" else "go"
        )


def test_tags_win_over_dates() -> None:
    old = "Thu, 01 Jan 1970 00:00:00 GMT"
    assert judged(Conditions(match='"e"', unmodified_since=old), "e", 9_000_000) == "go"
    assert judged(Conditions(none_match="other", modified_since="Thu, 01 Jan 2099 00:00:00 GMT"), "e", 9) == "go"
    assert judged(Conditions(match="*"), None, 0) == "failed" and judged(Conditions(none_match="*"), None, 0) == "go"
