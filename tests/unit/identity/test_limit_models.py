# SPDX-License-Identifier: Apache-2.0
"""How limits bind each other, over all numbers: none (-1) is above every one."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from skyhold.identity.logic.limit_models import child_fits, exceeds, parent_fits, smaller

LIMITS = st.integers(-1, 50)


def plain(limit: int) -> float:
    return math.inf if limit < 0 else limit


@given(LIMITS, LIMITS)
def test_no_limit_is_above_every_number(one: int, two: int) -> None:
    assert exceeds(one, two) == (plain(one) > plain(two))
    assert plain(smaller(one, two)) == min(plain(one), plain(two))


@given(LIMITS, st.none() | LIMITS, LIMITS)
def test_a_project_fits_into_its_domain_or_the_default(limit: int, of_domain: int | None, default: int) -> None:
    assert child_fits(limit, of_domain, default) == (plain(limit) <= plain(default if of_domain is None else of_domain))


@given(LIMITS, st.lists(LIMITS))
def test_a_domain_fits_around_all_its_projects(limit: int, of_projects: list[int]) -> None:
    assert parent_fits(limit, of_projects) == (max(map(plain, of_projects), default=0) <= plain(limit))
