# SPDX-License-Identifier: Apache-2.0
"""X-Dry-Run: every changing operation answers what would happen, and nothing does.

Whoever may do it by the policy rehearses with a valid body; the tables, the images and the host's
guests must be as before, and no host may have been asked anything that changes.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.tenancy import registry
from tests.tenancy.expected import verdict
from tests.tenancy.land import Land
from tests.tenancy.operations import Operation, every
from tests.tenancy.snapshot import difference, snapshot
from tests.tenancy.test_tenancy import ask

LOOKS = ("guest.console", "guest.list", "net.reconcile")
"""Verbs that change nothing, or compare a whole host with the database, as no request but a clock asks for every five
minutes: a loop may send them meanwhile."""


@every(lambda operation: operation.changes and not operation.route.stream)
async def test_a_rehearsal_leaves_everything_byte_identical(
    land: Land, operation: Operation, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard = listen(land, monkeypatch)
    before, files = await snapshot(land.cloud), stored(land.cloud.core.settings.home)
    statuses = []
    for who in land.people:
        if verdict(land, who, operation) in ("done", "own"):
            statuses.append((await ask(land, who, operation)).status)
    # Vacuous unless somebody gets through.
    refused = registry.REFUSED.get(operation.name, (0,))[0]
    assert any(status < 400 or status == refused for status in statuses), statuses
    await asyncio.sleep(0.01)
    assert not difference(before, await snapshot(land.cloud))
    assert stored(land.cloud.core.settings.home) == files
    assert not heard


def listen(land: Land, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    heard: list[str] = []
    call = land.cloud.core.bus.call

    async def hear(host_id: str, verb: str, body: Any, **more: Any) -> Any:
        if verb not in LOOKS:
            heard.append(verb)
        return await call(host_id, verb, body, **more)

    monkeypatch.setattr(land.cloud.core.bus, "call", hear)
    return heard


def stored(home: Path) -> dict[str, int]:
    """Files of images and their sizes."""
    return {
        str(path): path.stat().st_size
        for path in home.rglob("*") if path.is_file() and "database" not in path.name and ".db" not in path.name
    }


@pytest.mark.parametrize("said", ["True", "TRUE", "1", "yes", "perhaps", ""])
async def test_an_odd_spelling_of_a_rehearsal_never_becomes_the_real_thing(land: Land, said: str) -> None:
    before = await snapshot(land.cloud)
    answer = await land.owner.post(
        "/network/v2.0/networks", {"network": {"name": "rehearsed"}}, headers={"X-Dry-Run": said}, status=(201, 400)
    )
    assert answer.status == (201 if said.lower() in ("true", "1") else 400)
    assert not difference(before, await snapshot(land.cloud))
