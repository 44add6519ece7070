# SPDX-License-Identifier: Apache-2.0
"""A client of the real ASGI application, in the test's own process: no socket, same bytes.

Clouds to speak to are made in tests/kit/cloud.py. Every answer is checked for what holds for all
of them: never a 5xx unless the test says so, and of the form that our OpenAPI document says (contract.py).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlencode

import orjson

from tests.kit import contract, secrecy


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return orjson.loads(self.body) if self.body else None


@dataclass
class Client:
    """`token` goes into X-Auth-Token; `version` into OpenStack-API-Version, as `compute 2.96`."""

    app: Callable[..., Awaitable[None]]
    token: str | None = None
    version: str | None = None
    prefix: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    async def get(self, path: str, query: Any = None, **kw: Any) -> Answer:
        return await self.request("GET", path + ("?" + urlencode(query, doseq=True) if query else ""), **kw)

    async def post(self, path: str, body: Any = None, **kw: Any) -> Answer:
        return await self.request("POST", path, body, **kw)

    async def put(self, path: str, body: Any = None, **kw: Any) -> Answer:
        return await self.request("PUT", path, body, **kw)

    async def patch(self, path: str, body: Any = None, **kw: Any) -> Answer:
        return await self.request("PATCH", path, body, **kw)

    async def delete(self, path: str, **kw: Any) -> Answer:
        return await self.request("DELETE", path, **kw)

    async def request(
        self, method: str, path: str, body: Any = None, *, status: int | tuple[int, ...] | None = None,
        headers: dict[str, str] | None = None, content_type: str = "application/json",
    ) -> Answer:
        """`body` is JSON unless it is bytes. `status` asserts; without it anything below 500 will do."""
        raw = body if isinstance(body, bytes) else b"" if body is None else orjson.dumps(body)
        answer = await self._send(method, self.prefix + path, raw, self._headers(headers, raw, content_type))
        wanted = (status,) if isinstance(status, int) else status
        if wanted is not None:
            assert answer.status in wanted, f"{method} {path}: {answer.status} {answer.body[:2000]!r}"
        else:
            assert answer.status < 500, f"{method} {path}: {answer.status} {answer.body[:2000]!r}"
        return answer

    def _headers(self, more: dict[str, str] | None, raw: bytes, kind: str) -> list[tuple[bytes, bytes]]:
        found = {"host": "cloud.test", **self.headers, **(more or {})}
        if self.token:
            found.setdefault("X-Auth-Token", self.token)
        if self.version:
            found.setdefault("OpenStack-API-Version", self.version)
        if raw:
            found.setdefault("content-type", kind)
        found.setdefault("content-length", str(len(raw)))
        return [(name.lower().encode(), value.encode()) for name, value in found.items()]

    async def _send(self, method: str, target: str, raw: bytes, headers: list[tuple[bytes, bytes]]) -> Answer:
        path, _, query = target.partition("?")
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method,
            "scheme": "http", "path": unquote(path), "raw_path": path.encode(), "root_path": "",
            "query_string": query.encode(), "headers": headers, "server": ("cloud.test", 80),
            "client": ("127.0.0.1", 1),
        }
        incoming = [{"type": "http.request", "body": raw, "more_body": False}]
        status, got, parts = 0, {}, []

        async def receive() -> dict[str, Any]:
            return incoming.pop() if incoming else {"type": "http.disconnect"}

        async def send(event: dict[str, Any]) -> None:
            nonlocal status, got
            if event["type"] == "http.response.start":
                status = event["status"]
                got = {name.decode().lower(): value.decode() for name, value in event["headers"]}
            else:
                parts.append(event.get("body", b""))

        secrecy.RUN.passed(headers, raw)
        await self.app(scope, receive, send)
        answer = Answer(status, got, b"".join(parts))
        secrecy.RUN.passed([(name.encode(), value.encode()) for name, value in got.items()], answer.body)
        core = getattr(self.app, "_core", None)
        if core is not None:
            contract.check(
                core.services, method, unquote(path), headers, raw, status, got.get("content-type", ""), answer.body
            )
        return answer
