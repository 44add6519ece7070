# SPDX-License-Identifier: Apache-2.0
"""`/<service>/openapi.json`: the OpenAPI document of a service in one microversion, for everybody.

It is made of the route table by core/openapi.py, from the shapes that validate requests. The one thing to
know first: `?version=2.90` chooses the microversion, and without it the newest is described.
"""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import falcon.asgi
import orjson

from skyhold.core import errors
from skyhold.core.context import Context
from skyhold.core.http.dialect import Dialect
from skyhold.core.http.endpoint import ANONYMOUS, set_request_id, write_error
from skyhold.core.http.routes import FIRST, LAST, Public, Route
from skyhold.core.openapi import RouteDoc, document
from skyhold.core.shapes import envelope
from skyhold.core.versions import Version

if TYPE_CHECKING:
    from skyhold.core.app import Core
    from skyhold.core.service import Service

PATH = "/openapi.json"
KEPT = 8
"""Documents of a service that are remembered: anybody may ask for any of a hundred versions."""
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"})


class OpenApi:
    """The responder of one service's document."""

    def __init__(self, core: Core, service: Service) -> None:
        self._core, self._service = core, service
        self._made: OrderedDict[Version, bytes] = OrderedDict()
        self._making = asyncio.Lock()

    async def on_get(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        ctx = Context(self._core, ANONYMOUS)
        set_request_id(self._service, resp, ctx.request_id)
        try:
            version = chosen(self._service, req.params.get("version"))
        except errors.Error as error:
            write_error(self._core, self._service.dialect, resp, error, ctx)
            return
        resp.data = await self._document(version)
        resp.content_type = "application/json"
        resp.set_header("Cache-Control", "public, max-age=300")

    async def _document(self, version: Version) -> bytes:
        async with self._making:
            if version not in self._made:
                # Thousands of small dicts: not in the event loop.
                self._made[version] = await asyncio.to_thread(self._make, version)
                while len(self._made) > KEPT:
                    self._made.popitem(last=False)
            self._made.move_to_end(version)
            return self._made[version]

    def _make(self, version: Version) -> bytes:
        return orjson.dumps(describe(self._service, version, self._core.settings.public_url))


def chosen(service: Service, asked: Any) -> Version:
    """Raises Invalid and NotAcceptable, as the version's header does."""
    if asked is None or service.versions.minimum == service.versions.maximum:
        return service.versions.maximum
    if not isinstance(asked, str):
        raise errors.Invalid("Name one version.", reason="bad_version")
    return service.versions.negotiate({
        "openstack-api-version": f"{service.versions.service_type} {asked.strip() or '?'}"
    })


def describe(service: Service, version: Version, public_url: str) -> dict[str, Any]:
    """The OpenAPI 3.1 document of a service, whose paths are below its prefix."""
    made = document(f"Skyhold {service.name}", version, docs(service))
    made["servers"] = [{"url": public_url.rstrip("/") + service.prefix}]
    if service.versions.minimum != service.versions.maximum:
        header = {
            "name": "OpenStack-API-Version", "in": "header", "required": True,
            "schema": {"type": "string", "const": f"{service.versions.service_type} {version}"},
        }
        made["components"]["parameters"] = {"version": header}
        for item in made["paths"].values():
            item["parameters"] = [{"$ref": "#/components/parameters/version"}]
    made["components"]["responses"] = {"Error": error_response(service.dialect)}
    for item in made["paths"].values():
        for method in METHODS & {name.upper() for name in item}:
            item[method.lower()]["responses"]["default"] = {"$ref": "#/components/responses/Error"}
    return made


def docs(service: Service) -> list[RouteDoc]:
    """Every route of the service; operations of equal name are told apart by what else they do."""
    found = [doc for routes in service.routes for route in routes.all for doc in route_doc(route)]
    names = Counter(doc.operation_id for doc in found)
    taken: Counter[str] = Counter()
    for i, doc in enumerate(found):
        if names[doc.operation_id] > 1 and doc.operation_id:
            taken[doc.operation_id] += 1
            found[i] = replace(doc, operation_id=f"{doc.operation_id}.{doc.method.lower()}{taken[doc.operation_id]}")
    return found


def route_doc(route: Route) -> Iterator[RouteDoc]:
    """How a route is described; a WebSocket is none of OpenAPI's."""
    if route.method not in METHODS:
        return
    body = route.body
    if route.action is not None:
        body = envelope(route.action, Any if body is None else body)
    module = route.handler.__module__.removeprefix("skyhold.")
    yield RouteDoc(
        method=route.method, path=route.path, body=body, query=route.query, status=route.status,
        # An answer to HEAD has no body.
        reply=None if route.method == "HEAD" else route.reply,
        summary=route.summary, tag=module.split(".", 1)[-1],
        # Actions of one path become one operation, which has the path's name.
        operation_id="" if route.action is not None else f"{module}.{route.handler.__name__}",
        since=None if route.since == FIRST else str(route.since),
        until=None if route.until == LAST else str(route.until),
        media="application/octet-stream" if route.stream else route.media[0],
        stream=route.stream, public=isinstance(route.policy, Public), selects=selects(route),
    )


def selects(route: Route) -> bool:
    """Whether the parameter `fields` chooses what is answered."""
    return bool(getattr(route.query, "SELECTS", False))


def error_response(dialect: Dialect) -> dict[str, Any]:
    """All errors of an API have the same form; the dialect shows which."""
    sample = dialect.body(errors.Invalid("What is wrong, in a sentence."), 400, "req-0")
    return {
        "description": "An error in this API's own dialect",
        "content": {"application/json": {"schema": {"type": "object"}, "example": sample}},
    }
