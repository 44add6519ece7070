# SPDX-License-Identifier: Apache-2.0
"""Telling a host that what a guest may read about itself has changed.

The first telling is part of the boot (sagas/boot.py). A lost one is no harm: it is sent after the
commit, and the loop power_sync tells a host that comes back about all its guests.
"""

from __future__ import annotations

import asyncio
from typing import Any

import structlog

from skyhold.compute.servers import describe
from skyhold.compute.servers.store import on_host
from skyhold.core import context
from skyhold.core.bus import HostUnreachable
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx

log = structlog.get_logger("compute")
SENDING: set[asyncio.Task[None]] = set()


def push_metadata(tx: Tx, ctx: Context, server: Any) -> None:
    """After this commit, send the server's metadata to its host, if it has one."""
    if server.host_id is None:
        return
    core, server_id, host_id, request_id = ctx.core, server.id, server.host_id, ctx.request_id

    def send() -> None:
        task = asyncio.get_running_loop().create_task(
            send_metadata(context.internal(core, request_id), server_id, host_id)
        )
        SENDING.add(task)
        task.add_done_callback(SENDING.discard)

    tx.after_commit(send)


async def send_metadata(ctx: Context, server_id: str, host_id: str) -> None:
    metadata = await ctx.read(describe.metadata, server_id)
    if metadata is None:
        return
    try:
        await ctx.core.bus.call(host_id, "guest.metadata", metadata, request_id=ctx.request_id)
    except HostUnreachable:
        log.info("metadata waits for the host to come back", server=server_id)


async def send_all(ctx: Context, host_id: str) -> None:
    """All guests of a host, for any of them may have changed while it was away. Raises HostUnreachable."""
    for server in await ctx.read(on_host, host_id):
        metadata = await ctx.read(describe.metadata, server.id)
        if metadata is not None:
            await ctx.core.bus.call(host_id, "guest.metadata", metadata, request_id=ctx.request_id)
