# SPDX-License-Identifier: Apache-2.0
"""Reading the journal: which rows are wanted, in the order of their positions, in the form they are shown.

Who asks is events.py (a page, a stream) and loops/deliver.py (a webhook). The one thing to know first:
what a resource became is shown whole to administrators only, for its row has columns that no API shows to
a tenant; others get those attributes that are never a secret anywhere.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from skyhold.core import errors
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.shapes import JsonObject, Shape, TimeMicrosZ, field
from skyhold.core.store import like_escape
from skyhold.core.tables import JOURNAL

OPEN_ATTRIBUTES = frozenset({
    "id", "name", "description", "project_id", "user_id", "state", "status", "task_state", "power_state", "enabled",
    "created_at", "updated_at", "deleted_at", "size", "visibility", "network_id", "subnet_id", "server_id",
    "image_id", "flavor_id", "mac_address", "cidr", "fixed_ip_address", "floating_ip_address",
})


OLDEST = sa.select(sa.func.min(JOURNAL.c.position))
NEWEST = sa.select(sa.func.max(JOURNAL.c.position))
ENDS = sa.select(OLDEST.scalar_subquery().label("oldest"), NEWEST.scalar_subquery().label("newest")).subquery("ends")


class Wanted(Shape):
    """Empty lists want all. An action also stands for those that begin with it and a full stop."""

    kinds: list[str] = field(default_factory=list, max_items=20, min=1, max=64)
    actions: list[str] = field(default_factory=list, max_items=20, min=1, max=128)
    resources: list[str] = field(default_factory=list, max_items=20, min=1, max=64)


class Event(Shape):
    position: int
    at: TimeMicrosZ
    request_id: str
    user_id: str
    project_id: str | None
    service: str
    kind: str
    resource_id: str
    action: str
    state: JsonObject


def page(
    tx: Tx, ctx: Context, visible: Any, wanted: Wanted, after: int, limit: int, whole: bool
) -> tuple[list[Event], int]:
    """Events after a position, and the position up to which nothing was left out.

    `visible` is a WHERE clause. Gone when events after the position were already forgotten.
    """
    found = (
        sa.select(JOURNAL)
        .where(JOURNAL.c.position > after, visible, *clauses(wanted))
        .order_by(JOURNAL.c.position)
        .limit(limit)
        .subquery()
    )
    # In one statement, which sees one state: a row that comes meanwhile must not be jumped over.
    rows = tx.all(
        sa.select(ENDS, found).select_from(ENDS.outerjoin(found, sa.true())).order_by(found.c.position)
    )
    refuse_forgotten(after, rows[0].oldest)
    events = [shown(row, whole) for row in rows if row.position is not None]
    if len(events) == limit:
        return events, events[-1].position
    return events, max(after, rows[0].newest or 0)


def check_retained(tx: Tx, after: int) -> None:
    if after > 0:
        refuse_forgotten(after, tx.scalar(OLDEST))


def refuse_forgotten(after: int, oldest: int | None) -> None:
    if after > 0 and oldest is not None and after < oldest - 1:
        raise errors.Gone(
            f"Events after {after} were forgotten; the oldest that is kept has position {oldest}.",
            reason="forgotten", oldest=oldest,
        )


def clauses(wanted: Wanted) -> list[Any]:
    found: list[Any] = []
    if wanted.kinds:
        found.append(JOURNAL.c.kind.in_(wanted.kinds))
    if wanted.resources:
        found.append(JOURNAL.c.resource_id.in_(wanted.resources))
    if wanted.actions:
        found.append(sa.or_(*[action_clause(action) for action in wanted.actions]))
    return found


def action_clause(action: str) -> Any:
    return sa.or_(
        JOURNAL.c.action == action, JOURNAL.c.action.like(like_escape(action) + ".%", escape="\\")
    )


def shown(row: Any, whole: bool) -> Event:
    state = row.state or {}
    return Event(
        position=row.position, at=row.at, request_id=row.request_id, user_id=row.actor,
        project_id=row.project_id or None, service=row.service, kind=row.kind, resource_id=row.resource_id,
        action=row.action, state=state if whole else open_part(state),
    )


def open_part(state: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in state.items() if name in OPEN_ATTRIBUTES}


