# SPDX-License-Identifier: Apache-2.0
"""Access tokens of OAuth1: what a user let consumers do, to be seen and taken back.

They come about in dance.py and are used in signing_in.py. Secrets are never shown again.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from skyhold.core import errors
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.http.routes import Routes
from skyhold.core.shapes import JsonObject, Page, Shape, TimeMicrosZ, collection, envelope
from skyhold.identity import links, roles, users
from skyhold.identity.delegation import policy
from skyhold.identity.delegation.rows import access_tokens as store
from skyhold.identity.delegation.rows import discard
from skyhold.identity.delegation.tables import ACCESS_TOKENS
from skyhold.identity.listing import ListQuery, page
from skyhold.identity.tables import ROLES

# ---- shape ---------------------------------------------------------------------------------


class AccessToken(Shape):
    id: str
    consumer_id: str
    project_id: str
    authorizing_user_id: str
    issued_at: TimeMicrosZ
    expires_at: TimeMicrosZ | None
    links: JsonObject


# ---- routes --------------------------------------------------------------------------------

routes = Routes()
ALL = "/v3/users/{user_id}/OS-OAUTH1/access_tokens"
AT = ALL + "/{access_token_id}"


@routes.get(
    ALL, policy=policy.LIST_ACCESS_TOKENS, query=ListQuery,
    reply=collection("access_tokens", AccessToken, links="links"),
)
async def index(ctx: Context, user_id: str, query: ListQuery) -> Page:
    """List the access tokens that a user authorized."""
    return await ctx.read(list_page, user_id, query)


@routes.get(AT, policy=policy.GET_ACCESS_TOKEN, reply=envelope("access_token", AccessToken))
async def show(ctx: Context, user_id: str, id: str) -> AccessToken:
    """Show an access token."""
    return view(ctx, await ctx.read(of_user, user_id, id))


@routes.delete(AT, policy=policy.DELETE_ACCESS_TOKEN)
async def delete(ctx: Context, user_id: str, id: str) -> None:
    """Take an access token back; what was made with it is void at once."""
    await ctx.write(remove, user_id, id)


@routes.get(AT + "/roles", policy=policy.LIST_ACCESS_TOKEN_ROLES, reply=roles.MANY)
async def list_roles(ctx: Context, user_id: str, id: str) -> Page:
    """List the roles that an access token gives."""
    found = await ctx.read(role_rows, user_id, id)
    path = f"users/{user_id}/OS-OAUTH1/access_tokens/{id}/roles"
    return Page([roles.view(ctx, row) for row in found], links.of_list(ctx, path))


@routes.get(AT + "/roles/{role_id}", policy=policy.GET_ACCESS_TOKEN_ROLE, reply=roles.ONE)
async def show_role(ctx: Context, user_id: str, id: str, role_id: str) -> roles.Role:
    """Show a role that an access token gives."""
    found = [row for row in await ctx.read(role_rows, user_id, id) if row.id == role_id]
    if not found:
        raise errors.NotFound(f"Could not find role: {role_id} is not given by this token.", kind="role", id=role_id)
    return roles.view(ctx, found[0])


# ---- operations ----------------------------------------------------------------------------


def remove(tx: Tx, ctx: Context, user_id: str, id: str) -> None:
    discard(tx, store, of_user(tx, ctx, user_id, id))


# ---- queries -------------------------------------------------------------------------------


def of_user(tx: Tx, ctx: Context, user_id: str, id: str) -> Any:
    row = store.get(tx, ctx, id)
    if row.user_id != user_id:
        raise store.not_found(id)
    return row


def role_rows(tx: Tx, ctx: Context, user_id: str, id: str) -> list[Any]:
    row = of_user(tx, ctx, user_id, id)
    found = tx.all(sa.select(*ROLES.c).where(ROLES.c.id.in_(row.roles)).order_by(ROLES.c.id))
    return [roles.store.Row._make(each) for each in found]


def list_page(tx: Tx, ctx: Context, user_id: str, query: ListQuery) -> Page:
    if users.store.find(tx, user_id) is None:
        raise users.store.not_found(user_id)
    path = f"users/{user_id}/OS-OAUTH1/access_tokens"
    return page(tx, ctx, store, query, path, view, where=[ACCESS_TOKENS.c.user_id == user_id])


def view(ctx: Context, row: Any) -> AccessToken:
    path = f"users/{row.user_id}/OS-OAUTH1/access_tokens/{row.id}"
    return AccessToken(
        id=row.id, consumer_id=row.consumer_id, project_id=row.project_id, authorizing_user_id=row.user_id,
        issued_at=row.created_at, expires_at=row.expires_at,
        links={**links.to(ctx, path), "roles": links.to(ctx, path + "/roles")["self"]},
    )
