# SPDX-License-Identifier: Apache-2.0
"""Clients that keep to each bound and mean harm: bytes that are never handed on, requests nobody reads the
answers of, connections held for nothing. None of them needs a token.

The bounds themselves are test_bounds.py. The toy service is toy.py.
"""

from __future__ import annotations

import asyncio
import resource
from contextlib import suppress

import pytest

from skyhold.core.app import Core
from tests.kit.patience import PATIENCE_S
from tests.unit.core.http.toy import MIB, TIMEOUT_S, listening, raw

OPEN = b"POST /toy/v1/open HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
CHUNKED = OPEN + b"Transfer-Encoding: chunked\r\n\r\n"
REFUSED = b"POST /toy/v1/things HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n"
SHORT = b"GET /toy/v1 HTTP/1.1\r\n\r\n"
SLOW = b"GET /toy/v1/slow HTTP/1.1\r\nHost: x\r\nX-Auth-Token: good:reader\r\n\r\n"


async def poured(port: int, start: bytes, flood: bytes) -> int:
    """How many bytes of a flood the server takes before it hangs up."""
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(start)
    sent = 0
    with pytest.raises(ConnectionError):
        while sent < 80 * MIB:
            writer.write(flood)
            await writer.drain()
            sent += len(flood)
            await asyncio.sleep(0)
    writer.close()
    return sent


@pytest.mark.parametrize(
    ("start", "flood"),
    [
        pytest.param(CHUNKED + b"0\r\n", b"X-Field: a\r\n" * 5000, id="fields after the last chunk"),
        pytest.param(CHUNKED + b"0\r\nX-Field: ", b"a" * 65536, id="one field without an end after the last chunk"),
        pytest.param(CHUNKED + b"1;", b"a" * 65536, id="a chunk's extension"),
        pytest.param(SHORT, b"\r\n" * 32768, id="blank lines between requests"),
    ],
)
async def test_what_belongs_to_no_body_is_bounded_wherever_it_stands(port: int, start: bytes, flood: bytes) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert await poured(port, start, flood) < 40 * MIB
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 32 * 1024


async def test_invariant_9_fields_after_the_last_chunk_are_no_headers(port: int) -> None:
    body = b"f\r\n" + b'{"name": "mug"}' + b"\r\n0\r\n"
    head = OPEN + b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    answer = await raw(port, head + body + b"X-Dry-Run: perhaps\r\n\r\n")
    assert b"200 OK" in answer
    assert b"mug" in answer


async def test_a_flood_of_requests_behind_one_that_is_answered_is_cut_off(port: int) -> None:
    answer = await raw(port, SLOW + SHORT * 2000)
    assert answer.count(b"HTTP/1.1") == 0


async def test_requests_in_moderate_number_behind_another_are_answered(port: int) -> None:
    answer = await raw(port, SLOW + SHORT * 50)
    assert answer.count(b"HTTP/1.1 200") == 51


@pytest.mark.parametrize(
    ("start", "trickle"),
    [
        pytest.param(REFUSED, b"a", id="a body whose request is answered already"),
        pytest.param(SHORT, b"\r\n", id="blank lines"),
    ],
)
async def test_a_trickle_holds_no_connection(toy: Core, start: bytes, trickle: bytes) -> None:
    async with listening(toy, keep_alive_s=TIMEOUT_S) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(start)
        ended = asyncio.create_task(reader.read())
        async with asyncio.timeout(PATIENCE_S):
            while not ended.done():
                writer.write(trickle)
                await asyncio.wait([ended], timeout=TIMEOUT_S / 8)
        assert (await ended).startswith(b"HTTP/1.1")
        writer.close()


async def test_who_does_not_read_is_cut_off_although_another_request_follows(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
    writer.write(b"GET /toy/v1/download/64 HTTP/1.1\r\nHost: x\r\nX-Auth-Token: good:reader\r\n\r\n")
    await asyncio.sleep(TIMEOUT_S / 4)
    writer.write(SHORT)
    await asyncio.sleep(TIMEOUT_S * 3)
    got = 0
    with suppress(ConnectionError):
        async with asyncio.timeout(PATIENCE_S):
            while chunk := await reader.read(MIB):
                got += len(chunk)
    assert got < 64 * MIB
    writer.close()


async def test_a_large_head_behind_a_request_under_way_is_cut_off_without_a_word(port: int) -> None:
    """A refusal would be read as the answer to the request before it."""
    assert await raw(port, SLOW + b"GET /toy/v1 HTTP/1.1\r\nX-Big: ", *[b"a" * 4096] * 4, pause_s=0.01) == b""
