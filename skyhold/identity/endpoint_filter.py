# SPDX-License-Identifier: Apache-2.0
"""Which endpoints a project's catalogue shows, as queries alone.

Giving endpoints to projects is project_endpoints.py and endpoint_groups.py; the catalogue asks here.
Most clouds filter nothing, so that is asked first, and once an epoch.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import sqlalchemy as sa

from skyhold.core.context import Context
from skyhold.identity.tables import ENDPOINT_GROUPS, ENDPOINTS, PROJECT_ENDPOINT_GROUPS, PROJECT_ENDPOINTS

if TYPE_CHECKING:
    from skyhold.core.db.tx import Tx

E, G = PROJECT_ENDPOINTS.c, PROJECT_ENDPOINT_GROUPS.c
ANY = sa.select(sa.exists(sa.select(E.project_id)) | sa.exists(sa.select(G.project_id)))


def any_given(tx: Tx) -> bool:
    """Whether anything was given to any project."""
    return bool(tx.scalar(ANY))


def given_to(tx: Tx, ctx: Context, project_id: str) -> frozenset[str] | None:
    """Ids of the endpoints that a project's catalogue shows; None when it shows them all."""
    clause = clause_of(tx, project_id)
    if clause is None:
        return None
    return frozenset(row.id for row in tx.all(sa.select(ENDPOINTS.c.id).where(clause)))


def clause_of(tx: Tx, project_id: str) -> sa.ColumnElement[bool] | None:
    """Which endpoints were given to a project, as a clause; None when none ever was."""
    groups = tx.all(
        sa.select(ENDPOINT_GROUPS.c.filters)
        .join(PROJECT_ENDPOINT_GROUPS, G.endpoint_group_id == ENDPOINT_GROUPS.c.id)
        .where(G.project_id == project_id)
    )
    single = sa.select(E.endpoint_id).where(E.project_id == project_id)
    if not groups and tx.first(single.limit(1)) is None:
        return None
    return sa.or_(ENDPOINTS.c.id.in_(single), *[inside(row.filters) for row in groups])


def inside(filters: Mapping[str, str]) -> sa.ColumnElement[bool]:
    """The endpoints that a group's filters let through."""
    return sa.and_(sa.true(), *[ENDPOINTS.c[name] == value for name, value in sorted(filters.items())])
