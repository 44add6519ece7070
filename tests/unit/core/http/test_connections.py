# SPDX-License-Identifier: Apache-2.0
"""Connections: requests in a row, noise that isn't HTTP, WebSockets to nowhere, a graceful stop.

Limits of one request are test_bounds.py. The toy service is toy.py.
"""

from __future__ import annotations

import asyncio

import aiohttp
import pytest

from skyhold.core.app import Core
from tests.kit.patience import until
from tests.unit.core.http.toy import listening, raw, slow_ones


async def test_many_requests_on_one_connection_are_answered_in_order(port: int) -> None:
    one = b"GET /toy/v1/things/%d HTTP/1.1\r\nHost: x\r\nX-Auth-Token: good:reader\r\n\r\n"
    slow_first = b"GET /toy/v1/slow HTTP/1.1\r\nHost: x\r\nX-Auth-Token: good:reader\r\n\r\n"
    last = b"GET /toy/v1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    answer = await raw(port, slow_first + b"".join(one % i for i in range(20)) + last)
    assert answer.count(b"HTTP/1.1 200 OK") == 22
    assert answer.index(b"slept") < answer.index(b'"id":"0"') < answer.index(b'"id":"19"')


@pytest.mark.parametrize(
    "noise",
    [
        b"\x16\x03\x01\x02\x00",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"G\x00T / HTTP/1.1\r\n\r\n",
        b"POST /toy/v1/open HTTP/1.1\r\nContent-Length: x\r\n\r\n",
        b"POST /toy/v1/open HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST /toy/v1/open HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET /toy/v1/\xff HTTP/1.1\r\n\r\n",
        b"GET http://[ HTTP/1.1\r\n\r\n",
    ],
)
async def test_what_is_not_http_is_400_and_harms_nobody(port: int, noise: bytes) -> None:
    assert (await raw(port, noise))[:12] in (b"HTTP/1.1 400", b"HTTP/1.1 408", b"")
    assert b"200 OK" in await raw(port, b"GET /toy/v1 HTTP/1.1\r\nConnection: close\r\n\r\n")


async def test_a_websocket_to_nowhere_is_closed(port: int) -> None:
    async with aiohttp.ClientSession() as session:
        for path in ("/nowhere", "/toy/v1/nowhere"):
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await session.ws_connect(f"http://127.0.0.1:{port}{path}")
            assert refused.value.status in (403, 404)


async def test_a_graceful_stop_finishes_what_is_under_way(toy: Core) -> None:
    slow_ones.clear()
    async with listening(toy) as port:
        asked = asyncio.create_task(
            raw(port, b"GET /toy/v1/slow HTTP/1.1\r\nHost: x\r\nX-Auth-Token: good:reader\r\n\r\n")
        )
        await until(lambda: slow_ones)
    assert b"slept" in await asked
