# SPDX-License-Identifier: Apache-2.0
"""What the directory in memory can do beyond the interface: be slow. The interface is test_conformance.py."""

from __future__ import annotations

import asyncio

import pytest

from skyhold.identity.drivers.base import Person
from skyhold.identity.drivers.fake import FakeDirectory


@pytest.mark.asyncio
async def test_each_answer_takes_its_time_and_holds_up_nobody_else() -> None:
    slow = FakeDirectory(delay_s=30)
    slow.put(Person("u1", "alice", "uid=u1", True, None, {}))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(slow.person(name="alice"), 0.02)
    slow.delay_s = 0
    assert await slow.person(name="alice") is not None
