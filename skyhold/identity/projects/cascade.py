# SPDX-License-Identifier: Apache-2.0
"""Whole trees of projects at once: disabling, enabling and deleting a project with all below it.

One project alone is ops.py. Keystone knows these for its own use and asks the same of them: nothing but `enabled`
changes, and only what is disabled throughout can go. An immutable project in the tree stops the whole.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from skyhold.core import errors, journal
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.shapes import ABSENT
from skyhold.identity import permits, places
from skyhold.identity.auth.sessions import void
from skyhold.identity.projects import ops
from skyhold.identity.projects.shape import ProjectChange
from skyhold.identity.tables import PROJECTS
from skyhold.identity.views import Project, project_view


def switch(tx: Tx, ctx: Context, project_id: str, want: ProjectChange) -> Project:
    """Raises Forbidden for any other change, and below something that is disabled."""
    row = places.projects.get(tx, ctx, project_id)
    if want.enabled is ABSENT or want.extra or len(set_fields(want)) != 1:
        raise errors.Forbidden("Cascade update is only allowed for enabled attribute.", reason="cascade")
    if want.enabled:
        ops.refuse_disabled_above(tx, row)
    for each in whole(tx, row):
        permits.changeable(each, "project", "modify")
        if each.enabled != want.enabled:
            each = places.change(tx, places.projects, each, enabled=want.enabled)
            journal.record(tx, "project.update", each, project_id=each.id)
    void(tx)
    return project_view(ctx, places.projects.find(tx, row.id))


def set_fields(want: ProjectChange) -> list[str]:
    names = ("name", "domain_id", "parent_id", "is_domain", "description", "enabled", "tags", "options")
    return [name for name in names if getattr(want, name) is not ABSENT]


def remove(tx: Tx, ctx: Context, project_id: str) -> None:
    """Raises Forbidden while any of them is enabled."""
    row = places.projects.get(tx, ctx, project_id)
    if row.is_domain:
        raise errors.Forbidden("A project acting as a domain is deleted as the domain that it is.", reason="cascade")
    rows = whole(tx, row)
    for each in rows:
        permits.changeable(each, "project", "delete")
        if each.enabled:
            raise errors.Forbidden(
                f"Cannot delete project {row.id} since its subtree contains enabled projects: disable {each.id} first.",
                reason="cascade",
            )
    for each in reversed(rows):
        places.remove(tx, places.projects, each)
    void(tx)


def whole(tx: Tx, row: Any) -> list[Any]:
    """The project and all below, parents first, locked. Who makes a project locks its parent: so once a level is
    locked, the next can't grow any more."""
    found, level = [row], [row]
    while level:
        below = sa.select(PROJECTS.c.id).where(PROJECTS.c.parent_id.in_([each.id for each in level]))
        ids = [each.id for each in tx.all(below.order_by(PROJECTS.c.id))]
        level = [each for each in (places.projects.find(tx, id, lock=True) for id in ids) if each is not None]
        found += level
    return found
