# SPDX-License-Identifier: Apache-2.0
"""What a token may hand on: whether it is itself handed on, and to what a new delegation then hangs.

How far an existing delegation reaches is auth/grounds.py. The one thing to know first: whatever is made with
a delegated token remembers that delegation (`made_with`), and is worth no more and lives no longer.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from skyhold.core import errors
from skyhold.core.context import Context
from skyhold.core.shapes import ABSENT, Absent
from skyhold.identity import places
from skyhold.identity.auth import grounds
from skyhold.identity.auth.bounds import Bound

if TYPE_CHECKING:
    from skyhold.core.db.tx import Tx

INNERMOST = ("ec2_key_id", "app_cred_id", "trust_id", "access_token_id")
"""A token with an EC2 key may have another of them, which the key was made with."""
MOST_LINKS = 8
"""Each link of a chain costs every validation a query."""
WORDS = {
    "app_cred_id": "application_credential", "trust_id": "trust", "access_token_id": "oauth1",
    "ec2_key_id": "ec2credential",
}


def held_with(ctx: Context) -> str | None:
    """The delegation that the caller's token came from; None for a token of the user's own."""
    for name in INNERMOST:
        id = getattr(ctx.creds, name)
        if id is not None:
            return grounds.link(name, id)
    return None


def role_of(id: str | Absent, name: str | Absent, held: Mapping[str, str]) -> str | None:
    """The role that is named by its id, or else by its name, if it is among those `held` (name to id)."""
    meant = id if id is not ABSENT else None if name is ABSENT else held.get(name)
    return meant if meant in held.values() else None


def bounds(tx: Tx, ctx: Context) -> list[Bound]:
    """What the caller's token rests on, nearest first."""
    return list(grounds.above(tx, ctx, held_with(ctx)))


def permit(tx: Tx, ctx: Context, what: str, through: Collection[str] = ()) -> list[Bound]:
    """The bounds that a new delegation has to keep; Forbidden when this token may not make one.

    An application credential must be unrestricted; an EC2 key passes on what it has; a trust and an OAuth
    access token only where `through` names them.
    """
    creds = ctx.creds
    for name in ("trust_id", "access_token_id"):
        if getattr(creds, name) is not None and name not in through:
            raise refused(name, what)
    if creds.app_cred_id and not grounds.application_credential(tx, ctx, creds.app_cred_id).passes_on:
        raise refused("app_cred_id", what)
    found = bounds(tx, ctx)
    if len(found) >= MOST_LINKS:
        raise errors.Forbidden(
            f"This token was handed on {len(found)} times already: use one nearer to its origin.",
            reason="handed_on_too_often",
        )
    return found


def refused(name: str, what: str) -> errors.Forbidden:
    return errors.Forbidden(
        f"Using method '{WORDS[name]}' is not allowed for managing {what}: what this token was delegated "
        "is not to be passed on.", reason="restricted",
    )


def refuse_rules(bounds: list[Bound], what: str) -> None:
    """Access rules can't be compared, so what they limit makes nothing that could be wider."""
    if any(bound.access_rules is not None for bound in bounds):
        raise errors.Forbidden(
            f"A token with access rules can't create {what}: they would not hold for it.", reason="restricted"
        )


def refuse_foreign_project(ctx: Context, project_id: str | None) -> None:
    """A delegation is for one project, and so is whatever is made with it."""
    if held_with(ctx) is not None and project_id != ctx.project_id:
        raise errors.Forbidden(
            f"A token that was delegated for project {ctx.project_id} can't make anything for project "
            f"{project_id}.", reason="other_project",
        )


def earliest(*moments: int | None) -> int | None:
    known = [moment for moment in moments if moment is not None]
    return min(known) if known else None


def own_or_made_here(ctx: Context, table: sa.Table) -> list[Any]:
    """Clauses for secrets that can be read again: a delegated token sees only those made with itself, or
    it could read a key that is worth more."""
    here = held_with(ctx)
    if here is None:
        return []
    return [sa.or_(table.c.user_id != ctx.user_id, table.c.made_with == here)]


def project(tx: Tx, project_id: str) -> Any:
    """The project (or the domain that acts as one), kept from going before the commit; NotFound."""
    found = places.projects.find(tx, project_id, lock="stay")
    if found is None:
        raise errors.NotFound(f"Could not find project: {project_id}.", kind="project", id=project_id)
    return found
