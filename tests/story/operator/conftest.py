# SPDX-License-Identifier: Apache-2.0
"""A cloud of the operator stories' own, with the operator's service and a fake host.

It is nobody else's: stories here plant what should not be there.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from skyhold.core.operator.service import SERVICE as OPERATOR
from skyhold.host.machine import Machine
from tests.kit.cloud import Cloud, present, start_cloud
from tests.kit.host import fake_host
from tests.story.compute.scene import Scene, make_scene


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def cloud(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Cloud]:
    made = await start_cloud(tmp_path_factory.mktemp("operated"), [*present(), OPERATOR])
    yield made
    await made.core.stop()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def host(cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Machine]:
    async with cloud.listening(), fake_host(cloud.core, tmp_path_factory.mktemp("hosts")) as machine:
        yield machine


@pytest_asyncio.fixture(loop_scope="session")
async def scene(cloud: Cloud, host: Machine) -> Scene:
    return await make_scene(cloud, host)
