# SPDX-License-Identifier: Apache-2.0
"""Whether a project that a request names exists: asked of identity, in the same transaction.

Quota sets, limits and flavor access name projects other than the caller's own.
"""

from __future__ import annotations

from skyhold.core import errors
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.policy.rules import Rule
from skyhold.identity import facade as identity


def require_project(tx: Tx, ctx: Context, project_id: str) -> None:
    """Raises Invalid, as upstream, for a project that identity doesn't know."""
    if project_id != ctx.project_id and project_id not in identity.projects(tx, ctx, [project_id]):
        raise errors.Invalid(
            f"Project ID {project_id[:64]} is not a valid project.", reason="project_not_found"
        )


def permit(ctx: Context, rule: Rule, project_id: str) -> None:
    """Raises Forbidden unless the caller may do this to that project."""
    ctx.demand(rule, {"project_id": project_id, "user_id": ctx.user_id})
