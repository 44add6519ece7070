# SPDX-License-Identifier: Apache-2.0
"""Sagas as an operator sees and steers them: list, show, retry now, abort.

How they run is core/saga/runner.py. `kept` values are shown without secrets; a saga that was told to
unwind already keeps the signal it has, because a delete may be waiting behind it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
import structlog

from skyhold.core import errors, metrics
from skyhold.core.context import Context
from skyhold.core.http.routes import Routes
from skyhold.core.logs import without_secrets
from skyhold.core.operator import policy
from skyhold.core.saga.base import ABORT
from skyhold.core.tables import SAGAS

if TYPE_CHECKING:
    from skyhold.core.db.tx import Tx

log = structlog.get_logger("sagas")

MOST = 1000
PATIENCE_S = 2.0
"""Whoever asks for meters gets the others without those of a database that doesn't answer."""
NOW = SAGAS.update().where(SAGAS.c.id == sa.bindparam("saga"), SAGAS.c.ended_at.is_(None))
RETRY = NOW.values(due_at=sa.bindparam("now"), attempt=0)
UNWIND = NOW.where(SAGAS.c.signal == "").values(due_at=sa.bindparam("now"), attempt=0, signal=ABORT)

routes = Routes()


@routes.get("/v1/sagas", policy=policy.SAGAS_SEE)
async def index(ctx: Context) -> Any:
    """List the sagas under way, the oldest first."""
    return {"sagas": await ctx.read(live)}


@routes.get("/v1/sagas/{saga_id}", policy=policy.SAGAS_SEE)
async def show(ctx: Context, saga_id: str) -> Any:
    """Show a saga, ended ones too."""
    return {"saga": await ctx.read(shown, saga_id)}


@routes.post("/v1/sagas/{saga_id}/retry", policy=policy.SAGAS_STEER, status=202)
async def retry(ctx: Context, saga_id: str) -> Any:
    """Try the step it waits at again, now."""
    return {"saga": await ctx.write(steer, saga_id, RETRY)}


@routes.post("/v1/sagas/{saga_id}/abort", policy=policy.SAGAS_STEER, status=202)
async def abort(ctx: Context, saga_id: str) -> Any:
    """Undo what was done, and end."""
    return {"saga": await ctx.write(steer, saga_id, UNWIND)}


# ---- meters --------------------------------------------------------------------------------

OLDEST = (
    sa.select(SAGAS.c.kind, sa.func.count().label("number"), sa.func.min(SAGAS.c.created_at).label("since"))
    # Those under way, and no others, hold a lock: its index finds them among all that have ended.
    .where(SAGAS.c.lock_name > "")
    .group_by(SAGAS.c.kind).order_by(SAGAS.c.kind)
)


async def meters(ctx: Context) -> list[metrics.Family]:
    """How many sagas of each kind are under way, and the age of the oldest; nothing when the database can't say."""
    try:
        async with asyncio.timeout(PATIENCE_S):
            ages = await ctx.read(oldest)
    except Exception as error:
        log.warning("the ages of sagas could not be read", error=str(error))
        return []
    return [
        metrics.gauge("skyhold_sagas_under_way", "Sagas that have not ended.", "kind",
                      {kind: number for kind, (number, _) in ages.items()}),
        metrics.gauge("skyhold_saga_age_seconds", "Age of the oldest saga that has not ended.", "kind",
                      {kind: age_s for kind, (_, age_s) in ages.items()}),
    ]


def oldest(tx: Tx, ctx: Context) -> dict[str, tuple[int, float]]:
    return {row.kind: (row.number, max(0.0, (tx.now - row.since) / 1e6)) for row in tx.all(OLDEST)}


# ---- operations ----------------------------------------------------------------------------


def live(tx: Tx, ctx: Context) -> list[dict[str, Any]]:
    found = sa.select(SAGAS).where(SAGAS.c.ended_at.is_(None)).order_by(SAGAS.c.created_at, SAGAS.c.id)
    return [of_row(row, tx.now) for row in tx.all(found.limit(MOST))]


def shown(tx: Tx, ctx: Context, saga_id: str) -> dict[str, Any]:
    row = tx.first(sa.select(SAGAS).where(SAGAS.c.id == saga_id))
    if row is None:
        raise errors.NotFound(f"There is no saga {saga_id}.")
    return of_row(row, tx.now)


def steer(tx: Tx, ctx: Context, saga_id: str, statement: Any) -> dict[str, Any]:
    """Raises NotFound, and Conflict for a saga that has ended."""
    before = shown(tx, ctx, saga_id)
    if before["ended_at"] is not None:
        raise errors.Conflict(f"Saga {saga_id} has ended: it is {before['state']}.", reason="ended")
    tx.execute(statement, {"saga": saga_id, "now": tx.now})
    tx.after_commit(ctx.core.sagas.ring)
    return shown(tx, ctx, saga_id)


def of_row(row: Any, now: int) -> dict[str, Any]:
    """Times in microseconds; `age_s` and `overdue_s` in seconds, for people."""
    names = ("id", "kind", "subject", "state", "step", "round", "done", "signal", "attempt", "error", "request_id",
             "parent_id", "due_at", "deadline_at", "created_at", "ended_at")
    end = row.ended_at or now
    return {
        **{name: getattr(row, name) for name in names},
        "error": without_secrets(row.error), "kept": without_secrets(row.kept), "actor": row.actor,
        "then": row.then["kind"] if row.then else None, "leased": row.lease_until > now,
        "age_s": round((end - row.created_at) / 1e6, 1),
        "overdue_s": max(0, round((end - row.deadline_at) / 1e6, 1)),
    }
