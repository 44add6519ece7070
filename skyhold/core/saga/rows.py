# SPDX-License-Identifier: Apache-2.0
"""The rows of sagas: starting, claiming, and the compare-and-swap that every step ends in.

Steps themselves are run by core/saga/runner.py. Everything here is an operation on (tx, ctx, …);
times of leases come from the database's clock, and a fence that has moved on always wins.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import sqlalchemy as sa

from skyhold.core import errors
from skyhold.core.db.among import among
from skyhold.core.db.clock import CLOCK
from skyhold.core.saga.base import CANCEL, Kept, Saga
from skyhold.core.tables import SAGAS

if TYPE_CHECKING:
    from skyhold.core.context import Context
    from skyhold.core.db.tx import Tx

LEASE_US = 15_000_000
"""What a process that was killed held goes on elsewhere when this is over: rest is promised within thirty seconds."""
TRIES = 5
INSERT = SAGAS.insert()
BY_LOCK = sa.select(SAGAS).where(SAGAS.c.lock_name == sa.bindparam("name")).with_for_update()
DUE = (
    sa.select(CLOCK.label("asked_at"), SAGAS)
    .where(SAGAS.c.due_at <= CLOCK, SAGAS.c.lease_until <= CLOCK)
    .order_by(SAGAS.c.due_at)
    .limit(sa.bindparam("n"))
    .with_for_update(skip_locked=True)
)
NEXT_DUE_IN = sa.select(sa.func.min(SAGAS.c.due_at) - CLOCK).where(SAGAS.c.lease_until <= CLOCK)
RENEW = (
    SAGAS.update()
    .where(
        SAGAS.c.id == sa.bindparam("saga"), SAGAS.c.fence == sa.bindparam("held_fence"),
        SAGAS.c.ended_at.is_(None),
    )
    .values(lease_until=sa.bindparam("until"))
)
CLAIM = (
    SAGAS.update()
    .where(among(SAGAS.c.id, "claimed"))
    .values(fence=SAGAS.c.fence + 1, lease_until=sa.bindparam("until"))
)
SIGNAL = SAGAS.update().where(SAGAS.c.id == sa.bindparam("saga"), SAGAS.c.ended_at.is_(None)).values(
    signal=sa.bindparam("sig"), then=sa.bindparam("following"), due_at=sa.bindparam("now")
)
SAVE_NAMES = ("state", "step", "round", "done", "kept", "due_at", "attempt", "error", "ended_at", "lock_name")
SAVE = (
    SAGAS.update()
    .where(
        SAGAS.c.id == sa.bindparam("saga"), SAGAS.c.fence == sa.bindparam("held_fence"),
        SAGAS.c.ended_at.is_(None),
    )
    .values({name: sa.bindparam(name) for name in SAVE_NAMES})
)
SAVE_UNREAD = SAVE.where(SAGAS.c.signal == "", SAGAS.c.due_at == sa.bindparam("known_due_at"))
SAVES = {
    (True, False): SAVE, (False, False): SAVE.values(lease_until=0),
    (True, True): SAVE_UNREAD, (False, True): SAVE_UNREAD.values(lease_until=0),
}
"""By whether the saga keeps its lease, and whether its row was not read back."""
OUTRUN = (
    SAGAS.update()
    .where(
        SAGAS.c.id == sa.bindparam("saga"), SAGAS.c.fence == sa.bindparam("held_fence"),
        SAGAS.c.ended_at.is_(None),
    )
    .values(fence=sa.bindparam("beyond"), lease_until=0, due_at=sa.bindparam("now"))
)
READ_BACK = (
    sa.select(SAGAS.c.fence, SAGAS.c.signal, SAGAS.c.then, SAGAS.c.due_at)
    .where(SAGAS.c.id == sa.bindparam("saga"))
    .with_for_update()
)
WAKE = (
    SAGAS.update()
    .where(SAGAS.c.id == sa.bindparam("saga"), SAGAS.c.ended_at.is_(None))
    .values(due_at=sa.bindparam("now"))
)


def start(
    tx: Tx, ctx: Context, saga: type[Saga], *, subject: str, lock: str, kept: Kept,
    supersede: bool, parent_id: str | None,
) -> str:
    row = fresh(tx, ctx, saga, subject, lock, kept, parent_id)
    tx.after_commit(ctx.core.sagas.ring)
    for _ in range(TRIES):
        holder = tx.first(BY_LOCK, {"name": lock})
        if holder is not None:
            if not supersede:
                raise busy(subject, holder.kind)
            return take_over(tx, saga, holder, row)
        if tx.add(SAGAS, row):
            return str(row["id"])
        # Somebody else was first to take the lock: there is a holder now.
    raise busy(subject, "another operation")


def take_over(tx: Tx, saga: type[Saga], holder: Any, row: dict[str, Any]) -> str:
    """Tell the holder to unwind, and what is to follow it; the same wish twice is one."""
    if holder.kind == saga.kind:
        return str(holder.id)
    following = holder.then if holder.then and holder.then["kind"] == saga.kind else row
    tx.execute(SIGNAL, {"saga": holder.id, "sig": CANCEL, "following": following, "now": tx.now})
    return str(following["id"])


def fresh(
    tx: Tx, ctx: Context, saga: type[Saga], subject: str, lock: str, kept: Kept, parent_id: str | None
) -> dict[str, Any]:
    actor = {"user_id": ctx.user_id, "project_id": ctx.project_id}
    return {
        "id": ctx.new_id(), "kind": saga.kind, "subject": subject, "lock_name": lock, "state": "running",
        "step": saga.steps[0], "round": 0, "done": [], "kept": msgspec.to_builtins(kept), "due_at": tx.now,
        # Fences of later sagas on one subject must beat those of earlier ones: they start from the clock.
        "lease_until": 0, "fence": tx.now, "signal": "", "attempt": 0,
        "deadline_at": tx.now + int(saga.deadline_s * 1e6), "parent_id": parent_id, "then": None,
        "request_id": ctx.request_id, "actor": actor, "error": None, "created_at": tx.now, "ended_at": None,
    }


def busy(subject: str, kind: str) -> errors.Conflict:
    return errors.Conflict(
        f"{subject} is busy: {kind} is under way. Wait for it to end, or delete the resource.",
        reason="busy", holder=kind,
    )


def claim(tx: Tx, ctx: Context, n: int) -> tuple[list[dict[str, Any]], int | None]:
    """Up to `n` due sagas, leased to the caller under a new fence; and in how many microseconds the
    next is due, unless more may be now: by the clock that will say so, for this process's may be ahead of it."""
    claimed = []
    for row in (found := tx.all(DUE, {"now": tx.now, "n": n})):
        asked_at, *values = row
        lease = {"fence": row.fence + 1, "lease_until": asked_at + LEASE_US}
        claimed.append(dict(zip(SAGAS.columns.keys(), values, strict=True)) | lease)
    if found:
        tx.execute(CLAIM, {"claimed": [row.id for row in found], "until": found[0].asked_at + LEASE_US})
    return claimed, None if len(claimed) == n else tx.scalar(NEXT_DUE_IN, {"now": tx.now})


def renew(tx: Tx, ctx: Context, held: list[tuple[str, int]]) -> None:
    until = tx.clock() + LEASE_US
    for saga, fence in held:
        tx.execute(RENEW, {"saga": saga, "held_fence": fence, "until": until})


def release(tx: Tx, ctx: Context, held: list[tuple[str, int]]) -> None:
    """Let others go on with these at once, instead of when the lease ends."""
    for saga, fence in held:
        tx.execute(RENEW, {"saga": saga, "held_fence": fence, "until": 0})


def release_all(tx: Tx, ctx: Context) -> None:
    """For a database with one control process: whatever is leased, its holder is gone."""
    tx.execute(SAGAS.update().where(SAGAS.c.ended_at.is_(None), SAGAS.c.lease_until > 0).values(lease_until=0))


def outrun(tx: Tx, ctx: Context, saga: str, fence: int, heard: int) -> None:
    """A host heard a higher fence than ours, though the saga is still ours: go beyond it and try again.

    That happens when the clock was set back between two sagas about one subject.
    """
    tx.execute(OUTRUN, {"saga": saga, "held_fence": fence, "beyond": max(fence, heard) + 1, "now": tx.now})


def live(tx: Tx, ctx: Context, subject: str) -> str | None:
    """The kind of a saga that is at work on this subject: loops leave it alone."""
    kind: str | None = tx.scalar(
        sa.select(SAGAS.c.kind).where(SAGAS.c.subject == subject, SAGAS.c.ended_at.is_(None)).limit(1)
    )
    return kind


def live_subjects(tx: Tx, ctx: Context) -> set[str]:
    return {row.subject for row in tx.all(sa.select(SAGAS.c.subject).where(SAGAS.c.ended_at.is_(None)))}


def forget(tx: Tx, ctx: Context, before_us: int) -> int:
    """Drop what ended before then; how many. Of what is under way nothing is ever dropped."""
    return tx.changed(SAGAS.delete().where(SAGAS.c.ended_at < before_us))


def ending(tx: Tx, ctx: Context, saga_id: str) -> tuple[bool, str | None]:
    """Whether a saga has ended, and why it failed if it did."""
    row = tx.first(sa.select(SAGAS.c.state, SAGAS.c.ended_at, SAGAS.c.error).where(SAGAS.c.id == saga_id))
    if row is None or row.ended_at is None:
        return False, None
    return True, (row.error or "it was cancelled") if row.state == "failed" else None
