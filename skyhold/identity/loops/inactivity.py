# SPDX-License-Identifier: Apache-2.0
"""Keeps true: users that weren't seen for too long are disabled, for everybody to see.

When somebody was seen is standing.py, which also refuses them between two runs of this. The setting is
security_compliance.disable_user_account_days_inactive; a user with the option ignore_user_inactivity stays.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from skyhold.core import journal
from skyhold.core.context import Context
from skyhold.identity import standing, users
from skyhold.identity.auth import events
from skyhold.identity.auth.sessions import void
from skyhold.identity.tables import SIGN_INS, USERS

if TYPE_CHECKING:
    from skyhold.core.db.tx import Tx

BATCH = 500
SEEN_AT = sa.func.coalesce(SIGN_INS.c.active_on, USERS.c.created_at)


async def run(ctx: Context) -> None:
    after: str | None = "" if standing.rules(ctx).disable_user_account_days_inactive else None
    while after is not None:
        after = await ctx.write(disable_some, after)


def disable_some(tx: Tx, ctx: Context, after: str) -> str | None:
    """One batch by id; the last id looked at, or None at the end."""
    found = tx.all(
        sa.select(USERS.c.id, USERS.c.options, SEEN_AT.label("seen_at"))
        .outerjoin(SIGN_INS, SIGN_INS.c.user_id == USERS.c.id)
        .where(USERS.c.enabled.is_(True), standing.today(ctx) >= SEEN_AT, USERS.c.id > after)
        .order_by(USERS.c.id).limit(BATCH)
    )
    away = [row.id for row in found if standing.is_away(ctx, row.options, row.seen_at)]
    for user_id in away:
        disable(tx, user_id)
    if away:
        void(tx)
    return found[-1].id if len(found) == BATCH else None


def disable(tx: Tx, user_id: str) -> None:
    row = users.store.find(tx, user_id, lock=True)
    if row is not None and row.enabled:
        events.tell(tx, user_id=user_id)
        journal.record(tx, "user.update", users.store.update(tx, row, enabled=False, generation=row.generation + 1))
