# SPDX-License-Identifier: Apache-2.0
"""Stories of signing in by one-time passwords, with several factors, and by the word of a proxy.

Passwords and tokens alone are test_tokens.py. What a code or a receipt is made of is in the unit tests.
"""

from __future__ import annotations

import asyncio
import base64
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import pytest

from skyhold.core.settings.whole import SettingsError
from skyhold.identity.auth import external
from skyhold.identity.logic.one_time import code, step_of
from tests.kit.client import Answer, Client
from tests.kit.cloud import Cloud, Persona
from tests.story.identity.test_password_policy import asking, later

V3 = "/identity/v3"
TOKENS = f"{V3}/auth/tokens"
RECEIPT = "openstack-auth-receipt"


async def with_seed(cloud: Cloud, user: Persona) -> bytes:
    seed = os.urandom(20)
    blob = base64.b32encode(seed).decode()
    body = {"credential": {"type": "totp", "blob": blob, "user_id": user.user_id}}
    await cloud.admin.post(f"{V3}/credentials", body, status=201)
    return seed


def now_code(cloud: Cloud, seed: bytes, late: int = 0) -> str:
    return code(seed, step_of(cloud.core.clock()) - late)


def password(user: Persona, secret: str = "") -> dict[str, Any]:
    return {"password": {"user": {"id": user.user_id, "password": secret or user.password}}}


def totp(user: Persona, passcode: str) -> dict[str, Any]:
    return {"totp": {"user": {"id": user.user_id, "passcode": passcode}}}


async def sign_in(cloud: Cloud, proofs: dict[str, Any], status: int = 201, **more: Any) -> Answer:
    body = {"auth": {"identity": {"methods": list(proofs), **proofs}}}
    return await cloud.client().post(TOKENS, body, status=status, **more)


async def ask_for(cloud: Cloud, user: Persona, rules: Any, **options: Any) -> None:
    body = {"user": {"options": {"multi_factor_auth_rules": rules, **options}}}
    await cloud.admin.patch(f"{V3}/users/{user.user_id}", body, status=200)


# ---- one-time passwords --------------------------------------------------------------------


async def test_key_01_a_one_time_password_signs_in_and_only_once(cloud: Cloud) -> None:
    user = await cloud.user()
    seed = await with_seed(cloud, user)
    passcode = now_code(cloud, seed)
    assert (await sign_in(cloud, totp(user, passcode))).json["token"]["methods"] == ["totp"]
    await sign_in(cloud, totp(user, passcode), 401)
    with later(cloud, 30):
        named = {"name": user.user_name, "domain": {"id": user.domain_id}, "passcode": now_code(cloud, seed)}
        await sign_in(cloud, {"totp": {"user": named}})


async def test_a_code_may_be_one_step_late_and_no_more(cloud: Cloud) -> None:
    user = await cloud.user()
    seed = await with_seed(cloud, user)
    await sign_in(cloud, totp(user, now_code(cloud, seed, late=2)), 401)
    await sign_in(cloud, totp(user, now_code(cloud, seed, late=1)))


async def test_the_same_code_at_once_signs_in_once(cloud: Cloud) -> None:
    user = await cloud.user()
    passcode = now_code(cloud, await with_seed(cloud, user))
    body = {"auth": {"identity": {"methods": ["totp"], **totp(user, passcode)}}}
    answers = await asyncio.gather(*[cloud.client().post(TOKENS, body) for _ in range(6)])
    assert sorted(answer.status for answer in answers) == [201] + [401] * 5


async def test_a_code_looked_at_in_a_dry_run_is_used_up(cloud: Cloud) -> None:
    user = await cloud.user()
    passcode = now_code(cloud, await with_seed(cloud, user))
    await sign_in(cloud, totp(user, passcode), headers={"X-Dry-Run": "true"})
    await sign_in(cloud, totp(user, passcode), 401)


async def test_only_a_few_codes_can_be_tried_in_each_step(cloud: Cloud) -> None:
    user = await cloud.user()
    seed = await with_seed(cloud, user)
    right = {now_code(cloud, seed, late) for late in (-1, 0, 1)}
    wrong = next(f"{i:06}" for i in range(10) if f"{i:06}" not in right)
    for _ in range(5):
        await sign_in(cloud, totp(user, wrong), 401)
    with later(cloud, 0):
        await sign_in(cloud, totp(user, now_code(cloud, seed)), 401)
    with later(cloud, 60):
        await sign_in(cloud, totp(user, now_code(cloud, seed)))


async def test_wrong_codes_lock_out_like_wrong_passwords(cloud: Cloud) -> None:
    user = await cloud.user()
    await with_seed(cloud, user)
    with asking(cloud, lockout_failure_attempts=2):
        for _ in range(2):
            await sign_in(cloud, totp(user, "no-code"), 401)
        await sign_in(cloud, password(user), 401)


async def test_without_a_seed_there_is_no_code(cloud: Cloud) -> None:
    user = await cloud.user()
    await sign_in(cloud, totp(user, "000000"), 401)
    body = {"auth": {"identity": {"methods": ["totp"]}}}
    await cloud.client().post(TOKENS, body, status=400)


# ---- several factors -----------------------------------------------------------------------


async def test_key_17_both_factors_at_once(cloud: Cloud) -> None:
    user = await cloud.project()
    seed = await with_seed(cloud, user)
    await ask_for(cloud, user, [["password", "totp"]])
    made = await sign_in(cloud, password(user) | totp(user, now_code(cloud, seed)))
    assert made.json["token"]["methods"] == ["password", "totp"]
    token = made.headers["x-subject-token"]
    scope = {"project": {"id": user.project_id}}
    body = {"auth": {"identity": {"methods": ["token"], "token": {"id": token}}, "scope": scope}}
    rescoped = (await cloud.client().post(TOKENS, body, status=201)).json["token"]
    assert sorted(rescoped["methods"]) == ["password", "token", "totp"]


async def test_key_17_one_factor_gives_a_receipt_for_the_other(cloud: Cloud) -> None:
    user = await cloud.user()
    seed = await with_seed(cloud, user)
    await ask_for(cloud, user, [["password", "totp"], ["external", "totp"]])
    answer = await sign_in(cloud, password(user), 401)
    assert answer.json["required_auth_methods"] == [["password", "totp"]]
    assert answer.json["receipt"]["methods"] == ["password"]
    assert answer.json["receipt"]["user"]["id"] == user.user_id
    assert "x-subject-token" not in answer.headers
    assert answer.headers["www-authenticate"].startswith("Keystone uri=")
    receipt = {"Openstack-Auth-Receipt": answer.headers[RECEIPT]}
    made = await sign_in(cloud, totp(user, now_code(cloud, seed)), headers=receipt)
    assert made.json["token"]["methods"] == ["password", "totp"]


async def test_a_receipt_is_for_its_user_alone_and_for_a_short_while(cloud: Cloud) -> None:
    user, other = await cloud.user(), await cloud.user()
    seed, others = await with_seed(cloud, user), await with_seed(cloud, other)
    for one in (user, other):
        await ask_for(cloud, one, [["password", "totp"]])
    receipt = {"Openstack-Auth-Receipt": (await sign_in(cloud, password(user), 401)).headers[RECEIPT]}
    await sign_in(cloud, totp(other, now_code(cloud, others)), 401, headers=receipt)
    with later(cloud, 301):
        await sign_in(cloud, totp(user, now_code(cloud, seed)), 401, headers=receipt)
    for nonsense in ("", "gAAAA", "gAAAAABrAarwGyIZMpvitRNm", "x" * 5000):
        await sign_in(cloud, password(user), 401, headers={"Openstack-Auth-Receipt": nonsense})


async def test_a_new_password_voids_receipts(cloud: Cloud) -> None:
    user = await cloud.user()
    seed = await with_seed(cloud, user)
    await ask_for(cloud, user, [["password", "totp"]])
    receipt = {"Openstack-Auth-Receipt": (await sign_in(cloud, password(user), 401)).headers[RECEIPT]}
    await cloud.admin.patch(f"{V3}/users/{user.user_id}", {"user": {"password": "other"}}, status=200)
    await sign_in(cloud, totp(user, now_code(cloud, seed)), 401, headers=receipt)


async def test_a_receipt_is_no_token_and_a_token_no_receipt(cloud: Cloud) -> None:
    user = await cloud.user()
    token = (await sign_in(cloud, password(user))).headers["x-subject-token"]
    await ask_for(cloud, user, [["password", "totp"]])
    receipt = (await sign_in(cloud, password(user), 401)).headers[RECEIPT]
    await cloud.client(receipt).get(f"{V3}/auth/projects", status=401)
    await sign_in(cloud, password(user), 401, headers={"Openstack-Auth-Receipt": token})


async def test_key_17_rules_of_unknown_methods_and_exempt_users_ask_for_nothing(cloud: Cloud) -> None:
    user = await cloud.user()
    await ask_for(cloud, user, [["palm"]])
    await sign_in(cloud, password(user))
    await ask_for(cloud, user, [["password", "totp"]], multi_factor_auth_enabled=False)
    await sign_in(cloud, password(user))
    await ask_for(cloud, user, None, multi_factor_auth_enabled=None)
    await sign_in(cloud, password(user))


async def test_rules_are_lists_of_lists_of_words(cloud: Cloud) -> None:
    user = await cloud.user()
    for nonsense in ("password", ["password"], [[1]], [[]], [["password", "password"]], [["totp"], ["totp"]]):
        body = {"user": {"options": {"multi_factor_auth_rules": nonsense}}}
        await cloud.admin.patch(f"{V3}/users/{user.user_id}", body, status=400)


async def test_an_application_credential_is_a_method_among_others(cloud: Cloud) -> None:
    """As upstream: a rule that doesn't name it isn't fulfilled by it, and there is no receipt for it."""
    user = await cloud.project()
    made = (await user.post(
        f"{V3}/users/{user.user_id}/application_credentials", {"application_credential": {"name": "a"}}, status=201
    )).json["application_credential"]
    proof = {"application_credential": {"id": made["id"], "secret": made["secret"]}}
    await ask_for(cloud, user, [["password", "totp"]])
    answer = await sign_in(cloud, proof, 401)
    assert RECEIPT not in answer.headers
    await ask_for(cloud, user, [["password", "totp"], ["application_credential"]])
    await sign_in(cloud, proof)


# ---- by the word of a proxy ----------------------------------------------------------------


@contextmanager
def believing(cloud: Cloud, *proxies: str) -> Iterator[None]:
    before = cloud.core.settings
    identity = msgspec.structs.replace(before.identity, external_proxies=list(proxies))
    cloud.core.settings = msgspec.structs.replace(before, identity=identity)
    try:
        yield
    finally:
        cloud.core.settings = before


async def by_proxy(client: Client, headers: dict[str, str], status: int, methods: Any = ("external",)) -> Answer:
    body = {"auth": {"identity": {"methods": list(methods)}}}
    return await client.post(TOKENS, body, headers=headers, status=status)


async def test_key_01_external_is_off_unless_the_proxy_is_trusted(cloud: Cloud) -> None:
    """Invariant 9: a header is not a proof."""
    user = await cloud.user()
    headers = {"X-Remote-User": user.user_name}
    await by_proxy(cloud.client(), headers, 401)
    with believing(cloud, "192.0.2.0/24", "::1"):
        await by_proxy(cloud.client(), headers, 401)
        await by_proxy(cloud.client(), headers | {"X-Forwarded-For": "192.0.2.1", "Forwarded": "for=192.0.2.1"}, 401)
    with believing(cloud, "127.0.0.0/8"):
        for methods in (["external"], []):
            made = await by_proxy(cloud.client(), headers, 201, methods)
            assert made.json["token"]["user"]["id"] == user.user_id
            assert made.json["token"]["methods"] == ["external"]
        await by_proxy(cloud.client(), {}, 401)
        await by_proxy(cloud.client(), {"X-Remote-User": "nobody"}, 401)


async def test_the_proxy_may_name_the_domain(cloud: Cloud) -> None:
    user = await cloud.user(await cloud.domain())
    domain = (await cloud.admin.get(f"{V3}/domains/{user.domain_id}", status=200)).json["domain"]["name"]
    with believing(cloud, "127.0.0.1"):
        await by_proxy(cloud.client(), {"X-Remote-User": user.user_name}, 401)
        headers = {"X-Remote-User": user.user_name, "X-Remote-Domain": domain}
        assert (await by_proxy(cloud.client(), headers, 201)).json["token"]["user"]["id"] == user.user_id
        await cloud.admin.patch(f"{V3}/users/{user.user_id}", {"user": {"enabled": False}}, status=200)
        await by_proxy(cloud.client(), headers, 401)


async def test_a_proxys_address_that_is_none_is_told_at_the_start(cloud: Cloud) -> None:
    with believing(cloud, "127.0.0.1", "the-proxy"), pytest.raises(SettingsError, match="the-proxy"):
        await external.check_proxies(cloud.core)
