# SPDX-License-Identifier: Apache-2.0
"""The toy service of toy.py, started with narrow bounds: in process, and on a port.

Server and clients share a loop, which leaves out the machine's pauses: the bounds are for what clients do.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from skyhold.core.app import Core
from skyhold.core.settings.sections import Http
from skyhold.core.settings.whole import Settings
from tests.kit.client import Client
from tests.kit.steady import pytest_asyncio_loop_factories
from tests.unit.core.http.toy import GOOD, OTHER, TIMEOUT_S, TOY, Doorman, listening, received

__all__ = ["pytest_asyncio_loop_factories"]


@pytest.fixture
async def toy(tmp_path: Path) -> AsyncIterator[Core]:
    bounds = Http(header_limit_bytes=8192, body_limit_bytes=10_000, slow_client_timeout_s=TIMEOUT_S)
    core = Core(Settings(home=tmp_path, http=bounds), [TOY, OTHER])
    core.authenticator = Doorman()
    await core.start()
    received.clear()
    yield core
    await core.stop()


@pytest.fixture
async def port(toy: Core) -> AsyncIterator[int]:
    async with listening(toy) as number:
        yield number


@pytest.fixture
def client(toy: Core) -> Client:
    return Client(toy.asgi, GOOD["X-Auth-Token"], prefix="/toy")
