# SPDX-License-Identifier: Apache-2.0
"""EC2 keys by their own address: pairs of access and secret for one project, as S3 and EC2 clients use them.

They are credentials of type `ec2` (credentials.py): this is only another way to make and see them, by
their access. Signing in with one is ec2_tokens.py.
"""

from __future__ import annotations

import secrets
from typing import Any

import msgspec

from skyhold.core import errors
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.http.routes import Routes
from skyhold.core.shapes import JsonObject, Page, Shape, collection, envelope, field
from skyhold.identity import links, permits, users
from skyhold.identity.delegation import credentials, making, policy, sealing
from skyhold.identity.delegation.rows import credentials as store
from skyhold.identity.delegation.rows import discard
from skyhold.identity.delegation.tables import CREDENTIALS
from skyhold.identity.shapes import ID

# ---- shape ---------------------------------------------------------------------------------


class KeyCreate(Shape, extra="ignore"):
    tenant_id: str = field(min=1, max=64, pattern=ID)


class Key(Shape):
    user_id: str
    tenant_id: str
    access: str
    secret: str = field(secret=True)
    trust_id: str | None
    links: JsonObject


# ---- routes --------------------------------------------------------------------------------

routes = Routes()
ALL = "/v3/users/{user_id}/credentials/OS-EC2"
AT = ALL + "/{credential_id}"


@routes.get(ALL, policy=policy.EC2_LIST_CREDENTIALS, reply=collection("credentials", Key, links="links"))
async def index(ctx: Context, user_id: str) -> Page:
    """List a user's EC2 keys."""
    return await ctx.read(list_all, user_id)


@routes.post(
    ALL, policy=policy.EC2_CREATE_CREDENTIAL, body=KeyCreate, reply=envelope("credential", Key), status=201
)
async def create(ctx: Context, user_id: str, want: KeyCreate) -> Key:
    """Create an EC2 key."""
    return view(ctx, await ctx.write(insert, user_id, want.tenant_id))


@routes.get(AT, policy=policy.EC2_GET_CREDENTIAL, reply=envelope("credential", Key))
async def show(ctx: Context, user_id: str, access: str) -> Key:
    """Show an EC2 key."""
    return view(ctx, await ctx.read(of_user, user_id, access))


@routes.delete(AT, policy=policy.EC2_DELETE_CREDENTIAL)
async def delete(ctx: Context, user_id: str, access: str) -> None:
    """Delete an EC2 key; tokens made with it are void at once."""
    await ctx.write(remove, user_id, access)


# ---- operations ----------------------------------------------------------------------------


def insert(tx: Tx, ctx: Context, user_id: str, project_id: str) -> Any:
    permits.demand(ctx, policy.EC2_CREATE_CREDENTIAL, {"target.user.id": user_id})
    key = {"access": secrets.token_hex(16), "secret": secrets.token_hex(16)}
    blob = msgspec.json.encode(credentials.bounded(ctx, key)).decode()
    return credentials.add(tx, ctx, user_id, project_id, credentials.EC2, blob, {})


def remove(tx: Tx, ctx: Context, user_id: str, access: str) -> None:
    row = of_user(tx, ctx, user_id, access)
    credentials.permit(tx, ctx, row.type)
    discard(tx, store, row)


# ---- queries -------------------------------------------------------------------------------


def of_user(tx: Tx, ctx: Context, user_id: str, access: str) -> Any:
    """NotFound names the access, whether there is a key or not: its id would tell that there is."""
    id = tx.scalar(CREDENTIALS.select().with_only_columns(CREDENTIALS.c.id).where(
        CREDENTIALS.c.access_hash == credentials.hash_of(access), CREDENTIALS.c.user_id == user_id,
    ))
    try:
        return credentials.get(tx, ctx, id or "")
    except errors.NotFound:
        raise store.not_found(access) from None


def list_all(tx: Tx, ctx: Context, user_id: str) -> Page:
    permits.demand(ctx, policy.EC2_LIST_CREDENTIALS, {"target.user.id": user_id})
    if users.store.find(tx, user_id) is None:
        raise users.store.not_found(user_id)
    rows = store.page(
        tx, ctx, may=policy.LIST_CREDENTIALS, sort=[("id", "asc")],
        filters=[("user_id", "eq", user_id), ("type", "eq", credentials.EC2)],
        where=making.own_or_made_here(ctx, CREDENTIALS),
    )
    path = f"users/{user_id}/credentials/OS-EC2"
    return Page([view(ctx, row) for row in rows], links.of_list(ctx, path))


def view(ctx: Context, row: Any) -> Key:
    blob = msgspec.json.decode(sealing.unseal(ctx, row.blob))
    return Key(
        user_id=row.user_id, tenant_id=row.project_id, access=blob["access"], secret=blob.get("secret", ""),
        trust_id=blob.get("trust_id"),
        links=links.to(ctx, f"users/{row.user_id}/credentials/OS-EC2/{blob['access']}"),
    )
