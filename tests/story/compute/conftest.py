# SPDX-License-Identifier: Apache-2.0
"""Fixtures of compute stories: one fake host a run, a fresh scene a story."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from skyhold.host.machine import Machine
from tests.kit.cloud import Cloud, Persona
from tests.kit.host import fake_host
from tests.story.compute.scene import Scene, make_scene


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def host(cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Machine]:
    async with cloud.listening(), fake_host(cloud.core, tmp_path_factory.mktemp("hosts")) as machine:
        yield machine


@pytest_asyncio.fixture(loop_scope="session")
async def scene(cloud: Cloud, host: Machine) -> Scene:
    return await make_scene(cloud, host)


@pytest_asyncio.fixture(loop_scope="session")
async def stranger(cloud: Cloud) -> Persona:
    return await cloud.project(["member", "reader"])
