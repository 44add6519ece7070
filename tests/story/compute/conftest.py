# SPDX-License-Identifier: Apache-2.0
"""Fixtures of compute stories: a fresh scene a story, on the run's one fake host."""

from __future__ import annotations

import pytest_asyncio

from skyhold.host.machine import Machine
from tests.kit.cloud import Cloud, Persona
from tests.story.compute.scene import Scene, make_scene


@pytest_asyncio.fixture(loop_scope="session")
async def scene(cloud: Cloud, host: Machine) -> Scene:
    return await make_scene(cloud, host)


@pytest_asyncio.fixture(loop_scope="session")
async def stranger(cloud: Cloud) -> Persona:
    return await cloud.project(["member", "reader"])
