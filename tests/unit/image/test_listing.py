# SPDX-License-Identifier: Apache-2.0
"""What a query string asks of a list of images.

What is then found is tests/story/image/test_lists.py.
"""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skyhold.core import errors
from skyhold.image import states
from skyhold.image.logic import listing as subject
from skyhold.image.logic.clock import seconds_z
from skyhold.image.logic.listing import link, listing, property_term, split_in, tag_term, terms_of


def test_nothing_asked_is_the_newest_25_visible_ones() -> None:
    want = listing({})
    assert want.filters == [("hidden", "eq", False)] and want.terms == [] and want.apart == []
    assert want.sort == [("created_at", "desc"), ("id", "desc")]
    assert (want.limit, want.marker, want.visibility, want.member_status) == (25, None, None, "accepted")


def test_a_misspelt_parameter_is_a_property_that_no_image_has() -> None:
    assert listing({"nmae": ["x"]}).terms == [property_term("nmae", "x")]


def test_a_sort_key_given_is_never_overruled_by_the_default_order() -> None:
    assert listing({"sort": ["created_at:asc"]}).sort == [("created_at", "asc"), ("id", "desc")]
    assert listing({"sort_key": ["id", "name"], "sort_dir": ["asc"]}).sort == [
        ("id", "asc"), ("name", "asc"), ("created_at", "desc"),
    ]


@pytest.mark.parametrize(("text", "values"), [
    ("in:a", ["a"]), ("in:a,b", ["a", "b"]), ('in:"a,b",c', ["a,b", "c"]), ('in:"glass, darkly",share me',
                                                                           ["glass, darkly", "share me"]),
])
def test_in_lists_values(text: str, values: list[str]) -> None:
    assert split_in("name", text) == values


@pytest.mark.parametrize("text", ["in:", "in:a,,b", 'in:"a', "in:" + ",".join("x" * 1001)])
def test_in_needs_values(text: str) -> None:
    with pytest.raises(errors.Invalid):
        split_in("name", text)


def test_a_printed_time_equals_itself() -> None:
    at_us = 1_700_000_000_987_654
    low, high = (value for _, _, value in listing({"created_at": [f"eq:{seconds_z(at_us)}"]}).filters[:2])
    assert low <= at_us < high


def test_times_are_read_in_every_zone() -> None:
    zulu, east = "2024-01-01T12:00:00Z", "2024-01-01T14:00:00+02:00"
    assert subject.moment("created_at", zulu) == subject.moment("created_at", east)
    assert subject.moment("created_at", "2024-01-01T12:00:00") == subject.moment("created_at", zulu)


def test_terms_keep_tags_and_properties_apart() -> None:
    assert len({tag_term("a"), property_term("a", ""), property_term("", "a"), property_term("a", "a")}) == 4
    assert terms_of(["a", "a"], {"k": "v"}) == {tag_term("a"), property_term("k", "v")}


def test_links_keep_the_question_and_replace_the_marker() -> None:
    query = {"limit": ["2"], "tag": ["a b", "c"], "marker": ["old"]}
    assert link(query, None) == "/v2/images?limit=2&tag=a+b&tag=c"
    assert link(query, "new") == "/v2/images?limit=2&tag=a+b&tag=c&marker=new"
    assert link({}, None) == "/v2/images"


NAMES = st.sampled_from([
    "name", "id", "status", "size_min", "created_at", "updated_at", "sort", "sort_key", "sort_dir", "limit", "marker",
    "tag", "visibility", "member_status", "os_hidden", "protected", "min_ram", "colour", "os_hash_algo",
])


@given(st.dictionaries(NAMES, st.lists(st.text(max_size=30), min_size=1, max_size=3), max_size=5))
def test_whatever_is_asked_is_read_or_refused(query: dict[str, list[str]]) -> None:
    with suppress(errors.Invalid):
        assert 0 <= listing(query).limit <= 1000


def test_every_state_can_be_left_or_rest() -> None:
    for state, after in states.IMAGE.moves.items():
        assert after and set(after) <= set(states.KNOWN) and state in states.KNOWN
    assert states.SAVING not in states.IMAGE.resting


@pytest.mark.parametrize("name", ["size_min", "size", "min_ram", "limit"])
@pytest.mark.parametrize("text", ["9" * 30, "0" * 25 + "9" * 30, "9" * 5000, "-1", "1.5", "", "٣"])
def test_a_number_is_one_that_a_database_can_hold(name: str, text: str) -> None:
    with pytest.raises(errors.Invalid):
        listing({name: [text]})


def test_zeros_before_a_number_change_nothing() -> None:
    assert listing({"size": ["0" * 6000 + "7"]}).filters[0] == ("size_bytes", "eq", 7)
    assert listing({"limit": ["000"]}).limit == 0


@pytest.mark.parametrize(("name", "value"), [
    ("tag", "a"), ("name", "a"), ("protected", "true"), ("created_at", "neq:2026-01-01"), ("mine", "a"),
])
def test_a_list_has_only_so_many_conditions(name: str, value: str) -> None:
    listing({name: [value] * subject.MOST_CONDITIONS})
    with pytest.raises(errors.Invalid, match="conditions"):
        listing({name: [value] * (subject.MOST_CONDITIONS + 1)})
