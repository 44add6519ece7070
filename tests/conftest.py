# SPDX-License-Identifier: Apache-2.0
"""Fixtures that all tests share: the cloud, once for each database of the run.

How it is made is tests/kit/cloud.py, which databases there are tests/kit/databases.py. One cloud serves
all tests of a database, so they run in the session's event loop; that is arranged here, and no test
needs to say so.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import hypothesis
import pytest
import pytest_asyncio

from skyhold.core import logs
from skyhold.host.machine import Machine
from tests.kit import secrecy
from tests.kit.cloud import Cloud, CurrentStderr, start_cloud
from tests.kit.databases import Servers, chosen, chosen_for_kits, servers
from tests.kit.host import fake_host

__all__ = ["cloud", "servers"]

HERE = Path(__file__).parent

# An example is slow when the machine is.
hypothesis.settings.register_profile("any pace", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("any pace")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="Many more points where processes are killed.")


LONG_S = 3600
"""In place of pyproject.toml's limit on a single test."""

KIT_DATABASES = ("", *chosen_for_kits())
KITS = {"clients", "cluster", "contract", "race", "tenancy"}
"""Folders whose tests are made from the whole route table, or kill processes: quick runs leave them out."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Whatever asks for the cloud runs in the cloud's event loop; kits are marked as such. The product's sagas, which
    wait out a lease on shared databases, and stories that call themselves kits run on the kits' databases alone."""
    beyond = {item for item in items if is_long(item) and database_of(item) not in KIT_DATABASES}
    config.hook.pytest_deselected(items=list(beyond))
    items[:] = [item for item in items if item not in beyond]
    for item in items:
        if item.path.relative_to(HERE).parts[0] in KITS:
            item.add_marker(pytest.mark.kit)
        if config.getoption("long"):
            item.add_marker(pytest.mark.timeout(LONG_S))
        if "cloud" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


def is_long(item: pytest.Item) -> bool:
    return item.path.parent.name == "sagas" or item.get_closest_marker("kit") is not None


def database_of(item: pytest.Item) -> str:
    """Of the stories' cloud; empty for a test that doesn't ask for it."""
    return str(item.callspec.params.get("cloud", "")) if hasattr(item, "callspec") else ""


@pytest.fixture(scope="session", autouse=True)
def invariant_11_no_secret_of_the_run_was_logged() -> Iterator[None]:
    logs.configure(style="text", stream=CurrentStderr())  # type: ignore[arg-type]
    yield
    assert not secrecy.RUN.leaked()


@pytest_asyncio.fixture(scope="session", loop_scope="session", params=chosen())
async def cloud(
    request: pytest.FixtureRequest, servers: Servers, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Cloud]:
    made = await start_cloud(tmp_path_factory.mktemp("cloud"), database=servers.fresh(request.param))
    yield made
    await made.core.stop()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def host(cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Machine]:
    """The cloud's one fake host. There is one definition: a second agent of the same name would push it out."""
    async with cloud.listening(), fake_host(cloud.core, tmp_path_factory.mktemp("hosts")) as machine:
        yield machine
