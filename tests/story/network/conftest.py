# SPDX-License-Identifier: Apache-2.0
"""A cloud of identity and network only, and hosts that connect to it.

People are tests/kit/cloud.py's personas; the host is host.py beside this file.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from skyhold.identity.service import SERVICE as IDENTITY
from skyhold.network.service import SERVICE as NETWORK
from tests.kit.cloud import Cloud, start_cloud
from tests.kit.databases import Servers, chosen
from tests.story.network.host import FakeHost
from tests.story.network.scene import Scene


@pytest_asyncio.fixture(scope="session", loop_scope="session", params=chosen())
async def cloud(
    request: pytest.FixtureRequest, servers: Servers, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Cloud]:
    home, url = tmp_path_factory.mktemp("network-cloud"), servers.fresh(request.param)
    made = await start_cloud(home, [IDENTITY, NETWORK], database=url)
    made.admin.prefix = ""
    yield made
    await made.core.stop()


@pytest_asyncio.fixture(loop_scope="session")
async def alice(cloud: Cloud) -> Scene:
    """A member of a fresh project."""
    return Scene(cloud, await cloud.project(["member"]))


@pytest_asyncio.fixture(loop_scope="session")
async def mallory(cloud: Cloud) -> Scene:
    """A member of another project, who shouldn't get anything of Alice's."""
    return Scene(cloud, await cloud.project(["member"]))


@pytest_asyncio.fixture(loop_scope="session")
async def admin(cloud: Cloud) -> Scene:
    return Scene(cloud, cloud.admin)


@pytest_asyncio.fixture(loop_scope="session")
async def host(cloud: Cloud) -> AsyncIterator[FakeHost]:
    """The only connected host of the cloud, with a fake engine."""
    made = FakeHost(cloud.core)
    await made.connect()
    yield made
    await made.leave()
