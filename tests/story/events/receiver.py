# SPDX-License-Identifier: Apache-2.0
"""The other side of a webhook: a real HTTP server that keeps what it got and answers as it is told.

Who sends is skyhold/events/loops/deliver.py. It checks each signature as docs/howto/receive-webhooks.md
tells a receiver to.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson
from aiohttp import web

from tests.kit.patience import PATIENCE_S

SECRET = "a secret of the receiver's"


@dataclass
class Receiver:
    """`statuses` are answered first, one a delivery, then 204; `seen` are (position, event)."""

    url: str = ""
    statuses: list[int] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    seen: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    refused: list[int] = field(default_factory=list)
    times_s: list[float] = field(default_factory=list)

    async def take(self, request: web.Request) -> web.Response:
        body = await request.read()
        stamp = request.headers["Skyhold-Timestamp"]
        expected = hmac.new(SECRET.encode(), stamp.encode() + b"." + body, hashlib.sha256).hexdigest()
        assert hmac.compare_digest(request.headers["Skyhold-Signature"], "v1=" + expected)
        event = orjson.loads(body)["event"]
        position = int(request.headers["Skyhold-Event"])
        assert event["position"] == position
        self.times_s.append(asyncio.get_running_loop().time())
        if self.statuses:
            status = self.statuses.pop(0)
            self.refused.append(position)
            return web.Response(status=status, headers=self.headers)
        self.seen.append((position, event))
        return web.Response(status=204)

    async def heard(self, count: int, within_s: float = PATIENCE_S) -> list[dict[str, Any]]:
        """The first `count` events, as soon as they are here."""
        async with asyncio.timeout(within_s):
            while len(self.seen) < count:
                await asyncio.sleep(0.01)
        return [event for _, event in self.seen]


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    app = web.Application()
    app.router.add_post("/hook", receiver.take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
    receiver.url = f"http://127.0.0.1:{port}/hook"
    try:
        yield receiver
    finally:
        await runner.cleanup()
