# SPDX-License-Identifier: Apache-2.0
"""A cloud of the operator stories' own on each database of the run, with a fake host.

It is nobody else's: stories here plant what should not be there.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from skyhold.host.machine import Machine
from tests.kit.cloud import Cloud, start_cloud
from tests.kit.databases import Servers, chosen
from tests.kit.host import fake_host
from tests.story.compute.scene import Scene, make_scene


@pytest_asyncio.fixture(scope="session", loop_scope="session", params=chosen())
async def cloud(
    request: pytest.FixtureRequest, servers: Servers, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Cloud]:
    home, url = tmp_path_factory.mktemp("operated"), servers.fresh(request.param)
    made = await start_cloud(home, database=url)
    yield made
    await made.core.stop()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def host(cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Machine]:
    async with cloud.listening(), fake_host(cloud.core, tmp_path_factory.mktemp("hosts")) as machine:
        yield machine


@pytest_asyncio.fixture(loop_scope="session")
async def scene(cloud: Cloud, host: Machine) -> Scene:
    return await make_scene(cloud, host)
