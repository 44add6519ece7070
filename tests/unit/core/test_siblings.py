# SPDX-License-Identifier: Apache-2.0
"""What control processes say to each other: bells that may be lost but never block, and each one's meters.

Real processes are tests/cluster/test_several_processes.py's.
"""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from skyhold.core import metrics, siblings
from skyhold.core.siblings import Siblings
from tests.kit.patience import PATIENCE_S


@pytest.fixture
async def three(tmp_path: Path) -> AsyncIterator[list[Siblings]]:
    made = [Siblings(tmp_path / "run", number, 3) for number in (1, 2, 3)]
    for each in made:
        await each.start()
    yield made
    for each in made:
        await each.stop()


async def heard(bell: asyncio.Event) -> bool:
    try:
        async with asyncio.timeout(PATIENCE_S):
            return await bell.wait()
    except TimeoutError:
        return False


async def test_all_others_hear_a_bell_and_the_one_who_rings_does_not(three: list[Siblings]) -> None:
    bells = [asyncio.Event() for _ in three]
    for each, bell in zip(three, bells, strict=True):
        each.on("news", bell.set)
    three[1].tell("news")
    three[1].tell("a word of another release")
    assert await heard(bells[0]) and await heard(bells[2])
    assert not bells[1].is_set()


async def test_many_bells_at_once_are_one_and_never_block_whoever_rings(three: list[Siblings]) -> None:
    count: list[int] = []
    bell = asyncio.Event()
    three[0].on("news", lambda: (count.append(1), bell.set()))
    for _ in range(5000):
        three[1].tell("news")
    assert await heard(bell)
    assert len(count) < 10


async def test_nobody_there_is_no_error_and_who_comes_back_hears_again(three: list[Siblings], tmp_path: Path) -> None:
    bell = asyncio.Event()
    await three[0].stop()
    three[1].tell("news")
    again = Siblings(tmp_path / "run", 1, 3)
    again.on("news", bell.set)
    await again.start()
    three[1].tell("news")
    assert await heard(bell)
    await again.stop()
    three[0].tell("news")


async def test_one_alone_makes_no_sockets(tmp_path: Path) -> None:
    alone = Siblings(tmp_path / "run", 1, 1)
    await alone.start()
    alone.tell("news")
    assert not (tmp_path / "run").exists()
    assert list(await alone.meters()) == [1]
    await alone.stop()


async def test_only_their_owner_may_ring_or_ask(three: list[Siblings], tmp_path: Path) -> None:
    found = list((tmp_path / "run").iterdir())
    assert len(found) == 6
    assert {stat.S_IMODE(os.stat(path).st_mode) for path in found} == {0o600}


async def test_meters_of_all_are_told_apart_by_their_process(
    three: list[Siblings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    metrics.COMMITS.inc(0)
    text = metrics.render(await three[2].meters()).decode()
    lines = [line for line in text.splitlines() if line.startswith("skyhold_commits_total{")]
    assert [line.split("}")[0] for line in lines] == [f'skyhold_commits_total{{process="{n}"' for n in (1, 2, 3)]
    assert text.count("# TYPE skyhold_commits_total counter") == 1
    assert text.count("# TYPE skyhold_request_seconds histogram") == 1
    await three[0].stop()
    monkeypatch.setattr(siblings, "PATIENCE_S", 0.1)
    silent = await asyncio.start_unix_server(lambda reader, writer: asyncio.sleep(5), tmp_path / "run/meters-2")
    assert list(await three[2].meters()) == [3], "one is gone, one is paused: the rest is told all the same"
    silent.close()
