# SPDX-License-Identifier: Apache-2.0
"""Signing in with an access token of OAuth1: the method `oauth1`.

The request for a token is itself signed (signed.py), with the consumer's secret and the access token's. What such
a token then allows is auth/grounds.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from skyhold.core.context import Context
from skyhold.identity.auth.proof import Proof, denied, fresh, limited
from skyhold.identity.auth.subjects import UserView, user_with_id
from skyhold.identity.delegation.oauth1 import signed
from skyhold.identity.delegation.oauth1.signed import Signed
from skyhold.identity.delegation.tables import ACCESS_TOKENS

if TYPE_CHECKING:
    from skyhold.core.db.tx import Tx

NAME = "oauth1"
PATH = "/v3/auth/tokens"


async def prove(ctx: Context, given: Signed | None) -> Proof:
    """Raises Unauthorized, alike whatever is wrong."""
    if given is None:
        raise denied()
    consumer, row, user = await ctx.read(find, given)
    right = signed.is_right(given, signed.secret_of(ctx, consumer), signed.secret_of(ctx, row))
    if not right or consumer is None or row is None or user is None:
        raise denied()
    # The token is real even in a rehearsal, so the nonce is used in one too.
    await Context(ctx.core, ctx.creds, request_id=ctx.request_id).write(signed.use_nonce, given)
    proof = fresh(ctx, user, NAME, access_token_id=row.id)
    return limited(proof, project_id=row.project_id, ends_at=row.expires_at)


def find(tx: Tx, ctx: Context, given: Signed) -> tuple[Any, Any, UserView | None]:
    """The consumer, its access token while that is good, and the user who authorized it."""
    c = ACCESS_TOKENS.c
    row = tx.first(sa.select(*c).where(c.id == given.token_id, c.consumer_id == given.consumer_id))
    if row is not None and row.expires_at is not None and row.expires_at <= ctx.now:
        row = None
    user = None if row is None else user_with_id(tx, row.user_id)
    return signed.consumer(tx, given.consumer_id), row, user
