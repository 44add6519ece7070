# SPDX-License-Identifier: Apache-2.0
"""Bodies that the socket fills buffers with, past the parser: nothing is lost, swapped or taken from the next request.

What any upload keeps to is test_streams.py. The toy service is toy.py; its store is a directory.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from skyhold.core.app import Core
from skyhold.core.blobs.file import FileStore
from skyhold.core.http import server
from skyhold.core.http.long_body import LongBody
from tests.unit.core.http import toy as toys
from tests.unit.core.http.toy import MIB, TIMEOUT_S, digests, listening, raw, received

NEXT = b"GET /toy/v1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
CONTENT = os.urandom(5 * MIB + 4097)


def put(path: bytes, size: int, token: bytes = b"good:member", more: bytes = b"") -> bytes:
    return (
        b"PUT /toy/v1/" + path + b" HTTP/1.1\r\nHost: x\r\nX-Auth-Token: " + token + b"\r\n" + more
        + b"Content-Length: %d\r\n\r\n" % size
    )


async def until(ready: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not ready():
            await asyncio.sleep(0.005)


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How much was left of each body that passed by the parser."""
    found: list[int] = []

    class Counted(LongBody):
        def __init__(self, http: server.BoundedProtocol, early: bytes, left_bytes: int) -> None:
            found.append(left_bytes)
            super().__init__(http, early, left_bytes)

    monkeypatch.setattr(server, "LongBody", Counted)
    return found


@pytest.mark.parametrize("piece_bytes", [4096, 100_001, MIB, 8 * MIB])
async def test_the_body_is_whole_and_the_next_request_is_answered(
    port: int, taken: list[int], piece_bytes: int
) -> None:
    stream = put(b"upload", len(CONTENT)) + CONTENT + NEXT
    parts = [stream[at:at + piece_bytes] for at in range(0, len(stream), piece_bytes)]
    answer = await raw(port, *parts)
    assert answer.startswith(b"HTTP/1.1 204") and answer.count(b"HTTP/1.1 200") == 1 and b'"version"' in answer
    assert digests[-1] == hashlib.sha256(CONTENT).hexdigest() and len(taken) == 1


async def test_several_in_a_row_and_behind_another_request(port: int, taken: list[int]) -> None:
    slow = b"GET /toy/v1/slow HTTP/1.1\r\nHost: x\r\nX-Auth-Token: good:reader\r\n\r\n"
    upload = put(b"upload", len(CONTENT)) + CONTENT
    answer = await raw(port, slow + upload + upload + NEXT)
    assert re.findall(rb"HTTP/1.1 (\d+)", answer) == [b"200", b"204", b"204", b"200"]
    assert received == [len(CONTENT)] * 2 and len(taken) == 2
    assert digests[-2:] == [hashlib.sha256(CONTENT).hexdigest()] * 2


async def test_the_client_is_asked_for_it_first_if_it_wishes(port: int, taken: list[int]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(put(b"upload", len(CONTENT), more=b"Expect: 100-continue\r\n"))
    assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(CONTENT)
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 204")
    assert digests[-1] == hashlib.sha256(CONTENT).hexdigest() and len(taken) == 1
    writer.close()


async def test_one_that_moves_may_take_longer_than_any_silence(port: int, taken: list[int]) -> None:
    parts = [CONTENT[at:at + MIB // 3] for at in range(0, len(CONTENT), MIB // 3)]
    answer = await raw(port, put(b"upload", len(CONTENT)), *parts, pause_s=TIMEOUT_S / 6)
    assert answer.startswith(b"HTTP/1.1 204") and len(taken) == 1


async def test_one_that_stalls_is_408_and_the_connection_ends(port: int, taken: list[int]) -> None:
    for sent in (CONTENT[:2 * MIB], CONTENT[:-1]):
        answer = await raw(port, put(b"upload", len(CONTENT)) + sent)
        assert answer.startswith(b"HTTP/1.1 408") and b"connection: close" in answer.lower()
    assert received == ["request_timeout"] * 2 and len(taken) == 2


async def test_one_that_is_refused_in_the_middle_is_swallowed(port: int, taken: list[int]) -> None:
    answer = await raw(port, put(b"refused", len(CONTENT)) + CONTENT + NEXT)
    assert answer.startswith(b"HTTP/1.1 409") and answer.count(b"HTTP/1.1 200") == 1 and len(taken) == 1


async def test_the_rest_of_a_refused_one_holds_no_connection(toy: Core, taken: list[int]) -> None:
    async with listening(toy, keep_alive_s=TIMEOUT_S) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(put(b"refused", len(CONTENT)) + CONTENT[:3 * MIB])
        ended = asyncio.create_task(everything(reader))
        async with asyncio.timeout(30):
            while not ended.done():
                writer.write(b"a")
                await asyncio.wait([ended], timeout=TIMEOUT_S / 8)
        assert (await ended).startswith(b"HTTP/1.1 409") and len(taken) == 1
        writer.close()


async def everything(reader: asyncio.StreamReader) -> bytes:
    """Until the end; a byte that comes after the server has closed makes a reset of it."""
    got = b""
    with suppress(ConnectionError):
        while chunk := await reader.read(65536):
            got += chunk
    return got


async def test_one_that_is_cut_off_is_no_whole_one(port: int, taken: list[int]) -> None:
    for sent in (CONTENT[:MIB // 2], CONTENT[:MIB], CONTENT[:-1]):
        before = len(taken)
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(put(b"upload", len(CONTENT)) + sent)
        await until(lambda before=before: len(taken) > before)
        writer.close()
    await until(lambda: len(received) == 3)
    assert received == ["client_gone"] * 3


async def test_a_graceful_stop_waits_for_one_under_way(toy: Core, taken: list[int]) -> None:
    async with listening(toy) as port:
        start = put(b"upload", len(CONTENT)) + CONTENT[:MIB]
        sending = asyncio.create_task(raw(port, start, CONTENT[MIB:], pause_s=TIMEOUT_S / 4))
        await until(lambda: bool(taken))
    assert (await sending).startswith(b"HTTP/1.1 204") and received == [len(CONTENT)]


@pytest.mark.parametrize(
    ("head", "why"),
    [
        (put(b"upload", MIB // 4), "short"),
        (b"POST /toy/v1/form HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (MIB * 2), "of nobody"),
        (put(b"upload", MIB * 2, token=b"bad"), "refused before it was read"),
    ],
)
async def test_no_buffers_are_made_for_one_that_is(port: int, taken: list[int], head: bytes, why: str) -> None:
    size = int(head.rpartition(b"Content-Length: ")[2])
    assert b"HTTP/1.1 200" in await raw(port, head + bytes(size) + NEXT)
    assert taken == []


@pytest.mark.parametrize("chunked", [False, True])
async def test_what_is_lent_stays_what_it_was_while_a_thread_works_on_it(
    port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunked: bool
) -> None:
    monkeypatch.setattr(toys, "STORE", store := FileStore(tmp_path / "kept"))
    body = b"".join(b"%x\r\n" % len(part) + part + b"\r\n" for part in (CONTENT[:MIB], CONTENT[MIB:])) + b"0\r\n\r\n"
    head = put(b"kept", len(CONTENT))
    if chunked:
        head = head.replace(b"Content-Length: %d" % len(CONTENT), b"Transfer-Encoding: chunked")
    answer = await raw(port, head + (body if chunked else CONTENT) + NEXT)
    assert answer.startswith(b"HTTP/1.1 204") and answer.count(b"HTTP/1.1 200") == 1
    (key,) = store.keys()
    assert (tmp_path / "kept" / key).read_bytes() == CONTENT
