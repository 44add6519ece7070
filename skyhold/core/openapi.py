# SPDX-License-Identifier: Apache-2.0
"""OpenAPI 3.1 of one API in one microversion, made from the same shapes that validate requests.

The schemas come from core/shapes.py; who lists the routes is the HTTP floor. The one thing to know
first: OpenAPI 3.1 takes JSON Schema 2020-12 unchanged, so nothing is translated here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from skyhold.core.shapes import Shape, json_schema
from skyhold.core.versions import Version


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteDoc:
    """One operation: where it is, what it takes and answers. `body` and `reply` are specs of
    core/shapes.py, `query` is a Shape; `since` and `until` are inclusive microversions. `stream` takes any
    bytes, and what is `public` needs no token."""

    method: str
    path: str
    body: Any = None
    reply: Any = None
    query: type[Shape] | None = None
    status: int = 200
    summary: str = ""
    operation_id: str = ""
    tag: str = ""
    since: str | None = None
    until: str | None = None
    media: str = "application/json"
    stream: bool = False
    public: bool = False
    selects: bool = False
    """The parameter `fields` chooses attributes of the answer, so none of them is sure to be there."""


def document(title: str, version: Version | str, routes: Iterable[RouteDoc]) -> dict[str, Any]:
    """The OpenAPI document of the routes that exist in `version`.

    Operations that share a method and path (the actions of a server) become one operation that
    takes any of their bodies.
    """
    version = Version.parse(version)
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        if _exists(route, version):
            item = paths.setdefault(_VARIABLE.sub(r"{\1}", route.path), {})
            method = route.method.lower()
            operation = _operation(route, version)
            item[method] = _joined(item[method], operation) if method in item else operation
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": str(version)},
        "paths": paths,
        "components": {
            "securitySchemes": {"token": {"type": "apiKey", "in": "header", "name": "X-Auth-Token"}}
        },
        "security": [{"token": []}],
    }


# A router's path variable may carry a converter, {id:uuid}; OpenAPI knows only the name.
_VARIABLE = re.compile(r"\{([^}:]+)(?::[^}]*)?\}")


_FIELDS: dict[str, Any] = {
    "name": "fields", "in": "query", "schema": {"type": "array", "items": {"type": "string"}},
    "description": "Attributes to answer with; all without it.",
}


def _exists(route: RouteDoc, version: Version) -> bool:
    return (route.since is None or Version.parse(route.since) <= version) and (
        route.until is None or version <= Version.parse(route.until)
    )


def _operation(route: RouteDoc, version: Version) -> dict[str, Any]:
    operation: dict[str, Any] = {"operationId": route.operation_id or _default_id(route)}
    if route.summary:
        operation["summary"] = route.summary
    if route.tag:
        operation["tags"] = [route.tag]
    parameters = _path_parameters(route.path) + _query_parameters(route.query, version)
    if route.selects:
        parameters.append(_FIELDS)
    if parameters:
        operation["parameters"] = parameters
    if route.stream:
        operation["requestBody"] = {"required": True, "content": {route.media: {}}}
    elif route.body is not None:
        content = {route.media: {"schema": json_schema(route.body, version)}}
        operation["requestBody"] = {"required": True, "content": content}
    if route.public:
        operation["security"] = []
    operation["responses"] = {
        str(route.status): _response(route, version),
        "default": {"description": "An error in this API's own dialect"},
    }
    return operation


def _default_id(route: RouteDoc) -> str:
    words = re.findall(r"[A-Za-z0-9]+", _VARIABLE.sub(r"\1", route.path))
    return "_".join([route.method.lower(), *words])


def _path_parameters(path: str) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in _VARIABLE.findall(path)
    ]


def _query_parameters(query: type[Shape] | None, version: Version) -> list[dict[str, Any]]:
    if query is None:
        return []
    schema = json_schema(query, version)
    required = schema.get("required", ())
    return [
        {"name": name, "in": "query", "schema": each, **({"required": True} if name in required else {})}
        for name, each in schema["properties"].items()
    ]


def _response(route: RouteDoc, version: Version) -> dict[str, Any]:
    response: dict[str, Any] = {"description": HTTPStatus(route.status).phrase}
    if route.reply is not None:
        response["content"] = _json(reply_schema(route.reply, version, route.selects))
    return response


def reply_schema(reply: Any, version: Version, selects: bool = False) -> dict[str, Any]:
    """The schema of an answer; where the client selects attributes, none is required."""
    schema = json_schema(reply, version, "write")
    if selects:
        for inner in schema.get("properties", {}).values():
            inner.pop("required", None)
            inner.get("items", {}).pop("required", None)
    return schema


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}


def _joined(earlier: dict[str, Any], later: dict[str, Any]) -> dict[str, Any]:
    """Both operations as one: any of the bodies, all of the answers."""
    joined = {**later, **earlier}
    bodies = [schema for each in (earlier, later) for schema in _schemas(each.get("requestBody"))]
    if bodies:
        joined["requestBody"] = {"required": True, "content": _json({"anyOf": bodies})}
    responses = dict(earlier["responses"])
    for status, response in later["responses"].items():
        replies = _schemas(responses.get(status)) + _schemas(response)
        responses[status] = {**response, **({"content": _json({"anyOf": replies})} if replies else {})}
    joined["responses"] = responses
    return joined


def _schemas(holder: dict[str, Any] | None) -> list[Any]:
    if not holder or "content" not in holder:
        return []
    schema = holder["content"]["application/json"]["schema"]
    return list(schema["anyOf"]) if set(schema) == {"anyOf"} else [schema]
