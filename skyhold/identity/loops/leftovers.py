# SPDX-License-Identifier: Apache-2.0
"""Keeps true: nothing is kept of delegations that ended by themselves long enough ago.

Those that somebody ends are cleared away as that happens (delegation/rows.py). A trust that is used up stays
for as long as tokens that it gave may live.
"""

from __future__ import annotations

import sqlalchemy as sa

from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.loops import Loop
from skyhold.identity.delegation.tables import ACCESS_TOKENS, NONCES, REQUEST_TOKENS, TRUSTS

DAY_US = 86_400 * 1_000_000


async def run(ctx: Context) -> None:
    await ctx.write(forget)


def forget(tx: Tx, ctx: Context) -> int:
    """How many rows went."""
    long_ago = ctx.now - DAY_US - ctx.core.settings.identity.token_lifetime_s * 1_000_000
    return sum(tx.changed(statement) for statement in (
        NONCES.delete().where(NONCES.c.forget_at <= ctx.now),
        REQUEST_TOKENS.delete().where(REQUEST_TOKENS.c.expires_at <= long_ago),
        ACCESS_TOKENS.delete().where(ACCESS_TOKENS.c.expires_at <= long_ago),
        TRUSTS.delete().where(sa.or_(TRUSTS.c.expires_at <= long_ago, sa.and_(
            TRUSTS.c.remaining_uses == 0, TRUSTS.c.used_at <= long_ago,
        ))),
    ))


LOOP = Loop("identity.leftovers", 3600.0, run)
