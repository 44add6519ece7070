# SPDX-License-Identifier: Apache-2.0
"""JSON bodies: what is none is refused and told apart, and an action is chosen by its key.

How long and how slow one may be is test_bounds.py; bodies that aren't JSON are test_streams.py.
"""

from __future__ import annotations

import asyncio

import orjson
import pytest

from tests.kit.client import Client
from tests.unit.core.http.toy import received


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"\xff\xfe",
        b"nul",
        b'{"name": "a",}',
        b"[" * 5000,
        b'{"name": NaN}',
        b'{"name": "\xed\xa0\x80"}',
    ],
)
async def test_malformed_json_is_400_and_says_where(client: Client, body: bytes) -> None:
    answer = await client.post("/v1/things", body, status=400)
    assert answer.json["error"]["reason"] == "malformed_json"


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b"null",
        b"1",
        b'"a"',
        b"{}",
        b'{"name": null}',
        b'{"name": 1}',
        b'{"name": ""}',
        b'{"name": "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}',
        b'{"name": "a", "other": 1}',
        b'{"name": "a\\u0000"}',
        b'{"name": ["a"]}',
        b'{"name": 99999999999999999999999999}',
    ],
)
async def test_a_body_of_another_shape_is_400(client: Client, body: bytes) -> None:
    await client.post("/v1/things", body, status=400)


async def test_no_body_is_400(client: Client) -> None:
    answer = await client.post("/v1/things", status=400)
    assert answer.json["error"]["reason"] == "no_body"


async def test_another_content_type_is_415(client: Client) -> None:
    await client.post("/v1/things", b'{"name": "a"}', content_type="text/xml", status=415)
    await client.post("/v1/things", b'{"name": "a"}', content_type="Application/JSON; charset=utf-8", status=201)


async def test_an_action_is_chosen_by_its_key(client: Client) -> None:
    await client.post("/v1/things/1/action", {"stop": None}, status=202)
    answer = await client.post("/v1/things/1/action", {"rename": {"name": "b"}}, status=200)
    assert answer.json == {"name": "b"}
    for body in ({"fly": None}, {}, {"stop": None, "rename": {"name": "b"}}, [], "stop", None, {"rename": None}):
        await client.post("/v1/things/1/action", orjson.dumps(body), status=400)


async def test_a_json_body_cut_off_in_the_middle_changes_nothing(port: int) -> None:
    """Its first half may be whole JSON."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(
        b"POST /toy/v1/things/1/action HTTP/1.1\r\nHost: x\r\nX-Auth-Token: good:member\r\n"
        b'Content-Type: application/json\r\nContent-Length: 50\r\n\r\n{"stop": null}'
    )
    await writer.drain()
    await asyncio.sleep(0.05)
    writer.close()
    await asyncio.sleep(0.05)
    assert received == []
