# SPDX-License-Identifier: Apache-2.0
"""Consumers: the programs that OAuth1 knows, each with a secret that it signs with.

What a consumer may do is agreed in dance.py. The secret is shown once and cannot be changed; deleting a
consumer ends everything that was ever agreed with it.
"""

from __future__ import annotations

import secrets
from typing import Any

from skyhold.core import errors, journal
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.http.routes import Routes
from skyhold.core.shapes import ABSENT, Absent, JsonObject, OpenShape, Page, collection, envelope, field
from skyhold.identity import links, permits
from skyhold.identity.delegation import policy, sealing
from skyhold.identity.delegation.rows import consumers as store
from skyhold.identity.delegation.rows import discard
from skyhold.identity.listing import ListQuery, page
from skyhold.identity.shapes import extra_of

# ---- shape ---------------------------------------------------------------------------------


class ConsumerWish(OpenShape):
    description: str | Absent | None = field(optional=True, max=65_536)
    secret: str | Absent = field(optional=True, secret=True)


class ConsumerChange(ConsumerWish, min_fields=1):
    """The same fields; at least one of them."""


class Consumer(OpenShape):
    id: str
    description: str | None
    secret: str | Absent = field(optional=True, secret=True)
    links: JsonObject


# ---- routes --------------------------------------------------------------------------------

routes = Routes()
ALL = "/v3/OS-OAUTH1/consumers"
AT = ALL + "/{consumer_id}"
ONE = envelope("consumer", Consumer)


@routes.get(
    ALL, policy=policy.LIST_CONSUMERS, query=ListQuery, reply=collection("consumers", Consumer, links="links")
)
async def index(ctx: Context, query: ListQuery) -> Page:
    """List consumers."""
    return await ctx.read(list_page, query)


@routes.post(ALL, policy=policy.CREATE_CONSUMER, body=envelope("consumer", ConsumerWish), reply=ONE, status=201)
async def create(ctx: Context, want: ConsumerWish) -> Consumer:
    """Create a consumer; its secret is shown this once."""
    secret = secrets.token_hex(32)
    return view(ctx, await ctx.write(insert, want, secret), secret)


@routes.get(AT, policy=policy.GET_CONSUMER, reply=ONE)
async def show(ctx: Context, consumer_id: str) -> Consumer:
    """Show a consumer."""
    return view(ctx, await ctx.read(store.get, consumer_id))


@routes.patch(AT, policy=policy.UPDATE_CONSUMER, body=envelope("consumer", ConsumerChange), reply=ONE)
async def update(ctx: Context, consumer_id: str, want: ConsumerChange) -> Consumer:
    """Change a consumer's description."""
    return view(ctx, await ctx.write(change, consumer_id, want))


@routes.delete(AT, policy=policy.DELETE_CONSUMER)
async def delete(ctx: Context, consumer_id: str) -> None:
    """Delete a consumer; its tokens are void at once."""
    await ctx.write(remove, consumer_id)


# ---- operations ----------------------------------------------------------------------------


def insert(tx: Tx, ctx: Context, want: ConsumerWish, secret: str) -> Any:
    refuse_secret(want)
    row = store.insert(
        tx, id=permits.hex_id(ctx), description=None if want.description is ABSENT else want.description,
        secret=sealing.seal(ctx, secret), extra=extra_of(want),
    )
    journal.record(tx, "consumer.create", row)
    return row


def change(tx: Tx, ctx: Context, consumer_id: str, want: ConsumerChange) -> Any:
    refuse_secret(want)
    row = store.get(tx, ctx, consumer_id)
    description = row.description if want.description is ABSENT else want.description
    row = store.update(tx, row, description=description, extra=row.extra | extra_of(want))
    journal.record(tx, "consumer.update", row)
    return row


def refuse_secret(want: ConsumerWish) -> None:
    if want.secret is not ABSENT:
        raise errors.Invalid("Consumer secret cannot be updated: it is made once, and by us.", reason="secret")


def remove(tx: Tx, ctx: Context, consumer_id: str) -> None:
    """Its request and access tokens go along: foreign keys say so."""
    discard(tx, store, store.get(tx, ctx, consumer_id))


# ---- queries -------------------------------------------------------------------------------


def list_page(tx: Tx, ctx: Context, query: ListQuery) -> Page:
    return page(tx, ctx, store, query, "OS-OAUTH1/consumers", view)


def view(ctx: Context, row: Any, secret: str | None = None) -> Consumer:
    return Consumer(
        id=row.id, description=row.description, secret=secret or ABSENT,
        links=links.to(ctx, f"OS-OAUTH1/consumers/{row.id}"), extra=row.extra,
    )
