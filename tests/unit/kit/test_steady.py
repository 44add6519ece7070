# SPDX-License-Identifier: Apache-2.0
"""What happens in a test's event loop does not depend on the machine's standing still.

The loop is tests/kit/steady.py.
"""

from __future__ import annotations

import asyncio
import socket
import time

import pytest

from tests.kit.steady import PAUSE_S, SteadyLoop, Watch


class Clock:
    def __init__(self) -> None:
        self.at = 100.0

    def __call__(self) -> float:
        return self.at


def stand_still(seconds: float) -> None:
    """As the machine does, without telling the loop."""
    time.sleep(seconds)


def test_a_watch_leaves_out_what_nobody_meant_to_wait() -> None:
    clock = Clock()
    watch = Watch(clock)
    clock.at += 0.1
    assert watch.now() == pytest.approx(100.1), "work takes time"
    clock.at += 5
    assert watch.now() == pytest.approx(100.1), "a pause does not"
    clock.at += 3
    watch.waited(3.0, in_vain=True)
    assert watch.now() == pytest.approx(103.1), "what was meant to be waited was waited"
    clock.at += 9
    watch.waited(3.0, in_vain=True)
    assert watch.now() == pytest.approx(106.1), "and no more than that"
    clock.at += 9
    watch.waited(3.0, in_vain=False)
    assert watch.now() == pytest.approx(106.1), "what came may have come at once"
    clock.at += 9
    watch.waited(None, in_vain=False)
    assert watch.now() == pytest.approx(115.1), "one who waits without a bound waits as long as it takes"


async def test_tests_run_in_such_a_loop() -> None:
    assert isinstance(asyncio.get_running_loop(), SteadyLoop)


async def test_a_bound_is_not_passed_by_a_pause() -> None:
    """Three steps of 0.1 s within 0.4 s, although everything stands still for longer after the first."""
    async with asyncio.timeout(0.4):
        await asyncio.sleep(0.1)
        stand_still(0.5)
        await asyncio.sleep(0.1)
        await asyncio.sleep(0.1)


async def test_what_came_during_a_pause_came_in_time() -> None:
    mine, yours = socket.socketpair()
    mine.setblocking(False)
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(0.05):
        receiving = asyncio.ensure_future(loop.sock_recv(mine, 10))
        await asyncio.sleep(0)
        yours.send(b"word")
        stand_still(PAUSE_S + 0.1)
        assert await receiving == b"word"
    mine.close()
    yours.close()


async def test_a_bound_is_still_passed_by_what_is_too_slow() -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await asyncio.sleep(0.3)
