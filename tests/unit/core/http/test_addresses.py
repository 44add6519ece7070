# SPDX-License-Identifier: Apache-2.0
"""Paths and queries as they are sent: decoded once, repeated keys kept, odd ones never an accident.

Which routes there are is decided in a service's stories. The toy service is toy.py.
"""

from __future__ import annotations

import orjson
import pytest

from skyhold.core.app import Core
from tests.kit.client import Client
from tests.unit.core.http.toy import GOOD, raw


async def test_a_trailing_slash_is_the_services_choice(toy: Core) -> None:
    for prefix, status in (("/toy", 200), ("/other", 404)):
        await Client(toy.asgi, GOOD["X-Auth-Token"], prefix=prefix).get("/v1/things/1/", status=status)


@pytest.mark.parametrize(
    ("path", "seen"),
    [
        (b"a%20b", "a b"),
        (b"%C3%A9", "\u00e9"),
        (b"a%2Fb", None),
        (b"%", "%"),
        (b"%zz", "%zz"),
        (b"a+b", "a+b"),
        (b"%ff", "\ufffd"),
        (b"a%00b", None),
        (b"..", ".."),
        (b"%2e%2e", ".."),
    ],
)
async def test_paths_are_decoded_once(port: int, path: bytes, seen: str | None) -> None:
    answer = await raw(
        port,
        b"GET /toy/v1/things/" + path + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        b"X-Auth-Token: good:reader\r\n\r\n",
    )
    status, _, body = answer.partition(b"\r\n\r\n")[0][:12], *answer.partition(b"\r\n\r\n")[1:]
    if seen is None:
        assert status == b"HTTP/1.1 404", answer
    else:
        assert orjson.loads(body)["id"] == seen


@pytest.mark.parametrize(
    ("query", "tags", "name"),
    [
        ("tag=a&tag=b", ["a", "b"], None),
        ("tag=a,b", ["a,b"], None),
        ("tag=", [""], None),
        ("name=a%20b", [], "a b"),
        ("name=a%26b", [], "a&b"),
        ("", [], None),
        ("unknown=1", [], None),
        ("name=a+b", [], "a b"),
    ],
)
async def test_queries_keep_repeated_keys_and_order(
    client: Client, query: str, tags: list[str], name: str | None
) -> None:
    answer = await client.get(f"/v1/things/1?{query}", status=200)
    assert (answer.json["tags"], answer.json["name"]) == (tags, name)


@pytest.mark.parametrize("query", ["%", "&&&", "=", "%ff=%ff", "a=%00", "name=%00", "tag=" + "&tag=" * 500])
async def test_odd_queries_are_never_an_accident(client: Client, query: str) -> None:
    await client.get(f"/v1/things/1?{query}", status=(200, 400))
