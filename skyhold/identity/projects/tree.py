# SPDX-License-Identifier: Apache-2.0
"""What is above and below a project, and how it is shown with it.

Changing a tree is ops.py. One recursive query reads either direction. Only what the caller may see,
or has a role in, is shown as a list; ids show the whole tree, as in Keystone.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from skyhold.core import errors
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.shapes import writer
from skyhold.identity import limits, places
from skyhold.identity.auth import reach
from skyhold.identity.listing import truthy
from skyhold.identity.projects.shape import TreeQuery
from skyhold.identity.tables import PROJECTS
from skyhold.identity.views import Project, project_view

P = PROJECTS.c


def show(tx: Tx, ctx: Context, project_id: str, query: TreeQuery) -> Project:
    row = places.projects.get(tx, ctx, project_id)
    more: dict[str, Any] = {}
    with_limits = query.include_limits is not None and truthy(query.include_limits)
    if wanted(query.parents_as_list, query.parents_as_ids, "parents"):
        parents = above(tx, row)
        as_list = query.parents_as_list is not None
        more["parents"] = listed(tx, ctx, parents, with_limits) if as_list else chain(parents)
    if wanted(query.subtree_as_list, query.subtree_as_ids, "subtree"):
        rows = below(tx, row)
        as_list = query.subtree_as_list is not None
        more["subtree"] = listed(tx, ctx, rows, with_limits) if as_list else nested(rows, row.id)
    return project_view(ctx, row, **more)


def wanted(as_list: str | None, as_ids: str | None, what: str) -> bool:
    if as_list is not None and as_ids is not None:
        raise errors.Invalid(f"Cannot use {what}_as_list and {what}_as_ids query params at the same time.")
    return as_list is not None or as_ids is not None


def above(tx: Tx, row: Any) -> list[Any]:
    """From the parent up to the domain."""
    if row.parent_id is None:
        return []
    up = sa.select(P.id, P.parent_id).where(P.id == row.parent_id).cte(recursive=True)
    up = up.union_all(sa.select(P.id, P.parent_id).join(up, P.id == up.c.parent_id))
    found = {r.id: r for r in tx.all(sa.select(*P).where(P.id.in_(sa.select(up.c.id))))}
    way, at = [], row.parent_id
    while at in found:
        way.append(found.pop(at))
        at = way[-1].parent_id
    return way


def below(tx: Tx, row: Any) -> list[Any]:
    """Everything under a project, in no special order."""
    down = sa.select(P.id).where(P.parent_id == row.id).cte(recursive=True)
    down = down.union_all(sa.select(P.id).join(down, P.parent_id == down.c.id))
    return list(tx.all(sa.select(*P).where(P.id.in_(sa.select(down.c.id)))))


def listed(tx: Tx, ctx: Context, rows: list[Any], with_limits: bool) -> list[dict[str, Any]]:
    ids = [row.id for row in rows if not row.is_domain]
    if not ids:
        return []
    seen = {row.id for row in tx.all(sa.select(P.id).where(P.id.in_(ids), places.projects.visible(ctx)))}
    seen |= reachable_ids(tx, ctx)
    write, shown = writer(Project, ctx.version), [row for row in rows if row.id in seen and not row.is_domain]
    found = [{"project": write(project_view(ctx, row))} for row in shown]
    if with_limits:
        held, write_limit = limits.of_projects(tx, ctx, [row.id for row in shown]), writer(limits.Limit, ctx.version)
        for each in found:
            each["project"]["limits"] = [write_limit(limit) for limit in held[each["project"]["id"]]]
    return found


def reachable_ids(tx: Tx, ctx: Context) -> set[str]:
    """What the token of a delegation can't reach, it isn't shown either."""
    if reach.delegated(ctx):
        return {ctx.project_id}
    return reach.ids_with_role(tx, ctx.user_id, group_ids=ctx.creds.group_ids)


def chain(rows: list[Any]) -> dict[str, Any] | None:
    ids: dict[str, Any] | None = None
    for row in reversed(rows):
        ids = {row.id: ids}
    return ids


def nested(rows: list[Any], root: str) -> dict[str, Any] | None:
    children: dict[str, list[str]] = {}
    for row in rows:
        children.setdefault(row.parent_id, []).append(row.id)

    def under(id: str) -> dict[str, Any] | None:
        return {child: under(child) for child in children[id]} if id in children else None

    return under(root)
