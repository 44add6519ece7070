# SPDX-License-Identifier: Apache-2.0
"""Containers in Swift's protocol.

What happens is engine/containers.py, who may engine/access.py. A PUT on a container that is there changes it.
"""

from __future__ import annotations

from typing import Any

from skyhold.core.context import Context
from skyhold.core.http.routes import Head, Reply, Routes
from skyhold.object import policy
from skyhold.object.engine import containers, objects
from skyhold.object.logic.bounds import check_container_name
from skyhold.object.swift import heads, listings, replies
from skyhold.object.swift.listings import ObjectQuery

routes = Routes()


@routes.get(policy.CONTAINER, policy=policy.SHOW_CONTAINER, guests=True, query=ObjectQuery, head=True)
async def show(ctx: Context, project_id: str, container: str, query: Any, head: Head) -> Reply:
    """List a container's objects."""
    checked(head, container)
    wish, kind = listings.wish_of(query), listings.kind_of(query, head)
    row, rows = await listings.read_of(ctx, wish)(objects.page, project_id, container, wish, heads.referrer(head))
    return await listings.answer(kind, rows, entry, ("container", container, "object"), replies.of_container(ctx, row))


@routes.head(policy.CONTAINER, policy=policy.SHOW_CONTAINER, guests=True, head=True, status=204)
async def show_head(ctx: Context, project_id: str, container: str, head: Head) -> Reply:
    """See what a container holds, and its metadata."""
    checked(head, container)
    row = await ctx.read(
        containers.reached, project_id, container, policy.SHOW_CONTAINER, listing=True, referrer=heads.referrer(head)
    )
    return replies.done(204, replies.of_container(ctx, row))


@routes.put(policy.CONTAINER, policy=policy.MAKE_CONTAINER, guests=True, head=True, status=201)
async def make(ctx: Context, project_id: str, container: str, head: Head) -> Reply:
    """Make a container, or change one."""
    checked(head, container)
    new = await ctx.write(containers.make, project_id, container, heads.container_change(head))
    return replies.done(201 if new else 202)


@routes.post(policy.CONTAINER, policy=policy.CHANGE_CONTAINER, guests=True, head=True, status=204)
async def update(ctx: Context, project_id: str, container: str, head: Head) -> Reply:
    """Change a container's metadata, who may read or write it, and its quota."""
    checked(head, container)
    await ctx.write(containers.update, project_id, container, heads.container_change(head))
    return replies.done(204)


@routes.delete(policy.CONTAINER, policy=policy.DELETE_CONTAINER, guests=True, head=True)
async def delete(ctx: Context, project_id: str, container: str, head: Head) -> Reply:
    """Delete an empty container."""
    checked(head, container)
    await ctx.write(containers.delete, project_id, container)
    return replies.done(204)


def checked(head: Head, container: str) -> None:
    heads.check(head)
    check_container_name(container)


def entry(row: Any) -> dict[str, Any]:
    return {
        "name": row.name, "hash": row.etag, "bytes": row.size_bytes, "content_type": row.content_type,
        "last_modified": listings.iso(row.updated_at),
    }
