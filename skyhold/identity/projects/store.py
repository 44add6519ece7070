# SPDX-License-Identifier: Apache-2.0
"""Queries on projects: lists with all their filters, the projects of a user.

The store itself is places.py, since domains are rows of the same table. Lists show domains only to
who asks for `is_domain`.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.shapes import Page
from skyhold.identity import permits, places, policy, users
from skyhold.identity.auth.reach import ids_with_role
from skyhold.identity.listing import page, printed, truthy
from skyhold.identity.projects.shape import ProjectQuery
from skyhold.identity.tables import PROJECT_TAGS, PROJECTS, USERS
from skyhold.identity.views import project_view

P, T = PROJECTS.c, PROJECT_TAGS.c
EQUAL = ("name", "domain_id", "parent_id")
UNSHOWN = ("generation", "created_at")


def list_page(tx: Tx, ctx: Context, query: ProjectQuery) -> Page:
    # The common case has no clauses of its own, so that its statement is cached.
    domains = query.is_domain is not None and truthy(query.is_domain)
    return page(
        tx, ctx, places.projects, query, "projects", project_view, equal=EQUAL, flags=["enabled"],
        filters=[("is_domain", "eq", domains)], where=by_tags(query), without=UNSHOWN,
    )


def of_user(tx: Tx, ctx: Context, user_id: str, query: ProjectQuery) -> Page:
    user = tx.first(sa.select(USERS.c.id, USERS.c.domain_id).where(USERS.c.id == user_id))
    target = {"target.user.id": user_id, "target.user.domain_id": user.domain_id if user else None}
    permits.demand(ctx, policy.LIST_USER_PROJECTS, target)
    if user is None:
        raise users.store.not_found(user_id)
    clauses = [P.id.in_(ids_with_role(tx, user_id)), P.is_domain.is_(False), *by_tags(query)]
    clauses += [P[name] == value for name in EQUAL if (value := getattr(query, name)) is not None]
    if query.enabled is not None:
        clauses.append(P.enabled.is_(truthy(query.enabled)))
    if query.marker is not None:
        clauses.append(P.id > query.marker)
    rows = tx.all(sa.select(*P).where(*clauses).order_by(P.id).limit(query.limit))
    return printed(ctx, [project_view(ctx, row) for row in rows], rows, query, f"users/{user_id}/projects")


def by_tags(query: ProjectQuery) -> list[Any]:
    clauses = []
    if query.tags is not None:
        clauses.append(having_all(query.tags.split(",")))
    if query.tags_any is not None:
        clauses.append(having(query.tags_any.split(",")))
    if query.not_tags is not None:
        clauses.append(sa.not_(having_all(query.not_tags.split(","))))
    if query.not_tags_any is not None:
        clauses.append(sa.not_(having(query.not_tags_any.split(","))))
    return clauses


def having_all(names: list[str]) -> Any:
    """One clause however many are named: databases take only so many, one within the other."""
    wanted = set(names)
    many = sa.select(T.project_id).where(T.name.in_(wanted)).group_by(T.project_id)
    return P.id.in_(many.having(sa.func.count() == len(wanted)))


def having(names: list[str]) -> Any:
    return P.id.in_(sa.select(T.project_id).where(T.name.in_(names)))
