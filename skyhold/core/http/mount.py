# SPDX-License-Identifier: Apache-2.0
"""Puts services under one ASGI application: by path prefix, and by traditional port.

One Falcon application a service, because dialect and trailing slash differ between them; what
one request goes through is core/http/endpoint.py. Falcon's own errors (no such path, wrong
method) are printed in the service's dialect as well.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import falcon
import falcon.asgi
import orjson

from skyhold.core import metrics
from skyhold.core.context import Context, internal
from skyhold.core.http import openapi_routes
from skyhold.core.http.body import ClientGone
from skyhold.core.http.channel import Channel
from skyhold.core.http.endpoint import ANONYMOUS, Endpoint, set_request_id, translate, write_error
from skyhold.core.http.routes import WEBSOCKET, Route
from skyhold.core.operator import sagas

if TYPE_CHECKING:
    from skyhold.core.app import Core
    from skyhold.core.service import Service

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Asgi = Callable[[Scope, Receive, Send], Awaitable[None]]

PROJECT_SEGMENT = re.compile(r"^(/v[0-9.]+)/[0-9a-f]{32}(/.*)?$")


def mount(core: Core, service: Service) -> Asgi:
    """The service as a Falcon application, without its prefix."""
    app: Any = falcon.asgi.App()
    app.req_options.strip_url_path_trailing_slash = service.strip_slash
    app.req_options.auto_parse_qs_csv = False
    app.req_options.keep_blank_qs_values = True
    app.add_error_handler(falcon.HTTPError, FalconErrors(core, service))
    for path, methods in by_path(service).items():
        responders: dict[str, Any] = {
            f"on_{method.lower()}": Endpoint(core, service, path, routes).respond
            for method, routes in methods.items()
            if method != WEBSOCKET
        }
        if WEBSOCKET in methods:
            responders["on_websocket"] = Channel(core, service, path, methods[WEBSOCKET]).converse
        app.add_route(path, SimpleNamespace(**responders))
    app.add_route(openapi_routes.PATH, openapi_routes.OpenApi(core, service))
    return cast(Asgi, app)


def by_path(service: Service) -> dict[str, dict[str, list[Route]]]:
    paths: dict[str, dict[str, list[Route]]] = {}
    for routes in service.routes:
        for route in routes.all:
            paths.setdefault(route.path, {}).setdefault(route.method, []).append(route)
    return paths


class FalconErrors:
    """No such path, wrong method, a malformed query: ours, in the service's dialect."""

    def __init__(self, core: Core, service: Service) -> None:
        self._core, self._service = core, service

    async def __call__(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, ex: falcon.HTTPError, params: Any,
        ws: Any = None,
    ) -> None:
        if ws is not None:
            # Before it is accepted, a closed WebSocket is a 403 to its client.
            await ws.close()
            return
        ctx = Context(self._core, ANONYMOUS)
        write_error(self._core, self._service.dialect, resp, translate(req, ex), ctx)
        set_request_id(self._service, resp, ctx.request_id)


class Front:
    """The program's ASGI application: health, metrics, and the way to each service."""

    def __init__(self, core: Core, services: list[Service]) -> None:
        self._core = core
        self._by_prefix = {service.prefix.strip("/"): (service, mount(core, service)) for service in services}
        # The API's own port may be one that a service had of old: there it isn't that service alone.
        own = core.settings.http.port
        self._by_port = {pair[0].port: pair for pair in self._by_prefix.values() if pair[0].port not in (0, own)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope["path"]
        first, _, rest = path[1:].partition("/")
        found = self._by_prefix.get(first)
        if found is None:
            port = (scope.get("server") or ("", 0))[1]
            found = self._by_port.get(port)
            rest = path[1:]
        if found is None and scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        if found is None:
            await self._own(path, send)
            return
        service, app = found
        inner = "/" + rest
        if service.project_in_path and (match := PROJECT_SEGMENT.match(inner)):
            inner = match[1] + (match[2] or "")
        if service.path_form is not None:
            inner = service.path_form(inner)
        scope = {**scope, "path": inner, "root_path": service.prefix}
        with suppress(ClientGone):
            await app(scope, receive, send)

    async def _own(self, path: str, send: Send) -> None:
        """What belongs to no service."""
        if path in ("/healthcheck", "/healthcheck/"):
            problem = await self._core.health()
            await plain(send, 503 if problem else 200, (problem or "OK").encode())
        elif path == "/metrics":
            counted, ages = await asyncio.gather(self._core.siblings.meters(), sagas.meters(internal(self._core)))
            await plain(send, 200, metrics.render(counted, ages))
        elif path == "/":
            links = {name: self._core.settings.public_url + "/" + name for name in self._by_prefix}
            await plain(send, 200, orjson.dumps({"services": links}), "application/json")
        else:
            nothing = {"code": 404, "title": "Not Found", "message": "No service answers here.",
                       "reason": "not_found", "services": sorted(self._by_prefix)}
            await plain(send, 404, orjson.dumps({"error": nothing}), "application/json")


async def plain(send: Send, status: int, body: bytes, kind: str = "text/plain; charset=utf-8") -> None:
    headers = [(b"content-type", kind.encode()), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
