# SPDX-License-Identifier: Apache-2.0
"""The keys that the issuer signs with, and what is signed.

Private keys are rows sealed by the master key, so that all processes of a cloud have the same. A new key signs at
once; an old one stays in the public set for a day, longer than anything it signed lives.
"""

from __future__ import annotations

import asyncio
import secrets
from itertools import pairwise
from typing import Any, NamedTuple

import sqlalchemy as sa
import structlog

from skyhold.core import errors
from skyhold.core.context import Context, internal
from skyhold.core.db.tx import Tx
from skyhold.identity.issuer.tables import KEYS

log = structlog.get_logger("issuer")

ALGORITHM = "RS256"
"""The one that every relying party must know (OpenID Connect Discovery 3)."""
BITS = 2048
DAY_US = 86_400 * 1_000_000
ROTATE_AFTER_US = 30 * DAY_US
KNOWN_FOR_US = 60 * 1_000_000
FRESH_US = 1_000_000
"""Another process may have made a key just now, and signed with it: who asks for all keys, or shows what was signed
with one that we don't know, is answered by what was true within this time."""
SHELF = "identity.oidc_keys"


class Key(NamedTuple):
    kid: str
    private: Any
    created_at: int


def issuer_url(ctx: Context) -> str:
    return f"{ctx.core.settings.public_url}/identity/oidc"


async def keys(ctx: Context, known_for_us: int = KNOWN_FOR_US) -> list[Key]:
    """Newest first; the first one is made when it is first needed. Other processes' are seen within that time."""
    known: tuple[int, list[Key]] | None = ctx.core.shelf.get(SHELF)
    if known is None or not known[1] or known[0] + known_for_us < ctx.now:
        known = (ctx.now, await asyncio.to_thread(opened, ctx, await ctx.read(rows)))
        if not known[1]:
            await rotate(ctx)
            known = (ctx.now, await asyncio.to_thread(opened, ctx, await ctx.read(rows)))
        ctx.core.shelf[SHELF] = known
    return known[1]


def rows(tx: Tx, ctx: Context) -> list[Any]:
    return list(tx.all(sa.select(*KEYS.c).order_by(KEYS.c.created_at.desc(), KEYS.c.id)))


def opened(ctx: Context, found: list[Any]) -> list[Key]:
    """Without those that no master key opens: what they signed is not ours any more, and others sign on."""
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    keys = []
    for row in found:
        try:
            pem = ctx.core.keyring.open(row.sealed)
        except ValueError:
            log.error("a key of the issuer can't be opened with any master key", kid=row.id)
            continue
        keys.append(Key(row.id, load_pem_private_key(pem, None), row.created_at))
    return keys


async def rotate(ctx: Context) -> None:
    """A new key from now on; those whose successor is older than a day are forgotten."""
    sealed = ctx.core.keyring.seal(await asyncio.to_thread(new_pem))
    # It is the cloud's, whoever happens to need it first.
    await internal(ctx.core, ctx.request_id).write(add, secrets.token_hex(8), sealed)
    ctx.core.shelf.pop(SHELF, None)


def new_pem() -> bytes:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    return rsa.generate_private_key(public_exponent=65537, key_size=BITS).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def add(tx: Tx, ctx: Context, kid: str, sealed: str) -> None:
    tx.execute(KEYS.insert(), {"id": kid, "sealed": sealed, "created_at": ctx.now})
    found = rows(tx, ctx)
    old = [row.id for newer, row in pairwise(found) if newer.created_at + DAY_US < ctx.now]
    if old:
        tx.execute(KEYS.delete().where(KEYS.c.id.in_(old)))


async def run(ctx: Context) -> None:
    """A loop's work: a cloud that issues has a key no older than a month."""
    found = await ctx.read(rows)
    if found and found[0].created_at + ROTATE_AFTER_US < ctx.now:
        await rotate(ctx)


async def rotate_used(ctx: Context) -> None:
    """For the operator's rotation of all keys: a cloud that never issued anything has none, and gets none."""
    if await ctx.read(rows):
        await rotate(ctx)


async def signed(ctx: Context, claims: dict[str, Any], kind: str) -> str:
    """`kind` is the header's typ: it tells an access token (at+jwt) from an id token (JWT)."""
    import jwt

    key = (await keys(ctx))[0]
    return await asyncio.to_thread(
        jwt.encode, {"iss": issuer_url(ctx), **claims}, key.private, ALGORITHM, {"kid": key.kid, "typ": kind}
    )


async def opened_access_token(ctx: Context, text: str) -> dict[str, Any]:
    """The claims of an access token of ours that is still good. Raises Unauthorized."""
    import jwt

    try:
        header = jwt.get_unverified_header(text[:16_384])
        key = await key_called(ctx, header.get("kid"))
        claims: dict[str, Any] = jwt.decode(
            text, key.private.public_key(), algorithms=[ALGORITHM], issuer=issuer_url(ctx),
            options={"verify_aud": False, "verify_exp": False, "verify_iat": False, "require": ["exp", "sub"]},
        )
    except jwt.PyJWTError:
        raise no_good() from None
    if header.get("typ") != "at+jwt" or claims["exp"] * 1_000_000 <= ctx.now:
        raise no_good()
    return claims


async def key_called(ctx: Context, kid: Any) -> Key:
    """Raises Unauthorized when there is none."""
    for known_for_us in (KNOWN_FOR_US, FRESH_US):
        for key in await keys(ctx, known_for_us):
            if key.kid == kid:
                return key
    raise no_good()


def no_good() -> errors.Unauthorized:
    return errors.Unauthorized("This access token is not good, or not any more.", reason="invalid_token")


async def public_keys(ctx: Context) -> list[dict[str, Any]]:
    from jwt.algorithms import RSAAlgorithm

    return [
        {**RSAAlgorithm.to_jwk(key.private.public_key(), as_dict=True), "kid": key.kid, "use": "sig", "alg": ALGORITHM}
        for key in await keys(ctx, FRESH_US)
    ]
