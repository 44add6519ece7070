# SPDX-License-Identifier: Apache-2.0
"""What may be done to projects: making, changing, ending them, within the laws of their tree.

Queries are store.py, trees tree.py. A project below a disabled one can't be enabled, and one with
enabled projects below can't be disabled; so an enabled project's way up is enabled as well.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from skyhold.core import errors, journal
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.shapes import ABSENT
from skyhold.identity import permits, places, policy
from skyhold.identity.auth.sessions import void
from skyhold.identity.domains import DomainCreate
from skyhold.identity.domains import insert as insert_domain
from skyhold.identity.domains import remove as remove_domain
from skyhold.identity.logic import limit_models
from skyhold.identity.projects import tags, tree
from skyhold.identity.projects.shape import ProjectChange, ProjectCreate
from skyhold.identity.shapes import extra_of, options_of
from skyhold.identity.tables import PROJECTS
from skyhold.identity.views import Project, project_view

DEEPEST = 5
"""How many may be above a project, its domain included."""
DEEPEST_STRICT = 1
"""The same where limits bind in two levels, of which the domain is the first."""

P = PROJECTS.c


def insert(tx: Tx, ctx: Context, want: ProjectCreate) -> Project:
    """Raises Conflict for a name taken in the domain, Forbidden for a tree too deep."""
    if want.is_domain:
        return as_domain(tx, ctx, want)
    parent = parent_of(tx, ctx, want)
    domain_id = parent.domain_id or parent.id
    strict = ctx.core.settings.identity.limit_model == limit_models.STRICT
    deepest = DEEPEST_STRICT if strict else DEEPEST
    if len(tree.above(tx, parent)) + 1 > deepest:
        raise errors.Forbidden(f"Max hierarchy depth reached for {parent.id} branch.")
    if want.enabled and not parent.enabled:
        raise errors.Forbidden(f"Cannot create an enabled project below {parent.id}, which is disabled.")
    row = places.insert(
        tx, places.projects, id=permits.hex_id(ctx), name=want.name, domain_id=domain_id, parent_id=parent.id,
        is_domain=False, enabled=want.enabled, description=want.description or "", extra=extra_of(want),
        options=permits.options_after({}, options_of(want.options)), tags=sorted(want.tags),
    )
    tags.write_index(tx, row.id, want.tags)
    journal.record(tx, "project.create", row, project_id=row.id)
    return project_view(ctx, row)


def as_domain(tx: Tx, ctx: Context, want: ProjectCreate) -> Project:
    """A project acting as a domain is a domain, made here by another name."""
    permits.demand(ctx, policy.CREATE_DOMAIN)
    if want.parent_id is not None or want.domain_id is not None:
        raise errors.Invalid("A project acting as a domain is not allowed to have a parent or a domain.")
    row = insert_domain_row(tx, ctx, want)
    return project_view(ctx, row)


def insert_domain_row(tx: Tx, ctx: Context, want: ProjectCreate) -> Any:
    made = insert_domain(tx, ctx, DomainCreate(
        name=want.name, description=want.description, enabled=want.enabled, options=want.options,
        extra=want.extra,
    ))
    return places.domains.find(tx, made.id)


def parent_of(tx: Tx, ctx: Context, want: ProjectCreate) -> Any:
    """The row above the new project: a project of the same domain, or the domain. Whoever may not make projects there
    is answered as if it were not there."""
    if want.parent_id is None:
        domain_id = want.domain_id or permits.own_domain(ctx)
        permits.demand(ctx, policy.CREATE_PROJECT, within(domain_id))
        return places.domain(tx, domain_id)
    parent = places.projects.find(tx, want.parent_id, lock=True)
    if parent is None or not permits.granted(ctx, policy.CREATE_PROJECT, within(parent.domain_id or parent.id)):
        raise errors.NotFound(f"Could not find project: {want.parent_id}.", kind="project", id=want.parent_id)
    if want.domain_id not in (None, parent.domain_id or parent.id):
        raise errors.Invalid("The parent of a project must be in the same domain as the project.")
    return parent


def within(domain_id: str) -> dict[str, str]:
    """A project of this domain, as the target of a rule."""
    return {"target.project.domain_id": domain_id}


def change(tx: Tx, ctx: Context, project_id: str, want: ProjectChange) -> Project:
    row = places.projects.get(tx, ctx, project_id)
    refuse_moves(row, want)
    options = options_of(want.options)
    changes = places.plain(want) | want.extra | ({} if want.tags is ABSENT else {"tags": want.tags})
    permits.check_change(row, "project", changes, options)
    if want.enabled is True and not row.enabled:
        refuse_disabled_above(tx, row)
    if want.enabled is False and row.enabled:
        refuse_enabled_below(tx, row)
    values = places.plain(want)
    if want.tags is not ABSENT:
        values["tags"] = sorted(want.tags)
        tags.write_index(tx, row.id, want.tags)
    row = places.change(
        tx, places.projects, row, **values, extra=row.extra | extra_of(want),
        options=permits.options_after(row.options, options),
    )
    void(tx)
    journal.record(tx, "project.update", row, project_id=row.id)
    return project_view(ctx, row)


def refuse_moves(row: Any, want: ProjectChange) -> None:
    if want.domain_id is not ABSENT and (want.domain_id or "") != row.domain_id:
        raise errors.Invalid("Cannot change Domain ID.")
    if want.is_domain is not ABSENT and want.is_domain != row.is_domain:
        raise errors.Invalid("Cannot change is_domain.")
    if want.parent_id is not ABSENT and want.parent_id != row.parent_id:
        raise errors.Forbidden("Update of `parent_id` is not allowed.")


def refuse_disabled_above(tx: Tx, row: Any) -> None:
    if any(not parent.enabled for parent in tree.above(tx, row)):
        raise errors.Forbidden(f"Cannot enable project {row.id} since it has disabled parents.")


def refuse_enabled_below(tx: Tx, row: Any) -> None:
    if not row.is_domain and any(child.enabled for child in tree.below(tx, row)):
        raise errors.Forbidden(
            f"Cannot disable project {row.id} since its subtree contains enabled projects."
        )


def remove(tx: Tx, ctx: Context, project_id: str) -> None:
    """Raises Forbidden when there are projects below, Invalid for one acting as a domain that is enabled."""
    row = places.projects.get(tx, ctx, project_id)
    permits.changeable(row, "project", "delete")
    if row.is_domain and row.enabled:
        raise errors.Invalid(f"Cannot delete an enabled project acting as a domain: disable {row.id} first.")
    if tx.first(sa.select(P.id).where(P.parent_id == row.id).limit(1)) is not None:
        raise errors.Forbidden(
            f"Cannot delete the project {row.id} since it is not a leaf in the hierarchy. "
            "Use the cascade option if you want to delete a whole subtree."
        )
    if row.is_domain:
        # The domain by another name: whoever may not delete domains doesn't get further here either.
        permits.demand(ctx, policy.DELETE_DOMAIN)
        remove_domain(tx, ctx, row.id)
        return
    places.remove(tx, places.projects, row)
    void(tx)
