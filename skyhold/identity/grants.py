# SPDX-License-Identifier: Apache-2.0
"""Which roles somebody really has somewhere: direct, through groups, inherited and implied.

Giving and listing assignments is assignments/. The whole tree of implications is read at once:
there are few roles, and one query beats one a level.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from skyhold.identity.federation.tables import EXPIRING_MEMBERSHIPS
from skyhold.identity.tables import ASSIGNMENTS, IMPLIED_ROLES, MEMBERSHIPS, PROJECTS, ROLES

if TYPE_CHECKING:
    from skyhold.core.db.tx import Tx

Roles = tuple[tuple[str, str], ...]
"""(id, name), sorted by name."""

SYSTEM_ID = "all"


def effective(tx: Tx, user_id: str, scope: str, place: Any, group_ids: Sequence[str] = ()) -> Roles:
    """Roles of a user in a project, domain or the system; `place` has id, domain_id, parent_id.

    `group_ids` are groups that the user is in by the word of an identity provider."""
    return expand(tx, direct(tx, user_id, scope, place, group_ids))


def direct(tx: Tx, user_id: str, scope: str, place: Any, group_ids: Sequence[str] = ()) -> list[str]:
    """Ids of the roles that assignments give there, before implication."""
    a = ASSIGNMENTS.c
    here = sa.and_(
        a.target_id == (SYSTEM_ID if scope == "system" else place.id), a.target_type == scope,
        a.inherited.is_(False),
    )
    if scope == "project" and not place.is_domain:
        above = ancestors(tx, place)
        here = sa.or_(here, sa.and_(a.target_id.in_(above), a.inherited.is_(True)))
    statement = sa.select(a.role_id).where(held_by(user_id, group_ids, tx.now), here)
    return [row.role_id for row in tx.all(statement.distinct())]


def held_by(user_id: str, group_ids: Sequence[str] = (), now: int | None = None) -> sa.ColumnElement[bool]:
    """Assignments of a user, also those of the user's groups; with `now` also of those that an identity
    provider put the user in for a time."""
    groups = sa.select(MEMBERSHIPS.c.group_id).where(MEMBERSHIPS.c.user_id == user_id)
    if now is not None:
        e = EXPIRING_MEMBERSHIPS.c
        groups = groups.union_all(sa.select(e.group_id).where(e.user_id == user_id, e.ends_at > now))
    clauses = [ASSIGNMENTS.c.actor_id == user_id, ASSIGNMENTS.c.actor_id.in_(groups)]
    return sa.or_(*clauses, *([ASSIGNMENTS.c.actor_id.in_(group_ids)] if group_ids else []))


def ancestors(tx: Tx, place: Any) -> list[str]:
    """Ids of everything above a project, its domain included."""
    if place.parent_id in (None, place.domain_id):
        return [place.domain_id]
    up = sa.select(
        PROJECTS.c.id, PROJECTS.c.parent_id
    ).where(PROJECTS.c.id == place.parent_id).cte(recursive=True)
    up = up.union_all(
        sa.select(PROJECTS.c.id, PROJECTS.c.parent_id).join(up, PROJECTS.c.id == up.c.parent_id)
    )
    found = [row.id for row in tx.all(sa.select(up.c.id))]
    return found if place.domain_id in found else [*found, place.domain_id]


class Implications:
    """The roles and what each implies, read in two queries."""

    def __init__(self, tx: Tx) -> None:
        self.roles = {row.id: row for row in tx.all(sa.select(ROLES.c.id, ROLES.c.name, ROLES.c.domain_id))}
        self.implied: dict[str, list[str]] = {}
        for row in tx.all(sa.select(IMPLIED_ROLES.c.prior_id, IMPLIED_ROLES.c.implied_id)):
            self.implied.setdefault(row.prior_id, []).append(row.implied_id)

    def closure(self, ids: Iterable[str]) -> set[str]:
        """The roles themselves and all they imply, however indirectly."""
        found, waiting = set(), list(ids)
        while waiting:
            role = waiting.pop()
            if role in self.roles and role not in found:
                found.add(role)
                waiting += self.implied.get(role, ())
        return found


def expand(tx: Tx, ids: Iterable[str]) -> Roles:
    """With the implied ones; a domain's own roles only stand for what they imply."""
    ids = list(ids)
    if not ids:
        return ()
    known = Implications(tx)
    names = [(known.roles[id].name, id) for id in known.closure(ids) if not known.roles[id].domain_id]
    return tuple((id, name) for name, id in sorted(names))
