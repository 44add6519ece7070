# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the tenancy kit: a cloud of its own on each database of the kits, with one land in it.

The cloud is the kit's own because every table is compared before and after; nothing else may go on.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.kit.cloud import Cloud, start_cloud
from tests.kit.databases import Servers, chosen_for_kits
from tests.kit.host import fake_host
from tests.tenancy.land import Land, settle


@pytest_asyncio.fixture(scope="session", loop_scope="session", params=chosen_for_kits())
async def cloud(
    request: pytest.FixtureRequest, servers: Servers, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Cloud]:
    made = await start_cloud(tmp_path_factory.mktemp("land"), database=servers.fresh(request.param))
    yield made
    await made.core.stop()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def land(cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Land]:
    async with cloud.listening(), fake_host(cloud.core, tmp_path_factory.mktemp("land-hosts")) as machine:
        yield await settle(cloud, machine)
