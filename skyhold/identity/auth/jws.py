# SPDX-License-Identifier: Apache-2.0
"""Tokens as signed JSON (JWS, RFC 7515, by ES256), with the claims that Keystone's provider of that name gives them.

The sealed form, which is the default, is payload.py; which one is made, sessions.py. The signing keys are derived from
the very keys of that set: they rotate with it, and every process has them. Whoever has such a token can read it.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec

from skyhold.core.keyring import KeySet
from skyhold.identity.auth.payload import LONGEST, SECOND_US, Scope, Token, unknown

ALGORITHM = "ES256"
MARK = "eyJ"
"""How every one begins: the brace of its header."""
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""Of the group of P-256 (FIPS 186-5): private keys are the numbers below."""


class Claims(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Seconds since 1970. `skyhold_generations` are the user's and the scope's (Token)."""

    sub: str
    iat: int
    exp: int
    openstack_methods: list[str]
    openstack_audit_ids: list[str]
    skyhold_generations: tuple[int, int]
    openstack_project_id: str | None = None
    openstack_domain_id: str | None = None
    openstack_system: str | None = None
    openstack_app_cred_id: str | None = None
    openstack_trust_id: str | None = None
    openstack_access_token_id: str | None = None
    openstack_idp_id: str | None = None
    openstack_protocol_id: str | None = None
    openstack_group_ids: list[str] = []
    openstack_thumbprint: str | None = None
    skyhold_ec2_key_id: str | None = None


class Key(NamedTuple):
    kid: str
    private: Any


encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder(Claims).decode


def seal(keys: KeySet, token: Token) -> str:
    import jwt

    key = key_of(keys.current()[0])
    return jwt.PyJWS().encode(encode(claims_of(token)), key.private, ALGORITHM, {"kid": key.kid})


def unseal(keys: KeySet, text: str) -> Token:
    """Raises NotFound for what none of our keys signed."""
    import jwt

    if len(text) > LONGEST:
        raise unknown()
    try:
        kid = jwt.get_unverified_header(text).get("kid")
        key = next(key for secret in keys.current() if (key := key_of(secret)).kid == kid)
        return token_of(decode(jwt.PyJWS().decode(text, key.private.public_key(), [ALGORITHM])))
    except (jwt.PyJWTError, msgspec.DecodeError, StopIteration, ValueError):
        raise unknown() from None


@lru_cache(maxsize=16)
def key_of(secret: bytes) -> Key:
    """The signing key that goes with a key of the set; its id tells nothing of either."""
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    # 16 bytes more than the number has, so that no remainder is likelier than another (FIPS 186-5, A.2.1).
    drawn = HKDF(hashes.SHA256(), 48, None, b"skyhold: tokens signed by ES256").derive(secret)
    private = ec.derive_private_key(int.from_bytes(drawn) % (ORDER - 1) + 1, ec.SECP256R1())
    point = private.public_key().public_numbers()
    return Key(hashlib.sha256(f"{point.x:x}.{point.y:x}".encode()).hexdigest()[:16], private)


def claims_of(token: Token) -> Claims:
    return Claims(
        sub=token.user_id, iat=token.issued_at // SECOND_US, exp=token.expires_at // SECOND_US,
        openstack_methods=list(token.methods), openstack_audit_ids=token.audit_ids,
        openstack_project_id=token.scope_id if token.scope == "project" else None,
        openstack_domain_id=token.scope_id if token.scope == "domain" else None,
        openstack_system="all" if token.scope == "system" else None,
        openstack_app_cred_id=token.app_cred_id, openstack_trust_id=token.trust_id,
        openstack_access_token_id=token.access_token_id, openstack_idp_id=token.idp_id,
        openstack_protocol_id=token.protocol_id, openstack_group_ids=list(token.group_ids),
        openstack_thumbprint=token.thumbprint, skyhold_ec2_key_id=token.ec2_key_id,
        skyhold_generations=(token.user_generation, token.scope_generation),
    )


def token_of(claims: Claims) -> Token:
    audit_id, *chain = claims.openstack_audit_ids
    scope, scope_id = scope_of(claims)
    return Token(
        user_id=claims.sub, methods=tuple(claims.openstack_methods), scope=scope, scope_id=scope_id,
        issued_at=claims.iat * SECOND_US, expires_at=claims.exp * SECOND_US, audit_id=audit_id,
        chain_id=chain[0] if chain else "", user_generation=claims.skyhold_generations[0],
        scope_generation=claims.skyhold_generations[1], app_cred_id=claims.openstack_app_cred_id,
        trust_id=claims.openstack_trust_id, access_token_id=claims.openstack_access_token_id,
        idp_id=claims.openstack_idp_id, protocol_id=claims.openstack_protocol_id,
        group_ids=tuple(claims.openstack_group_ids), thumbprint=claims.openstack_thumbprint,
        ec2_key_id=claims.skyhold_ec2_key_id,
    )


def scope_of(claims: Claims) -> tuple[Scope, str]:
    if claims.openstack_project_id is not None:
        return "project", claims.openstack_project_id
    if claims.openstack_domain_id is not None:
        return "domain", claims.openstack_domain_id
    return ("system", "") if claims.openstack_system is not None else ("unscoped", "")
