# SPDX-License-Identifier: Apache-2.0
"""OpenAPI documents made from routes and shapes."""

from __future__ import annotations

from typing import Any

import jsonschema_rs

from skyhold.core.openapi import RouteDoc, document
from skyhold.core.shapes import Shape, collection, envelope, field


class Server(Shape):
    name: str = field(min=1)
    tags: list[str] = field(since="2.52", optional=True)


class Filter(Shape):
    limit: int = field(optional=True)
    region: str


ROUTES = [
    RouteDoc(method="GET", path="/servers", query=Filter, reply=collection("servers", Server)),
    RouteDoc(method="POST", path="/servers", operation_id="create", body=envelope("server", Server)),
    RouteDoc(method="POST", path="/servers/{id:uuid}/action", body=envelope("os-stop", None), status=202),
    RouteDoc(method="POST", path="/servers/{id:uuid}/action", body=envelope("os-start", None), status=202),
    RouteDoc(method="POST", path="/servers/{id:uuid}/action", body=envelope("migrate", None), status=204),
    RouteDoc(method="DELETE", path="/servers/{id:uuid}", status=204, until="2.51"),
]


def paths(version: str = "2.1") -> dict[str, Any]:
    made: dict[str, Any] = document("Compute", version, ROUTES)["paths"]
    return made


def test_operations_carry_their_schemas() -> None:
    made = document("Compute", "2.52", ROUTES)
    assert (made["openapi"], made["info"]) == ("3.1.0", {"title": "Compute", "version": "2.52"})
    create = made["paths"]["/servers"]["post"]
    schema = create["requestBody"]["content"]["application/json"]["schema"]
    assert set(schema["properties"]["server"]["properties"]) == {"name", "tags"}
    assert create["operationId"] == "create"
    assert "200" in create["responses"]


def test_versions_choose_fields_and_routes() -> None:
    old = paths()["/servers"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert set(old["properties"]["server"]["properties"]) == {"name"}
    assert "/servers/{id}" in paths("2.51")
    assert "/servers/{id}" not in paths("2.52")


def test_parameters() -> None:
    listing = paths()["/servers"]["get"]["parameters"]
    assert [each["name"] for each in listing] == ["limit", "region"]
    assert [each.get("required", False) for each in listing] == [False, True]
    action = paths()["/servers/{id}/action"]["post"]
    assert [(each["name"], each["in"]) for each in action["parameters"]] == [("id", "path")]
    assert action["operationId"] == "post_servers_id_action"


def test_actions_share_one_operation() -> None:
    action = paths()["/servers/{id}/action"]["post"]
    schema = action["requestBody"]["content"]["application/json"]["schema"]
    validator = jsonschema_rs.Draft202012Validator(schema)
    assert all(validator.is_valid({key: None}) for key in ("os-stop", "os-start", "migrate"))
    assert not validator.is_valid({"os-fly": None})
    assert {"202", "204", "default"} == set(action["responses"])
