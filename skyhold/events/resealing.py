# SPDX-License-Identifier: Apache-2.0
"""After a rotation of the master key: webhooks' secrets are sealed anew with the newest one.

Webhooks themselves are webhooks.py. A secret changed meanwhile is sealed with the new key already, and is
left alone.
"""

from __future__ import annotations

import sqlalchemy as sa

from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.events.tables import WEBHOOKS

SEALED = sa.select(WEBHOOKS.c.id, WEBHOOKS.c.secret)
REPLACE = (
    WEBHOOKS.update()
    .where(WEBHOOKS.c.id == sa.bindparam("webhook"), WEBHOOKS.c.secret == sa.bindparam("before"))
    .values(secret=sa.bindparam("after"))
)


async def run(ctx: Context) -> None:
    await ctx.write(reseal)


def reseal(tx: Tx, ctx: Context) -> None:
    keys = ctx.core.keyring
    for row in tx.all(SEALED):
        tx.execute(REPLACE, {"webhook": row.id, "before": row.secret, "after": keys.seal(keys.open(row.secret))})
