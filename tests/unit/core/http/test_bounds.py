# SPDX-License-Identifier: Apache-2.0
"""Bounds before authentication, over a real socket: heads, bodies and time are limited for everybody.

Uploads and downloads, which may be large, are test_streams.py. The toy service is toy.py.
"""

from __future__ import annotations

import asyncio
import resource
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from tests.unit.core.http.toy import MIB, TIMEOUT_S, raw


async def test_a_header_of_80_mb_is_cut_off_without_being_kept(port: int) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /toy/v1 HTTP/1.1\r\nHost: x\r\nX-Big: ")
    sent = 0
    with pytest.raises(ConnectionError):
        for _ in range(1280):
            writer.write(b"a" * 65536)
            await writer.drain()
            sent += 65536
            await asyncio.sleep(0)
    assert sent < 40 * MIB
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024
    writer.close()


@pytest.mark.parametrize(
    "head",
    [
        b"GET /toy/v1 HTTP/1.1\r\nHost: x\r\nX-Big: " + b"a" * 9000 + b"\r\n\r\n",
        b"GET /toy/v1?" + b"a" * 9000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /toy/v1 HTTP/1.1\r\nHost: x\r\n" + b"X-Small: a\r\n" * 800 + b"\r\n",
    ],
)
async def test_a_head_beyond_the_bound_is_431(port: int, head: bytes) -> None:
    assert (await raw(port, head)).startswith(b"HTTP/1.1 431")


async def test_a_large_head_of_a_second_request_is_431_too(port: int) -> None:
    first = b"GET /toy/v1 HTTP/1.1\r\nHost: x\r\n\r\n"
    second = b"GET /toy/v1 HTTP/1.1\r\nHost: x\r\nX-Big: "
    answer = await raw(port, first, second, *[b"a" * 4096] * 4, pause_s=0.02)
    assert b"HTTP/1.1 200" in answer
    assert b"HTTP/1.1 431" in answer


async def test_slow_heads_are_ended_in_time_however_many(port: int) -> None:
    async def trickle() -> bytes:
        parts = [b"GET /toy/v1 HTTP/1.1\r\n", *[b"X-A: b\r\n"] * 20]
        return await raw(port, *parts, pause_s=TIMEOUT_S / 8)

    answers = await asyncio.gather(*[trickle() for _ in range(50)], raw(port))
    assert all(answer.startswith(b"HTTP/1.1 408") for answer in answers)


async def test_a_slow_json_body_is_408_and_the_connection_ends(port: int) -> None:
    head = b"POST /toy/v1/open HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n"
    answer = await raw(port, head, *[b" "] * 12, pause_s=TIMEOUT_S / 8)
    assert answer.startswith(b"HTTP/1.1 408")
    assert b"request_timeout" in answer


@pytest.mark.parametrize("chunked", [True, False])
async def test_a_json_body_beyond_the_bound_is_413(port: int, chunked: bool) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b" " * 1000

    body: Any = pieces() if chunked else b" " * 20_000
    async with aiohttp.ClientSession() as session:
        url = f"http://127.0.0.1:{port}/toy/v1/open"
        async with session.post(url, data=body, headers={"Content-Type": "application/json"}) as answer:
            assert answer.status == 413
            assert (await answer.json())["error"]["reason"] == "too_large"
