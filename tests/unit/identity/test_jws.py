# SPDX-License-Identifier: Apache-2.0
"""Tokens as signed JSON: what anybody can read in them, and that nobody but us can make one.

That what goes in comes out is test_payload.py, where any token is tried in both forms.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from skyhold.core.errors import NotFound
from skyhold.core.keyring import KeySet
from skyhold.identity.auth import jws
from skyhold.identity.auth.payload import SECOND_US, Token, new_audit_id

TOKEN = Token(
    user_id="u" * 32, methods=("password", "token"), scope="project", scope_id="p" * 32, issued_at=5 * SECOND_US,
    expires_at=65 * SECOND_US, audit_id=new_audit_id(), chain_id=new_audit_id(), user_generation=3,
)


@pytest.fixture
def keys(tmp_path: Path) -> KeySet:
    return KeySet(tmp_path / "keys")


def forged(keys: KeySet, key: Any, algorithm: str | None, **header: Any) -> str:
    claims = jws.encode(jws.claims_of(TOKEN))
    kid = jws.key_of(keys.current()[0]).kid
    return jwt.PyJWS().encode(claims, key, algorithm, {"kid": kid, **header})


def test_the_claims_are_those_of_keystone(keys: KeySet) -> None:
    header, claims, _ = jws.seal(keys, TOKEN).split(".")
    assert json.loads(base64.urlsafe_b64decode(header + "=="))["alg"] == "ES256"
    assert json.loads(base64.urlsafe_b64decode(claims + "==")) == {
        "sub": "u" * 32, "iat": 5, "exp": 65, "openstack_methods": ["password", "token"],
        "openstack_audit_ids": [TOKEN.audit_id, TOKEN.chain_id], "openstack_project_id": "p" * 32,
        "skyhold_generations": [3, 0],
    }


def test_the_public_key_alone_checks_one(keys: KeySet) -> None:
    public = jws.key_of(keys.current()[0]).private.public_key()
    assert jwt.decode(jws.seal(keys, TOKEN), public, ["ES256"], options={"verify_exp": False})["sub"] == TOKEN.user_id


def test_every_letter_counts(keys: KeySet) -> None:
    text = jws.seal(keys, TOKEN)
    # The very last letter has bits that stand for nothing.
    for at in range(0, len(text) - 1, 5):
        changed = text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1:]
        with pytest.raises(NotFound):
            jws.unseal(keys, changed)


def test_only_our_key_and_our_algorithm_count(keys: KeySet, tmp_path: Path) -> None:
    ours = jws.key_of(keys.current()[0]).private
    public = ours.public_key().public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
    other = ec.generate_private_key(ec.SECP256R1())
    assert jws.unseal(keys, forged(keys, ours, "ES256")) == TOKEN
    for text in (
        forged(keys, None, None), forged(keys, public, "HS256"), forged(keys, other, "ES256"),
        forged(keys, ours, "ES256", kid="0" * 16),
        forged(keys, ours, "ES256", crit=["x"], x=1), jws.seal(KeySet(tmp_path / "other"), TOKEN),
        jwt.PyJWS().encode(b"[]", ours, "ES256", {"kid": jws.key_of(keys.current()[0]).kid}),
        "eyJ", "eyJ.eyJ.x", "eyJ" * 10_000, "eyJ\u00fc.x.y",
    ):
        with pytest.raises(NotFound):
            jws.unseal(keys, text)


def test_key_21_keys_rotate_with_the_set_that_they_come_from(keys: KeySet, tmp_path: Path) -> None:
    first = jws.seal(keys, TOKEN)
    KeySet(tmp_path / "keys").rotate()
    second = jws.seal(keys, TOKEN)
    assert jwt.get_unverified_header(first)["kid"] != jwt.get_unverified_header(second)["kid"]
    assert jws.unseal(keys, first) == jws.unseal(keys, second) == TOKEN
    keys.rotate()
    keys.rotate()
    assert jws.unseal(keys, second) == TOKEN
    with pytest.raises(NotFound):
        jws.unseal(keys, first)
