# SPDX-License-Identifier: Apache-2.0
"""Containers: made, shown, changed, deleted, listed; each counts what it holds.

Objects are objects.py. Every change to a container's objects locks its row first, so that its counters are right with
each commit and nothing comes into one that is being deleted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from skyhold.core import errors, journal
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.policy.rules import Rule
from skyhold.core.store import Store, locked
from skyhold.object import policy
from skyhold.object.engine import access, accounts
from skyhold.object.logic.listing import Span, Wish, listed
from skyhold.object.tables import CONTAINERS

store = Store(CONTAINERS, service="object", kind="container", label="Container")

BY_NAME = sa.select(CONTAINERS).where(
    CONTAINERS.c.project_id == sa.bindparam("project"), CONTAINERS.c.name == sa.bindparam("the_name")
)
COUNT = CONTAINERS.update().where(CONTAINERS.c.id == sa.bindparam("the_id")).values(
    objects=CONTAINERS.c.objects + sa.bindparam("more_objects"),
    bytes_used=CONTAINERS.c.bytes_used + sa.bindparam("more_bytes"),
)
LISTED = (CONTAINERS.c.name, CONTAINERS.c.objects, CONTAINERS.c.bytes_used, CONTAINERS.c.updated_at)


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """Empty values of `metadata` remove. `columns` holds lists and quotas that were spoken of."""

    metadata: Mapping[str, str]
    columns: Mapping[str, Any]


# ---- operations ------------------------------------------------------------------------------


def make(tx: Tx, ctx: Context, project_id: str, name: str, change: Change) -> bool:
    """Whether it is new; one that is there is changed."""
    access.demand(ctx, policy.MAKE_CONTAINER, project_id)
    row = find(tx, project_id, name, lock=True)
    if row is None:
        row = store.add(
            tx, id=ctx.new_id(), project_id=project_id, name=name, objects=0, bytes_used=0,
            **{"read_acl": "", "write_acl": ""} | dict(change.columns),
            metadata=accounts.merged({}, change.metadata),
        )
        if row is not None:
            journal.record(tx, "container.create", row)
            return True
        row = there(find(tx, project_id, name, lock=True), name)
    changed(tx, row, change)
    return False


def update(tx: Tx, ctx: Context, project_id: str, name: str, change: Change) -> None:
    access.demand(ctx, policy.CHANGE_CONTAINER, project_id)
    changed(tx, there(find(tx, project_id, name, lock=True), name), change)


def changed(tx: Tx, row: Any, change: Change) -> None:
    metadata = accounts.merged(row.metadata, change.metadata)
    if metadata != row.metadata or change.columns:
        row = store.update(tx, row, metadata=metadata, **change.columns)
        journal.record(tx, "container.update", row)


def delete(tx: Tx, ctx: Context, project_id: str, name: str) -> None:
    """Raises Conflict while there are objects in it."""
    access.demand(ctx, policy.DELETE_CONTAINER, project_id)
    row = there(find(tx, project_id, name, lock=True), name)
    if row.objects:
        raise errors.Conflict(
            "There was a conflict when trying to complete your request. "
            f"The container holds {row.objects} objects; delete them first.", reason="container_not_empty",
        )
    store.delete(tx, row)
    journal.record(tx, "container.delete", row)


def reached(
    tx: Tx, ctx: Context, project_id: str, name: str, rule: Rule, *, writing: bool = False, lock: bool = False,
    listing: bool = False, referrer: str = "",
) -> Any:
    """The container, for whoever the rule or its list, that for `writing` or the other, lets in. Raises NotFound."""
    row = find(tx, project_id, name, lock=lock)
    text = "" if row is None else row.write_acl if writing else row.read_acl
    access.demand_listed(tx, ctx, rule, project_id, text, referrer=referrer, listing=listing)
    return there(row, name)


def owned(ctx: Context, row: Any) -> bool:
    """Whether the caller may also see who else may."""
    return access.allowed(ctx, policy.CHANGE_CONTAINER, row.project_id)


# ---- queries ---------------------------------------------------------------------------------


def find(tx: Tx, project_id: str, name: str, *, lock: bool = False) -> Any:
    """The row whoever asks, or None: decide by it before you tell."""
    statement = locked(BY_NAME, lock) if tx.writing and tx.dialect != "sqlite" else BY_NAME
    row = tx.first(statement, {"project": project_id, "the_name": name})
    return None if row is None else store.Row._make(row)


def there(row: Any, name: str) -> Any:
    if row is None:
        raise errors.NotFound(f"There is no container {name[:80]!r}.", reason="container_not_found")
    return row


def count(tx: Tx, row: Any, more_objects: int, more_bytes: int) -> None:
    tx.execute(COUNT, {"the_id": row.id, "more_objects": more_objects, "more_bytes": more_bytes})


def page(tx: Tx, ctx: Context, project_id: str, wish: Wish) -> list[Any]:
    """An account's containers by name; whoever may see the account."""
    access.demand(ctx, policy.SHOW_ACCOUNT, project_id)
    rows = sa.select(*LISTED).where(CONTAINERS.c.project_id == project_id)
    return listed(wish, fetcher(tx, rows, CONTAINERS.c.name, wish.reverse))


def fetcher(tx: Tx, rows: Any, name: Any, reverse: bool) -> Callable[[Span, int], Sequence[Any]]:
    """Rows of a statement by their name, within a span."""
    order = name.desc() if reverse else name

    def fetch(span: Span, limit: int) -> Sequence[Any]:
        found = rows.where(name >= span.low) if span.low else rows
        if span.high is not None:
            found = found.where(name < span.high)
        return tx.all(found.order_by(order).limit(limit))

    return fetch
