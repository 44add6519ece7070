# SPDX-License-Identifier: Apache-2.0
"""Access rules of application credentials: which paths a pattern fits, and that one limits a token.

How they are made and kept is skyhold/identity/access_rules.py's, tested in its stories.
"""

from __future__ import annotations

import pytest

from skyhold.core.app import Core
from skyhold.core.http.caller import path_matches
from tests.kit.client import Client


@pytest.mark.parametrize(
    ("pattern", "path", "fits"),
    [
        ("/v1/things/*", "/v1/things/1", True),
        ("/v1/things/*", "/v1/things/1/2", False),
        ("/v1/**", "/v1/things/1/2", True),
        ("/v1/**", "/v1", True),
        ("/**/tags", "/v1/a/b/tags", True),
        ("/v1/{id}/x", "/v1/7/x", True),
        ("/v1/a", "/v1/ab", False),
        ("**", "/anything/at/all", True),
        ("/v1/**/a/**/b", "/v1/x/a/y/z/b", True),
        ("/v1/**/a/**/b", "/v1/x/a/y/z/c", False),
    ],
)
def test_access_rules_match_by_segment(pattern: str, path: str, fits: bool) -> None:
    assert path_matches(pattern, path) is fits


def test_a_pattern_of_many_stars_takes_no_time() -> None:
    assert not path_matches("/**" * 60 + "/x", "/a" * 200)


async def test_an_access_rule_limits_the_token(toy: Core) -> None:
    client = Client(toy.asgi, "good:member:reader:limited", prefix="/toy")
    await client.get("/v1/things/1", status=200)
    await client.post("/v1/things", {"name": "a"}, status=401)
