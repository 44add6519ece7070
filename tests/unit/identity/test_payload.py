# SPDX-License-Identifier: Apache-2.0
"""What goes into a token comes out of it, and nothing that was tampered with comes out at all."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skyhold.core.errors import NotFound
from skyhold.core.keyring import KeySet
from skyhold.identity.auth import jws
from skyhold.identity.auth.payload import METHODS, SCOPES, SECOND_US, Token, new_audit_id, seal, short, unseal

IDS = st.one_of(
    st.text(alphabet="0123456789abcdef", min_size=32, max_size=32),
    st.text(alphabet="0123456789ABCDEF", min_size=32, max_size=32),
    st.text(max_size=64),
)


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> KeySet:
    return KeySet(tmp_path_factory.mktemp("keys"))


@settings(max_examples=200)
@given(
    user_id=IDS, scope=st.sampled_from(SCOPES), scope_id=IDS, app_cred_id=st.none() | IDS,
    methods=st.sets(st.sampled_from(METHODS), min_size=1), issued_s=st.integers(0, 2**33),
    lifetime_s=st.integers(0, 2**31), generations=st.tuples(st.integers(0, 2**62), st.integers(0, 2**62)),
    chained=st.booleans(), carried=st.fixed_dictionaries({}, optional={
        "trust_id": IDS, "access_token_id": IDS, "idp_id": IDS, "protocol_id": IDS,
        "group_ids": st.lists(IDS, max_size=20).map(tuple), "thumbprint": st.text(max_size=43),
    }),
)
def test_a_token_comes_out_as_it_went_in(
    keys: KeySet, user_id: str, scope: str, scope_id: str, app_cred_id: str | None, methods: set[str],
    issued_s: int, lifetime_s: int, generations: tuple[int, int], chained: bool,
    carried: dict[str, Any],
) -> None:
    token = Token(
        user_id=user_id, methods=tuple(m for m in METHODS if m in methods), scope=scope,  # type: ignore[arg-type]
        scope_id=scope_id, issued_at=issued_s * SECOND_US, expires_at=(issued_s + lifetime_s) * SECOND_US,
        audit_id=new_audit_id(), chain_id=new_audit_id() if chained else "", user_generation=generations[0],
        scope_generation=generations[1], app_cred_id=app_cred_id, **carried,
    )
    assert unseal(keys, seal(keys, token)) == token
    # A scope that is there has an id; the claims tell it by that.
    scoped = token if scope in ("project", "domain") else msgspec.structs.replace(token, scope_id="")
    assert jws.unseal(keys, jws.seal(keys, scoped)) == scoped


def test_tokens_of_before_there_was_more_to_carry_are_still_good(keys: KeySet) -> None:
    token = Token(
        user_id="u", methods=("password",), issued_at=0, expires_at=SECOND_US, audit_id=new_audit_id(),
        user_generation=0,
    )
    earlier = msgspec.msgpack.decode(keys.open(seal(keys, token) + "=="))[:11]
    assert unseal(keys, keys.seal(msgspec.msgpack.encode(earlier)).rstrip("=")) == token


def test_a_token_of_a_trust_stays_short(keys: KeySet) -> None:
    token = Token(
        user_id=uuid.uuid4().hex, methods=("password", "token"), scope="project", scope_id=uuid.uuid4().hex,
        issued_at=1_700_000_000 * SECOND_US, expires_at=1_700_003_600 * SECOND_US, audit_id=new_audit_id(),
        chain_id=new_audit_id(), user_generation=3, trust_id=uuid.uuid4().hex,
    )
    assert len(seal(keys, token)) <= 255


def test_ids_are_only_shortened_when_they_come_back_the_same() -> None:
    assert short("0" * 32) == b"\0" * 16
    assert short("A" * 32) == "A" * 32
    assert short("default") == "default"


def test_what_was_tampered_with_or_made_elsewhere_is_no_token(keys: KeySet, tmp_path: Path) -> None:
    token = Token(
        user_id="u", methods=("password",), issued_at=0, expires_at=SECOND_US, audit_id=new_audit_id(),
        user_generation=0,
    )
    text = seal(keys, token)
    for at in range(0, len(text) - 1, 7):
        changed = text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1:]
        with pytest.raises(NotFound):
            unseal(keys, changed)
    for other in ("", text[:-4], text + "AAAA", seal(KeySet(tmp_path), token), keys.seal(b"not msgpack")):
        with pytest.raises(NotFound):
            unseal(keys, other)
