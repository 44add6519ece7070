# SPDX-License-Identifier: Apache-2.0
"""One endpoint: everything that happens between a parsed request and its answer, in order.

Routes are declared with core/http/routes.py and mounted by core/http/mount.py. Look-ups that can
be made at start are made there; what is left per request are dictionary look-ups, and
validators that are compiled when first used.
"""

from __future__ import annotations

import errno
import re
import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import TYPE_CHECKING, Any, cast

import falcon
import falcon.asgi
import orjson
import structlog
from prometheus_client import Counter

from skyhold.core import errors, metrics, shapes
from skyhold.core.context import Context, Credentials, new_request_id
from skyhold.core.db.engine import full
from skyhold.core.http import caller
from skyhold.core.http.body import CONNECTED, WELCOME, read_json, stream_of, while_connected
from skyhold.core.http.dialect import Dialect
from skyhold.core.http.routes import Head, Public, Reply, Route
from skyhold.core.versions import Version

if TYPE_CHECKING:
    from skyhold.core.app import Core
    from skyhold.core.service import Service

log = structlog.get_logger("http")

ANONYMOUS = Credentials()
SLOW_S = 1.0
FULL = (errno.ENOSPC, errno.EDQUOT)
REQUEST_ID = re.compile(r"req-[0-9a-fA-F-]{36}")


class Endpoint:
    """All routes of one path and method: they differ in microversion or in the action's key."""

    def __init__(self, core: Core, service: Service, path: str, routes: Sequence[Route]) -> None:
        self.core = core
        self.service = service
        self.path = path
        self.routes = routes
        self.public = all(isinstance(route.policy, Public) for route in routes)
        self.guests = all(route.guests for route in routes)
        self.by_action = routes[0].action is not None
        self._chosen: dict[Version, list[Route]] = {}
        self._readers: dict[tuple[int, Version], Callable[..., Any]] = {}
        self._writers: dict[tuple[int, Version], Callable[..., Any]] = {}
        self._latency = metrics.LATENCY.labels(service.name, path)
        self._answered: dict[tuple[str, int], Counter] = {}

    async def respond(self, req: falcon.asgi.Request, resp: falcon.asgi.Response, **params: str) -> None:
        """Authenticate, negotiate the version, choose the route, check its policy, read the body,
        call the handler, write the answer; every error in the service's dialect."""
        started = time.perf_counter()
        request_id = new_request_id()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        ctx = Context(
            self.core, ANONYMOUS, request_id=request_id,
            global_request_id=global_request_id(req), peer=caller.peer_of(req),
        )
        ctx.certificate = caller.certificate_of(self.core, req, ctx.peer)
        try:
            ctx.dry_run = is_rehearsal(req)
            if "\0" in req.path:
                # PostgreSQL's texts can't hold one, so nothing has such a name.
                raise errors.NotFound("There is nothing whose name has a NUL character.")
            if not self.public:
                ctx.creds = await self._identify(req, ctx.certificate)
            ctx.version = self.service.versions.negotiate(version_headers(self.service, req))
            for name, value in self.service.versions.response_headers(ctx.version):
                resp.set_header(name, value)
            body: Any = None
            if self.by_action:
                body = await read_json(req, self.core.settings.http)
            route = self._choose(ctx.version, body)
            self._permit(ctx, route, req)
            answer = await self._call(ctx, route, req, params, body)
            await self._write(ctx, route, resp, answer)
            if resp.stream is not None and (connected := req.scope.get(CONNECTED)) is not None:
                welcome = req.scope[WELCOME] if isinstance(answer, Reply) and answer.endless else connected
                resp.stream = while_connected(cast(AsyncIterator[bytes], resp.stream), connected, welcome)
        except errors.Error as error:
            write_error(self.core, self.service.dialect, resp, error, ctx)
        except falcon.HTTPError as error:
            write_error(self.core, self.service.dialect, resp, translate(req, error), ctx)
        except Exception as error:
            log.exception("request failed", path=req.path, method=req.method)
            seen = full("state directory") if isinstance(error, OSError) and error.errno in FULL else None
            write_error(self.core, self.service.dialect, resp, seen or unexpected(request_id), ctx)
        self._finish(req, resp, ctx, time.perf_counter() - started)

    async def _identify(self, req: falcon.asgi.Request, certificate: bytes | None) -> Credentials:
        try:
            return await caller.credentials(self.core, req, certificate)
        except errors.Unauthorized:
            if self.guests:
                return ANONYMOUS
            raise

    def _choose(self, version: Version, body: Any) -> Route:
        routes = self._chosen.get(version)
        if routes is None:
            routes = [route for route in self.routes if route.since <= version <= route.until]
            self._chosen[version] = routes
        if not self.by_action and routes:
            return routes[0]
        if self.by_action:
            if not isinstance(body, dict) or not body:
                raise errors.Invalid("The body must be an object with one action as its key.")
            for route in routes:
                if route.action in body:
                    if len(body) > 1:
                        raise errors.Invalid("Multiple actions in one request: send one at a time.")
                    return route
            raise errors.Invalid(
                f"There is no such action: {', '.join(map(str, body))[:100]}", reason="unknown_action"
            )
        raise errors.NotFound(f"{self.path} is not part of version {version} of this API.")

    def _permit(self, ctx: Context, route: Route, req: falcon.asgi.Request) -> None:
        """The route's rule decides on roles and scope; look-ups decide on the target."""
        if isinstance(route.policy, Public):
            return
        ctx.rule = route.policy
        caller.check_access(ctx.creds, self.service.type, self.service.prefix, req.method, req.path)
        if route.guests:
            return
        if not self.core.policy.possible(route.policy.name, ctx.creds):
            raise errors.Forbidden(
                self.core.policy.explain(route.policy.name, ctx.creds), rule=route.policy.name
            )

    async def _call(
        self, ctx: Context, route: Route, req: falcon.asgi.Request, params: dict[str, str], body: Any
    ) -> Any:
        arguments: list[Any] = list(params.values())
        if route.body is not None:
            if not self.by_action:
                body = await read_json(req, self.core.settings.http, route.media)
            value = body[route.action] if self.by_action else body
            arguments.append(self._reader(route, route.body, ctx.version)(value))
        if route.query is not None:
            pairs = falcon_pairs(req)
            arguments.append(self._query_reader(route, ctx.version)(pairs))
        if route.headers:
            arguments.append({name: req.get_header(name) for name in route.headers})
        if route.head:
            arguments.append(Head(req.method, req.scope["raw_path"], req.headers, falcon_pairs(req)))
        if route.stream:
            if ctx.dry_run:
                raise errors.Invalid("A streamed body can't be rehearsed: leave X-Dry-Run out.")
            # Whoever has shown a token may send for hours while it moves, nobody else.
            nobody = not ctx.creds.user_id
            arguments.append(stream_of(req, self.core.settings.http.slow_client_timeout_s, all_of_it=nobody))
        return await route.handler(ctx, *arguments)

    def _reader(self, route: Route, spec: Any, version: Version) -> Callable[..., Any]:
        key = (id(route), version)
        reader = self._readers.get(key)
        if reader is None:
            reader = self._readers[key] = shapes.reader(spec, version)
        return reader

    def _query_reader(self, route: Route, version: Version) -> Callable[..., Any]:
        key = (-id(route), version)
        reader = self._readers.get(key)
        if reader is None:
            strict = self.service.strict_query_since is not None and version >= self.service.strict_query_since
            reader = self._readers[key] = shapes.query_reader(route.query, version, strict)
        return reader

    async def _write(self, ctx: Context, route: Route, resp: falcon.asgi.Response, answer: Any) -> None:
        status = route.status
        if isinstance(answer, Reply):
            for name, value in answer.headers.items():
                # Falcon has a cookie's header only appended: there may be several.
                (resp.append_header if name == "Set-Cookie" else resp.set_header)(name, value)
            status = answer.status or status
            if answer.content_type:
                resp.content_type = answer.content_type
            if hasattr(answer.body, "__aiter__"):
                resp.stream = answer.body
                if answer.length is not None:
                    resp.content_length = answer.length
                resp.status = falcon.code_to_http_status(status)
                return
            if answer.body is None and answer.length is not None:
                resp.content_length = answer.length
            answer = answer.body
        resp.status = falcon.code_to_http_status(status)
        if answer is None:
            return
        if isinstance(answer, bytes):
            resp.data = answer
            return
        resp.data = orjson.dumps(self._render(ctx, route, answer))
        resp.content_type = resp.content_type or "application/json"

    def _render(self, ctx: Context, route: Route, answer: Any) -> Any:
        if route.reply is None:
            return answer
        key = (id(route), ctx.version)
        writer = self._writers.get(key)
        if writer is None:
            writer = self._writers[key] = shapes.writer(route.reply, ctx.version)
        return writer(answer, Allowed(self.core, ctx.creds).__getitem__)

    def _finish(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, ctx: Context, seconds: float
    ) -> None:
        set_request_id(self.service, resp, ctx.request_id)
        self._latency.observe(seconds)
        status = resp.status_code
        self._count(req.method, status)
        if status >= 400 or seconds > SLOW_S or req.method not in ("GET", "HEAD"):
            log.info(
                "request", service=self.service.name, method=req.method, path=req.path, status=status,
                ms=round(seconds * 1e3, 2), user=ctx.user_id, project=ctx.project_id,
                global_request_id=ctx.global_request_id,
            )

    def _count(self, method: str, status: int) -> None:
        counter = self._answered.get((method, status))
        if counter is None:
            counter = metrics.REQUESTS.labels(self.service.name, self.path, method, str(status))
            self._answered[method, status] = counter
        counter.inc()


class Allowed(dict[str, bool]):
    """What the caller may, by rule: asked once an answer, however many rows it has."""

    def __init__(self, core: Core, creds: Credentials) -> None:
        self._policy, self._creds = core.policy, creds

    def __missing__(self, rule: str) -> bool:
        answer = self[rule] = self._policy.allows(rule, self._creds)
        return answer


def unexpected(request_id: str) -> errors.Error:
    return errors.Error(
        f"Something went wrong on our side. The operator finds it in the log under {request_id}.",
        reason="internal",
    )


def write_error(
    core: Core, dialect: Dialect, resp: falcon.asgi.Response, error: errors.Error, ctx: Context
) -> None:
    status = dialect.status(error)
    resp.status = falcon.code_to_http_status(status)
    resp.stream = None
    resp.content_type, resp.data = dialect.printed(error, status, ctx.request_id)
    for name, value in dialect.headers(error, core.settings.public_url).items():
        resp.set_header(name, value)


def translate(req: falcon.asgi.Request, ex: falcon.HTTPError) -> errors.Error:
    """What Falcon found wrong (no such path, wrong method, a malformed header), as ours."""
    if isinstance(ex, falcon.HTTPMethodNotAllowed):
        allowed = str((ex.headers or {}).get("Allow", "")).split(", ")  # type: ignore[union-attr]
        return errors.NotAllowed(f"{req.method} is not something {req.path} does.", allowed=allowed)
    if isinstance(ex, falcon.HTTPNotFound):
        return errors.NotFound(f"There is nothing at {req.path[:200]}.")
    return errors.Invalid(ex.description or ex.title or "The request can't be understood.")


def is_rehearsal(req: falcon.asgi.Request) -> bool:
    """What is no plain yes or no is refused: it must not become the real thing."""
    given = req.get_header("X-Dry-Run")
    if given is None or given.lower() in ("false", "0"):
        return False
    if given.lower() in ("true", "1"):
        return True
    raise errors.Invalid("X-Dry-Run is either true or false.", reason="dry_run")


def global_request_id(req: falcon.asgi.Request) -> str | None:
    """The caller's own id, when it looks like one: it goes into every log line."""
    given = req.get_header("X-OpenStack-Request-ID")
    return given if given is not None and REQUEST_ID.fullmatch(given) else None


def set_request_id(service: Service, resp: falcon.asgi.Response, request_id: str) -> None:
    resp.set_header("X-Openstack-Request-Id", request_id)
    if service.request_id_header:
        resp.set_header(service.request_id_header, service.request_id_form(request_id))


def version_headers(service: Service, req: falcon.asgi.Request) -> dict[str, str]:
    found = {}
    for name in service.version_headers:
        value = req.get_header(name)
        if value is not None:
            found[name] = value
    return found


def falcon_pairs(req: falcon.asgi.Request) -> list[tuple[str, str]]:
    pairs: list[tuple[str, str]] = []
    for name, value in req.params.items():
        pairs += [(name, item) for item in value] if isinstance(value, list) else [(name, value)]
    return pairs
