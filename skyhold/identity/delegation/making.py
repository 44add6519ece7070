# SPDX-License-Identifier: Apache-2.0
"""What a token may hand on: whether it is itself handed on, and to what a new delegation then hangs.

How far an existing delegation reaches is chain.py. The one thing to know first: whatever is made with a
delegated token remembers that delegation (`made_with`), and is worth no more and lives no longer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from skyhold.core import errors
from skyhold.core.context import Context
from skyhold.identity.tables import APP_CREDENTIALS, PROJECTS

if TYPE_CHECKING:
    from skyhold.core.db.tx import Tx

APP_CREDENTIAL = "application_credential"


def link(kind: str, id: str) -> str:
    """How a column `made_with` names a delegation."""
    return f"{kind}:{id}"


def held_with(ctx: Context) -> str | None:
    """The delegation that the caller's token came from; None for a token of the user's own."""
    return link(APP_CREDENTIAL, ctx.creds.app_cred_id) if ctx.creds.app_cred_id else None


def refuse_restricted(tx: Tx, ctx: Context, what: str) -> None:
    """Raises Forbidden for a token of an application credential that isn't unrestricted."""
    if ctx.creds.app_cred_id is None:
        return
    c = APP_CREDENTIALS.c
    if not tx.scalar(sa.select(c.unrestricted).where(c.id == ctx.creds.app_cred_id)):
        raise errors.Forbidden(
            f"Using method 'application_credential' is not allowed for managing {what}: this application "
            "credential is restricted.", reason="restricted",
        )


def refuse_foreign_project(ctx: Context, project_id: str | None) -> None:
    """A delegation is for one project, and so is whatever is made with it."""
    if held_with(ctx) is not None and project_id != ctx.project_id:
        raise errors.Forbidden(
            f"A token that was delegated for project {ctx.project_id} can't make anything for project "
            f"{project_id}.", reason="other_project",
        )


def own_or_made_here(ctx: Context, table: sa.Table) -> list[Any]:
    """Clauses for secrets that can be read again: a delegated token sees only those made with itself, or
    it could read a key that is worth more."""
    here = held_with(ctx)
    if here is None:
        return []
    return [sa.or_(table.c.user_id != ctx.user_id, table.c.made_with == here)]


def project(tx: Tx, project_id: str) -> Any:
    """The project, kept from going before the commit; NotFound."""
    found = tx.first(sa.select(*PROJECTS.c).where(PROJECTS.c.id == project_id))
    if found is None:
        raise errors.NotFound(f"Could not find project: {project_id}.", kind="project", id=project_id)
    return found
