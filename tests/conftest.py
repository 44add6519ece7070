# SPDX-License-Identifier: Apache-2.0
"""Fixtures that all tests share: the cloud.

How it is made is tests/kit/cloud.py. One cloud serves the whole run, so tests that use it run in
the session's event loop; that is arranged here, and no test needs to say so.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.kit.cloud import Cloud, start_cloud


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whatever asks for the cloud runs in the cloud's event loop."""
    for item in items:
        if "cloud" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def cloud(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Cloud]:
    made = await start_cloud(tmp_path_factory.mktemp("cloud"))
    yield made
    await made.core.stop()
