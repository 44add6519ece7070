# SPDX-License-Identifier: Apache-2.0
"""Keeps true: a webhook goes with its project.

One that has something to deliver goes at once, with the event that tells of the project's end (deliver.py). One
that is switched off, or was made just as the project went, is never taken up there: it is found here.
"""

from __future__ import annotations

import sqlalchemy as sa

from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.loops import Loop
from skyhold.events import webhooks
from skyhold.events.tables import WEBHOOKS
from skyhold.identity import facade as identity

BATCH = 500


async def run(ctx: Context) -> None:
    after = ""
    while owners := await ctx.read(owners_after, after):
        for project_id in await ctx.read(gone, owners):
            await ctx.write(discard_all, project_id)
        after = owners[-1]


def discard_all(tx: Tx, ctx: Context, project_id: str) -> None:
    mine = sa.select(WEBHOOKS.c.id).where(WEBHOOKS.c.project_id == project_id).order_by(WEBHOOKS.c.id)
    for each in tx.all(mine):
        row = webhooks.store.find(tx, each.id, lock=True)
        if row is not None:
            webhooks.discard(tx, row)


# ---- queries -------------------------------------------------------------------------------


def owners_after(tx: Tx, ctx: Context, after: str) -> list[str]:
    """The next projects that have webhooks."""
    p = WEBHOOKS.c.project_id
    return [row.project_id for row in tx.all(sa.select(p).where(p > after).distinct().order_by(p).limit(BATCH))]


def gone(tx: Tx, ctx: Context, owners: list[str]) -> list[str]:
    there = identity.projects(tx, ctx, owners)
    return [id for id in owners if id not in there]


LOOP = Loop("events.orphans", 600.0, run)
