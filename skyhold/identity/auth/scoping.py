# SPDX-License-Identifier: Apache-2.0
"""From a proof and a wish to a token: which scope, and how long.

How the proof came about is methods.py, what the token then allows validate.py: a token is only
handed out after it was read like any other. It never lasts longer than the proof.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from skyhold.core import errors
from skyhold.core.context import Context
from skyhold.core.shapes import ABSENT
from skyhold.identity import grants
from skyhold.identity.auth import payload, shape, validate
from skyhold.identity.auth.methods import Proof, denied, domain_ids
from skyhold.identity.auth.payload import SECOND_US, Token
from skyhold.identity.auth.validate import PlaceView, Valid, place_by
from skyhold.identity.tables import PROJECTS

if TYPE_CHECKING:
    from skyhold.core.db.tx import Tx

Wish = shape.Scope | str | None


def issue(tx: Tx, ctx: Context, proof: Proof, wish: Wish) -> Valid:
    """Raises Unauthorized when there is nothing for this user in that scope, Invalid for a scope that
    can't be understood."""
    scope, place = choose(tx, ctx, proof, wish)
    now = ctx.now // SECOND_US * SECOND_US
    token = Token(
        user_id=proof.user_id, methods=proof.methods, scope=scope, scope_id=place.id if place else "",
        issued_at=now, expires_at=max(
            proof.ends_at, now + SECOND_US
        ) if proof.parent is None else proof.ends_at,
        audit_id=payload.new_audit_id(), chain_id=proof.chain_id, user_generation=proof.user_generation,
        scope_generation=place.generation if place else 0, app_cred_id=proof.app_cred_id,
    )
    try:
        return validate.read(tx, ctx, token)
    except errors.NotFound:
        raise denied() from None


def choose(tx: Tx, ctx: Context, proof: Proof, wish: Wish) -> tuple[payload.Scope, PlaceView | None]:
    if proof.only_project_id is not None:
        return only(tx, proof, wish)
    if wish is None:
        return by_default(tx, proof)
    if isinstance(wish, str):
        if wish != "unscoped":
            raise errors.Invalid("scope must be an object, or the string 'unscoped'.")
        return "unscoped", None
    return asked(tx, wish)


def asked(tx: Tx, wish: shape.Scope) -> tuple[payload.Scope, PlaceView | None]:
    given = [wish.project is not None, wish.domain is not None, wish.system is not None,
             wish.unscoped is not ABSENT]
    if sum(given) != 1:
        raise errors.Invalid("Expecting to find exactly one of project, domain, system or unscoped in scope.")
    if wish.project is not None:
        return "project", found(project(tx, wish.project))
    if wish.domain is not None:
        ids = domain_ids(wish.domain)
        return "domain", found(place_by(tx, PROJECTS.c.id.in_(ids)))
    if wish.system is not None:
        if not wish.system.all:
            raise errors.Invalid("Expecting to find all in system: true is the only system scope there is.")
        return "system", None
    return "unscoped", None


def only(tx: Tx, proof: Proof, wish: Wish) -> tuple[payload.Scope, PlaceView | None]:
    """An application credential gives its own project, whatever is asked for."""
    place = found(place_by(tx, PROJECTS.c.id == proof.only_project_id))
    if wish is None:
        return "project", place
    if proof.parent is None:
        raise errors.Unauthorized(
            "Application credentials cannot request a scope.", reason="scope_not_allowed"
        )
    scope, other = asked(tx, wish) if isinstance(wish, shape.Scope) else ("unscoped", None)
    if scope != "project" or other is None or other.id != place.id:
        raise errors.Unauthorized(
            "A token of an application credential can't be taken to another scope.",
            reason="scope_not_allowed",
        )
    return "project", place


def project(tx: Tx, given: shape.ProjectRef) -> PlaceView | None:
    if given.id is not None:
        return place_by(tx, PROJECTS.c.id == given.id)
    if given.name is None:
        raise errors.Invalid("Expecting to find id or name in project.")
    if given.domain is None:
        raise errors.Invalid("Expecting to find domain in project.")
    inside = place_by(tx, PROJECTS.c.name == given.name, PROJECTS.c.domain_id.in_(domain_ids(given.domain)))
    return inside or acting_domain(tx, given)


def acting_domain(tx: Tx, given: shape.ProjectRef) -> PlaceView | None:
    """A domain that acts as a project is asked for by its own name within itself."""
    ids = domain_ids(given.domain or shape.DomainRef())
    return place_by(tx, PROJECTS.c.name == given.name, PROJECTS.c.domain_id == "", PROJECTS.c.id.in_(ids))


def found(place: PlaceView | None) -> PlaceView:
    if place is None:
        raise denied()
    return place


def by_default(tx: Tx, proof: Proof) -> tuple[payload.Scope, PlaceView | None]:
    """The user's default project if it is usable, else no scope."""
    if proof.default_project_id is None:
        return "unscoped", None
    place = place_by(tx, PROJECTS.c.id == proof.default_project_id, PROJECTS.c.domain_id != "")
    if place is None or not grants.direct(tx, proof.user_id, "project", place):
        return "unscoped", None
    return "project", place
