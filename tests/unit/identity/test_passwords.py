# SPDX-License-Identifier: Apache-2.0
"""Hashes of passwords are argon2id in its usual encoded form, whoever made them, and nonsense matches nothing.

What users are told is tests/story/identity.
"""

from __future__ import annotations

import pytest

from skyhold.identity.passwords import Passwords

OF_SECRET = [
    "$argon2id$v=19$m=64,t=2,p=1$MDEyMzQ1Njc4OWFiY2RlZg$NZM9HruDlpv+svG+Wf5n9elNeM0OXMUpS4QH8zsitbM",
    "$argon2id$v=19$m=64,t=2,p=4$MDEyMzQ1Njc4OWFiY2RlZg$TCfuWi2I+R344lP6t/zDeTXgpVn0QKMULCK8si44p30",
]
"""Made by the reference implementation, of the word "secret": in one lane and in four."""
NONSENSE = ["", "nonsense", "$argon2id$v=19$m=64,t=2,p=1$MDEy$", OF_SECRET[0].replace("2id", "2i"), "x" * 500]


@pytest.fixture
def cheap() -> Passwords:
    return Passwords(time_cost=1, memory_kib=8)


async def test_a_hash_matches_its_secret_and_no_other(cheap: Passwords) -> None:
    hashed = await cheap.hash("пароль")
    assert hashed.startswith("$argon2id$v=19$m=8,t=1,p=1$")
    assert await cheap.matches(hashed, "пароль")
    assert not await cheap.matches(hashed, "пароль ")
    assert not await cheap.matches(None, "пароль")


@pytest.mark.parametrize("hashed", OF_SECRET)
async def test_what_others_hashed_is_checked_as_it_was_made(cheap: Passwords, hashed: str) -> None:
    assert await cheap.matches(hashed, "secret")
    assert not await cheap.matches(hashed, "Secret")


@pytest.mark.parametrize("hashed", NONSENSE)
async def test_nonsense_matches_nothing(cheap: Passwords, hashed: str) -> None:
    assert not await cheap.matches(hashed, "secret")
