# SPDX-License-Identifier: Apache-2.0
"""Every answer of every story against our own OpenAPI, and against upstream's: the client (client.py) asks here.

Our schemas are those that core/http/openapi_routes.py publishes, upstream's tests/contract/contracts.py. The one thing
to know first: a route without a reply's shape promises nothing, and its answers are only required to be JSON.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache
from typing import Any

import jsonschema_rs
import orjson

from skyhold.core.http.mount import PROJECT_SEGMENT, by_path
from skyhold.core.http.openapi_routes import selects
from skyhold.core.http.routes import Route
from skyhold.core.openapi import reply_schema
from skyhold.core.service import Service
from skyhold.core.versions import Version
from tests.contract.contracts import complaints

VARIABLE = re.compile(r"\{[^}]+\}")


def check(
    services: dict[str, Service], method: str, path: str, sent: list[tuple[bytes, bytes]], raw: bytes,
    status: int, kind: str, body: bytes,
) -> None:
    """AssertionError when an answer of 2xx isn't what the documents say."""
    if not 200 <= status < 300 or method == "HEAD" or not body or not kind.startswith("application/json"):
        return
    given = orjson.loads(body)
    found = route_of(services, method, path, sent, raw)
    if found is None:
        return
    service, route, version = found
    where = f"{method} {path} in {version}"
    wrong = ours(route, version, given)
    assert not wrong, f"{where}: the answer is not as documented: {wrong}"
    wrong = complaints(service.name, route.method, route.path, status, version, given)
    assert not wrong, f"{where}: upstream's contract has another answer: {wrong}"


def ours(route: Route, version: Version, given: Any) -> list[str]:
    if route.reply is None:
        return []
    found = next(validator(Same(route.reply), version, selects(route)).iter_errors(given), None)
    return [] if found is None else [f"{'/'.join(map(str, found.instance_path))}: {found.message}"]


def route_of(
    services: dict[str, Service], method: str, path: str, sent: list[tuple[bytes, bytes]], raw: bytes
) -> tuple[Service, Route, Version] | None:
    first, _, rest = path.lstrip("/").partition("/")
    service = next((s for s in services.values() if s.prefix.strip("/") == first), None)
    if service is None:
        return None
    inner = "/" + rest
    if service.project_in_path and (match := PROJECT_SEGMENT.match(inner)):
        inner = match[1] + (match[2] or "")
    headers = {name.decode(): value.decode("latin-1") for name, value in sent}
    version = service.versions.negotiate({n: headers[n] for n in service.version_headers if n in headers})
    for route in candidates(Same(service), inner.rstrip("/") or "/", method):
        if route.since <= version <= route.until and (route.action is None or route.action in orjson.loads(raw)):
            return service, route, version
    return None


class Same:
    """Anything as a key of its own identity, kept alive by it."""

    def __init__(self, it: Any) -> None:
        self.it = it

    def __hash__(self) -> int:
        return id(self.it)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Same) and other.it is self.it


@lru_cache(maxsize=4096)
def candidates(service: Same, path: str, method: str) -> list[Route]:
    for pattern, methods in patterns(service):
        if pattern.fullmatch(path):
            return methods.get(method, [])
    return []


@cache
def patterns(service: Same) -> list[tuple[re.Pattern[str], dict[str, list[Route]]]]:
    """Of two paths that match, the one that is spelled out further is meant."""
    paths = by_path(service.it)
    order = sorted(paths, key=lambda path: [("{" in part, part) for part in path.split("/")])
    return [(pattern_of(path), paths[path]) for path in order]


def pattern_of(path: str) -> re.Pattern[str]:
    parts = [re.escape(part) for part in VARIABLE.split(path)]
    kinds = [".+" if ":path" in variable else "[^/]+" for variable in VARIABLE.findall(path)]
    return re.compile("".join(part + kind for part, kind in zip(parts, [*kinds, ""], strict=True)).rstrip("/") or "/")


@cache
def validator(reply: Same, version: Version, select: bool) -> Any:
    return jsonschema_rs.Draft202012Validator(reply_schema(reply.it, version, select))
