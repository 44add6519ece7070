# SPDX-License-Identifier: Apache-2.0
"""Accounts: a project as the object store sees it, what it holds, and what was said about it.

Containers are containers.py. Nobody makes an account: a project has one from the beginning, and a row of its own
only from the first word about it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import sqlalchemy as sa

from skyhold.core import errors, journal
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.store import Store
from skyhold.object import policy
from skyhold.object.engine import access
from skyhold.object.logic.bounds import check_item, check_metadata
from skyhold.object.tables import ACCOUNTS, CONTAINERS

store = Store(ACCOUNTS, service="object", kind="account", label="Account", key="project_id")

TOTALS = sa.select(
    sa.func.count().label("containers"),
    sa.func.coalesce(sa.func.sum(CONTAINERS.c.objects), 0).label("objects"),
    sa.func.coalesce(sa.func.sum(CONTAINERS.c.bytes_used), 0).label("bytes_used"),
    sa.func.min(CONTAINERS.c.created_at).label("since"),
).where(CONTAINERS.c.project_id == sa.bindparam("project"))


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """`created_at` is that of the first thing known of it."""

    project_id: str
    containers: int
    objects: int
    bytes_used: int
    metadata: Mapping[str, str]
    quota_bytes: int | None
    quota_count: int | None
    created_at: int


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """What to set, and what to remove where the value is empty. `quotas` is None where nothing is said of them,
    its values None for no bound."""

    metadata: Mapping[str, str]
    quotas: Mapping[str, int | None] = msgspec.field(default_factory=dict)


def show(tx: Tx, ctx: Context, project_id: str) -> Account:
    access.demand(ctx, policy.SHOW_ACCOUNT, project_id)
    row, sums = store.find(tx, project_id), totals(tx, project_id)
    return Account(
        project_id=project_id, containers=sums.containers, objects=int(sums.objects), bytes_used=int(sums.bytes_used),
        metadata=row.metadata if row else {}, quota_bytes=row.quota_bytes if row else None,
        quota_count=row.quota_count if row else None,
        created_at=min(row.created_at if row else tx.now, sums.since or tx.now),
    )


def totals(tx: Tx, project_id: str) -> Any:
    return tx.all(TOTALS, {"project": project_id})[0]


def update(tx: Tx, ctx: Context, project_id: str, change: Change) -> None:
    """Raises Invalid, Forbidden for a quota that isn't the caller's to set."""
    access.demand(ctx, policy.SET_QUOTA if change.quotas else policy.CHANGE_ACCOUNT, project_id)
    row = known(tx, project_id)
    metadata = merged(row.metadata, change.metadata)
    row = store.update(tx, row, metadata=metadata, **change.quotas)
    journal.record(tx, "account.update", row, project_id=project_id)


def known(tx: Tx, project_id: str) -> Any:
    """The account's row, locked; made when there is none."""
    row = store.find(tx, project_id, lock=True)
    if row is not None:
        return row
    row = store.add(tx, project_id=project_id, metadata={}, quota_bytes=None, quota_count=None)
    return store.find(tx, project_id, lock=True) if row is None else row


def merged(before: Mapping[str, str], change: Mapping[str, str]) -> dict[str, str]:
    """Empty values remove. Raises Invalid."""
    for name, value in change.items():
        check_item(name, value)
    after = {name: value for name, value in {**before, **change}.items() if value}
    check_metadata(after)
    return after


def check_quota(tx: Tx, project_id: str, more_bytes: int, more_objects: int) -> None:
    """Raises OverQuota. Uploads into an account with a quota pass here one after the other."""
    row = store.find(tx, project_id)
    if row is None or (row.quota_bytes is None and row.quota_count is None):
        return
    row = store.find(tx, project_id, lock=True)
    sums = totals(tx, project_id)
    over(tx, "account", row, int(sums.bytes_used), int(sums.objects), more_bytes, more_objects)


def over(tx: Tx, what: str, row: Any, used_bytes: int, used_objects: int, more_bytes: int, more_objects: int) -> None:
    """Raises OverQuota; what takes nothing more is never over."""
    for unit, limit, used, more in (
        ("bytes", row.quota_bytes, used_bytes, more_bytes), ("objects", row.quota_count, used_objects, more_objects),
    ):
        if limit is not None and more > 0 and used + more > limit:
            raise exceeded(what, unit, used, limit, more, own=tx.ctx.project_id == row.project_id)


def exceeded(what: str, unit: str, used: int, limit: int, asked: int, *, own: bool) -> errors.OverQuota:
    """How much lies there is told to the project that it belongs to alone: others may have been let in to write."""
    held = f" and holds {used}" if own else ""
    return errors.OverQuota(
        f"Upload exceeds quota: the {what} may hold {limit} {unit}{held}; this would add {asked}.",
        resource=unit, used=used, limit=limit, asked=asked,
    )
