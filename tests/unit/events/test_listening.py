# SPDX-License-Identifier: Apache-2.0
"""What control processes remember of who listens, and tell each other. What a user sees of it is
tests/story/events/test_webhooks.py.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from skyhold.core.siblings import Siblings
from skyhold.events import listening
from tests.kit.patience import PATIENCE_S


def process(run: Path, number: int) -> Any:
    rung: list[str] = []
    return SimpleNamespace(
        shelf={}, siblings=Siblings(run, number, 2), rung=rung, loops=SimpleNamespace(ring=rung.append)
    )


def test_nobody_is_remembered_for_a_moment_only_and_not_past_a_webhook_that_was_made_meanwhile() -> None:
    memory = listening.Listening()
    before = memory.before()
    memory.somebody()
    memory.remember_nobody(before)
    assert not memory.nobody()
    memory.remember_nobody(memory.before())
    assert memory.nobody()
    memory.somebody()
    assert not memory.nobody()


async def test_the_other_processes_hear_that_somebody_listens(tmp_path: Path) -> None:
    one, other = (process(tmp_path / "run", number) for number in (1, 2))
    for each in (one, other):
        await listening.hear(each)
        await each.siblings.start()
        memory = listening.listening(each)
        memory.remember_nobody(memory.before())
        assert memory.nobody()
    listening.tell(one)
    assert not listening.listening(one).nobody() and one.rung == [listening.DELIVER]
    async with asyncio.timeout(PATIENCE_S):
        while listening.listening(other).nobody():
            await asyncio.sleep(0.01)
    assert other.rung == [listening.DELIVER]
    for each in (one, other):
        await each.siblings.stop()
