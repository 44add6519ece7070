# SPDX-License-Identifier: Apache-2.0
"""Stories of access tokens that aren't good: whatever a thief or a confused client may send.

What a good one gives is test_federated_users.py.
"""

from __future__ import annotations

import base64
import hmac
import json
import time
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization

from tests.kit.cloud import Cloud
from tests.kit.federated import agree, bring, by_oidc
from tests.kit.oidc_issuer import CLIENT, a_key, oidc_issuer

NOW, DAY = int(time.time()), 86_400
"""Tests may run an hour after they were collected: all that is now and then is a day apart."""


def by_hand(issuer: str, algorithm: str, secret: bytes = b"") -> str:
    """What libraries refuse to sign: with nothing, or with the public key as if it were a secret."""
    told = {"iss": issuer, "sub": "a", "aud": CLIENT, "exp": NOW + DAY, "preferred_username": "a", "email": "e"}
    head = ".".join(plain(json.dumps(each).encode()) for each in ({"alg": algorithm, "kid": "one"}, told))
    return f"{head}.{plain(hmac.digest(secret, head.encode(), 'sha256')) if secret else ''}"


def plain(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def alice() -> Any:
    return oidc_issuer(preferred_username="alice", email="alice@x.org")


@pytest.mark.parametrize("claims", [
    {"exp": NOW - DAY}, {"exp": ...}, {"exp": "soon"}, {"nbf": NOW + DAY}, {"iat": NOW + DAY},
    {"aud": "somebody-else"}, {"aud": ...}, {"aud": 7}, {"iss": "https://evil.test"}, {"iss": ...},
    {"nonce": "an id token"}, {"at_hash": "an id token"},
], ids=repr)
async def test_claims_that_are_not_for_us_now_are_refused(cloud: Cloud, claims: dict[str, Any]) -> None:
    async with alice() as issuer:
        idp = await by_oidc(cloud, issuer)
        refused = await bring(cloud, idp, issuer.sign(**claims), 401)
        assert refused.json["error"]["reason"] == "bad_token"
        await bring(cloud, idp, issuer.sign())


async def test_only_the_issuers_own_asymmetric_signature_counts(cloud: Cloud) -> None:
    async with alice() as issuer:
        idp = await by_oidc(cloud, issuer)
        public = a_key("one").public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        good = issuer.sign()
        head, body, signature = good.split(".")
        for text in (
            issuer.sign(key=a_key("thief")), by_hand(issuer.url, "HS256", public), by_hand(issuer.url, "none"),
            issuer.sign(kid="unknown"), f"{head}.{body}.", f"{head}.{body}", "x.y.z", "x" * 20_000,
            good[:-6] + "AAAAAA", f"{head}.{body}.{signature}.more", jwt.encode({}, a_key("one"), "RS256"),
        ):
            assert (await bring(cloud, idp, text, 401)).json["error"]["code"] == 401


async def test_another_issuers_token_is_no_good_here(cloud: Cloud) -> None:
    async with alice() as ours, alice() as theirs:
        idp = await by_oidc(cloud, ours)
        await bring(cloud, idp, theirs.sign(), 401)
        await bring(cloud, idp, theirs.sign(iss=ours.url, kid="other"), 401)


async def test_a_new_key_is_found_and_unknown_ones_are_not_asked_for_again_and_again(cloud: Cloud) -> None:
    async with alice() as issuer:
        idp = await by_oidc(cloud, issuer)
        await bring(cloud, idp, issuer.sign())
        issuer.kid = "two"
        clock = cloud.core.clock
        start = clock()
        try:
            cloud.core.clock = lambda: start + 31_000_000
            await bring(cloud, idp, issuer.sign())
            asked = issuer.asked.count("jwks")
            for number in range(5):
                await bring(cloud, idp, issuer.sign(kid=f"unknown-{number}"), 401)
            assert issuer.asked.count("jwks") == asked == 2
        finally:
            cloud.core.clock = clock


async def test_opaque_tokens_are_asked_about(cloud: Cloud) -> None:
    async with alice() as issuer:
        idp = await by_oidc(cloud, issuer, agreed={"introspect": True})
        told = {"active": True, "sub": "alice-7", "client_id": CLIENT, "exp": NOW + DAY, **issuer.claims}
        issuer.active |= {"good": told, "other": {**told, "client_id": "other"}, "old": {**told, "exp": NOW - DAY},
                          "foreign": {**told, "iss": "https://evil.test"}, "ended": {"active": False}}
        await bring(cloud, idp, "good")
        for text in ("other", "old", "foreign", "ended", "unknown"):
            await bring(cloud, idp, text, 401)


async def test_userinfo_adds_and_never_changes(cloud: Cloud) -> None:
    rules = [{"local": [{"user": {"name": "{0}", "email": "{1}"}}],
              "remote": [{"type": "OIDC-team"}, {"type": "OIDC-email"}]}]
    async with alice() as issuer:
        idp = await by_oidc(cloud, issuer, rules, agreed={"userinfo": True})
        answer = await bring(cloud, idp, issuer.sign(email="alice@x.org"))
        assert answer.json["token"]["user"]["name"] == "ravens"
        user = (await cloud.admin.get(f"/identity/v3/users/{answer.json['token']['user']['id']}")).json["user"]
        assert user["email"] == "alice@x.org"
        await bring(cloud, idp, issuer.sign(sub="somebody else"), 401)


async def test_an_issuer_that_cannot_be_asked_is_503_and_one_that_lies_about_itself_401(cloud: Cloud) -> None:
    async with alice() as issuer:
        idp = await by_oidc(cloud, issuer)
    assert (await bring(cloud, idp, issuer.sign(), 503)).json["error"]["code"] == 503
    async with alice() as issuer:
        idp = await by_oidc(cloud, issuer)
        agree(cloud, oidc={idp: {"openid": {"issuer": issuer.url + "/", "client_id": CLIENT}}})
        await bring(cloud, idp, issuer.sign(), 401)


async def test_an_issuer_in_a_private_network_is_the_operators_to_allow(cloud: Cloud) -> None:
    async with alice() as issuer:
        idp = await by_oidc(cloud, issuer, agreed={"issuer": "https://10.77.0.7/realm"})
        refused = await bring(cloud, idp, issuer.sign(), 503)
    assert "outbound.allow" in refused.json["error"]["message"]
