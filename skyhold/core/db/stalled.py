# SPDX-License-Identifier: Apache-2.0
"""Keeps true, on PostgreSQL: a process that was paused in the midst of a statement keeps its rows for seconds only.

One that was paused between two statements is idle in its transaction, and the limits of core/db/engine.py end that.
The one thing to know first: a statement comes in several messages, a session that waits for the next of them counts as
active, and `statement_timeout` is not obeyed by a session that reads (PostgreSQL's tcop/postgres.c, ProcessInterrupts:
DoingCommandRead). So the processes that are awake end such sessions; who wakes without one does its operation again.
"""

from __future__ import annotations

import sqlalchemy as sa

from skyhold.core.context import Context
from skyhold.core.db.tx import Tx

EVERY_S = 2.0
PATIENCE_S = 4.0
"""A client sends the messages of one statement within a millisecond; a machine that is short of processors, later."""
MINE = "datname = current_database() AND usename = current_user AND pid <> pg_backend_pid()"
IN_MIDST = "state = 'active' AND wait_event = 'ClientRead'"
END_STALLED = sa.text(
    f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {MINE} AND {IN_MIDST} "  # noqa: S608
    "AND query_start < clock_timestamp() - make_interval(secs => :patience_s)"
)


async def run(ctx: Context) -> None:
    await ctx.read(end_stalled, PATIENCE_S)


def end_stalled(tx: Tx, ctx: Context, patience_s: float) -> int:
    """How many sessions were ended: those of this database and user that began a statement so long ago and have not
    sent all of it."""
    return len(tx.all(END_STALLED, {"patience_s": patience_s}))
