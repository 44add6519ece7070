# SPDX-License-Identifier: Apache-2.0
"""Ports over HTTP. No decision is made here: that is ports/ops.py."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from skyhold.core import errors
from skyhold.core.context import Context
from skyhold.core.http.routes import Reply, Routes
from skyhold.core.shapes import bulk, collection, envelope
from skyhold.core.store import like_escape
from skyhold.network import policy
from skyhold.network.answers import Collection, Query
from skyhold.network.ports import ops, store
from skyhold.network.ports.shape import Port, PortChange, PortCreate
from skyhold.network.tables import ADDRESSES, PORT_GROUPS, PORTS
from skyhold.network.writing import IF_MATCH

routes = Routes()


@routes.get("/v2.0/ports", policy=policy.GET_PORT, query=Query, reply=collection("ports", Port, links="ports_links"))
async def index(ctx: Context, query: Query) -> Reply:
    """List ports."""
    return await PORT.index(ctx, query)


@routes.post("/v2.0/ports", policy=policy.CREATE_PORT, body=bulk("port", "ports", PortCreate),
             reply=bulk("port", "ports", Port), status=201)
async def create(ctx: Context, want: PortCreate | list[PortCreate]) -> Reply:
    """Create a port, or several at once."""
    return PORT.made(ctx, await ctx.write(ops.insert_all, want))


@routes.get("/v2.0/ports/{port_id}", policy=policy.GET_PORT, query=Query, reply=envelope("port", Port))
async def show(ctx: Context, id: str, query: Query) -> Reply:
    """Show a port."""
    return PORT.show(ctx, await ctx.read(PORT.get, id), query)


@routes.put("/v2.0/ports/{port_id}", policy=policy.UPDATE_PORT, body=envelope("port", PortChange),
            reply=envelope("port", Port), headers=IF_MATCH)
async def update(ctx: Context, id: str, want: PortChange, headers: dict[str, str | None]) -> Reply:
    """Change a port."""
    return PORT.show(ctx, await ctx.write(ops.change, id, want, headers))


@routes.delete("/v2.0/ports/{port_id}", policy=policy.DELETE_PORT, headers=IF_MATCH)
async def delete(ctx: Context, id: str, headers: dict[str, str | None]) -> None:
    """Delete a port."""
    await ctx.write(ops.remove, id, headers)


# ---- filters -------------------------------------------------------------------------------


def by_fixed_ips(texts: list[str]) -> Any:
    """`ip_address=10.0.0.5`, `subnet_id=…`, `ip_address_substr=0.0.`; addresses and subnets each mean any of."""
    asked: dict[str, list[str]] = {}
    for text in texts:
        name, _, value = text.partition("=")
        if name not in ("ip_address", "subnet_id", "ip_address_substr"):
            raise errors.Invalid(f"Invalid filter fixed_ips={text[:80]}: it must read ip_address=… or subnet_id=….")
        asked.setdefault(name, []).append(value)
    clauses: list[sa.ColumnElement[bool]] = []
    if "ip_address" in asked:
        clauses.append(ADDRESSES.c.ip.in_(asked["ip_address"]))
    if "subnet_id" in asked:
        clauses.append(ADDRESSES.c.subnet_id.in_(asked["subnet_id"]))
    if "ip_address_substr" in asked:
        parts = [ADDRESSES.c.ip.like(f"%{like_escape(part)}%", escape="\\") for part in asked["ip_address_substr"]]
        clauses.append(sa.or_(*parts))
    return PORTS.c.id.in_(sa.select(ADDRESSES.c.port_id).where(*clauses))


def by_groups(texts: list[str]) -> Any:
    return PORTS.c.id.in_(sa.select(PORT_GROUPS.c.port_id).where(PORT_GROUPS.c.group_id.in_(texts)))


PORT = Collection(
    "port", "ports", "ports", Port, store.store, store.dress,
    special={"fixed_ips": by_fixed_ips, "security_groups": by_groups},
)
