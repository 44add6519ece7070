# SPDX-License-Identifier: Apache-2.0
"""The runner is tested on every database of the run, the product's sagas in the stories' cloud."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator

import pytest

from skyhold.core.app import Core
from skyhold.core.saga import runner
from skyhold.core.saga.runner import Runner
from tests.kit.databases import core, database_url, make_tables, servers
from tests.sagas import toy
from tests.sagas.toy import world
from tests.story.compute.conftest import scene

__all__ = ["core", "database_url", "scene", "servers"]


@pytest.fixture
async def toys(core: Core, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Core]:
    world.__init__()  # type: ignore[misc]
    monkeypatch.setattr(runner, "IDLE_S", 0.05)
    monkeypatch.setattr(runner, "LAST_RETRY_S", 0.02)
    await make_tables(core, toy.RESULTS)
    core.sagas = Runner(core, toy.SAGAS_OF_TOY)
    await core.sagas.start()
    yield core
    await core.sagas.stop()


@pytest.fixture
def subject() -> str:
    return uuid.uuid4().hex
