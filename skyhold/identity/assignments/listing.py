# SPDX-License-Identifier: Apache-2.0
"""The list of all assignments: as given, or with `effective` what they amount to.

Giving is ops.py, printing printing.py. Everything is read in a constant number of queries and put together
in memory: groups become their members, inherited roles come down the tree, roles bring what they imply.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import sqlalchemy as sa

from skyhold.core import errors
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.shapes import Absent, JsonObject, Shape, field
from skyhold.identity import grants, links, permits, policy
from skyhold.identity.assignments import printing
from skyhold.identity.assignments.names import Names
from skyhold.identity.grants import SYSTEM_ID
from skyhold.identity.listing import truthy
from skyhold.identity.tables import ASSIGNMENTS, MEMBERSHIPS, PROJECTS


class AssignmentQuery(Shape, extra="ignore"):
    user_id: str | None = field("user.id", default=None)
    group_id: str | None = field("group.id", default=None)
    role_id: str | None = field("role.id", default=None)
    domain_id: str | None = field("scope.domain.id", default=None)
    project_id: str | None = field("scope.project.id", default=None)
    system: str | None = field("scope.system", default=None)
    inherited_to: str | None = field("scope.OS-INHERIT:inherited_to", default=None)
    effective: str | None = field(default=None)
    include_names: str | None = field(default=None)
    include_subtree: str | None = field(default=None)


class Assignment(Shape):
    role: JsonObject
    scope: JsonObject
    user: JsonObject | Absent = field(optional=True)
    group: JsonObject | Absent = field(optional=True)
    links: JsonObject


Via = tuple[str, str]


Held = tuple[str, str, str, str, str, bool, str, Via | None, str]
"""One assignment, or one of those it amounts to: kind and id of the actor, kind and id of the place, role,
whether it is inherited; then where that came from: group, place, role. A plain tuple, for there are many."""

A = ASSIGNMENTS.c
# Without a conversion of its own for any column, SQLAlchemy hands rows on as the driver made them.
ROWS = sa.select(
    A.actor_type, A.actor_id, A.target_type, A.target_id, A.role_id,
    sa.type_coerce(A.inherited, sa.Integer).label("inherited"),
)


def list_page(tx: Tx, ctx: Context, query: AssignmentQuery) -> bytes:
    """The body, printed. Raises Invalid for filters that contradict each other, Forbidden."""
    effective = query.effective is not None and truthy(query.effective)
    refuse_contradictions(query, effective)
    allow(tx, ctx, query)
    found = effective_ones(tx, query) if effective else plain_ones(tx, query)
    if not is_admin_view(ctx):
        found = within_domain(tx, found, ctx.creds.domain_id, query)
    names = Names(tx, found) if query.include_names is not None and truthy(query.include_names) else None
    return printing.body(ctx, found, names, links.asked(query))


def refuse_contradictions(query: AssignmentQuery, effective: bool) -> None:
    if query.user_id and query.group_id:
        raise errors.Invalid("Specify a user or group, not both")
    if sum(x is not None for x in (query.domain_id, query.project_id, query.system)) > 1:
        raise errors.Invalid("Specify a domain or project, not both")
    if effective and query.group_id:
        raise errors.Invalid("Combining effective and group filter will always result in an empty list.")
    if effective and query.inherited_to and query.domain_id:
        raise errors.Invalid(
            "Combining effective, domain and inherited filters will always result in an empty list."
        )
    if query.inherited_to not in (None, "projects"):
        raise errors.Invalid("scope.OS-INHERIT:inherited_to can only be projects.")
    if query.include_subtree is not None and truthy(query.include_subtree) and not query.project_id:
        raise errors.Invalid("scope.project.id must be specified if include_subtree is also specified")


def allow(tx: Tx, ctx: Context, query: AssignmentQuery) -> None:
    if query.include_subtree is not None and truthy(query.include_subtree):
        place = tx.first(sa.select(PROJECTS.c.domain_id).where(PROJECTS.c.id == query.project_id))
        permits.demand(ctx, policy.LIST_ROLE_ASSIGNMENTS_FOR_TREE, {
            "target.project.id": query.project_id,
            "target.project.domain_id": place.domain_id if place else None,
        })
        return
    # A domain's reader gets what is in the domain: the rest is left out below.
    permits.demand(ctx, policy.LIST_ROLE_ASSIGNMENTS, {"target.domain_id": ctx.creds.domain_id})


def is_admin_view(ctx: Context) -> bool:
    """Whether nothing needs to be left out: the right doesn't come from one domain."""
    return ctx.creds.domain_id is None or ctx.allows(policy.LIST_ROLE_ASSIGNMENTS, {"target.domain_id": None})


def within_domain(tx: Tx, found: list[Held], domain_id: str | None, query: AssignmentQuery) -> list[Held]:
    p = PROJECTS.c
    inside = {
        row.id for row in tx.all(sa.select(p.id).where(sa.or_(p.domain_id == domain_id, p.id == domain_id)))
    }
    return [held for held in found if held[3] in inside]


# ---- as given ------------------------------------------------------------------------------


def plain_ones(tx: Tx, query: AssignmentQuery) -> list[Held]:
    clauses = []
    actor = query.user_id or query.group_id
    if actor:
        clauses += [A.actor_id == actor, A.actor_type == ("user" if query.user_id else "group")]
    if query.role_id:
        clauses.append(A.role_id == query.role_id)
    if query.inherited_to:
        clauses.append(A.inherited.is_(True))
    targets = target_ids(tx, query)
    if targets is not None:
        clauses += [A.target_id.in_(targets), A.target_type == target_type(query)]
    rows: Any = tx.all(ROWS.where(*clauses).order_by(A.actor_id, A.target_id, A.role_id))
    return [(*row, "", None, "") for row in rows]


def target_ids(tx: Tx, query: AssignmentQuery) -> list[str] | None:
    if query.system is not None:
        return [SYSTEM_ID]
    if query.domain_id:
        return [query.domain_id]
    if not query.project_id:
        return None
    if query.include_subtree is not None and truthy(query.include_subtree):
        return [query.project_id, *Tree(tx).below(query.project_id)]
    return [query.project_id]


def target_type(query: AssignmentQuery) -> str:
    return "system" if query.system is not None else "domain" if query.domain_id else "project"


# ---- what they amount to -------------------------------------------------------------------


def effective_ones(tx: Tx, query: AssignmentQuery) -> list[Held]:
    """Users with roles in places, each once; groups, inheritance and implication resolved.

    A cloud has tens of thousands: one plain loop, and what rows have in common is worked out once.
    """
    given = tx.all(ROWS.where(grants.held_by(query.user_id)) if query.user_id else ROWS)
    members, places, roles = Members(tx, query.user_id), Places(tx, query), Closures(tx, query.role_id)
    found: dict[tuple[str, str, str, str], Held] = {}
    for actor_type, actor_id, kind, target_id, role_id, inherited in given:
        people = ((actor_id, ""),) if actor_type == "user" else members.of(actor_id)
        for to_kind, to_id, via_target in places[kind, target_id, inherited]:
            for user_id, via_group in people:
                for held_id, via_role in roles[role_id]:
                    # The first way it is held by is the one that is told.
                    found.setdefault((user_id, to_id, held_id, to_kind), (
                        "user", user_id, to_kind, to_id, held_id, inherited, via_group, via_target, via_role
                    ))
    return list(found.values())


class Members:
    """Each group's (member, group): all are read at the first question, and never if nobody asks."""

    def __init__(self, tx: Tx, only: str | None) -> None:
        self._tx, self._only = tx, only

    @cached_property
    def _by_group(self) -> dict[str, list[tuple[str, str]]]:
        statement = sa.select(MEMBERSHIPS.c.group_id, MEMBERSHIPS.c.user_id)
        if self._only:
            statement = statement.where(MEMBERSHIPS.c.user_id == self._only)
        found: dict[str, list[tuple[str, str]]] = {}
        for row in self._tx.all(statement):
            found.setdefault(row.group_id, []).append((row.user_id, row.group_id))
        return found

    def of(self, group_id: str) -> Sequence[tuple[str, str]]:
        return self._by_group.get(group_id, ())


class Places(dict[tuple[str, str, bool], list[tuple[str, str, Via | None]]]):
    """(kind, target, inherited) to where that counts, of the places asked for: there, or in every project
    below. An entry is (kind, id, where it came down from if it did), found out at the first look."""

    def __init__(self, tx: Tx, query: AssignmentQuery) -> None:
        super().__init__()
        self._tx = tx
        wanted = target_ids(tx, query)
        self._wanted = None if wanted is None else {(target_type(query), id) for id in wanted}
        self._only_inherited = query.inherited_to is not None

    @cached_property
    def _tree(self) -> Tree:
        return Tree(self._tx)

    def __missing__(self, asked: tuple[str, str, bool]) -> list[tuple[str, str, Via | None]]:
        kind, target_id, inherited = asked
        everywhere: list[tuple[str, str, Via | None]] = []
        if inherited:
            everywhere = [("project", id, (kind, target_id)) for id in self._tree.below(target_id)]
        elif not self._only_inherited:
            everywhere = [(kind, target_id, None)]
        found = self[asked] = [
            place for place in everywhere if self._wanted is None or place[:2] in self._wanted
        ]
        return found


class Closures(dict[str, list[tuple[str, str]]]):
    """A role to all that it implies, as (role, what implies it or nothing), found out at the first look.
    A domain's own roles stand only for what they imply."""

    def __init__(self, tx: Tx, only: str | None) -> None:
        super().__init__()
        self._known, self._only = grants.Implications(tx), only

    def __missing__(self, role_id: str) -> list[tuple[str, str]]:
        found = self[role_id] = [
            (id, "" if id == role_id else role_id) for id in sorted(self._known.closure([role_id]))
            if not self._known.roles[id].domain_id and self._only in (None, id)
        ]
        return found


class Tree:
    """All projects and what is below each: read once, since inheritance may start anywhere."""

    def __init__(self, tx: Tx) -> None:
        self._children: dict[str, list[str]] = {}
        for row in tx.all(
            sa.select(PROJECTS.c.id, PROJECTS.c.parent_id).where(PROJECTS.c.parent_id.is_not(None))
        ):
            self._children.setdefault(row.parent_id, []).append(row.id)

    def below(self, id: str) -> list[str]:
        found, waiting = [], list(self._children.get(id, ()))
        while waiting:
            at = waiting.pop()
            found.append(at)
            waiting += self._children.get(at, ())
        return found
