# SPDX-License-Identifier: Apache-2.0
"""Ways to prove who one is: password, a token, an application credential; one function each.

A method reads, takes its time outside of any transaction, and returns a Proof (proof.py); what the proof
is good for is scoping.py. A new method is a function in a module of its own and a line in METHODS.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from skyhold.core import errors
from skyhold.core.context import Context
from skyhold.core.http.caller import thumbprint
from skyhold.identity import standing
from skyhold.identity.auth import external, grounds, shape, totp
from skyhold.identity.auth.proof import Method, Proof, denied, fresh, joined, limited, missing
from skyhold.identity.auth.sessions import sessions
from skyhold.identity.auth.subjects import UserView, named_user, user_with_id
from skyhold.identity.delegation.oauth1 import signed, signing_in
from skyhold.identity.directories.signing_in import by_directory
from skyhold.identity.passwords import LONGEST, passwords
from skyhold.identity.tables import APP_CREDENTIALS

if TYPE_CHECKING:
    from skyhold.core.db.tx import Tx


async def prove(
    ctx: Context, identity: shape.Identity, remote: external.Remote | None = None, given: signed.Signed | None = None
) -> Proof:
    """Every method named must succeed, and for the same user; `remote` is whom a trusted proxy vouches for, `given` the
    request where OAuth1 signed it.

    Whether that is enough for this user is receipts.lacking. Raises Unauthorized, Invalid, Forbidden."""
    proofs = [await external.prove(ctx, remote)] if remote is not None or external.NAME in identity.methods else []
    for name in dict.fromkeys(each for each in identity.methods if each not in BY_HEADER):
        method = METHODS.get(name)
        if method is None:
            raise errors.Unauthorized("Attempted to authenticate with an unsupported method.")
        proofs.append(await method(ctx, identity))
    if signing_in.NAME in identity.methods:
        proofs.append(await signing_in.prove(ctx, given))
    if not proofs or len({proof.user_id for proof in proofs}) != 1:
        raise denied()
    return joined(proofs)


async def by_password(ctx: Context, identity: shape.Identity) -> Proof:
    if identity.password is None:
        raise missing("password")
    given = identity.password.user
    if (elsewhere := await by_directory(ctx, given)) is not None:
        return fresh(ctx, elsewhere, "password")
    user = await ctx.read(find, given)
    secret = given.password
    if user is not None:
        await standing.demand(ctx, user)
    hashed = user.password_hash if user is not None and len(secret) <= LONGEST else None
    matches = await passwords(ctx.core).matches(hashed, secret[:LONGEST])
    if user is None:
        raise denied()
    if not matches:
        await standing.failed(ctx, user)
        raise denied()
    if user.password_expires_at is not None and user.password_expires_at <= ctx.now:
        raise errors.Unauthorized(
            f"The password is expired and needs to be changed for user: {user.id}.", reason="password_expired"
        )
    await standing.succeeded(ctx, user)
    return fresh(ctx, user, "password")


async def by_token(ctx: Context, identity: shape.Identity) -> Proof:
    """What bounds the token bounds what is made of it, and it ends no later.

    Raises NotFound for one that doesn't count: other ways to fail are 401, but here upstream says 404.
    """
    if identity.token is None:
        raise missing("token")
    valid = (await sessions(ctx.core).look(identity.token.id)).valid
    token = valid.token
    if token.thumbprint is not None and token.thumbprint != thumbprint(ctx.certificate):
        raise denied()
    for name, why in grounds.FINAL.items():
        if getattr(token, name) is not None:
            raise errors.Forbidden(why, reason="token_not_passed_on")
    projects = {bound.project_id for bound in valid.bounds if bound.project_id is not None}
    return Proof(
        user_id=token.user_id, user_generation=valid.user_generation,
        methods=tuple(dict.fromkeys((*token.methods, "token"))), ends_at=valid.ends_at,
        chain_id=token.chain_id or token.audit_id, parent=token, carries=token.carried,
        default_project_id=valid.user.default_project_id, options=valid.user.options,
        only_project_id=min(projects, default=None),
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
    proof = fresh(ctx, user, "application_credential", app_cred_id=row.id)
    return limited(proof, project_id=row.project_id, ends_at=row.expires_at)


BY_HEADER = (external.NAME, signing_in.NAME)
"""Methods that are not told in the body."""

METHODS: dict[str, Method] = {
    "password": by_password, "token": by_token, "application_credential": by_app_credential,
    "totp": totp.prove,
}
"""By the name in `identity.methods`; payload.METHODS holds the same names."""


def find(tx: Tx, ctx: Context, given: shape.UserRef) -> UserView | None:
    return named_user(tx, given)


def app_credential(tx: Tx, ctx: Context, given: shape.ByAppCredential) -> tuple[Any, UserView] | None:
    columns = APP_CREDENTIALS.c
    if given.id is not None:
        row = tx.first(sa.select(*columns).where(columns.id == given.id))
        user = None if row is None else user_with_id(tx, row.user_id)
    else:
        if given.name is None or given.user is None:
            raise errors.Invalid("Expecting to find id, or name and user, in application_credential.")
        user = named_user(tx, given.user)
        row = None if user is None else tx.first(
            sa.select(*columns).where(columns.user_id == user.id, columns.name == given.name)
        )
    if row is None or user is None or (row.expires_at is not None and row.expires_at <= ctx.now):
        return None
    return row, user
