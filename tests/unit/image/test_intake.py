# SPDX-License-Identifier: Apache-2.0
"""Content on its way to a thread: nobody closes what the thread is still at work on.

What is done with each piece is tested by the stories of uploads.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from skyhold.image import facade
from skyhold.image.intake import pump, read_through


class Slow:
    """A sink and a reader whose thread goes on when told."""

    far = False

    def __init__(self) -> None:
        self.size_bytes, self.through = 1000, False
        self.began, self.go_on = threading.Event(), threading.Event()

    def take(self, chunk: bytes) -> None:
        self.began.set()
        self.go_on.wait(10)
        self.through = True

    def read(self, offset: int, length: int) -> bytes:
        return b"x" * 100


async def pumped(slow: Slow) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"x"

    await pump(slow, chunks(), None)


async def read(slow: Slow) -> None:
    async def tell(done: int) -> None: ...

    await read_through(slow, slow, tell)  # type: ignore[arg-type]


@pytest.mark.parametrize("work", [pumped, read])
async def test_who_is_cancelled_waits_for_the_thread(work: Callable[[Slow], Awaitable[None]]) -> None:
    slow = Slow()
    task = asyncio.ensure_future(work(slow))
    await asyncio.to_thread(slow.began.wait, 10)
    task.cancel()
    await asyncio.sleep(0.05)
    assert not task.done()
    slow.go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert slow.through


class SlowReader(Slow):
    """Read for a signature. It knows in what order its thread was through and it was closed."""

    def __init__(self) -> None:
        super().__init__()
        self.order: list[str] = []

    def read(self, offset: int, length: int) -> bytes:
        self.take(b"")
        self.order.append("read")
        return b""

    def close(self) -> None:
        self.order.append("closed")


async def test_content_read_for_a_signature_is_not_closed_under_the_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    slow: Any = SlowReader()

    async def opened(ctx: Any, row: Any) -> Any:
        return slow

    monkeypatch.setattr(facade.files, "opened", opened)
    reading: Any = facade.read_through
    task = asyncio.ensure_future(reading(None, None, None))
    await asyncio.to_thread(slow.began.wait, 10)
    task.cancel()
    await asyncio.sleep(0.05)
    slow.go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert slow.order == ["read", "closed"]
