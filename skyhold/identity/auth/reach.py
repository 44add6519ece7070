# SPDX-License-Identifier: Apache-2.0
"""What the owner of a token can get tokens for: projects, domains, the system.

Giving roles is assignments/; how a role reaches somebody is grants.py. What the token of a
delegation can reach is its own project alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from skyhold.core.context import Context
from skyhold.core.shapes import Page
from skyhold.identity import grants, links
from skyhold.identity.tables import ASSIGNMENTS, PROJECTS
from skyhold.identity.views import domain_view, project_view

if TYPE_CHECKING:
    from skyhold.core.db.tx import Tx


def projects(tx: Tx, ctx: Context) -> Page:
    rows = reachable(tx, ctx, "project")
    return Page([project_view(ctx, row) for row in rows], links.of_list(ctx, "auth/projects"))


def reachable(tx: Tx, ctx: Context, kind: str) -> list[Any]:
    """Enabled projects, or domains, with a role for the caller, by name."""
    if delegated(ctx):
        mine = PROJECTS.c.id == ctx.project_id
    else:
        mine = PROJECTS.c.id.in_(ids_with_role(tx, ctx.user_id, kind, ctx.creds.group_ids))
    statement = sa.select(*PROJECTS.c).where(mine, PROJECTS.c.enabled.is_(True))
    return list(tx.all(statement.order_by(PROJECTS.c.name, PROJECTS.c.id)))


def delegated(ctx: Context) -> bool:
    creds = ctx.creds
    return (creds.app_cred_id or creds.trust_id or creds.access_token_id or creds.ec2_key_id) is not None


def ids_with_role(tx: Tx, user_id: str, kind: str = "project", group_ids: Sequence[str] = ()) -> set[str]:
    """Direct targets of this kind, and every project below an inherited one."""
    a = ASSIGNMENTS.c
    mine = grants.held_by(user_id, group_ids, tx.now)
    rows = tx.all(sa.select(a.target_type, a.target_id, a.inherited).where(mine).distinct())
    direct = {row.target_id for row in rows if not row.inherited and row.target_type == kind}
    roots = [row.target_id for row in rows if row.inherited and kind == "project"]
    return direct | (below(tx, roots) if roots else set())


def below(tx: Tx, roots: list[str]) -> set[str]:
    """Every project under these projects and domains, without themselves."""
    p = PROJECTS.c
    under = sa.select(p.id).where(sa.or_(p.parent_id.in_(roots), p.domain_id.in_(roots))).cte(recursive=True)
    under = under.union(sa.select(p.id).join(under, p.parent_id == under.c.id))
    return {row.id for row in tx.all(sa.select(under.c.id))}


def domains(tx: Tx, ctx: Context) -> Page:
    rows = [] if delegated(ctx) else reachable(tx, ctx, "domain")
    return Page([domain_view(ctx, row) for row in rows], links.of_list(ctx, "auth/domains"))


def system(tx: Tx, ctx: Context) -> dict[str, Any]:
    held = not delegated(ctx) and bool(grants.direct(tx, ctx.user_id, "system", None, ctx.creds.group_ids))
    return {"system": [{"all": True}] if held else [], "links": links.of_list(ctx, "auth/system")}
