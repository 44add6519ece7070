# SPDX-License-Identifier: Apache-2.0
"""What every way to prove who one is comes to: a Proof, and how several of them are joined.

The ways themselves are listed in methods.py; what a proof is good for is scoping.py. All failures
look alike to who asks: `denied()`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from skyhold.core import errors
from skyhold.core.context import Context
from skyhold.identity.auth import shape
from skyhold.identity.auth.payload import SECOND_US, Token
from skyhold.identity.auth.subjects import UserView


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody proved to be `user_id`. `ends_at` bounds every token made of it."""

    user_id: str
    user_generation: int
    methods: tuple[str, ...]
    ends_at: int
    chain_id: str = ""
    parent: Token | None = None
    default_project_id: str | None = None
    carries: dict[str, Any] = {}
    """Attributes that every token made of it gets (payload.CARRIED): the grounds that bound it, and
    the identity provider that vouched for the user."""
    options: dict[str, Any] = {}
    """The user's, among them the rules of which methods suffice (logic/factors.py)."""
    only_project_id: str | None = None
    """A delegation is for one project, and no other scope can be asked for."""


Method = Callable[[Context, shape.Identity], Awaitable[Proof]]


def fresh(ctx: Context, user: UserView, method: str, **carries: Any) -> Proof:
    now = ctx.now // SECOND_US * SECOND_US
    return Proof(
        user_id=user.id, user_generation=user.generation, methods=(method,),
        ends_at=now + ctx.core.settings.identity.token_lifetime_s * SECOND_US,
        default_project_id=user.default_project_id, carries=carries, options=user.options,
    )


def limited(proof: Proof, *, project_id: str, ends_at: int | None) -> Proof:
    """As a delegation for this project alone leaves it."""
    return msgspec.structs.replace(
        proof, only_project_id=project_id, default_project_id=None,
        ends_at=proof.ends_at if ends_at is None else min(proof.ends_at, ends_at),
    )


def joined(proofs: list[Proof]) -> Proof:
    """Several proofs of one user: all that bounds one of them bounds the result. Raises Unauthorized
    for bounds that exclude each other."""
    first = proofs[0]
    for other in proofs[1:]:
        both = first.carries.keys() & other.carries.keys()
        if any(first.carries[name] != other.carries[name] for name in both):
            raise denied()
        if len({first.only_project_id, other.only_project_id} - {None}) > 1:
            raise denied()
        first = msgspec.structs.replace(
            first, methods=tuple(dict.fromkeys(first.methods + other.methods)),
            ends_at=min(first.ends_at, other.ends_at), chain_id=first.chain_id or other.chain_id,
            parent=first.parent or other.parent, carries=first.carries | other.carries,
            only_project_id=first.only_project_id or other.only_project_id,
            default_project_id=first.default_project_id or other.default_project_id,
        )
    return first


def missing(method: str) -> errors.Invalid:
    return errors.Invalid(
        f"Expecting to find {method} in identity. The server could not comply with the request since it is "
        "either malformed or otherwise incorrect. The client is assumed to be in error."
    )


def denied() -> errors.Unauthorized:
    return errors.Unauthorized("The request you have made requires authentication.", reason="denied")
