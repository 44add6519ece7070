# SPDX-License-Identifier: Apache-2.0
"""What of webhooks is sealed: anew with the newest master key after a rotation, and for the first time where a URL
is kept in plain words.

Webhooks themselves are webhooks.py. What is changed meanwhile is sealed with the new key already, and is left alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from skyhold.core.context import Context, internal
from skyhold.core.db.tx import Tx
from skyhold.core.keyring import MARK
from skyhold.events.tables import WEBHOOKS

if TYPE_CHECKING:
    from skyhold.core.app import Core

SEALED = (WEBHOOKS.c.secret, WEBHOOKS.c.url)
PLAIN = sa.select(WEBHOOKS.c.id, WEBHOOKS.c.url.label("text")).where(WEBHOOKS.c.url.not_like(MARK + "%"))


async def run(ctx: Context) -> list[str]:
    return await ctx.write(reseal)


def reseal(tx: Tx, ctx: Context) -> list[str]:
    """Where something stands that can't be opened: its owner is told to set it anew (loops/deliver.py)."""
    unopened = []
    for column in SEALED:
        for row in tx.all(sa.select(WEBHOOKS.c.id, column.label("text"))):
            try:
                after = ctx.core.keyring.reseal(row.text)
            except ValueError:
                unopened.append(f"{column} of {row.id}")
            else:
                replace(tx, column, row, after)
    return unopened


async def seal_plain(core: Core) -> None:
    """Earlier releases kept URLs as they were given."""
    ctx = internal(core)
    if await ctx.read(lambda tx, ctx: tx.first(PLAIN)) is not None:
        await ctx.write(seal_urls)


def seal_urls(tx: Tx, ctx: Context) -> None:
    for row in tx.all(PLAIN):
        replace(tx, WEBHOOKS.c.url, row, ctx.core.keyring.seal(row.text.encode()))


def replace(tx: Tx, column: Any, row: Any, after: str) -> None:
    same = (WEBHOOKS.c.id == sa.bindparam("webhook")) & (column == sa.bindparam("before"))
    changed = WEBHOOKS.update().where(same).values({column.name: sa.bindparam("after")})
    tx.execute(changed, {"webhook": row.id, "before": row.text, "after": after})
