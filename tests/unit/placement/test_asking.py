# SPDX-License-Identifier: Apache-2.0
"""Query strings: what they mean, in which version, and that nothing a client sends breaks the reading.

Refusals as a client sees them are told in the stories.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skyhold.core.errors import Invalid
from skyhold.core.versions import Version
from skyhold.placement.logic.asking import read_request, read_resources
from skyhold.placement.logic.inventories import Inventory, capacity, serves

NOW = Version(1, 39)


def test_traits_are_sets_of_alternatives():
    [group] = read_request({"resources": ["VCPU:1"], "required": ["in:A,B", "C,!D"]}, NOW).groups
    assert group.required == [frozenset("AB"), frozenset("C")] and group.forbidden == frozenset("D")


def test_groups_come_in_the_order_of_their_suffixes():
    pairs = {"resources2": ["A:1"], "resources": ["B:2"], "resources_X": ["C:3"], "group_policy": ["isolate"]}
    request = read_request(pairs, NOW)
    assert [group.suffix for group in request.groups] == ["", "2", "_X"] and request.isolate


@pytest.mark.parametrize("text", ["", "A", "A:", ":1", "A:1,", "A:1:1", "A:0", "A:-1", "A:1.5", "A:" + "9" * 30])
def test_bad_resources(text):
    with pytest.raises(Invalid):
        read_resources(text)


NAMES = st.sampled_from([
    "resources", "resources1", "required", "required1", "member_of", "in_tree", "limit", "group_policy",
    "root_required", "same_subtree", "explain",
]) | st.text(max_size=12)
TEXTS = st.text(max_size=20) | st.sampled_from(["VCPU:1", "in:A,B", "!A", "!in:A", "none", "1", "A,!A", "1,2"])


@given(st.dictionaries(NAMES, st.lists(TEXTS, min_size=1, max_size=3)), st.integers(10, 39))
def test_any_query_is_read_or_refused(pairs, minor):
    refusal, request = None, None
    try:
        request = read_request(pairs, Version(1, minor))
    except Invalid as error:
        refusal = error.extra["code"]
    assert refusal.startswith("placement.query.") if request is None else request.classes


@given(st.integers(1, 10**6), st.integers(0, 10**6), st.floats(0.1, 32))
def test_capacity_is_what_upstream_compares_with(total, reserved, ratio):
    whole = capacity(total, reserved, ratio)
    assert whole <= (total - reserved) * ratio < whole + 1
    assert Inventory(total, reserved, allocation_ratio=ratio).capacity == whole


def test_units_and_steps():
    stock = {"capacity": 10, "used": 4, "min_unit": 2, "max_unit": 6, "step_size": 2}
    assert [amount for amount in range(1, 12) if serves(amount, **stock)] == [2, 4, 6]
