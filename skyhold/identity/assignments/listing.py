# SPDX-License-Identifier: Apache-2.0
"""The list of all assignments: as given, or with `effective` what they amount to.

Giving is ops.py. Everything is read in a constant number of queries and put together in memory: groups
become their members, inherited roles come down the tree, roles bring what they imply.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import sqlalchemy as sa

from skyhold.core import errors
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.shapes import JsonObject, Page, Shape, field
from skyhold.identity import grants, links, permits, policy
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
    user: JsonObject = field(optional=True)
    group: JsonObject = field(optional=True)
    links: JsonObject


class Held(NamedTuple):
    """One assignment, or one of those it amounts to; `via_*` say where that came from."""

    actor_type: str
    actor_id: str
    target_type: str
    target_id: str
    role_id: str
    inherited: bool
    via_group: str = ""
    via_target: tuple[str, str] | None = None
    via_role: str = ""


A = ASSIGNMENTS.c


def list_page(tx: Tx, ctx: Context, query: AssignmentQuery) -> Page:
    """Raises Invalid for filters that contradict each other, Forbidden."""
    effective = query.effective is not None and truthy(query.effective)
    refuse_contradictions(query, effective)
    allow(tx, ctx, query)
    found = list(effective_ones(tx, query) if effective else plain_ones(tx, query))
    if not is_admin_view(ctx):
        found = within_domain(tx, found, ctx.creds.domain_id, query)
    names = Names(tx, found) if query.include_names is not None and truthy(query.include_names) else None
    return Page([printed(ctx, held, names) for held in found], links.of_list(ctx, "role_assignments"))


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
    return [held for held in found if held.target_id in inside]


# ---- as given ------------------------------------------------------------------------------


def plain_ones(tx: Tx, query: AssignmentQuery) -> Iterator[Held]:
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
    return read(tx, clauses)


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


def read(tx: Tx, clauses: Iterable[Any]) -> Iterator[Held]:
    statement = sa.select(A.actor_type, A.actor_id, A.target_type, A.target_id, A.role_id, A.inherited)
    rows = tx.all(statement.where(*clauses).order_by(A.actor_id, A.target_id, A.role_id))
    return (Held(*row) for row in rows)


# ---- what they amount to -------------------------------------------------------------------


def effective_ones(tx: Tx, query: AssignmentQuery) -> list[Held]:
    """Users with roles in places, each once; groups, inheritance and implication resolved."""
    clauses = [grants.held_by(query.user_id)] if query.user_id else []
    given = list(read(tx, clauses))
    wanted = target_ids(tx, query)
    targets = None if wanted is None else {(target_type(query), id) for id in wanted}
    inherit = any(held.inherited for held in given)
    found: Iterable[Held] = persons(tx, given, query.user_id)
    found = placed(
        found, Tree(tx) if inherit else None, targets, only_inherited=query.inherited_to is not None
    )
    seen: dict[tuple[str, ...], Held] = {}
    for held in implied(grants.Implications(tx), found, query.role_id):
        seen.setdefault((held.actor_id, held.target_type, held.target_id, held.role_id), held)
    return list(seen.values())


def persons(tx: Tx, given: list[Held], only: str | None) -> Iterator[Held]:
    groups = {held.actor_id for held in given if held.actor_type == "group"}
    members: dict[str, list[str]] = {}
    if groups:
        statement = sa.select(MEMBERSHIPS.c.group_id, MEMBERSHIPS.c.user_id)
        if only:
            statement = statement.where(MEMBERSHIPS.c.user_id == only)
        for row in tx.all(statement):
            members.setdefault(row.group_id, []).append(row.user_id)
    for held in given:
        if held.actor_type == "user":
            yield held
            continue
        for user_id in members.get(held.actor_id, ()):
            yield held._replace(actor_type="user", actor_id=user_id, via_group=held.actor_id)


def placed(
    found: Iterable[Held], tree: Tree | None, targets: set[tuple[str, str]] | None, only_inherited: bool
) -> Iterator[Held]:
    for held in found:
        if not held.inherited:
            if not only_inherited and (targets is None or (held.target_type, held.target_id) in targets):
                yield held
            continue
        assert tree is not None
        for project_id in tree.below(held.target_id):
            if targets is None or ("project", project_id) in targets:
                yield held._replace(
                    target_type="project", target_id=project_id, via_target=(held.target_type, held.target_id)
                )


def implied(known: grants.Implications, found: Iterable[Held], only: str | None) -> Iterator[Held]:
    closures: dict[str, set[str]] = {}
    for held in found:
        closure = closures.get(held.role_id)
        if closure is None:
            closure = closures[held.role_id] = known.closure([held.role_id])
        for role_id in closure:
            if known.roles[role_id].domain_id or (only and role_id != only):
                continue
            yield held if role_id == held.role_id else held._replace(role_id=role_id, via_role=held.role_id)


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


# ---- printing ------------------------------------------------------------------------------


def printed(ctx: Context, held: Held, names: Names | None) -> Assignment:
    role = names.role(held.role_id) if names else {"id": held.role_id}
    actor = names.actor(held.actor_id) if names else {"id": held.actor_id}
    return Assignment(
        role=role, scope=scope_of(held, names), links=links_of(ctx, held), **{held.actor_type: actor},  # type: ignore[arg-type]
    )


def scope_of(held: Held, names: Names | None) -> dict[str, Any]:
    if held.target_type == "system":
        return {"system": {"all": True}}
    place = names.place(held.target_id) if names else {"id": held.target_id}
    scope: dict[str, Any] = {held.target_type: place}
    if held.inherited:
        scope["OS-INHERIT:inherited_to"] = "projects"
    return scope


def links_of(ctx: Context, held: Held) -> dict[str, str]:
    base = links.base(ctx)
    kind, target_id = held.via_target or (held.target_type, held.target_id)
    target = "system" if kind == "system" else f"{kind}s/{target_id}"
    actor = f"groups/{held.via_group}" if held.via_group else f"{held.actor_type}s/{held.actor_id}"
    path = f"{target}/{actor}/roles/{held.via_role or held.role_id}"
    if held.inherited:
        path = f"OS-INHERIT/{path}/inherited_to_projects"
    found = {"assignment": f"{base}/{path}"}
    if held.via_group:
        found["membership"] = f"{base}/groups/{held.via_group}/users/{held.actor_id}"
    if held.via_role:
        found["prior_role"] = f"{base}/prior_role/{held.via_role}/implies/{held.role_id}"
    return found


