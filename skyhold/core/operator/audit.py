# SPDX-License-Identifier: Apache-2.0
"""Runs the audits of all services, and core's own of sagas.

What each compares is in the services' audit.py. Database, hosts and data plane can't be read at one
instant, so only what is found twice, a moment apart, is a finding.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import sqlalchemy as sa

from skyhold.core.operator.findings import Finding
from skyhold.core.tables import SAGAS

if TYPE_CHECKING:
    from skyhold.core.context import Context
    from skyhold.core.db.tx import Tx

PAUSE_S = 0.5
GRACE_US = 60_000_000
"""How long after its deadline a saga may take to notice it."""


async def run(ctx: Context) -> list[Finding]:
    """Every finding, in the order of the services."""
    first = await look(ctx)
    if not first:
        return []
    await asyncio.sleep(PAUSE_S)
    seen = {(one.kind, one.id) for one in first}
    return [one for one in await look(ctx) if (one.kind, one.id) in seen]


async def look(ctx: Context) -> list[Finding]:
    found = await ctx.read(overdue)
    for service in ctx.core.services.values():
        for audit in service.audits:
            found += await audit(ctx)
    return found


def overdue(tx: Tx, ctx: Context) -> list[Finding]:
    """Live sagas past their deadline."""
    late = sa.select(SAGAS).where(SAGAS.c.ended_at.is_(None), SAGAS.c.deadline_at < tx.now - GRACE_US)
    return [
        Finding(
            "saga", row.id,
            f"{row.kind} of {row.subject} is at {row.step or 'its end'} past its deadline: {row.error or 'no error'}.",
            f"`skyhold admin saga show {row.id}`, then retry or abort it.",
        )
        for row in tx.all(late.order_by(SAGAS.c.created_at))
    ]
