# SPDX-License-Identifier: Apache-2.0
"""A machine keeps telling what it offers, whatever goes wrong with asking once.

What the agent does with verbs is test_agent.py.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from skyhold.core.settings.sections import Host
from skyhold.core.settings.whole import Settings
from skyhold.host import machine as machines
from skyhold.host.machine import Machine
from tests.kit.patience import PATIENCE_S


class Ear:
    def __init__(self) -> None:
        self.heard: list[tuple[str, Any]] = []

    def report(self, topic: str, body: Any) -> None:
        self.heard.append((topic, body))


async def test_an_inventory_that_could_not_be_read_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machines, "INVENTORY_S", 0.0)
    machine = Machine(Settings(home=tmp_path, host=Host(hypervisor="fake", network="fake")))
    good, tries = machine.driver.inventory, []

    async def inventory() -> Any:
        tries.append(1)
        if len(tries) == 1:
            raise OSError("the disk is away")
        return await good()

    monkeypatch.setattr(machine.driver, "inventory", inventory)
    ear = Ear()
    watching = asyncio.create_task(machine._watch(ear, "host.inventory", machine._inventory))  # type: ignore[arg-type]
    async with asyncio.timeout(PATIENCE_S):
        while len(tries) < 3:
            await asyncio.sleep(0)
    watching.cancel()
    assert [topic for topic, _ in ear.heard] == ["host.inventory"], "told once, since it stayed the same"
