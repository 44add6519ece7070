# SPDX-License-Identifier: Apache-2.0
"""Health and meters: what somebody who watches the cloud is told without a token.

What is logged is tests/unit/core/test_logs.py. The toy service is toy.py.
"""

from __future__ import annotations

from typing import Any

import pytest

from skyhold.core import errors
from skyhold.core.app import Core
from tests.kit.client import Client


@pytest.mark.parametrize(("trouble", "told"), [
    (OSError("no route to db.inner as skyhold"), b"database: it can't be read; the log says why"),
    (TimeoutError(), b"database: it did not answer within 5 s"),
    (errors.Unavailable("The database does not answer now; try again."), b"database: The database does not answer now"),
])
async def test_health_tells_when_the_database_is_gone(
    toy: Core, monkeypatch: pytest.MonkeyPatch, trouble: Exception, told: bytes
) -> None:
    """To anybody, so without the database's own words."""
    assert (await Client(toy.asgi).get("/healthcheck", status=200)).body == b"OK"

    async def fail(*args: Any, **kw: Any) -> Any:
        raise trouble

    monkeypatch.setattr(toy.db, "read", fail)
    answer = await Client(toy.asgi).get("/healthcheck", status=503)
    assert answer.body.startswith(told) and b"db.inner" not in answer.body


async def test_meters_count_requests_by_route_and_status(client: Client, toy: Core) -> None:
    await client.get("/v1/things/1", status=200)
    await client.get("/v1/broken", status=500)
    text = (await Client(toy.asgi).get("/metrics", status=200)).body.decode()
    thing = 'process="1",route="/v1/things/{thing_id}",service="toy"'
    assert f'skyhold_requests_total{{method="GET",{thing},status="200"}}' in text
    assert 'process="1",route="/v1/broken",service="toy",status="500"' in text
    assert f'skyhold_request_seconds_bucket{{le="0.005",{thing}}}' in text
