# SPDX-License-Identifier: Apache-2.0
"""Clients turn codes and refresh tokens into tokens, and ask who somebody is.

How a code comes about is authorize.py. Codes are good once; so are refresh tokens, each of which brings the next,
and one that comes twice ends them all: somebody else has it. Sources: RFC 6749, 6750, 7636, 9068, OpenID Connect
Core 3.1.3 and 5.3.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote_plus

import sqlalchemy as sa

from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.http.routes import PUBLIC, Reply, Routes, Stream
from skyhold.identity import forms, users
from skyhold.identity.issuer import clients, people, signing
from skyhold.identity.issuer.tables import CODES, REFRESH_TOKENS

routes = Routes()
ACCESS_LASTS_S = 3600
REFRESH_LASTS_US = 14 * signing.DAY_US
SECOND_US = 1_000_000
UNSTORED = {"Cache-Control": "no-store", "Pragma": "no-cache"}


class Refused(Exception):
    """`error` is RFC 6749's word for it (5.2)."""

    def __init__(self, error: str, why: str, status: int = 400) -> None:
        super().__init__(why)
        self.error, self.why, self.status = error, why, status


@routes.post("/oidc/token", policy=PUBLIC, stream=True, headers=("Authorization",))
async def token(ctx: Context, headers: Mapping[str, str | None], stream: Stream) -> Reply:
    """Turn a code or a refresh token into tokens."""
    try:
        form = await forms.fields(stream)
        client = await ctx.read(client_calling, form, headers["Authorization"])
        granted = await redeemed(ctx, client, form)
        return Reply(await tokens(ctx, client, granted), headers=UNSTORED)
    except Refused as refusal:
        more = {"WWW-Authenticate": 'Basic realm="oidc"'} if refusal.status == 401 else {}
        told = {"error": refusal.error, "error_description": refusal.why}
        return Reply(told, status=refusal.status, headers={**UNSTORED, **more})


@routes.get("/oidc/userinfo", policy=PUBLIC, headers=("Authorization",))
async def userinfo(ctx: Context, headers: Mapping[str, str | None]) -> Reply:
    """Show what the issuer says of the user whose access token this is."""
    return Reply(await who(ctx, headers["Authorization"]), headers=UNSTORED)


@routes.post("/oidc/userinfo", policy=PUBLIC, headers=("Authorization",))
async def userinfo_too(ctx: Context, headers: Mapping[str, str | None]) -> Reply:
    """Show what the issuer says of the user whose access token this is."""
    return await userinfo(ctx, headers)


async def who(ctx: Context, authorization: str | None) -> dict[str, Any]:
    """Raises Unauthorized."""
    kind, _, text = (authorization or "").partition(" ")
    if kind.lower() != "bearer":
        raise signing.no_good()
    return await ctx.read(told_of, await signing.opened_access_token(ctx, text.strip()))


def told_of(tx: Tx, ctx: Context, claims: dict[str, Any]) -> dict[str, Any]:
    user = people.present(tx, claims["sub"], claims.get("gen", -1))
    if user is None or clients.store.find(tx, str(claims.get("client_id"))) is None:
        raise signing.no_good()
    return people.said_of(tx, user, set(str(claims.get("scope", "")).split()))


# ---- who calls? ------------------------------------------------------------------------------


def client_calling(tx: Tx, ctx: Context, form: Mapping[str, str], authorization: str | None) -> Any:
    client_id, secret = form.get("client_id", ""), form.get("client_secret")
    if authorization:
        client_id, secret = basic(authorization)
    client = clients.store.find(tx, client_id) if len(client_id) <= 64 else None
    expected = client.secret_digest if client is not None else "nobody's"
    if expected is None and secret is None:
        return client
    matches = hmac.compare_digest(clients.digest(secret or ""), expected or "")
    if client is None or not matches:
        raise Refused("invalid_client", "The client is unknown, or its secret is wrong.", 401)
    return client


def basic(authorization: str) -> tuple[str, str]:
    kind, _, encoded = authorization.partition(" ")
    try:
        name, _, secret = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        kind = ""
    if kind.lower() != "basic":
        raise Refused("invalid_client", "The client proves itself by HTTP Basic, or in the form.", 401)
    return unquote_plus(name), unquote_plus(secret)


# ---- what is it good for? --------------------------------------------------------------------


class Granted:
    """What was redeemed: the row it stood in, what to say, and the refresh token that follows."""

    def __init__(self, row: Any, claims: dict[str, Any], nonce: str | None, refresh: str | None) -> None:
        self.row, self.claims, self.nonce, self.refresh = row, claims, nonce, refresh


async def redeemed(ctx: Context, client: Any, form: Mapping[str, str]) -> Granted:
    """What is used up stays used up, though the answer is a refusal: both are said after the commit."""
    kind, fresh = form.get("grant_type"), secrets.token_urlsafe(48)
    if kind == "authorization_code":
        found = await ctx.write(by_code, client, dict(form), fresh)
    elif kind == "refresh_token":
        found = await ctx.write(by_refresh_token, client, dict(form), fresh)
    else:
        raise Refused("unsupported_grant_type", "The grant_type is authorization_code or refresh_token.")
    if isinstance(found, Refused):
        raise found
    return found


def by_code(tx: Tx, ctx: Context, client: Any, form: dict[str, str], fresh: str) -> Granted | Refused:
    spent = Refused("invalid_grant", "The code is not good, or was used before.")
    key = clients.digest(form.get("code", ""))
    row = tx.first(sa.select(*CODES.c).where(CODES.c.id == key, CODES.c.client_id == client.id))
    if row is None or not tx.changed(CODES.delete().where(CODES.c.id == key)):
        tx.execute(REFRESH_TOKENS.delete().where(REFRESH_TOKENS.c.family == key))
        return spent
    if row.ends_at <= ctx.now or row.redirect_uri != form.get("redirect_uri"):
        return spent
    if not proves(row.challenge, form.get("code_verifier")):
        return Refused("invalid_grant", "The code_verifier does not fit.")
    return granted(tx, ctx, row, row.nonce, key, ctx.now + REFRESH_LASTS_US, fresh) or spent


def proves(challenge: str | None, verifier: str | None) -> bool:
    """RFC 7636 4.6; a verifier for what had no challenge is as wrong as none for what had one."""
    if challenge is None or verifier is None:
        return challenge is verifier
    made = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
    return hmac.compare_digest(made.encode(), challenge.encode())


def by_refresh_token(tx: Tx, ctx: Context, client: Any, form: dict[str, str], fresh: str) -> Granted | Refused:
    spent = Refused("invalid_grant", "The refresh token is not good, or was used before.")
    r = REFRESH_TOKENS.c
    key = clients.digest(form.get("refresh_token", ""))
    row = tx.first(sa.select(*REFRESH_TOKENS.c).where(r.id == key, r.client_id == client.id))
    if row is None or row.ends_at <= ctx.now:
        return spent
    if not tx.changed(REFRESH_TOKENS.update().where(r.id == key, r.used.is_(False)).values(used=True)):
        tx.execute(REFRESH_TOKENS.delete().where(r.family == row.family))
        return spent
    return granted(tx, ctx, row, None, row.family, row.ends_at, fresh) or spent


def granted(
    tx: Tx, ctx: Context, row: Any, nonce: str | None, family: str, ends_at: int, fresh: str
) -> Granted | None:
    """None when the user is nobody any more. A refresh token never outlives what it began with."""
    # Neither may go until what is written for them is there.
    held = users.store.find(tx, row.user_id, lock="stay"), clients.store.find(tx, row.client_id, lock="stay")
    user = people.present(tx, row.user_id, row.user_generation)
    if user is None or None in held:
        tx.execute(REFRESH_TOKENS.delete().where(REFRESH_TOKENS.c.family == family))
        return None
    scopes = set(row.scope.split())
    lasting = "offline_access" in scopes
    if lasting:
        tx.execute(REFRESH_TOKENS.insert(), {
            "id": clients.digest(fresh), "client_id": row.client_id, "user_id": row.user_id,
            "user_generation": row.user_generation, "scope": row.scope, "authenticated_at": row.authenticated_at,
            "ends_at": ends_at, "family": family, "used": False,
        })
    return Granted(row, people.said_of(tx, user, scopes), nonce, fresh if lasting else None)


async def tokens(ctx: Context, client: Any, what: Granted) -> dict[str, Any]:
    now_s = ctx.now // SECOND_US
    common = {**what.claims, "aud": client.id, "iat": now_s, "exp": now_s + ACCESS_LASTS_S}
    access = {**common, "client_id": client.id, "scope": what.row.scope, "gen": what.row.user_generation,
              "jti": secrets.token_urlsafe(16)}
    said = {**common, "auth_time": what.row.authenticated_at // SECOND_US}
    if what.nonce is not None:
        said["nonce"] = what.nonce
    answer = {
        "access_token": await signing.signed(ctx, access, "at+jwt"), "token_type": "Bearer",
        "expires_in": ACCESS_LASTS_S, "scope": what.row.scope, "id_token": await signing.signed(ctx, said, "JWT"),
    }
    return answer if what.refresh is None else {**answer, "refresh_token": what.refresh}


async def forget(ctx: Context) -> None:
    """A loop's work: what has ended by itself goes."""
    await ctx.write(drop_ended)


def drop_ended(tx: Tx, ctx: Context) -> None:
    for table in (CODES, REFRESH_TOKENS):
        tx.execute(table.delete().where(table.c.ends_at <= ctx.now))


