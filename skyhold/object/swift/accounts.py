# SPDX-License-Identifier: Apache-2.0
"""Accounts in Swift's protocol: what a project holds, its containers, what is said of it.

What happens is engine/accounts.py and containers.py. Accounts are neither made nor deleted by anybody: they are
projects.
"""

from __future__ import annotations

from typing import Any

from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.http.routes import Head, Reply, Routes
from skyhold.object import policy
from skyhold.object.engine import accounts, containers
from skyhold.object.logic.listing import Wish
from skyhold.object.swift import heads, listings, replies
from skyhold.object.swift.listings import ListQuery

routes = Routes()


@routes.get(policy.ACCOUNT, policy=policy.SHOW_ACCOUNT, guests=True, query=ListQuery, head=True)
async def show(ctx: Context, project_id: str, query: Any, head: Head) -> Reply:
    """List an account's containers."""
    heads.check(head)
    wish, kind = listings.wish_of(query), listings.kind_of(query, head)
    found, rows = await listings.read_of(ctx, wish)(shown, project_id, wish)
    frame = ("account", heads.ACCOUNT + project_id, "container")
    return await listings.answer(kind, rows, entry, frame, replies.of_account(found))


@routes.head(policy.ACCOUNT, policy=policy.SHOW_ACCOUNT, guests=True, head=True, status=204)
async def show_head(ctx: Context, project_id: str, head: Head) -> Reply:
    """See what an account holds, and its metadata."""
    heads.check(head)
    return replies.done(204, replies.of_account(await ctx.read(accounts.show, project_id)))


@routes.post(policy.ACCOUNT, policy=policy.CHANGE_ACCOUNT, guests=True, head=True, status=204)
async def update(ctx: Context, project_id: str, head: Head) -> Reply:
    """Change an account's metadata."""
    heads.check(head)
    await ctx.write(accounts.update, project_id, heads.account_change(head))
    return replies.done(204)


def shown(tx: Tx, ctx: Context, project_id: str, wish: Wish) -> tuple[accounts.Account, list[Any]]:
    return accounts.show(tx, ctx, project_id), containers.page(tx, ctx, project_id, wish)


def entry(row: Any) -> dict[str, Any]:
    return {
        "name": row.name, "count": row.objects, "bytes": row.bytes_used, "last_modified": listings.iso(row.updated_at)
    }
