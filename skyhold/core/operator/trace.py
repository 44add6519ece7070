# SPDX-License-Identifier: Apache-2.0
"""What the database knows of one request: journal rows, sagas, and what services wrote down of it themselves.

Log lines are added by whoever can read the files (cmd/trace.py). Both of core's tables have an index on the
request's id, and services are told which things it was about, so this takes milliseconds however old the cloud is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import sqlalchemy as sa

from skyhold.core.context import Context
from skyhold.core.http.routes import Routes
from skyhold.core.operator import policy
from skyhold.core.operator.sagas import of_row
from skyhold.core.tables import JOURNAL, SAGAS

if TYPE_CHECKING:
    from skyhold.core.db.tx import Tx

MOST = 5000
FACTS = ("at", "service", "kind", "resource_id", "action", "actor", "project_id")

routes = Routes()


class Told(msgspec.Struct, frozen=True):
    """`at` in microseconds; `what` is a sentence for the operator."""

    at: int
    service: str
    what: str


@routes.get("/v1/trace/{request_id}", policy=policy.TRACE)
async def show(ctx: Context, request_id: str) -> Any:
    """Show what a request wrote and which work it started."""
    return await ctx.read(story, request_id)


def story(tx: Tx, ctx: Context, request_id: str) -> dict[str, Any]:
    facts = sa.select(*[JOURNAL.c[name] for name in FACTS]).where(JOURNAL.c.request_id == request_id)
    sagas = sa.select(SAGAS).where(SAGAS.c.request_id == request_id)
    journal = [fact(row) for row in tx.all(facts.order_by(JOURNAL.c.id).limit(MOST))]
    work = [of_row(row, tx.now) for row in tx.all(sagas.order_by(SAGAS.c.created_at).limit(MOST))]
    about = sorted({row["resource_id"] for row in journal} | {saga["subject"] for saga in work})
    traces = [trace for service in ctx.core.services.values() for trace in service.traces]
    told = [one for trace in traces for one in trace(tx, ctx, request_id, about)]
    return {"request_id": request_id, "journal": journal, "sagas": work, "services": msgspec.to_builtins(told)}


def fact(row: Any) -> dict[str, Any]:
    return {name: getattr(row, name) for name in FACTS}
