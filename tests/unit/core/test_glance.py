# SPDX-License-Identifier: Apache-2.0
"""A glance is never older than the question, however many ask at once, and outlives its connection.

What is asked so at every request is identity's epoch; that a revocation counts at once is its own stories'.
"""

from __future__ import annotations

import asyncio
from typing import Any

import sqlalchemy as sa

from skyhold.core.app import Core
from skyhold.core.context import Context, internal
from skyhold.core.tables import EPOCHS

VALUE = sa.select(EPOCHS.c.value).where(EPOCHS.c.name == "toy's")
END = sa.text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "
              "AND pid <> pg_backend_pid()")


def begin(tx: Any, ctx: Context) -> None:
    tx.execute(EPOCHS.insert(), {"name": "toy's", "value": 0})


def go_on(tx: Any, ctx: Context) -> None:
    tx.execute(EPOCHS.update().where(EPOCHS.c.name == "toy's").values(value=EPOCHS.c.value + 1))


async def test_it_is_never_older_than_the_question(core: Core) -> None:
    ctx = internal(core)
    assert await core.db.glance(ctx, VALUE) is None
    await ctx.write(begin)

    async def ask_for_ever() -> None:
        while True:
            await core.db.glance(ctx, VALUE)

    others = [asyncio.create_task(ask_for_ever()) for _ in range(8 if core.db.name != "sqlite" else 0)]
    for n in range(1, 51):
        await ctx.write(go_on)
        assert await core.db.glance(ctx, VALUE) == n
    for each in others:
        each.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    assert await core.db.glance(ctx, VALUE) == 50, "cancelled ones leave nothing behind"


async def test_a_lost_connection_is_not_noticed(core: Core) -> None:
    ctx = internal(core)
    await ctx.write(begin)
    assert await core.db.glance(ctx, VALUE) == 0
    if core.db.name == "postgresql":
        await ctx.read(lambda tx, ctx: tx.all(END))
    for _ in range(3):
        assert await core.db.glance(ctx, VALUE) == 0
