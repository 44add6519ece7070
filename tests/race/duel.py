# SPDX-License-Identifier: Apache-2.0
"""What two requests at once are made of, and the registry: for each operation, a way to set up its race.

The registered operations are in operations/, one file per service; running and judging them is
test_operations.py. An operation of the route table that has no entry here fails there, so whoever adds
a route adds an entry.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any

from skyhold.cmd.compose import services
from skyhold.core.http.routes import LAST, Route
from skyhold.core.service import Service
from skyhold.core.versions import NO_VERSIONS
from tests.kit.client import Answer, Client
from tests.kit.cloud import Cloud, Persona

REFUSALS = (404, 409, 412)
"""How an operation may lose: what it was about is gone, in use, or not what it was."""


@dataclass(frozen=True)
class Call:
    """One request; a version set here wins over that of the route."""

    who: Client
    method: str
    path: str
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    content_type: str = "application/json"

    async def send(self) -> Answer:
        wanted = tuple(range(200, 500))
        return await self.who.request(
            self.method, self.path, self.body, headers=self.headers, content_type=self.content_type, status=wanted
        )

    def at(self, version: dict[str, str]) -> Call:
        return replace(self, headers=version | self.headers)


@dataclass(frozen=True)
class Duel:
    """`one` is the operation, `two` what runs beside it (the same once more unless told), `gone` what
    takes away the thing it is about (None: there is no such thing).

    `winners`: how many of the two may succeed. `keeps`: (who, path, expected): after both succeeded the
    answer must hold both of what they wrote. `refusals`: statuses beside REFUSALS with which it may lose.
    """

    one: Call
    two: Call | None = None
    gone: Call | None = None
    winners: tuple[int, ...] = (1, 2)
    keeps: tuple[Client, str, Any] | None = None
    refusals: tuple[int, ...] = ()

    def pair(self, against_delete: bool) -> tuple[Call, Call]:
        return (self.one, self.gone if against_delete else self.two or self.one)  # type: ignore[return-value]


@dataclass
class Ground:
    """Where races are run: a project without limits, a network, an image, a flavor, a host."""

    cloud: Cloud
    user: Persona
    host_name: str = ""
    host_id: str = ""
    network_id: str = ""
    subnet_id: str = ""
    external_id: str = ""
    image_id: str = ""
    flavor_id: str = ""
    known: set[str] = field(default_factory=set)

    @property
    def admin(self) -> Persona:
        return self.cloud.admin

    async def make(self, path: str, kind: str, who: Client | None = None, **body: Any) -> dict[str, Any]:
        """A resource by its collection: POST {kind: body}, and what is in the answer."""
        answer = await (who or self.admin).post(path, {kind: body}, status=(200, 201, 202))
        made: dict[str, Any] = answer.json[kind]
        return made


Setup = Callable[[Ground], Awaitable[Duel]]
REGISTRY: dict[str, Setup] = {}


def race(*keys: str) -> Callable[[Setup], Setup]:
    """Register the set-up for operations, named as `key_of` names them."""

    def keep(setup: Setup) -> Setup:
        for key in keys:
            assert key not in REGISTRY, f"{key} is registered twice"
            REGISTRY[key] = setup
        return setup

    return keep


def key_of(service: Service, route: Route) -> str:
    """`POST /compute/v2.1/servers/{server_id}/action os-start`"""
    return f"{route.method} {service.prefix}{route.path}" + (f" {route.action}" if route.action else "")


def operations() -> list[tuple[str, Service, Route]]:
    """Every mutating operation of every service of the program."""
    return [
        (key_of(service, route), service, route)
        for service in services() for routes in service.routes for route in routes.all
        if route.method not in ("GET", "HEAD")
    ]


def version_of(service: Service, route: Route) -> dict[str, str]:
    """The newest version that this route answers."""
    if service.versions is NO_VERSIONS:
        return {}
    newest = service.versions.maximum
    newest = newest if route.until == LAST else min(route.until, newest)
    return {"OpenStack-API-Version": f"{service.type} {newest}"}


async def at_once(*calls: Call) -> list[Answer]:
    return await asyncio.gather(*(call.send() for call in calls))


def name(kind: str = "race") -> str:
    return f"{kind}-{uuid.uuid4().hex[:10]}"


def holds(found: Any, expected: Any) -> bool:
    """Whether all of `expected` is in `found`: keys of objects, members of lists, equal values."""
    if isinstance(expected, dict):
        return isinstance(found, dict) and all(key in found and holds(found[key], expected[key]) for key in expected)
    if isinstance(expected, list):
        return isinstance(found, list) and all(any(holds(each, want) for each in found) for want in expected)
    return bool(found == expected)
