# SPDX-License-Identifier: Apache-2.0
"""Tokens of other issuers: is it really theirs, for us, and still good; and what does it say?

Keys and endpoints are issuers.py. Signatures are asymmetric only, and the algorithm is one of a list: what a
token says about how to check it is not believed. Sources: OpenID Connect Core 3.1.3.7, RFC 7519, 7662, 9068.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from typing import Any

from skyhold.core import errors
from skyhold.identity.federation.oidc.issuers import Issuer

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
LONGEST = 16_384
LEEWAY_S = 30


async def id_token(issuer: Issuer, text: str, nonce: str, now_us: int) -> dict[str, Any]:
    """The claims of an id token that was made for this client in answer to `nonce`. Raises Unauthorized."""
    claims = await verified(issuer, text, now_us)
    client = issuer.agreement.client_id
    audience = several(claims.get("aud"))
    if client not in audience or (len(audience) > 1 and claims.get("azp") != client):
        raise bad("it was made for another client")
    if "azp" in claims and claims["azp"] != client:
        raise bad("it was made for another client")
    given = claims.get("nonce")
    if not isinstance(given, str) or not hmac.compare_digest(given.encode(), nonce.encode()):
        raise bad("it answers another request")
    if "sub" not in claims or "iat" not in claims:
        raise bad("it has no subject, or no moment")
    return claims


async def access_token(issuer: Issuer, text: str, now_us: int) -> dict[str, Any]:
    """The claims of an access token that a client of ours may use here. Raises Unauthorized."""
    if len(text) > LONGEST:
        raise bad("it is too long")
    if issuer.agreement.introspect:
        claims = await introspected(issuer, text)
        check_times(claims, now_us)
    else:
        claims = await verified(issuer, text, now_us)
        if "nonce" in claims or "at_hash" in claims:
            # RFC 9068 keeps the two apart by type; those before it can be told by what only an id token has.
            raise bad("it is an id token")
    ours = {issuer.agreement.client_id, *issuer.agreement.audiences}
    for_whom = {*several(claims.get("aud")), *several(claims.get("azp")), *several(claims.get("client_id"))}
    if not ours & for_whom:
        raise bad("it was made for another client")
    if issuer.agreement.userinfo:
        claims = enriched(claims, await issuer.userinfo(text))
    return claims


async def introspected(issuer: Issuer, text: str) -> dict[str, Any]:
    claims = await issuer.post("introspection_endpoint", {"token": text, "token_type_hint": "access_token"})
    if claims.get("active") is not True:
        raise bad("its issuer says that it is not active")
    if claims.get("iss", issuer.agreement.issuer) != issuer.agreement.issuer:
        raise bad("it is another issuer's")
    return claims


async def verified(issuer: Issuer, text: str, now_us: int) -> dict[str, Any]:
    """Signature, issuer and times; the audience is its caller's to judge."""
    # Only who federates pays for it.
    import jwt

    if len(text) > LONGEST:
        raise bad("it is too long")
    try:
        header = jwt.get_unverified_header(text)
    except jwt.PyJWTError:
        raise bad("it is no JWT") from None
    algorithm, kid = header.get("alg"), header.get("kid")
    if algorithm not in ALGORITHMS or not isinstance(kid, str | None):
        raise bad("its signature is of a kind that is not taken")
    key = await issuer.key(kid)
    options = {"verify_aud": False, "verify_exp": False, "verify_iat": False, "verify_nbf": False, "verify_iss": False}
    try:
        claims: dict[str, Any] = jwt.decode(
            text, jwt.PyJWK(key, algorithm=algorithm).key, algorithms=[algorithm], options=options  # type: ignore[arg-type]
        )
    except (jwt.PyJWTError, TypeError, ValueError):
        raise bad("its signature does not hold") from None
    if claims.get("iss") != issuer.agreement.issuer:
        raise bad("it is another issuer's")
    if "exp" not in claims:
        raise bad("it never expires")
    check_times(claims, now_us)
    return claims


def check_times(claims: dict[str, Any], now_us: int) -> None:
    """By the cloud's own clock."""
    now_s = now_us / 1e6
    for name in ("exp", "nbf", "iat"):
        at = claims.get(name)
        if at is None:
            continue
        if not isinstance(at, int | float) or (at + LEEWAY_S <= now_s if name == "exp" else at - LEEWAY_S > now_s):
            raise bad(f"its {name} is not now")


def enriched(claims: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    """Userinfo may add, never change; and it must be about the same subject."""
    if more.get("sub") != claims.get("sub"):
        raise bad("the issuer's userinfo is about somebody else")
    return more | claims


def several(value: Any) -> list[str]:
    values: Iterable[Any] = value if isinstance(value, list) else [value]
    return [each for each in values if isinstance(each, str)]


def bad(why: str) -> errors.Unauthorized:
    return errors.Unauthorized(f"The identity provider's token is not good: {why}.", reason="bad_token")
