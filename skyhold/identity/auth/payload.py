# SPDX-License-Identifier: Apache-2.0
"""What a token holds, and its sealed form: msgpack inside Fernet, as the key set signs it.

Whether it still counts is validate.py. A token is never stored: it names a user and a scope, and
what they may do is read from the database; so a role taken away is gone from tokens at once.
"""

from __future__ import annotations

import base64
import secrets
from typing import Any, Literal

import msgspec

from skyhold.core import errors
from skyhold.core.keyring import KeySet

Scope = Literal["unscoped", "project", "domain", "system"]
SCOPES: tuple[Scope, ...] = ("unscoped", "project", "domain", "system")
METHODS = (
    "external", "password", "token", "oauth1", "mapped", "application_credential", "totp", "trust", "oauth2",
    "saml2", "openid", "oauth2_credential", "ec2credential",
)
"""The position is the bit on the wire: only ever append."""

SECOND_US = 1_000_000
LONGEST = 12_288
"""Characters: what fits into a request's head beside other headers. Usual tokens stay below 255; one with many groups
of an identity provider is longer."""


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """`user_generation` and `scope_generation` are the sums over the rows it depends on; when one
    of them is raised, the token is void. Times are microseconds, on whole seconds."""

    user_id: str
    methods: tuple[str, ...]
    scope: Scope = "unscoped"
    scope_id: str = ""
    issued_at: int
    expires_at: int
    audit_id: str
    chain_id: str = ""
    """The audit id of the first of the chain of tokens this one was rescoped from, if any."""
    user_generation: int
    scope_generation: int = 0
    app_cred_id: str | None = None
    trust_id: str | None = None
    access_token_id: str | None = None
    """Of OAuth 1."""
    idp_id: str | None = None
    """The identity provider that vouched for the user, by this protocol, with these groups."""
    protocol_id: str | None = None
    group_ids: tuple[str, ...] = ()
    ec2_key_id: str | None = None
    thumbprint: str | None = None
    """x5t#S256 of the client certificate without which the token is no good (RFC 8705)."""

    @property
    def carried(self) -> dict[str, Any]:
        """What every token made of this one has too."""
        return {name: value for name in CARRIED if (value := getattr(self, name)) not in (None, ())}

    @property
    def audit_ids(self) -> list[str]:
        return [self.audit_id, self.chain_id] if self.chain_id else [self.audit_id]


class Packed(msgspec.Struct, frozen=True, array_like=True):
    """Ids of 32 or 64 hexadecimal digits travel as bytes, to keep tokens below 255 characters."""

    user_id: Any
    methods: int
    scope: int
    scope_id: Any
    issued_s: int
    lifetime_s: int
    audit_id: bytes
    chain_id: bytes
    user_generation: int
    scope_generation: int
    app_cred_id: Any
    carried: dict[int, Any] = {}
    """By position in CARRIED, for the few tokens that have more."""


CARRIED = (
    "app_cred_id", "trust_id", "access_token_id", "idp_id", "protocol_id", "group_ids", "thumbprint", "ec2_key_id",
)
"""Attributes that go over from a token to those made of it. The position is on the wire: only ever append."""
GROUPS = CARRIED.index("group_ids")

encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder(Packed).decode


def seal(keys: KeySet, token: Token) -> str:
    packed = Packed(
        short(token.user_id), bits_of(token.methods),
        SCOPES.index(token.scope), short(token.scope_id), token.issued_at // SECOND_US,
        (token.expires_at - token.issued_at) // SECOND_US, unpad(token.audit_id), unpad(token.chain_id),
        token.user_generation, token.scope_generation,
        None if token.app_cred_id is None else short(token.app_cred_id), pack(token.carried),
    )
    return keys.seal(encode(packed)).rstrip("=")


def bits_of(methods: tuple[str, ...]) -> int:
    return sum(1 << METHODS.index(method) for method in methods)


def methods_of(bits: int) -> tuple[str, ...]:
    return tuple(method for i, method in enumerate(METHODS) if bits >> i & 1)


def pack(carried: dict[str, Any]) -> dict[int, Any]:
    """Without the application credential, which has a place of its own."""
    found = {CARRIED.index(name): value for name, value in carried.items() if name != "app_cred_id"}
    return {i: [short(id) for id in value] if i == GROUPS else short(value) for i, value in found.items()}


def unpack(packed: dict[int, Any]) -> dict[str, Any]:
    return {
        CARRIED[i]: tuple(long(id) for id in value) if i == GROUPS else long(value) for i, value in packed.items()
    }


def unseal(keys: KeySet, text: str) -> Token:
    """Raises NotFound for what none of our keys made: whoever asks turns it into 401 where apt."""
    if len(text) > LONGEST:
        raise unknown()
    try:
        packed = decode(keys.open(text + "=" * (-len(text) % 4)))
    except (ValueError, msgspec.DecodeError):
        raise unknown() from None
    issued_at = packed.issued_s * SECOND_US
    return Token(
        user_id=long(packed.user_id),
        methods=methods_of(packed.methods),
        scope=SCOPES[packed.scope], scope_id=long(packed.scope_id), issued_at=issued_at,
        expires_at=issued_at + packed.lifetime_s * SECOND_US, audit_id=pad(packed.audit_id),
        chain_id=pad(packed.chain_id), user_generation=packed.user_generation,
        scope_generation=packed.scope_generation,
        app_cred_id=None if packed.app_cred_id is None else long(packed.app_cred_id),
        **unpack(packed.carried),
    )


def unknown() -> errors.NotFound:
    return errors.NotFound("Failed to validate token", reason="token_not_found")


def new_audit_id() -> str:
    return pad(secrets.token_bytes(16))


def short(id: str) -> bytes | str:
    if len(id) in (32, 64):
        try:
            raw = bytes.fromhex(id)
        except ValueError:
            return id
        # Only the canonical spelling survives the way there and back.
        return raw if raw.hex() == id else id
    return id


def long(packed: bytes | str) -> str:
    return packed.hex() if isinstance(packed, bytes) else packed


def pad(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def unpad(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
