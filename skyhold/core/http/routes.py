# SPDX-License-Identifier: Apache-2.0
"""Routes as data: what a resource's api.py declares with decorators.

How a request is answered by them is core/http/endpoint.py. A handler is a coroutine function
`(ctx, *path parameters, [want], [query], [headers], [head], [stream])` and makes no decision: it calls `ctx.read`
or `ctx.write` with an operation. A route without a policy can't be written down.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from skyhold.core.blobs.base import Piece
from skyhold.core.policy.rules import Rule
from skyhold.core.versions import Version

Handler = Callable[..., Coroutine[Any, Any, Any]]
H = TypeVar("H", bound=Handler)

FIRST = Version(0, 0)
LAST = Version(999_999, 999_999)


WEBSOCKET = "WEBSOCKET"
"""Stands for the method of a route that is a conversation (core/http/channel.py)."""


class Public:
    """The policy of what anybody may ask without credentials: discovery, asking for a token."""


PUBLIC = Public()


@dataclass(slots=True)
class Reply:
    """An answer beyond the ordinary: a status, headers, or a body that is streamed.

    `body` is a wire-form object for the route's reply, ready bytes, an async iterator of chunks
    of at most 1 MiB (then give `length` if known), or None; with `length` it answers a HEAD.
    """

    body: Any = None
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    length: int | None = None
    content_type: str | None = None
    endless: bool = False
    """A streamed body that ends when the client goes or the server stops; chunks may be empty, to ask."""


@dataclass(slots=True)
class Stream:
    """The raw body of a request, for routes declared `stream=True`.

    A chunk is lent: its bytes are others once the one after the next is asked for. Who keeps it makes a copy.
    """

    chunks: AsyncIterator[Piece]
    length: int | None
    content_type: str
    headers: Mapping[str, str]


@dataclass(slots=True)
class Head:
    """A request without its body, for routes declared `head=True`: APIs that say most things in headers.

    Names of headers are lower case, values are as they came, read as Latin-1. `path` is still percent-encoded and has
    the service's prefix, `queries` are names and texts.
    """

    method: str
    path: bytes
    headers: Mapping[str, str]
    queries: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    method: str
    path: str
    handler: Handler
    policy: Rule | Public
    body: Any = None
    reply: Any = None
    query: Any = None
    status: int = 200
    since: Version = FIRST
    until: Version = LAST
    action: str | None = None
    stream: bool = False
    headers: tuple[str, ...] = ()
    """Request headers that the handler needs: it gets a dict of them, None for those not sent."""
    head: bool = False
    guests: bool = False
    """A list that the resource keeps may let in whom the rule doesn't, even somebody without credentials: the look-up
    decides, by the rule and that list. A token that is no good counts as none."""
    media: tuple[str, ...] = ("application/json",)
    wants: bool = False

    @property
    def summary(self) -> str:
        return (self.handler.__doc__ or self.handler.__name__).strip().splitlines()[0]


class Routes:
    """The routes of one resource, in the order written."""

    def __init__(self) -> None:
        self.all: list[Route] = []

    def _add(self, method: str, path: str, policy: Rule | Public, options: dict[str, Any]) -> Callable[[H], H]:
        if not isinstance(policy, Rule | Public):
            raise TypeError(f"{method} {path} needs a policy rule, or PUBLIC")
        options = {name: Version.parse(v) if name in ("since", "until") else v for name, v in options.items()}

        def keep(handler: H) -> H:
            self.all.append(Route(method=method, path=path, handler=handler, policy=policy, **options))
            return handler

        return keep

    def get(self, path: str, *, policy: Rule | Public, **options: Any) -> Callable[[H], H]:
        return self._add("GET", path, policy, options)

    def head(self, path: str, *, policy: Rule | Public, **options: Any) -> Callable[[H], H]:
        return self._add("HEAD", path, policy, options)

    def post(self, path: str, *, policy: Rule | Public, **options: Any) -> Callable[[H], H]:
        return self._add("POST", path, policy, options)

    def put(self, path: str, *, policy: Rule | Public, **options: Any) -> Callable[[H], H]:
        return self._add("PUT", path, policy, options)

    def copy(self, path: str, *, policy: Rule | Public, **options: Any) -> Callable[[H], H]:
        """WebDAV's method, which OpenAPI has no word for."""
        return self._add("COPY", path, policy, options)

    def patch(self, path: str, *, policy: Rule | Public, **options: Any) -> Callable[[H], H]:
        return self._add("PATCH", path, policy, options)

    def delete(self, path: str, *, policy: Rule | Public, **options: Any) -> Callable[[H], H]:
        return self._add("DELETE", path, policy, {"status": 204} | options)

    def action(self, path: str, key: str, *, policy: Rule | Public, **options: Any) -> Callable[[H], H]:
        """A POST whose body is `{key: …}`: the value is what the body's shape reads."""
        return self._add("POST", path, policy, {"status": 202, "action": key} | options)

    def websocket(self, path: str, *, policy: Rule | Public) -> Callable[[H], H]:
        """A WebSocket; the handler takes `(ctx, socket, *path parameters)` and accepts it."""
        return self._add(WEBSOCKET, path, policy, {"status": 101})
