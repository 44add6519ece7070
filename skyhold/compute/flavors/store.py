# SPDX-License-Identifier: Apache-2.0
"""Queries about flavors and who may use them.

Decisions are ops.py. A flavor belongs to no project: everybody sees the public ones and those
that their project was given access to, administrators see all.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from skyhold.compute import policy
from skyhold.compute.tables import FLAVOR_ACCESS, FLAVORS
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.store import Store

store = Store(FLAVORS, service="compute", kind="flavor", label="Flavor")


def sees_all(ctx: Context) -> bool:
    return ctx.creds.internal or ctx.allows(policy.FLAVORS_ALL)


def usable(project_id: str) -> Any:
    """A clause: public, or opened to this project."""
    opened = sa.select(FLAVOR_ACCESS.c.flavor_id).where(FLAVOR_ACCESS.c.project_id == project_id)
    return sa.or_(FLAVORS.c.is_public.is_(True), FLAVORS.c.id.in_(opened))


def find(tx: Tx, ctx: Context, flavor_id: str, *, lock: bool = False) -> Any | None:
    """The flavor's row if the caller may see it."""
    row = store.find(tx, flavor_id, lock=lock and sees_all(ctx))
    if row is None or row.is_public or sees_all(ctx) or has_access(tx, flavor_id, ctx.project_id):
        return row
    return None


def get(tx: Tx, ctx: Context, flavor_id: str) -> Any:
    """The row, locked in a writing transaction, or NotFound."""
    row = find(tx, ctx, flavor_id, lock=tx.writing)
    if row is None:
        raise store.not_found(flavor_id)
    return row


def has_access(tx: Tx, flavor_id: str, project_id: str) -> bool:
    same = (FLAVOR_ACCESS.c.flavor_id == flavor_id) & (FLAVOR_ACCESS.c.project_id == project_id)
    return tx.first(sa.select(FLAVOR_ACCESS.c.flavor_id).where(same)) is not None


def projects_with_access(tx: Tx, flavor_id: str) -> list[str]:
    statement = (
        sa.select(FLAVOR_ACCESS.c.project_id)
        .where(FLAVOR_ACCESS.c.flavor_id == flavor_id)
        .order_by(FLAVOR_ACCESS.c.project_id)
    )
    return [row.project_id for row in tx.all(statement)]
