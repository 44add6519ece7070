# SPDX-License-Identifier: Apache-2.0
"""Operations of the route table as requests: the address with its samples, the body, the version.

Samples and bodies are registry.py's, what the answer must be is expected.py's. A body without an
entry is made from the JSON schema of its shape: required fields only, the smallest value of each.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest

from skyhold.cmd.compose import services
from skyhold.core.http.routes import LAST, Public, Route
from skyhold.core.service import Service
from skyhold.core.shapes import json_schema
from skyhold.core.versions import Version
from tests.tenancy import registry

VARIABLE = re.compile(r"\{([a-z_]+)(?::path)?\}")


@dataclass(frozen=True)
class Operation:
    service: Service
    route: Route

    @property
    def name(self) -> str:
        """`compute GET /v2.1/servers/{server_id}`, or `compute os-start` for an action; with `@1.4` when
        that is the last version that has it."""
        name = f"{self.service.name} {self.route.action or f'{self.route.method} {self.route.path}'}"
        return name if self.route.until == LAST else f"{name}@{self.version}"

    @property
    def changes(self) -> bool:
        return self.route.method not in ("GET", "HEAD")

    @property
    def variables(self) -> list[str]:
        return VARIABLE.findall(self.route.path)

    @property
    def touches(self) -> bool:
        """Whether the request names what is the land's."""
        asked = [book.get(self.name) for book in (registry.BODIES, registry.QUERIES, registry.HEADERS)]
        return bool(self.variables) or "$" in repr(asked)

    @property
    def version(self) -> Version:
        """The newest that has this route."""
        newest = self.service.versions.maximum
        return newest if self.route.until == LAST else min(newest, self.route.until)

    def headers(self, ids: Mapping[str, str]) -> dict[str, str]:
        found = {name: fill(value, ids) for name, value in registry.HEADERS.get(self.name, {}).items()}
        if self.version > Version(0, 0):
            found["OpenStack-API-Version"] = f"{self.service.type} {self.version}"
        return found

    @property
    def media(self) -> str:
        return "application/octet-stream" if self.route.stream else self.route.media[-1]

    def address(self, ids: Mapping[str, str], *, known: bool = True) -> str:
        """Of the land's own sample, or of one like it that nobody has: the first variable decides."""
        path = self.route.path
        for at, variable in enumerate(self.variables):
            own = fill(self._sample(variable), ids)
            path = VARIABLE.sub(own if known or at else unknown_like(own), path, count=1)
        asked = registry.QUERIES.get(self.name.replace(" HEAD ", " GET "))
        return self.service.prefix + path + ("?" + fill(asked, ids) if asked else "")

    def _sample(self, variable: str) -> str:
        own = registry.SAMPLES.get(self.name, {}).get(variable)
        own = own or registry.VARIABLES.get(self.service.name, {}).get(variable)
        if own is None:
            pytest.fail(f"{self.name}: tests/tenancy/registry.py has no sample for {{{variable}}}")
        return own

    def body(self, ids: Mapping[str, str], *, known: bool = True) -> Any:
        """With ids of the land, or with such as nobody has."""
        if not known:
            ids = {name: own if name in registry.EVERYBODYS else unknown_like(own) for name, own in ids.items()}
        if self.route.stream:
            return b"bytes"
        if self.name in registry.BODIES:
            return filled(registry.BODIES[self.name], ids)
        if self.route.body is None:
            return {self.route.action: None} if self.route.action else None
        made = smallest(json_schema(self.route.body, self.version))
        return {self.route.action: made} if self.route.action else made


@cache
def operations() -> list[Operation]:
    """Everything that asks for credentials."""
    return [
        Operation(service, route)
        for service in services() for routes in service.routes for route in routes.all
        if not isinstance(route.policy, Public)
    ]


def every(chosen: Any = None) -> pytest.MarkDecorator:
    """Parametrizes a test by operations."""
    found = [operation for operation in operations() if chosen is None or chosen(operation)]
    return pytest.mark.parametrize("operation", found, ids=lambda each: each.name)


def fill(text: str, ids: Mapping[str, str]) -> str:
    return re.sub(r"\$([a-z_0-9]+)", lambda found: ids[found[1]], text)


def filled(value: Any, ids: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {fill(key, ids): filled(inner, ids) for key, inner in value.items()}
    if isinstance(value, list):
        return [filled(inner, ids) for inner in value]
    return fill(value, ids) if isinstance(value, str) else value


def unknown_like(own: str) -> str:
    """Of the same form, so that it is refused for being unknown and not for its looks."""
    if own.isdigit():
        return "987654321"
    if re.fullmatch(r"[0-9a-f]{32}", own):
        return uuid.UUID(int=7 << 96).hex
    if re.fullmatch(r"[0-9a-f-]{36}", own):
        return str(uuid.UUID("7ac00000-0000-4000-8000-000000000007"))
    return "CUSTOM_NOBODY" if own.isupper() else "nobodys"


HARMLESS = ("description", "enabled", "blob")
"""What may be changed of anything without minding what it is."""


def smallest(schema: dict[str, Any]) -> Any:
    """The least that a schema takes, as far as a schema tells."""
    if "enum" in schema:
        return schema["enum"][0]
    kind = schema.get("type", "object")
    kind = kind[0] if isinstance(kind, list) else kind
    if kind == "object":
        properties, named = schema.get("properties", {}), list(schema.get("required", ()))
        while len(named) < min(schema.get("minProperties", 0), len(properties)):
            named.append(next(name for name in (*HARMLESS, *properties) if name in properties and name not in named))
        return {name: smallest(properties.get(name, {})) for name in named}
    if kind == "array":
        return [smallest(schema.get("items", {}))] * schema.get("minItems", 0)
    if kind in ("integer", "number"):
        return max(1, schema.get("minimum", 1))
    if kind == "string":
        return (registry.SAY + "." * schema.get("minLength", 0))[: schema.get("maxLength", 255)]
    return {"boolean": True, "null": None}.get(kind)
