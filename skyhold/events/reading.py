# SPDX-License-Identifier: Apache-2.0
"""Reading the journal: which rows are wanted, in the order of their positions, in the form they are shown.

Who asks is events.py (a page, a stream) and loops/deliver.py (a webhook). The one thing to know first:
what a resource became is shown whole to administrators only, for its row has columns that no API shows to
a tenant; others get those attributes that are never a secret anywhere.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import sqlalchemy as sa

from skyhold.core import errors
from skyhold.core.db.among import among
from skyhold.core.db.tx import Tx
from skyhold.core.shapes import JsonObject, Shape, TimeMicrosZ, field
from skyhold.core.store import Alternatives, Store, like_escape, scope_params
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


store = Store(JOURNAL, service="events", kind="event", key="position")


def of_project(project_id: str) -> Alternatives:
    """As a scope: what happened in this project only."""
    return ((("project_id", project_id),),)


def page(
    tx: Tx, scope: bool | Alternatives, wanted: Wanted, after: int, limit: int, whole: bool, *, project_id: str = ""
) -> tuple[list[Event], int]:
    """Events after a position, and the position up to which nothing was left out.

    `scope` is who may see them (`store.scope`, `of_project`), and `project_id`, unless it is empty, narrows it. Gone
    when events after the position were already forgotten.
    """
    shape, params = scope_params(scope)
    statement = statement_for(
        shape, bool(project_id), bool(wanted.kinds), bool(wanted.resources), len(wanted.actions)
    )
    asked = {"after": after, "the_limit": limit, "project": project_id, **told_of(wanted), **params}
    rows = tx.all(statement, asked)
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


@cache
def statement_for(shape: Any, of_one: bool, kinds: bool, resources: bool, actions: int) -> sa.Select[Any]:
    """Built once for each form of question, and for ever: building it costs more than the database's answer. One
    statement, which sees one state: a row that comes meanwhile must not be jumped over."""
    found = (
        sa.select(JOURNAL)
        .where(JOURNAL.c.position > sa.bindparam("after"), store.scope_clause(shape))
        .order_by(JOURNAL.c.position)
        .limit(sa.bindparam("the_limit"))
    )
    if of_one:
        found = found.where(JOURNAL.c.project_id == sa.bindparam("project"))
    if kinds:
        found = found.where(among(JOURNAL.c.kind, "kinds"))
    if resources:
        found = found.where(among(JOURNAL.c.resource_id, "resources"))
    if actions:
        found = found.where(sa.or_(*[action_clause(i) for i in range(actions)]))
    rows = found.subquery()
    return sa.select(ENDS, rows).select_from(ENDS.outerjoin(rows, sa.true())).order_by(rows.c.position)


def action_clause(i: int) -> Any:
    action = JOURNAL.c.action
    return sa.or_(action == sa.bindparam(f"action_{i}"), action.like(sa.bindparam(f"under_{i}"), escape="\\"))


def told_of(wanted: Wanted) -> dict[str, Any]:
    """The statement's parameters."""
    told: dict[str, Any] = {"kinds": wanted.kinds, "resources": wanted.resources}
    for i, action in enumerate(wanted.actions):
        told |= {f"action_{i}": action, f"under_{i}": like_escape(action) + ".%"}
    return told


def shown(row: Any, whole: bool) -> Event:
    state = row.state or {}
    return Event(
        position=row.position, at=row.at, request_id=row.request_id, user_id=row.actor,
        project_id=row.project_id or None, service=row.service, kind=row.kind, resource_id=row.resource_id,
        action=row.action, state=state if whole else open_part(state),
    )


def open_part(state: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in state.items() if name in OPEN_ATTRIBUTES}
