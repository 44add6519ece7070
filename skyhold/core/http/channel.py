# SPDX-License-Identifier: Apache-2.0
"""A WebSocket route: who may open it is decided before it is accepted; then the handler converses.

Ordinary requests are core/http/endpoint.py. Browsers can't send headers with a WebSocket, so a
route may be PUBLIC and check a one-time token of its own in the handler.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import falcon.asgi
import structlog

from skyhold.core import errors
from skyhold.core.context import Context
from skyhold.core.http import caller
from skyhold.core.http.endpoint import ANONYMOUS
from skyhold.core.http.routes import Public, Route

if TYPE_CHECKING:
    from skyhold.core.app import Core
    from skyhold.core.service import Service

log = structlog.get_logger("http")

REFUSED = 3000
"""Close codes of a refusal are 3000 and the HTTP status, as Falcon has it."""
BROKEN = 1011


class Channel:
    """The one WebSocket route of a path. The handler is `(ctx, socket, *path parameters)`."""

    def __init__(self, core: Core, service: Service, path: str, routes: Sequence[Route]) -> None:
        self.core, self.service = core, service
        (self.route,) = routes

    async def converse(self, req: falcon.asgi.Request, ws: falcon.asgi.WebSocket, **params: str) -> None:
        ctx = Context(self.core, ANONYMOUS, peer=caller.peer_of(req))
        structlog.contextvars.bind_contextvars(request_id=ctx.request_id)
        try:
            await self._permit(ctx, req)
            await self.route.handler(ctx, ws, *params.values())
        except errors.Error as error:
            log.info("channel refused", path=req.path, error=error.message)
            await ws.close(REFUSED + self.service.dialect.status(error))
        except falcon.WebSocketDisconnected:
            return
        except Exception:
            log.exception("channel failed", path=req.path)
            await ws.close(BROKEN)

    async def _permit(self, ctx: Context, req: falcon.asgi.Request) -> None:
        policy = self.route.policy
        if isinstance(policy, Public):
            return
        ctx.creds = await caller.credentials(self.core, req, caller.certificate_of(self.core, req, ctx.peer))
        ctx.rule = policy
        caller.check_access(ctx.creds, self.service.type, self.service.prefix, "GET", req.path)
        if not self.core.policy.possible(policy.name, ctx.creds):
            raise errors.Forbidden(self.core.policy.explain(policy.name, ctx.creds), rule=policy.name)
