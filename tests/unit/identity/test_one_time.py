# SPDX-License-Identifier: Apache-2.0
"""One-time passwords against the vectors of RFC 6238, and which rules of several factors are fulfilled."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skyhold.identity.logic.factors import begun, rules_of, suffices
from skyhold.identity.logic.one_time import code, matching_step, seed_of, step_of

SEED = b"12345678901234567890"


@pytest.mark.parametrize(("seconds", "expected"), [
    (59, "287082"), (1111111109, "081804"), (1111111111, "050471"), (1234567890, "005924"), (2000000000, "279037"),
    (20000000000, "353130"),
])
def test_codes_are_those_of_the_rfc(seconds: int, expected: str) -> None:
    assert code(SEED, step_of(seconds * 1_000_000)) == expected


def test_a_seed_is_read_as_authenticators_show_it() -> None:
    text = base64.b32encode(b"seventeen bytes!!").decode()
    spaced = " ".join(text.rstrip("=")[i:i + 4] for i in range(0, 28, 4)).lower()
    assert seed_of(text) == seed_of(spaced) == b"seventeen bytes!!"
    for nonsense in ("", "====", "1", "not base32!", "é", "A"):
        assert seed_of(nonsense) is None


@given(step=st.integers(10, 2**40), late=st.integers(0, 3), window=st.integers(0, 3))
def test_a_code_is_found_in_its_window_alone(step: int, late: int, window: int) -> None:
    found = matching_step(SEED, code(SEED, step), range(step + late - window, step + late + 1))
    assert (found == step) or late > window


def test_only_known_methods_count_and_an_empty_rule_is_none() -> None:
    known = ("password", "totp")
    options = {"multi_factor_auth_rules": [["password", "totp"], ["smoke"], [], ["smoke", "totp"]]}
    rules = rules_of(options, known)
    assert rules == [["password", "totp"], ["totp"]]
    assert rules_of({"multi_factor_auth_rules": [["smoke"]]}, known) == []
    assert rules_of(options | {"multi_factor_auth_enabled": False}, known) == []
    assert rules_of(options | {"multi_factor_auth_enabled": True}, known) == rules
    assert not suffices([["password", "totp"]], ["password"])
    assert suffices([["password", "totp"]], ["totp", "password", "token"])
    assert suffices([], ["password"])
    assert begun(rules, ["password"]) == [["password", "totp"]]
