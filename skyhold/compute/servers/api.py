# SPDX-License-Identifier: Apache-2.0
"""The routes of servers.

Decisions are ops.py, lists lists.py, wire forms shape.py; actions that change what a guest does
are actions.py beside this file. No decision is made here.
"""

from __future__ import annotations

import secrets
from typing import Any

from skyhold.compute import policy
from skyhold.compute.servers import lists, ops, shape, store, views
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.http.routes import Reply, Routes
from skyhold.core.shapes import Page

SERVERS = "/v2.1/servers"
SERVER = "/v2.1/servers/{server_id}"

routes = Routes()


@routes.get(SERVERS, policy=policy.SERVERS_INDEX, query=shape.ServerQuery, reply=shape.BRIEF)
async def index(ctx: Context, query: shape.ServerQuery) -> Page:
    """List servers."""
    return await ctx.read(lists.briefs, query)


@routes.get(SERVERS + "/detail", policy=policy.SERVERS_DETAIL, query=shape.ServerQuery, reply=shape.DETAIL)
async def detail(ctx: Context, query: shape.ServerQuery) -> Page:
    """List servers with details."""
    return await ctx.read(lists.details, query)


@routes.post(SERVERS, policy=policy.SERVERS_CREATE, body=shape.CREATE, status=202)
async def create(ctx: Context, want: shape.ServerCreate) -> Reply:
    """Create one server, or several alike."""
    rows = await ctx.write(ops.create, want)
    if want.return_reservation_id:
        return Reply({"reservation_id": rows[0].reservation_id})
    first = rows[0]
    answer = {
        "id": first.id,
        "links": views.links(ctx, "servers", first.id),
        "OS-DCF:diskConfig": first.disk_config,
        "security_groups": [{"name": group.name} for group in want.security_groups] or [{"name": "default"}],
        "adminPass": want.admin_pass or secrets.token_urlsafe(9),
    }
    return Reply({"server": answer}, headers={"Location": answer["links"][0]["href"]})


@routes.get(SERVER, policy=policy.SERVERS_SHOW, reply=shape.ONE)
async def show(ctx: Context, server_id: str) -> shape.Server:
    """Show a server."""
    return await ctx.read(show_one, server_id)


@routes.put(SERVER, policy=policy.SERVERS_UPDATE, body=shape.UPDATE, reply=shape.ONE)
async def update(ctx: Context, server_id: str, want: shape.ServerUpdate) -> shape.Server:
    """Update a server's name, description, addresses or hostname."""
    await ctx.write(ops.update, server_id, want)
    return await ctx.read(show_one, server_id)


@routes.delete(SERVER, policy=policy.SERVERS_DELETE)
async def delete(ctx: Context, server_id: str) -> None:
    """Delete a server."""
    await ctx.write(ops.delete, server_id)


def show_one(tx: Tx, ctx: Context, server_id: str) -> Any:
    return views.full(tx, ctx, [store.SERVERS_STORE.get(tx, ctx, server_id)])[0]
