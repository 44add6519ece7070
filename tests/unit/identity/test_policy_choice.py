# SPDX-License-Identifier: Apache-2.0
"""Which policy an endpoint uses, over all combinations of associations."""

from __future__ import annotations

from itertools import product

from skyhold.identity.logic.policy_choice import Whose, chosen

PARENTS = {"inner": "outer", "outer": None}
NEAREST_FIRST = [
    Whose(endpoint_id="e"), Whose(service_id="s", region_id="inner"), Whose(service_id="s", region_id="outer"),
    Whose(service_id="s"),
]


def test_the_nearest_of_all_associations_counts() -> None:
    for given in product([True, False], repeat=len(NEAREST_FIRST)):
        policies = {whose: str(i) for i, whose in enumerate(NEAREST_FIRST) if given[i]}
        expected = next((str(i) for i, there in enumerate(given) if there), None)
        assert chosen(policies, PARENTS, "e", "s", "inner") == expected


def test_what_is_associated_with_others_does_not_count() -> None:
    others = {Whose(endpoint_id="f"): "1", Whose(service_id="t"): "2", Whose(service_id="s", region_id="else"): "3"}
    assert chosen(others, PARENTS, "e", "s", "inner") is None


def test_an_endpoint_without_a_region_uses_its_services() -> None:
    assert chosen({Whose(service_id="s"): "1"}, PARENTS, "e", "s", None) == "1"


def test_regions_in_a_circle_end_the_search() -> None:
    assert chosen({Whose(service_id="s"): "1"}, {"a": "b", "b": "a"}, "e", "s", "a") == "1"
