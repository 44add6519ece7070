# SPDX-License-Identifier: Apache-2.0
"""Routes where credentials are optional, what a handler hears of a request's head, and ports that services had of old.

What a look-up makes of a guest is the service's business: tests/story/object/test_access.py. The toy service is toy.py.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from skyhold.core.app import Core
from skyhold.core.http.mount import Front
from skyhold.core.settings.sections import Http
from skyhold.core.settings.whole import Settings
from tests.kit.client import Client
from tests.unit.core.http.toy import GOOD, TOY


async def test_a_guest_is_nobody_and_a_token_that_is_no_good_counts_as_none(toy: Core) -> None:
    for token, user in ((None, ""), ("nonsense", ""), (GOOD["X-Auth-Token"], "someone")):
        told = (await Client(toy.asgi, token, prefix="/toy").get("/v1/guests", status=200)).json
        assert bool(told["user"]) is bool(user)
    await Client(toy.asgi, None, prefix="/toy").get("/v1/things/1", status=401)


async def test_the_head_is_as_it_was_sent(toy: Core) -> None:
    client = Client(toy.asgi, None, prefix="/toy")
    told = (await client.get("/v1/guests?b=1&a=%C3%A9&b=2", headers={"X-Word": "é"}, status=200)).json
    assert told["method"] == "GET" and told["path"] == "/toy/v1/guests"
    assert sorted(told["queries"]) == [["a", "é"], ["b", "1"], ["b", "2"]]
    assert told["word"].encode("latin-1").decode() == "é"


async def test_a_head_may_tell_a_length(toy: Core) -> None:
    answer = await Client(toy.asgi, None, prefix="/toy").request("HEAD", "/v1/guests", status=200)
    assert answer.headers["content-length"] == "12345" and answer.body == b""


@pytest.mark.parametrize(("own", "found"), [(80, 404), (8780, 200)])
async def test_the_own_port_is_no_services_port_of_old(toy: Core, own: int, found: int) -> None:
    """The client asks at port 80."""
    settings = toy.settings
    toy.settings = Settings(home=settings.home, http=Http(port=own))
    front = Front(toy, [replace(TOY, port=80)])
    await Client(front, None).get("/v1/guests", status=found)
    told = await Client(front, None).get("/metrics", status=200 if own == 80 else 404)
    assert told.body
    toy.settings = settings
