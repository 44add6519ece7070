# SPDX-License-Identifier: Apache-2.0
"""Fixtures of volume stories: a fresh project a story, on the run's one fake host."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from skyhold.host.machine import Machine
from skyhold.volume.tables import POOLS
from tests.kit.cloud import Cloud, Persona
from tests.kit.patience import until
from tests.story.volume.scene import Scene


@pytest_asyncio.fixture(loop_scope="session")
async def scene(cloud: Cloud, host: Machine) -> AsyncIterator[Scene]:
    made = Scene(cloud, await cloud.project(["member", "reader"]), host)
    pool = POOLS.select().where(POOLS.c.id == host.host_id)
    await until(lambda: made.read(lambda tx, ctx: tx.first(pool)), "the host to tell of its pool")
    yield made


@pytest_asyncio.fixture(loop_scope="session")
async def stranger(cloud: Cloud) -> Persona:
    return await cloud.project(["member", "reader"])
