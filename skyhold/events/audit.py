# SPDX-License-Identifier: Apache-2.0
"""Compares webhooks with the journal that they are sent, and recounts their quota.

How far a webhook has come is kept by loops/deliver.py. One that is switched off is left alone here: its owner chose
that it misses what is forgotten meanwhile.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import sqlalchemy as sa

from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.operator.findings import Finding, drift
from skyhold.events import reading, webhooks
from skyhold.events.tables import WEBHOOKS

COLUMNS = (
    WEBHOOKS.c.id, WEBHOOKS.c.project_id, WEBHOOKS.c.position, WEBHOOKS.c.attempts, WEBHOOKS.c.enabled,
)


async def run(ctx: Context) -> list[Finding]:
    return await ctx.read(compare)


def compare(tx: Tx, ctx: Context) -> list[Finding]:
    # Before the ends of the journal: none of them has come further than it reached by then.
    rows = tx.all(sa.select(*COLUMNS).order_by(WEBHOOKS.c.id))
    counted = Counter((row.project_id, "webhooks") for row in rows)
    (ends,) = tx.all(sa.select(reading.ENDS))
    found = behind(rows, ends.oldest or 0) + ahead(rows, ends.newest or 0)
    return found + drift(tx, "events", set(webhooks.QUOTA.defaults), counted)


def behind(rows: Any, oldest: int) -> list[Finding]:
    """Those whose receiver has refused an event for so long that it was forgotten; a webhook that has merely nothing
    to tell stands still too, but isn't tried in vain."""
    return [
        Finding("webhook", row.id,
                f"Webhook {row.id} of project {row.project_id} has lost events: its receiver acknowledged none after "
                f"{row.position}, and those before {oldest} were forgotten.",
                f"`GET /events/v1/webhooks/{row.id}` says what its receiver answers: tell its owner, who compares what "
                "the receiver knows with the cloud. What is left of the events follows by itself.")
        for row in rows if row.enabled and row.attempts > 0 and row.position < oldest - 1
    ]


def ahead(rows: Any, newest: int) -> list[Finding]:
    """Those that would stay silent until the journal has come where they are."""
    return [
        Finding("webhook", row.id,
                f"Webhook {row.id} of project {row.project_id} is at position {row.position}, but the journal ends at "
                f"{newest}.",
                "Report it as a defect; delete the webhook and make it anew, for it stays silent until then.")
        for row in rows if row.position > newest
    ]
