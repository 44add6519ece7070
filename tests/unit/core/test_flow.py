# SPDX-License-Identifier: Apache-2.0
"""Streams into blobs when the caller is cancelled: no descriptor stays open, none is closed under a thread's hands.

Uploads as users see them are tests/story/image and tests/story/object.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from skyhold.core.blobs.base import Piece
from skyhold.core.blobs.file import FileStore, FileWriter
from skyhold.core.blobs.flow import begun, in_pool, pump

KEY = "image/upload"


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as made:
        yield made


class Held:
    """Something a thread waits in until it is let go."""

    def __init__(self) -> None:
        self.entered, self.go = threading.Event(), threading.Event()

    def wait(self) -> None:
        self.entered.set()
        assert self.go.wait(30)

    async def reached(self) -> None:
        await asyncio.to_thread(self.entered.wait, 30)


def open_files(under: Path) -> list[str]:
    links = []
    for fd in os.listdir("/proc/self/fd"):
        try:
            links.append(os.readlink(f"/proc/self/fd/{fd}"))
        except FileNotFoundError:
            continue
    return [link for link in links if link.startswith(str(under))]


async def cancelled(task: asyncio.Task[object], held: Held, times: int) -> None:
    await held.reached()
    for _ in range(times):
        task.cancel()
        await asyncio.sleep(0.01)
    assert not task.done()
    held.go.set()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize("times", [1, 3])
async def test_an_upload_cancelled_while_its_file_opens_leaves_nothing_open(
    tmp_path: Path, pool: ThreadPoolExecutor, times: int
) -> None:
    held, store = Held(), FileStore(tmp_path / "images")

    def create() -> FileWriter:
        writer = store.create(KEY)
        held.wait()
        return writer

    await cancelled(asyncio.create_task(begun(pool, create)), held, times)
    assert open_files(tmp_path) == [] and list(store.keys()) == []


async def test_one_cancelled_while_opening_fails_is_cancelled(pool: ThreadPoolExecutor) -> None:
    held = Held()

    def create() -> FileWriter:
        held.wait()
        raise OSError("no such disk")

    await cancelled(asyncio.create_task(begun(pool, create)), held, 1)


@pytest.mark.parametrize("times", [1, 3])
async def test_whoever_is_cancelled_waits_for_the_piece_that_is_worked_on(
    pool: ThreadPoolExecutor, times: int
) -> None:
    held, taken = Held(), []

    class Sink:
        size_bytes = 0

        def take(self, chunk: Piece) -> None:
            held.wait()
            taken.append(bytes(chunk))

    async def chunks() -> AsyncIterator[Piece]:
        yield b"a"
        await asyncio.sleep(3600)

    await cancelled(asyncio.create_task(pump(Sink(), chunks(), None, pool)), held, times)
    assert taken == [b"a"]


async def test_how_long_a_piece_may_take_is_its_sources_business(
    pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client that sends little but never falls silent fills a piece of 1 MiB in an hour."""
    loop = asyncio.get_running_loop()
    clock, ahead_s = loop.time, [0.0]
    monkeypatch.setattr(loop, "time", lambda: clock() + ahead_s[0])
    taken = []

    class Sink:
        size_bytes = 0

        def take(self, chunk: Piece) -> None:
            taken.append(bytes(chunk))

    async def chunks() -> AsyncIterator[Piece]:
        yield b"a"
        ahead_s[0] += 3600
        await asyncio.sleep(0.01)
        yield b"b"

    await pump(Sink(), chunks(), None, pool)
    assert taken == [b"a", b"b"]


async def test_what_a_thread_raises_comes_out_whatever_it_is(pool: ThreadPoolExecutor) -> None:
    def fails(error: Exception) -> None:
        raise error

    with pytest.raises(ValueError, match="why"):
        await in_pool(pool, partial(fails, ValueError("why")))
    # A future takes no StopIteration: whoever waits would wait for ever.
    with pytest.raises(RuntimeError, match="StopIteration"):
        await in_pool(pool, fails, StopIteration("end"))
