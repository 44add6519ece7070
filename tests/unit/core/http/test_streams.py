# SPDX-License-Identifier: Apache-2.0
"""Uploads and downloads: constant memory, and a stalled or broken one never passes for whole.

JSON bodies are test_bodies.py. The toy service is toy.py.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import resource
from collections.abc import AsyncIterator

import aiohttp
import pytest

from tests.kit.patience import PATIENCE_S, until
from tests.unit.core.http.toy import GOOD, MIB, TIMEOUT_S, digests, raw, received


async def test_an_upload_that_stalls_is_408(port: int) -> None:
    head = b"PUT /toy/v1/upload HTTP/1.1\r\nHost: x\r\nX-Auth-Token: good:member\r\nContent-Length: 1000000\r\n\r\n"
    assert (await raw(port, head, b"some")).startswith(b"HTTP/1.1 408")
    assert received == ["request_timeout"]


async def test_an_upload_may_take_long_while_it_moves(port: int) -> None:
    head = b"PUT /toy/v1/upload HTTP/1.1\r\nHost: x\r\nX-Auth-Token: good:member\r\nContent-Length: 20\r\n\r\n"
    assert (await raw(port, head, *[b"a"] * 20, pause_s=TIMEOUT_S / 10)).startswith(b"HTTP/1.1 204")
    assert received == [20]


async def test_without_a_token_all_of_it_must_come_in_time(port: int) -> None:
    head = b"POST /toy/v1/form HTTP/1.1\r\nHost: x\r\nContent-Length: 20\r\n\r\n"
    assert b'{"bytes":20}' in await raw(port, head, *[b"a"] * 20)
    assert (await raw(port, head, *[b"a"] * 20, pause_s=TIMEOUT_S / 10)).startswith(b"HTTP/1.1 408")


@pytest.mark.parametrize("piece_bytes", [1000, 65537, 3 * MIB])
async def test_what_is_gathered_on_its_way_comes_whole_and_in_order(port: int, piece_bytes: int) -> None:
    content = os.urandom(5 * MIB + 17)

    async def pieces() -> AsyncIterator[bytes]:
        for at in range(0, len(content), piece_bytes):
            yield content[at:at + piece_bytes]

    async with aiohttp.ClientSession(headers=GOOD) as session:
        for body in (pieces(), content):
            async with session.put(f"http://127.0.0.1:{port}/toy/v1/upload", data=body) as answer:
                assert answer.status == 204
    assert digests[-2:] == [hashlib.sha256(content).hexdigest()] * 2


async def test_the_end_of_a_long_upload_may_come_slowly(port: int) -> None:
    """What is gathered is handed over after a moment: whoever waits for more must not take it for a stall."""
    head = b"PUT /toy/v1/upload HTTP/1.1\r\nHost: x\r\nX-Auth-Token: good:member\r\nContent-Length: 200020\r\n\r\n"
    answer = await raw(port, head + b"a" * 200000, *[b"a"] * 20, pause_s=TIMEOUT_S / 10)
    assert answer.startswith(b"HTTP/1.1 204")
    assert received == [200020]


async def test_an_upload_cut_off_in_the_middle_is_no_whole_one(port: int) -> None:
    for framing in (b"Content-Length: 1000\r\n", b"Transfer-Encoding: chunked\r\n"):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"PUT /toy/v1/upload HTTP/1.1\r\nHost: x\r\nX-Auth-Token: good:member\r\n" + framing + b"\r\n")
        writer.write(b"5\r\nabcde\r\n")
        await writer.drain()
        await asyncio.sleep(0.05)
        writer.close()
    await until(lambda: len(received) == 2, "both uploads to end")
    assert received == ["client_gone"] * 2


async def test_a_client_that_does_not_read_is_cut_off(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
    writer.write(b"GET /toy/v1/download/64 HTTP/1.1\r\nHost: x\r\nX-Auth-Token: good:reader\r\n\r\n")
    await asyncio.sleep(TIMEOUT_S * 3)
    got = 0
    try:
        async with asyncio.timeout(PATIENCE_S):
            while chunk := await reader.read(MIB):
                got += len(chunk)
    except ConnectionError:
        pass
    assert got < 64 * MIB
    writer.close()


async def test_streams_take_constant_memory(port: int) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(256):
            yield b"y" * MIB

    async with aiohttp.ClientSession(headers=GOOD) as session:
        url = f"http://127.0.0.1:{port}/toy/v1"
        async with session.put(f"{url}/upload", data=pieces()) as answer:
            assert answer.status == 204
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        async with session.put(f"{url}/upload", data=pieces()) as answer:
            assert answer.status == 204
        async with session.get(f"{url}/download/256") as answer:
            size = 0
            async for chunk in answer.content.iter_any():
                size += len(chunk)
        assert size == 256 * MIB
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 32 * 1024
    assert received == [256 * MIB] * 2
