# SPDX-License-Identifier: Apache-2.0
"""Ways to prove who one is: password, a token, an application credential; one function each.

A method reads, takes its time outside of any transaction, and returns a Proof; what the proof is
good for is scoping.py. A new method is a function added to METHODS. All failures look alike.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import msgspec
import sqlalchemy as sa

from skyhold.core import errors
from skyhold.core.context import Context
from skyhold.identity.auth import shape
from skyhold.identity.auth.payload import SECOND_US, Token
from skyhold.identity.auth.sessions import sessions
from skyhold.identity.auth.validate import UserView, user_by
from skyhold.identity.passwords import LONGEST, passwords
from skyhold.identity.tables import APP_CREDENTIALS, PROJECTS, USERS

if TYPE_CHECKING:
    from skyhold.core.db.tx import Tx


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody proved to be `user_id`. `ends_at` bounds every token made of it."""

    user_id: str
    user_generation: int
    methods: tuple[str, ...]
    ends_at: int
    chain_id: str = ""
    parent: Token | None = None
    app_cred_id: str | None = None
    default_project_id: str | None = None
    only_project_id: str | None = None
    """An application credential is for one project, and no scope can be asked for."""


Method = Callable[[Context, shape.Identity], Awaitable[Proof]]


async def prove(ctx: Context, identity: shape.Identity) -> Proof:
    """Every method named must succeed, and for the same user. Raises Unauthorized, Invalid."""
    proofs = []
    for name in dict.fromkeys(identity.methods):
        method = METHODS.get(name)
        if method is None:
            raise errors.Unauthorized("Attempted to authenticate with an unsupported method.")
        proofs.append(await method(ctx, identity))
    if not proofs or len({proof.user_id for proof in proofs}) != 1:
        raise denied()
    return joined(proofs)


def joined(proofs: list[Proof]) -> Proof:
    """Several proofs of one user: the strictest bound of each kind counts."""
    first = proofs[0]
    for other in proofs[1:]:
        first = msgspec.structs.replace(
            first, methods=tuple(dict.fromkeys(first.methods + other.methods)),
            ends_at=min(first.ends_at, other.ends_at), chain_id=first.chain_id or other.chain_id,
            parent=first.parent or other.parent, app_cred_id=first.app_cred_id or other.app_cred_id,
            only_project_id=first.only_project_id or other.only_project_id,
            default_project_id=first.default_project_id or other.default_project_id,
        )
    return first


async def by_password(ctx: Context, identity: shape.Identity) -> Proof:
    if identity.password is None:
        raise missing("password")
    given = identity.password.user
    user = await ctx.read(named_user, given)
    secret = given.password
    known = user is not None and len(secret) <= LONGEST
    matches = await passwords(ctx.core).matches(user.password_hash if known else None, secret[:LONGEST])
    if user is None or not matches:
        raise denied()
    if user.password_expires_at is not None and user.password_expires_at <= ctx.now:
        raise errors.Unauthorized(
            f"The password is expired and needs to be changed for user: {user.id}.", reason="password_expired"
        )
    return fresh(ctx, user, "password")


async def by_token(ctx: Context, identity: shape.Identity) -> Proof:
    if identity.token is None:
        raise missing("token")
    try:
        valid = (await sessions(ctx.core).look(identity.token.id)).valid
    except errors.NotFound:
        raise denied() from None
    token = valid.token
    return Proof(
        user_id=token.user_id, user_generation=token.user_generation,
        methods=tuple(dict.fromkeys((*token.methods, "token"))), ends_at=token.expires_at,
        chain_id=token.chain_id or token.audit_id, parent=token, app_cred_id=token.app_cred_id,
        default_project_id=valid.user.default_project_id,
        only_project_id=token.scope_id if token.app_cred_id else None,
    )


async def by_app_credential(ctx: Context, identity: shape.Identity) -> Proof:
    given = identity.application_credential
    if given is None:
        raise missing("application_credential")
    found = await ctx.read(app_credential, given)
    if len(given.secret) > LONGEST:
        found = None
    matches = await passwords(ctx.core).matches(found and found[0].secret_hash, given.secret[:LONGEST])
    if found is None or not matches:
        raise denied()
    row, user = found
    proof = fresh(ctx, user, "application_credential")
    ends_at = proof.ends_at if row.expires_at is None else min(proof.ends_at, row.expires_at)
    return msgspec.structs.replace(
        proof, ends_at=ends_at, app_cred_id=row.id, only_project_id=row.project_id, default_project_id=None
    )


METHODS: dict[str, Method] = {
    "password": by_password, "token": by_token, "application_credential": by_app_credential,
}


def fresh(ctx: Context, user: UserView, method: str) -> Proof:
    now = ctx.now // SECOND_US * SECOND_US
    return Proof(
        user_id=user.id, user_generation=user.generation, methods=(method,),
        ends_at=now + ctx.core.settings.identity.token_lifetime_s * SECOND_US,
        default_project_id=user.default_project_id,
    )


def named_user(tx: Tx, ctx: Context, given: shape.UserRef) -> UserView | None:
    """Raises Invalid when the reference names nobody at all."""
    if given.id is not None:
        return user_by(tx, USERS.c.id == given.id)
    if given.name is None or given.domain is None:
        raise errors.Invalid("Expecting to find id, or name and domain, in user. The server could not comply "
                             "with the request since it is either malformed or otherwise incorrect.")
    return user_by(tx, USERS.c.name == given.name, USERS.c.domain_id.in_(domain_ids(given.domain)))


def domain_ids(given: shape.DomainRef) -> Any:
    """A subquery of the one domain that is meant."""
    if given.id is None and given.name is None:
        raise errors.Invalid("Expecting to find id or name in domain. The server could not comply with the "
                             "request since it is either malformed or otherwise incorrect.")
    by = PROJECTS.c.id == given.id if given.id is not None else PROJECTS.c.name == given.name
    return sa.select(PROJECTS.c.id).where(PROJECTS.c.domain_id == "", by)


def app_credential(tx: Tx, ctx: Context, given: shape.ByAppCredential) -> tuple[Any, UserView] | None:
    columns = APP_CREDENTIALS.c
    if given.id is not None:
        row = tx.first(sa.select(*columns).where(columns.id == given.id))
        user = row and user_by(tx, USERS.c.id == row.user_id)
    else:
        if given.name is None or given.user is None:
            raise errors.Invalid("Expecting to find id, or name and user, in application_credential.")
        user = named_user(tx, ctx, given.user)
        row = user and tx.first(
            sa.select(*columns).where(columns.user_id == user.id, columns.name == given.name)
        )
    if row is None or user is None or (row.expires_at is not None and row.expires_at <= ctx.now):
        return None
    return row, user


def missing(method: str) -> errors.Invalid:
    return errors.Invalid(
        f"Expecting to find {method} in identity. The server could not comply with the request since it is "
        "either malformed or otherwise incorrect. The client is assumed to be in error."
    )


def denied() -> errors.Unauthorized:
    return errors.Unauthorized("The request you have made requires authentication.", reason="denied")
