# SPDX-License-Identifier: Apache-2.0
"""The ground of races: a whole cloud with a fake host, on PostgreSQL and whatever else the run asks for.

Statements on PostgreSQL and MariaDB are held up for a random moment, so that each round of a race meets in
another order; the seed is SKYHOLD_TEST_RACE_SEED and is told with a failure.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
import sqlalchemy as sa
from sqlalchemy.util.concurrency import await_only

from tests.kit.cloud import Cloud, start_cloud
from tests.kit.databases import Servers, chosen
from tests.kit.host import fake_host
from tests.race.duel import Ground
from tests.story.compute.scene import make_scene

SEED = int(os.environ.get("SKYHOLD_TEST_RACE_SEED", "0")) or random.randrange(1, 2**31)
# The house's rule is PostgreSQL; a run that asks for more databases races on those too.
KINDS = ("postgresql",) if chosen() == ("sqlite",) else chosen()
DATABASES = [pytest.param(kind, marks=pytest.mark.database) for kind in KINDS]
LONGEST_S = 0.003


def pytest_report_header() -> str:
    return f"race seed: {SEED}"


class Jitter:
    """Holds up statements while it is on."""

    def __init__(self) -> None:
        self.on = False
        self.random = random.Random(SEED)

    def before(self, *_: Any) -> None:
        if self.on and self.random.random() < 0.4:
            await_only(asyncio.sleep(self.random.random() * LONGEST_S))

    def listen(self, cloud: Cloud) -> None:
        if cloud.core.db.name != "sqlite":
            sa.event.listen(cloud.core.db._engine.sync_engine, "before_cursor_execute", self.before)


@pytest_asyncio.fixture(scope="session", loop_scope="session", params=DATABASES)
async def cloud(
    request: pytest.FixtureRequest, servers: Servers, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Cloud]:
    made = await start_cloud(tmp_path_factory.mktemp("race-cloud"), database=servers.fresh(request.param))
    yield made
    await made.core.stop()


@pytest.fixture(scope="session")
def jitter(cloud: Cloud) -> Jitter:
    made = Jitter()
    made.listen(cloud)
    return made


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def ground(cloud: Cloud, jitter: Jitter, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Ground]:
    async with cloud.listening(), fake_host(cloud.core, tmp_path_factory.mktemp("hosts"), name="race-host") as machine:
        scene = await make_scene(cloud, machine)
        made = Ground(cloud, scene.user, "race-host", machine.host_id, scene.network_id, "", "", scene.image_id)
        made.flavor_id = scene.flavor_id
        made.external_id = await outside(made)
        await lift_limits(made)
        yield made


async def outside(g: Ground) -> str:
    network = await g.make("/network/v2.0/networks", "network", name="outside", **{"router:external": True})
    subnet = {"network_id": network["id"], "ip_version": 4, "cidr": "198.18.0.0/16"}
    await g.make("/network/v2.0/subnets", "subnet", **subnet)
    return str(network["id"])


async def lift_limits(g: Ground) -> None:
    kinds = ("network", "subnet", "port", "router", "floatingip", "security_group", "security_group_rule")
    quota = {"quota": dict.fromkeys(kinds, -1)}
    kinds = ("instances", "cores", "ram", "key_pairs", "server_groups")
    limits = {"quota_set": dict.fromkeys(kinds, -1)}
    volumes = {"quota_set": dict.fromkeys(("volumes", "snapshots", "gigabytes"), -1)}
    for project_id in (g.user.project_id, g.admin.project_id):
        await g.admin.put(f"/network/v2.0/quotas/{project_id}", quota, status=200)
        await g.admin.put(f"/compute/v2.1/os-quota-sets/{project_id}", limits, status=200)
        await g.admin.put(f"/volume/v3/os-quota-sets/{project_id}", volumes, status=200)
