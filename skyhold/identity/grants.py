# SPDX-License-Identifier: Apache-2.0
"""Which roles somebody really has somewhere: direct, through groups, inherited and implied.

Giving and listing assignments is assignments/. The whole tree of implications is read at once:
there are few roles, and one query beats one a level.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import sqlalchemy as sa

from skyhold.identity.federation.tables import EXPIRING_MEMBERSHIPS
from skyhold.identity.slots import numbered, slots
from skyhold.identity.tables import ASSIGNMENTS, IMPLIED_ROLES, MEMBERSHIPS, PROJECTS, ROLES

if TYPE_CHECKING:
    from skyhold.core.db.tx import Tx

Roles = tuple[tuple[str, str], ...]
"""(id, name), sorted by name."""

SYSTEM_ID = "all"


def upwards() -> sa.Select[Any]:
    p = PROJECTS.c
    up = sa.select(p.id, p.parent_id).where(p.id == sa.bindparam("parent_id")).cte(recursive=True)
    up = up.union_all(sa.select(p.id, p.parent_id).join(up, p.id == up.c.parent_id))
    return sa.select(up.c.id)


UPWARDS = upwards()
KNOWN_ROLES = sa.select(ROLES.c.id, ROLES.c.name, ROLES.c.domain_id)
KNOWN_IMPLICATIONS = sa.select(IMPLIED_ROLES.c.prior_id, IMPLIED_ROLES.c.implied_id)


def effective(tx: Tx, user_id: str, scope: str, place: Any, group_ids: Sequence[str] = ()) -> Roles:
    """Roles of a user in a project, domain or the system; `place` has id, domain_id, parent_id.

    `group_ids` are groups that the user is in by the word of an identity provider."""
    return expand(tx, direct(tx, user_id, scope, place, group_ids))


def direct(tx: Tx, user_id: str, scope: str, place: Any, group_ids: Sequence[str] = ()) -> list[str]:
    """Ids of the roles that assignments give there, before implication."""
    return given(tx, user_id, scope, place, group_ids).role_ids


class Given(NamedTuple):
    """`until` is when the first of the user's memberships for a time ends: the roles may be fewer then."""

    role_ids: list[str]
    until: int | None


def given(tx: Tx, user_id: str, scope: str, place: Any, group_ids: Sequence[str] = ()) -> Given:
    """What assignments give there, before implication."""
    above = ancestors(tx, place) if scope == "project" and not place.is_domain else []
    target_id = SYSTEM_ID if scope == "system" else place.id
    rows = tx.all(assigned(len(above), len(group_ids)), {
        "user": user_id, "now": tx.now, "scope": scope, "target": target_id,
        **numbered("above", above), **numbered("group", group_ids),
    })
    return Given([row.role_id for row in rows], rows[0].until if rows else None)


@lru_cache(maxsize=256)
def assigned(above: int, groups: int) -> sa.Select[Any]:
    """The statement for that many places above and groups: putting it together takes ten times as long as its
    answer, and every token that is read asks it."""
    a, e = ASSIGNMENTS.c, EXPIRING_MEMBERSHIPS.c
    user: sa.BindParameter[str] = sa.bindparam("user")
    now = sa.bindparam("now", type_=e.ends_at.type)
    here = sa.and_(
        a.target_id == sa.bindparam("target"), a.target_type == sa.bindparam("scope"), a.inherited.is_(False)
    )
    if above:
        here = sa.or_(here, sa.and_(a.target_id.in_(slots("above", above)), a.inherited.is_(True)))
    until = sa.select(sa.func.min(e.ends_at)).where(e.user_id == user, e.ends_at > now).scalar_subquery()
    held = held_by(user, slots("group", groups), now)
    return sa.select(a.role_id, until.label("until")).where(held, here).distinct()


def held_by(user_id: Any, group_ids: Sequence[Any] = (), now: Any = None) -> sa.ColumnElement[bool]:
    """Assignments of a user, also those of the user's groups; with `now` also of those that an identity
    provider put the user in for a time. Values, or bound parameters in their place."""
    groups: sa.SelectBase = sa.select(MEMBERSHIPS.c.group_id).where(MEMBERSHIPS.c.user_id == user_id)
    if now is not None:
        e = EXPIRING_MEMBERSHIPS.c
        groups = sa.union_all(groups, sa.select(e.group_id).where(e.user_id == user_id, e.ends_at > now))
    clauses = [ASSIGNMENTS.c.actor_id == user_id, ASSIGNMENTS.c.actor_id.in_(groups)]
    return sa.or_(*clauses, *([ASSIGNMENTS.c.actor_id.in_(group_ids)] if group_ids else []))


def ancestors(tx: Tx, place: Any) -> list[str]:
    """Ids of everything above a project, its domain included."""
    if place.parent_id in (None, place.domain_id):
        return [place.domain_id]
    found = [row.id for row in tx.all(UPWARDS, {"parent_id": place.parent_id})]
    return found if place.domain_id in found else [*found, place.domain_id]


class Implications:
    """The roles and what each implies, read in two queries."""

    def __init__(self, tx: Tx) -> None:
        self.roles = {row.id: row for row in tx.all(KNOWN_ROLES)}
        self.implied: dict[str, list[str]] = {}
        for row in tx.all(KNOWN_IMPLICATIONS):
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
