# SPDX-License-Identifier: Apache-2.0
"""Schemathesis over the documents we publish: whatever the schemas allow, and what they forbid, never a 5xx.

The documents are checked in test_openapi.py. Each request is first rehearsed with ids of the land, after which
every row must be as before, then sent with ids that nobody has; by an administrator and by a member. How many requests
an operation gets is SKYHOLD_TEST_FUZZ (3); each run tries the same ones unless SKYHOLD_TEST_SEED is set.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import AsyncIterator, Iterator
from typing import Any
from urllib.parse import urlencode

import hypothesis
import orjson
import pytest
import pytest_asyncio
import schemathesis
from hypothesis import HealthCheck, Phase
from schemathesis import GenerationMode
from schemathesis.core import NOT_SET

from skyhold.cmd.compose import services
from skyhold.core.http.openapi_routes import describe
from skyhold.core.service import Service
from skyhold.core.versions import Version
from tests.kit.client import Client
from tests.kit.cloud import Cloud, start_cloud
from tests.kit.databases import Servers, chosen_for_kits
from tests.kit.host import fake_host
from tests.tenancy import registry
from tests.tenancy.land import Land, settle
from tests.tenancy.operations import fill
from tests.tenancy.snapshot import difference, snapshot

EXAMPLES = int(os.environ.get("SKYHOLD_TEST_FUZZ", "3"))
SEED = int(os.environ.get("SKYHOLD_TEST_SEED", "1"))
STREAM = "application/octet-stream"
PATCHES = "application/openstack-images-v2.1-json-patch"
EVERY = [(each, version) for each in services() for version in sorted({each.versions.minimum, each.versions.maximum})]


@schemathesis.serializer(PATCHES)
def serialize_patches(context: Any, value: Any) -> bytes:
    return json.dumps(value).encode("utf-8", "surrogatepass")


@pytest_asyncio.fixture(scope="module", loop_scope="session", params=chosen_for_kits())
async def cloud(
    request: pytest.FixtureRequest, servers: Servers, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Cloud]:
    """Its own: what is left of it afterwards is nothing to build on."""
    made = await start_cloud(tmp_path_factory.mktemp("fuzz"), database=servers.fresh(request.param))
    yield made
    await made.core.stop()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def land(cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Land]:
    async with cloud.listening(), fake_host(cloud.core, tmp_path_factory.mktemp("fuzz-hosts")) as machine:
        yield await settle(cloud, machine)


@pytest.mark.parametrize(("service", "version"), EVERY, ids=[f"{each.name}-{version}" for each, version in EVERY])
async def test_nothing_that_the_schemas_allow_or_forbid_is_a_5xx(
    cloud: Cloud, land: Land, service: Service, version: Version
) -> None:
    wrong: list[str] = []
    answered: dict[int, int] = {}

    async def ask(who: Client, case: Any, rehearsed: bool) -> None:
        status, body, shown = await send(who, service, case, land if rehearsed else None)
        answered[status] = answered.get(status, 0) + 1
        if status >= 500 and status != 501:
            wrong.append(f"{status} {shown}\n    {body[:300]!r}")

    every, before = list(cases(service, version)), await snapshot(cloud)
    for case in every:
        await ask(cloud.admin, case, True)
        await ask(land.owner, case, True)
    assert not difference(before, await snapshot(cloud)), "a rehearsal with some body or other left something"
    for case in every:
        await ask(cloud.admin, case, False)
        await ask(land.owner, case, False)
    print(service.name, version, dict(sorted(answered.items())))
    assert not wrong, "\n".join(wrong[:40])
    # A run that is only ever refused at the door has tried nothing.
    assert sum(count for status, count in answered.items() if status < 300) > 10


def cases(service: Service, version: Version) -> Iterator[Any]:
    """Good and bad requests of each operation."""
    document = orjson.loads(orjson.dumps(describe(service, version, "http://cloud.test")))
    for found in schemathesis.openapi.from_dict(document).get_all_operations():
        operation = found.ok()
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            yield from drawn(operation.as_strategy(generation_mode=mode))


def drawn(strategy: Any) -> list[Any]:
    found: list[Any] = []

    @hypothesis.seed(SEED)
    @hypothesis.settings(
        max_examples=EXAMPLES, database=None, deadline=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @hypothesis.given(strategy)
    def draw(case: Any) -> None:
        found.append(case)

    try:
        draw()
    except hypothesis.errors.Unsatisfiable:
        # There is nothing bad to ask of an operation without parameters.
        return []
    return found[:EXAMPLES]


async def send(who: Client, service: Service, case: Any, land: Land | None) -> tuple[int, bytes, str]:
    headers = {str(name): str(value) for name, value in (case.headers or {}).items() if sendable(str(value))}
    headers.pop("X-Auth-Token", None)
    path = service.prefix + case.formatted_path
    if land is not None:
        headers["X-Dry-Run"] = "true"
        path = service.prefix + real_path(service, case.path, land)
    query = urlencode(case.query or {}, doseq=True, errors="surrogatepass")
    raw, kind = body_of(case)
    target = path + ("?" + query if query else "")
    answer = await Client(who.app, who.token).request(
        case.method.upper(), target, raw, headers=headers, content_type=kind, status=tuple(range(200, 600))
    )
    return answer.status, answer.body, f"{case.method} {target} {headers} {raw[:500]!r}"


def real_path(service: Service, path: str, land: Land) -> str:
    for variable, sample in registry.VARIABLES.get(service.name, {}).items():
        path = path.replace("{" + variable + "}", fill(sample, land.ids))
    return path.replace("{", "").replace("}", "")


def body_of(case: Any) -> tuple[bytes, str]:
    if case.body is NOT_SET:
        return b"", "application/json"
    kind = case.media_type or "application/json"
    if isinstance(case.body, bytes):
        return case.body, kind
    if kind == STREAM:
        return random.Random(SEED).randbytes(100), kind
    return json.dumps(case.body).encode("utf-8", "surrogatepass"), kind


def sendable(value: str) -> bool:
    return value.isascii() and value.isprintable()
