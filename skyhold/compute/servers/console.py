# SPDX-License-Identifier: Apache-2.0
"""The console log of a server, read from its host when asked.

Interactive consoles are another matter and not here. Nothing is kept: the log is the host's file.
"""

from __future__ import annotations

from skyhold.compute.drivers.base import ConsoleRequest
from skyhold.compute.servers.store import SERVERS_STORE
from skyhold.core import errors
from skyhold.core.bus import Failed, HostUnreachable, Working
from skyhold.core.context import Context


async def read(ctx: Context, server_id: str, lines: int | None) -> str:
    """Raises Conflict for a server without a guest, Unavailable when its host doesn't answer."""
    server = await ctx.read(SERVERS_STORE.get, server_id)
    if server.host_id is None:
        raise errors.Conflict(f"Instance {server_id} is not ready: it has no console yet.")
    wanted = None if lines is None or lines < 0 else lines
    try:
        answer = await ctx.core.bus.call(
            server.host_id, "guest.console", ConsoleRequest(guest_id=server_id, lines=wanted),
            request_id=ctx.request_id,
        )
    except HostUnreachable:
        raise errors.Unavailable("The server's host does not answer; try again when it is back.") from None
    if isinstance(answer, Working):
        raise errors.Unavailable("The server's host is busy; try again.")
    if isinstance(answer, Failed):
        raise errors.Conflict(f"Instance {server_id} has no console now: {answer.text}")
    text: str = answer.text
    return text
