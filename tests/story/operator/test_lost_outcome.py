# SPDX-License-Identifier: Apache-2.0
"""A connection that broke during COMMIT, where no row of the journal tells what became of it: objects, metadata
definitions, claims in placement. The user is told what to do, and nothing is lost or left by either outcome.

What is found out by the journal is tests/unit/core/test_lost.py's, on real servers; here the loss is made up.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from skyhold.core.db.engine import unsure
from skyhold.image.metadefs import namespaces
from skyhold.object.engine import containers, contents, objects
from skyhold.placement import allocations
from tests.kit.client import Answer
from tests.kit.cloud import Cloud

PLACEMENT = {"OpenStack-API-Version": "placement 1.39"}
heard_or_not = pytest.mark.parametrize("heard", [True, False], ids=["committed", "rolled back"])


@pytest.fixture
def lose(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """The outcome of the next commit of one operation, which the database has heard of or not."""
    write = cloud.core.db.write
    wanted: list[tuple[Any, bool]] = []

    async def broken(ctx: Any, fn: Any, *args: Any, **kw: Any) -> Any:
        if not wanted or fn is not wanted[0][0]:
            return await write(ctx, fn, *args, **kw)
        if wanted.pop()[1]:
            await write(ctx, fn, *args, **kw)
        raise unsure()

    monkeypatch.setattr(cloud.core.db, "write", broken)
    return lambda operation, *, heard: wanted.append((operation, heard))


def advises(answer: Answer) -> None:
    text = answer.body.decode()
    assert "can&#x27;t be told whether this was done" in text or "can't be told whether this was done" in text, text
    assert "Look at what is there before you try again" in text
    assert "unknown_outcome" in text + answer.headers.get("x-openstack-reason", "")


@heard_or_not
async def test_an_object(cloud: Cloud, lose: Callable[..., None], heard: bool) -> None:
    user = await cloud.project()
    account = f"/object-store/v1/AUTH_{user.project_id}"
    lose(containers.make, heard=heard)
    advises(await user.put(f"{account}/birds", status=503))
    await user.put(f"{account}/birds", status=202 if heard else 201)
    await user.put(f"{account}/birds/crow", b"the first", content_type="text/plain", status=201)
    lose(objects.put, heard=heard)
    advises(await user.put(f"{account}/birds/crow", b"the second", content_type="text/plain", status=503))
    # Whatever the object names, its bytes are there, and none that it doesn't.
    now = await user.get(f"{account}/birds/crow", status=200)
    assert now.body == (b"the second" if heard else b"the first")
    head = (await user.request("HEAD", f"{account}/birds", status=204)).headers
    assert (head["x-container-object-count"], head["x-container-bytes-used"]) == ("1", str(len(now.body)))
    await user.put(f"{account}/birds/crow", b"the second", content_type="text/plain", status=201)
    lose(objects.delete, heard=heard)
    advises(await user.delete(f"{account}/birds/crow", status=503))
    await user.delete(f"{account}/birds/crow", status=404 if heard else 204)
    await user.delete(f"{account}/birds", status=204)
    await asyncio.gather(*contents.GOING)
    assert (await cloud.admin.get("/admin/v1/audit", status=200)).json["findings"] == []


@heard_or_not
async def test_a_namespace_of_definitions(cloud: Cloud, lose: Callable[..., None], heard: bool) -> None:
    path, body = "/image/v2/metadefs/namespaces", {"namespace": f"birds-{uuid.uuid4().hex[:8]}"}
    lose(namespaces.insert, heard=heard)
    advises(await cloud.admin.post(path, body, status=503))
    await cloud.admin.get(f"{path}/{body['namespace']}", status=200 if heard else 404)
    await cloud.admin.post(path, body, status=409 if heard else 201)


@heard_or_not
async def test_a_claim(cloud: Cloud, lose: Callable[..., None], heard: bool) -> None:
    admin, p = cloud.admin, "/placement"
    wish = {"name": f"provider-{uuid.uuid4().hex[:8]}"}
    provider = (await admin.post(f"{p}/resource_providers", wish, headers=PLACEMENT, status=200)).json["uuid"]
    has = {"resource_provider_generation": 0, "inventories": {"DISK_GB": {"total": 5}}}
    await admin.put(f"{p}/resource_providers/{provider}/inventories", has, headers=PLACEMENT, status=200)
    consumer = f"{p}/allocations/{uuid.uuid4()}"
    claim = {
        "allocations": {provider: {"resources": {"DISK_GB": 3}}}, "project_id": admin.project_id,
        "user_id": admin.user_id, "consumer_generation": None, "consumer_type": "INSTANCE",
    }
    lose(allocations.set_all, heard=heard)
    advises(await admin.put(consumer, claim, headers=PLACEMENT, status=503))
    there = (await admin.get(consumer, headers=PLACEMENT, status=200)).json["allocations"]
    assert bool(there) is heard
    # Trying again claims nothing twice: the generation says so.
    await admin.put(consumer, claim, headers=PLACEMENT, status=409 if heard else 204)
    await admin.delete(consumer, headers=PLACEMENT, status=204)
    await admin.delete(f"{p}/resource_providers/{provider}", headers=PLACEMENT, status=204)
