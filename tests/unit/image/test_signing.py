# SPDX-License-Identifier: Apache-2.0
"""Decisions about signatures (GLA-12): every kind of key and hash, what is refused, and chains of trust."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization

from skyhold.image.logic import signing
from skyhold.image.logic.signing import HASHES, Unverified, check_trust, promised, verify
from tests.unit.image.signing import NOW, certify, key, pem, properties

CONTENT = b"an image" * 1000
ID = "3b2f3f6e-1f2a-4c4e-9b39-0d3f6c1f9e55"
KINDS = ["RSA-PSS", "DSA", "ECC_SECP521R1", "ECC_SECP384R1"]


def judge(told: dict[str, str], content: bytes, certificate: Any, at: Any = NOW) -> None:
    signed = promised(told)
    assert signed is not None
    verify(signed, hashlib.new(signed.algorithm, content).digest(), certificate, at)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("method", HASHES)
def test_what_was_signed_is_verified_and_nothing_else_is(kind: str, method: str) -> None:
    certificate = certify("me", key(kind))
    told = properties(kind, method, CONTENT, ID)
    judge(told, CONTENT, certificate)
    with pytest.raises(Unverified, match="not what was signed"):
        judge(told, CONTENT + b"!", certificate)


@pytest.mark.parametrize("kind", KINDS)
def test_another_key_of_any_type_does_not_verify(kind: str) -> None:
    told = properties(kind, "SHA-256", CONTENT, ID)
    for other in KINDS:
        if other != kind:
            with pytest.raises(Unverified, match="not of the type"):
                judge(told, CONTENT, certify("other", key(other)))


def test_a_certificate_counts_only_in_its_time() -> None:
    certificate = certify("me", key("ECC_SECP384R1"))
    told = properties("ECC_SECP384R1", "SHA-256", CONTENT, ID)
    for at in (NOW - timedelta(days=2), NOW + timedelta(days=11)):
        with pytest.raises(Unverified, match="valid from"):
            judge(told, CONTENT, certificate, at)


def test_an_image_is_signed_only_with_all_four_properties() -> None:
    told = properties("ECC_SECP384R1", "SHA-256", CONTENT, ID)
    assert promised({}) is None
    for name in told:
        assert promised({**told, name: ""}) is None
        assert promised({each: value for each, value in told.items() if each != name}) is None


@pytest.mark.parametrize(("name", "value", "word"), [
    ("img_signature", "%%%", "base 64"), ("img_signature_hash_method", "MD5", "SHA-224"),
    ("img_signature_key_type", "RSA", "RSA-PSS"), ("img_signature_key_type", "ECC_SECT571K1", "no longer"),
])
def test_properties_that_can_not_be_right_are_refused(name: str, value: str, word: str) -> None:
    told = properties("ECC_SECP384R1", "SHA-256", CONTENT, ID)
    with pytest.raises(Unverified, match=word):
        promised({**told, name: value})


def test_certificates_are_read_in_both_forms() -> None:
    made = certify("me", key("ECC_SECP384R1"))
    assert signing.certificate_from(pem(made)) == made
    assert signing.certificate_from(made.public_bytes(serialization.Encoding.DER)) == made
    for junk in (b"", b"junk", b"-----BEGIN CERTIFICATE-----\njunk"):
        with pytest.raises(Unverified):
            signing.certificate_from(junk)


def chain(*, ca: bool = True, path_length: int | None = None, may_sign: bool | None = None) -> list[Any]:
    """A root, what it vouches for, and the certificate of an image."""
    root_key, middle_key, own = key("RSA-PSS"), key("ECC_SECP521R1"), key("ECC_SECP384R1")
    root = certify("root", root_key, ca=True, path_length=path_length)
    middle = certify("middle", middle_key, root, root_key, ca=ca, may_sign=may_sign)
    return [root, middle, certify("own", own, middle, middle_key)]


def test_trust_is_a_whole_chain_to_one_that_signed_itself() -> None:
    root, middle, own = chain()
    check_trust(own, [root, middle], NOW)
    check_trust(own, [middle, root, own], NOW)
    alone = certify("alone", key("DSA"))
    check_trust(alone, [alone], NOW)
    for trusted in ([], [root], [middle], [own], [certify("middle", key("DSA"), ca=True)]):
        with pytest.raises(Unverified, match="none of the trusted"):
            check_trust(own, trusted, NOW)
    with pytest.raises(Unverified, match="none of the trusted"):
        check_trust(alone, [root], NOW)


@pytest.mark.parametrize("wrong", [{"ca": False}, {"may_sign": False}, {"path_length": 0}])
def test_who_may_not_sign_certificates_vouches_for_nobody(wrong: dict[str, Any]) -> None:
    root, middle, own = chain(**wrong)
    with pytest.raises(Unverified, match="none of the trusted"):
        check_trust(own, [root, middle], NOW)
    root, middle, own = chain(path_length=1, may_sign=True)
    check_trust(own, [root, middle], NOW)


def test_an_expired_link_breaks_the_chain() -> None:
    issuer_key = key("ECC_SECP521R1")
    old = certify("old", issuer_key, ca=True, days=(-10, -1))
    own = certify("own", key("ECC_SECP384R1"), old, issuer_key)
    with pytest.raises(Unverified, match="valid from"):
        check_trust(own, [old], NOW)
