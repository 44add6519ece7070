# SPDX-License-Identifier: Apache-2.0
"""From a proof and a wish to a token: which scope, and how long.

How the proof came about is methods.py, what the token then allows validate.py: a token is only
handed out after it was read like any other. It never lasts longer than the proof.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from skyhold.core import errors
from skyhold.core.context import Context
from skyhold.core.shapes import ABSENT
from skyhold.identity import grants
from skyhold.identity.auth import grounds, payload, shape, trusting, validate
from skyhold.identity.auth.payload import SECOND_US, Token
from skyhold.identity.auth.proof import Proof, denied
from skyhold.identity.auth.subjects import PlaceView, named_domain, named_project, place_with_id, project_with_id
from skyhold.identity.auth.validate import Valid

if TYPE_CHECKING:
    from skyhold.core.db.tx import Tx

Wish = shape.Scope | str | None


class Choice(NamedTuple):
    """`carries` are further attributes of the token (payload.CARRIED), as a scope that is a delegation adds
    them; `ends_at` is when that delegation ends."""

    scope: payload.Scope
    place: PlaceView | None = None
    carries: Mapping[str, Any] = MappingProxyType({})
    ends_at: int | None = None


def issue(tx: Tx, ctx: Context, proof: Proof, wish: Wish) -> Valid:
    """Raises Unauthorized when there is nothing for this user in that scope, Invalid for a scope that
    can't be understood."""
    choice = choose(tx, ctx, proof, wish)
    place = choice.place
    now = ctx.now // SECOND_US * SECOND_US
    token = Token(
        user_id=proof.user_id, methods=proof.methods, scope=choice.scope, scope_id=place.id if place else "",
        issued_at=now, expires_at=ends_at(proof, choice, now), audit_id=payload.new_audit_id(),
        chain_id=proof.chain_id, user_generation=proof.user_generation,
        scope_generation=place.generation if place else 0, **{**proof.carries, **choice.carries},
    )
    try:
        resting = grounds.generation(grounds.of_token(tx, ctx, token))
        token = msgspec.structs.replace(token, user_generation=token.user_generation + resting)
        return shortened(validate.read(tx, ctx, token))
    except errors.NotFound:
        raise denied() from None


def shortened(valid: Valid) -> Valid:
    """It says the end that it has: a delegation far up the chain may end before the token's own time."""
    token = valid.token
    if valid.ends_at >= token.expires_at:
        return valid
    ends_at = max(valid.ends_at // SECOND_US * SECOND_US, token.issued_at + SECOND_US)
    return msgspec.structs.replace(valid, token=msgspec.structs.replace(token, expires_at=ends_at))


def uses_up(wish: Wish) -> bool:
    """Whether giving this scope changes something, as a trust with counted uses does: it needs a write then."""
    return isinstance(wish, shape.Scope) and wish.trust is not None


def ends_at(proof: Proof, choice: Choice, now: int) -> int:
    """A rescoped token ends when its parent does; seconds are whole, so a first one lives at least for one."""
    latest = proof.ends_at if choice.ends_at is None else min(proof.ends_at, choice.ends_at)
    return latest if proof.parent is not None else max(latest, now + SECOND_US)


def choose(tx: Tx, ctx: Context, proof: Proof, wish: Wish) -> Choice:
    if proof.only_project_id is not None:
        return only(tx, proof, wish)
    if wish is None:
        return by_default(tx, proof)
    if isinstance(wish, str):
        if wish != "unscoped":
            raise errors.Invalid("scope must be an object, or the string 'unscoped'.")
        return Choice("unscoped")
    if wish.trust is not None:
        one_of(wish)
        return trusted(tx, ctx, proof, wish.trust.id)
    return asked(tx, wish)


def trusted(tx: Tx, ctx: Context, proof: Proof, trust_id: str) -> Choice:
    trust, place = trusting.take(tx, ctx, proof, trust_id)
    return Choice("project" if place else "unscoped", place, {"trust_id": trust.id}, trust.expires_at)


def one_of(wish: shape.Scope) -> None:
    given = [wish.project is not None, wish.domain is not None, wish.system is not None,
             wish.unscoped is not ABSENT, wish.trust is not None]
    if sum(given) != 1:
        raise errors.Invalid(
            "Expecting to find exactly one of project, domain, system, OS-TRUST:trust or unscoped in scope."
        )


def asked(tx: Tx, wish: shape.Scope) -> Choice:
    one_of(wish)
    if wish.trust is not None:
        raise denied()
    if wish.project is not None:
        return Choice("project", found(project(tx, wish.project)))
    if wish.domain is not None:
        return Choice("domain", found(named_domain(tx, wish.domain)))
    if wish.system is not None:
        if not wish.system.all:
            raise errors.Invalid("Expecting to find all in system: true is the only system scope there is.")
        return Choice("system")
    return Choice("unscoped")


def only(tx: Tx, proof: Proof, wish: Wish) -> Choice:
    """An application credential gives its own project, whatever is asked for."""
    place = found(place_with_id(tx, proof.only_project_id or ""))
    if wish is None:
        return Choice("project", place)
    if proof.parent is None:
        raise errors.Unauthorized(
            "Application credentials cannot request a scope.", reason="scope_not_allowed"
        )
    other = asked(tx, wish) if isinstance(wish, shape.Scope) else Choice("unscoped")
    if other.scope != "project" or other.place is None or other.place.id != place.id:
        raise errors.Unauthorized(
            "A token of an application credential can't be taken to another scope.",
            reason="scope_not_allowed",
        )
    return Choice("project", place)


def project(tx: Tx, given: shape.ProjectRef) -> PlaceView | None:
    if given.id is not None:
        return place_with_id(tx, given.id)
    if given.name is None:
        raise errors.Invalid("Expecting to find id or name in project.")
    if given.domain is None:
        raise errors.Invalid("Expecting to find domain in project.")
    return named_project(tx, given.name, given.domain) or acting_domain(tx, given.name, given.domain)


def acting_domain(tx: Tx, name: str, given: shape.DomainRef) -> PlaceView | None:
    """A domain that acts as a project is asked for by its own name within itself."""
    domain = named_domain(tx, given)
    return domain if domain is not None and domain.name == name else None


def found(place: PlaceView | None) -> PlaceView:
    if place is None:
        raise denied()
    return place


def by_default(tx: Tx, proof: Proof) -> Choice:
    """The user's default project if it is usable, else no scope."""
    if proof.default_project_id is None:
        return Choice("unscoped")
    place = project_with_id(tx, proof.default_project_id)
    if place is None or not grants.direct(tx, proof.user_id, "project", place, proof.carries.get("group_ids", ())):
        return Choice("unscoped")
    return Choice("project", place)
