# SPDX-License-Identifier: Apache-2.0
"""The OpenAPI document of every service, in its oldest and newest microversion: valid, complete, for all.

That real answers match it is checked with every answer of every story (tests/kit/contract.py).
"""

from __future__ import annotations

import re
from typing import Any

import jsonschema_rs
import pytest
from openapi_spec_validator import validate

from skyhold.cmd.compose import services
from skyhold.core.http.openapi_routes import KEPT, METHODS, OpenApi, describe
from skyhold.core.http.routes import PUBLIC, Route
from skyhold.core.service import Service
from skyhold.core.versions import Version
from tests.kit import contract
from tests.kit.cloud import Cloud

EVERY = [(each, version) for each in services() for version in sorted({each.versions.minimum, each.versions.maximum})]
NAMES = [f"{each.name}-{version}" for each, version in EVERY]


def made(service: Service, version: Version) -> dict[str, Any]:
    return describe(service, version, "http://cloud.test")


def routes(service: Service, version: Version) -> list[Route]:
    found = [route for each in service.routes for route in each.all]
    return [route for route in found if route.method in METHODS and route.since <= version <= route.until]


@pytest.mark.parametrize(("service", "version"), EVERY, ids=NAMES)
def test_each_document_is_valid_openapi_3_1(service: Service, version: Version) -> None:
    validate(made(service, version))


@pytest.mark.parametrize(("service", "version"), EVERY, ids=NAMES)
def test_each_route_is_described_and_nothing_else(service: Service, version: Version) -> None:
    documented = {
        (method.upper(), path) for path, item in made(service, version)["paths"].items()
        for method in item if method.upper() in METHODS
    }
    assert documented == {(route.method, re.sub(r"\{(\w+):\w+\}", r"{\1}", route.path))
                          for route in routes(service, version)}


@pytest.mark.parametrize(("service", "version"), EVERY, ids=NAMES)
def test_each_action_has_its_body(service: Service, version: Version) -> None:
    document = made(service, version)
    for route in routes(service, version):
        if route.action is None:
            continue
        body = document["paths"][route.path]["post"]["requestBody"]["content"]["application/json"]["schema"]
        keys = {key for each in body.get("anyOf", [body]) for key in each["properties"]}
        assert route.action in keys


@pytest.mark.parametrize(("service", "version"), EVERY, ids=NAMES)
def test_what_is_public_says_so(service: Service, version: Version) -> None:
    document = made(service, version)
    for route in routes(service, version):
        path = re.sub(r"\{(\w+):\w+\}", r"{\1}", route.path)
        operation = document["paths"][path][route.method.lower()]
        assert (operation.get("security") == []) == (route.policy is PUBLIC)


async def test_every_service_tells_its_document_to_anybody(cloud: Cloud) -> None:
    stranger = cloud.client()
    for service in cloud.core.services.values():
        answer = await stranger.get(f"{service.prefix}/openapi.json", status=200)
        assert answer.json["info"]["version"] == str(service.versions.maximum)
        assert answer.json["openapi"] == "3.1.0"
        assert answer.headers["x-openstack-request-id"]


async def test_a_version_is_chosen_as_the_header_would(cloud: Cloud) -> None:
    stranger = cloud.client()
    at = "/compute/openapi.json"
    old = (await stranger.get(at, {"version": "2.1"}, status=200)).json
    new = (await stranger.get(at, {"version": "2.90"}, status=200)).json
    assert (old["info"]["version"], new["info"]["version"]) == ("2.1", "2.90")
    assert old != new
    assert (await stranger.get(at, {"version": "latest"}, status=200)).json["info"]["version"] == "2.96"
    await stranger.get(at, {"version": "2.999"}, status=406)
    for nonsense in ("x", "2", "2.1, compute 2.2 3", "", "2.01"):
        await stranger.get(at, {"version": nonsense}, status=400)
    await stranger.get(at + "?version=2.1&version=2.2", status=400)
    await stranger.post(at, {}, status=405)


async def test_strangers_cannot_fill_memory_with_documents(cloud: Cloud) -> None:
    compute = cloud.core.services["compute"]
    responder = OpenApi(cloud.core, compute)
    for minor in range(1, 30):
        await responder._document(Version(2, minor))
    assert len(responder._made) == KEPT


async def test_the_check_of_answers_can_fail(cloud: Cloud) -> None:
    """A contract kit that lets everything pass would be worse than none."""
    good = await cloud.admin.get("/identity/v3/domains", status=200)
    sent = (cloud.core.services, "GET", "/identity/v3/domains", [], b"", 200, "application/json")
    contract.check(*sent, good.body)
    for body in (b"{}", b'{"domains": {}}', b'{"domains": [{"id": 1}]}'):
        with pytest.raises(AssertionError, match="not as documented"):
            contract.check(*sent, body)


def test_most_answers_have_a_form_to_be_held_to() -> None:
    """Documents of versions and the like are free; what the APIs are for is not."""
    found = [route for service in services() for each in service.routes for route in each.all
             if route.method == "GET" and route.policy is not PUBLIC]
    described = [route for route in found if route.reply is not None]
    assert len(described) / len(found) > 0.5, [route.path for route in found if route.reply is None]


def test_schemas_of_replies_are_schemas() -> None:
    for service, version in EVERY:
        for route in routes(service, version):
            if route.reply is not None:
                jsonschema_rs.meta.validate(contract.reply_schema(route.reply, version))
