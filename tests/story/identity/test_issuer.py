# SPDX-License-Identifier: Apache-2.0
"""Stories of this cloud as an issuer of OpenID Connect: a program lets its users sign in.

The relying party here is the test itself, as the specifications have it; a second cloud as one is
test_two_clouds.py.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re
import secrets
from html import unescape
from typing import Any
from urllib.parse import parse_qs, quote_plus, urlencode, urlsplit

import jwt
import pytest

from skyhold.core.context import internal
from skyhold.identity.issuer import signing
from tests.kit.client import Answer
from tests.kit.cloud import Cloud, Persona

V3 = "/identity/v3"
OIDC = "/identity/oidc"
BACK = "https://app.test/back?keep=1"
VERIFIER = "v" * 43
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).decode().rstrip("=")
FORM = "application/x-www-form-urlencoded"


async def register(cloud: Cloud, **more: Any) -> dict[str, Any]:
    body = {"name": "app-" + secrets.token_hex(5), "redirect_uris": [BACK], **more}
    return (await cloud.admin.post(f"{V3}/OS-OIDC/clients", {"client": body}, status=201)).json["client"]


def asking(client: dict[str, Any], **more: str) -> dict[str, str]:
    asked = {"response_type": "code", "client_id": client["id"], "redirect_uri": BACK, "state": "st&te",
             "scope": "openid profile email groups offline_access", "nonce": "n-1", "code_challenge": CHALLENGE,
             "code_challenge_method": "S256", **more}
    return {name: value for name, value in asked.items() if value}


async def form(cloud: Cloud, path: str, fields: dict[str, str], status: Any, **headers: str) -> Answer:
    body = urlencode(fields).encode()
    return await cloud.client().post(OIDC + path, body, content_type=FORM, headers=headers, status=status)


async def page(cloud: Cloud, client: dict[str, Any], **more: str) -> Answer:
    return await cloud.client().get(f"{OIDC}/authorize", asking(client, **more), status=200)


def sealed_in(answer: Answer) -> str:
    found = re.search(r'name="request" value="([^"]+)"', answer.body.decode())
    assert found is not None
    return unescape(found[1])


async def sign_in(cloud: Cloud, user: Persona, shown: Answer, status: int = 303, **more: str) -> Answer:
    domain = (await cloud.admin.get(f"{V3}/domains/{user.domain_id}")).json["domain"]["name"]
    fields = {"request": sealed_in(shown), "username": user.user_name, "domain": domain, "password": user.password}
    return await form(cloud, "/authorize", {**fields, **more}, status)


def told(answer: Answer) -> dict[str, str]:
    assert answer.headers["location"].startswith(BACK)
    return {name: values[0] for name, values in parse_qs(urlsplit(answer.headers["location"]).query).items()}


async def a_code(cloud: Cloud, user: Persona, client: dict[str, Any], **more: str) -> str:
    return told(await sign_in(cloud, user, await page(cloud, client, **more)))["code"]


def basic(client: dict[str, Any]) -> str:
    pair = f"{quote_plus(client['id'])}:{quote_plus(client['secret'])}"
    return "Basic " + base64.b64encode(pair.encode()).decode()


async def redeem(cloud: Cloud, client: dict[str, Any], code: str, status: int = 200, **more: str) -> Any:
    fields = {"grant_type": "authorization_code", "code": code, "redirect_uri": BACK, "code_verifier": VERIFIER, **more}
    return (await form(cloud, "/token", fields, status, Authorization=basic(client))).json


async def refresh(cloud: Cloud, client: dict[str, Any], text: str, status: int = 200) -> Any:
    fields = {"grant_type": "refresh_token", "refresh_token": text}
    return (await form(cloud, "/token", fields, status, Authorization=basic(client))).json


async def userinfo(cloud: Cloud, text: str, status: int = 200) -> Any:
    header = {"Authorization": f"Bearer {text}"}
    return (await cloud.client().get(f"{OIDC}/userinfo", headers=header, status=status)).json


async def verified(cloud: Cloud, text: str, **options: Any) -> dict[str, Any]:
    keys = (await cloud.client().get(f"{OIDC}/jwks", status=200)).json["keys"]
    key = next(each for each in keys if each["kid"] == jwt.get_unverified_header(text)["kid"])
    issuer = cloud.core.settings.public_url + OIDC
    return jwt.decode(text, jwt.PyJWK(key).key, algorithms=["RS256"], issuer=issuer, **options)


async def test_key_14_a_program_lets_a_user_sign_in(cloud: Cloud) -> None:
    user, client = await cloud.project(), await register(cloud)
    await cloud.admin.patch(f"{V3}/users/{user.user_id}", {"user": {"email": "u@x.org"}}, status=200)
    found = (await cloud.client().get(f"{OIDC}/.well-known/openid-configuration", status=200)).json
    assert found["issuer"] == cloud.core.settings.public_url + OIDC
    assert found["code_challenge_methods_supported"] == ["S256"]
    answer = told(await sign_in(cloud, user, await page(cloud, client)))
    assert answer["state"] == "st&te" and answer["iss"] == found["issuer"] and answer["keep"] == "1"
    got = await redeem(cloud, client, answer["code"])
    said = await verified(cloud, got["id_token"], audience=client["id"])
    assert said["sub"] == user.user_id and said["nonce"] == "n-1"
    assert said["preferred_username"] == user.user_name and said["email"] == "u@x.org"
    assert said["groups"] == [] and "auth_time" in said
    info = await userinfo(cloud, got["access_token"])
    assert info["sub"] == user.user_id and info["email_verified"] is False
    await userinfo(cloud, got["id_token"], 401)
    assert "private" not in str((await cloud.client().get(f"{OIDC}/jwks")).json)
    assert {"d", "p", "q"}.isdisjoint((await cloud.client().get(f"{OIDC}/jwks")).json["keys"][0])


async def test_the_secret_of_a_client_is_shown_once_and_it_is_the_operators_to_make(cloud: Cloud) -> None:
    client = await register(cloud)
    path = f"{V3}/OS-OIDC/clients/{client['id']}"
    assert "secret" not in (await cloud.admin.get(path, status=200)).json["client"]
    assert client["secret"].encode() not in (await cloud.admin.get(f"{V3}/OS-OIDC/clients", status=200)).body
    user = await cloud.project()
    await user.post(f"{V3}/OS-OIDC/clients", {"client": {"name": "x", "redirect_uris": [BACK]}}, status=403)
    await user.get(f"{V3}/OS-OIDC/clients", status=403)
    body = {"client": {"name": client["name"], "redirect_uris": [BACK]}}
    await cloud.admin.post(f"{V3}/OS-OIDC/clients", body, status=409)
    changed = await cloud.admin.patch(path, {"client": {"redirect_uris": ["https://app.test/new"]}}, status=200)
    assert changed.json["client"]["redirect_uris"] == ["https://app.test/new"]
    await cloud.client().get(f"{OIDC}/authorize", asking(client), status=400)
    await cloud.admin.delete(path, status=204)
    await cloud.admin.get(path, status=404)


@pytest.mark.parametrize("uri", [
    "http://app.test/back", "https://app.test/#part", "javascript:alert(1)", "https://", "ftp://app.test/",
    "https://me@app.test/", "https://app.test/ b", "/back", "", "https://app.test/\"", "https://ä.test/", "https://[x",
])
async def test_browsers_are_sent_to_safe_places_only(cloud: Cloud, uri: str) -> None:
    body = {"name": "app-" + secrets.token_hex(5), "redirect_uris": [uri]}
    await cloud.admin.post(f"{V3}/OS-OIDC/clients", {"client": body}, status=400)


async def test_an_unknown_client_or_place_is_told_to_the_person_and_never_redirected(cloud: Cloud) -> None:
    client = await register(cloud)
    for wrong in ({"client_id": "nobody"}, {"client_id": ""}, {"redirect_uri": "https://evil.test/"},
                  {"redirect_uri": BACK + "&more"}, {"redirect_uri": ""}, {"client_id": "x" * 70}):
        answer = await cloud.client().get(f"{OIDC}/authorize", asking(client, **wrong), status=400)
        assert "location" not in answer.headers


@pytest.mark.parametrize(("wrong", "error"), [
    ({"response_type": "token"}, "unsupported_response_type"), ({"scope": "profile"}, "invalid_scope"),
    ({"code_challenge_method": "plain"}, "invalid_request"), ({"code_challenge": "short"}, "invalid_request"),
    ({"request": "x.y.z"}, "request_not_supported"), ({"prompt": "none"}, "login_required"),
    ({"nonce": "n" * 300}, "invalid_request"),
])
async def test_other_mistakes_are_told_to_the_client(cloud: Cloud, wrong: dict[str, str], error: str) -> None:
    client = await register(cloud)
    answer = await cloud.client().get(f"{OIDC}/authorize", asking(client, **wrong), status=303)
    assert told(answer)["error"] == error and told(answer)["state"] == "st&te"


async def test_the_page_is_plain_and_escapes_whatever_comes_from_outside(cloud: Cloud) -> None:
    evil = '"><script>alert(1)</script>'
    client = await register(cloud, name=evil + secrets.token_hex(3))
    user = await cloud.project()
    shown = await page(cloud, client)
    wrong = await sign_in(cloud, user, shown, 401, username=evil, domain=evil)
    for answer in (shown, wrong):
        text = answer.body.decode()
        assert "<script" not in text and "style=" not in text and "onload" not in text
        policy = answer.headers["content-security-policy"]
        assert "script-src 'none'" in policy and "frame-ancestors 'none'" in policy
        assert "form-action " + cloud.core.settings.public_url in policy and "https://app.test" in policy
        assert answer.headers["cache-control"] == "no-store" and answer.headers["x-frame-options"] == "DENY"
    assert "&lt;script&gt;" in wrong.body.decode()


async def test_a_wrong_password_says_nothing_about_who_exists(cloud: Cloud) -> None:
    user, client = await cloud.project(), await register(cloud)
    shown = await page(cloud, client)
    bodies = set()
    for wrong in ({"password": "guess"}, {"domain": "nowhere"}, {"username": user.user_name, "password": ""}):
        answer = await sign_in(cloud, user, shown, 401, **wrong)
        bodies.add(re.search(r'role="alert">([^<]+)', answer.body.decode())[1])  # type: ignore[index]
    nobody = await sign_in(cloud, user, shown, 401, username="nobody")
    bodies.add(re.search(r'role="alert">([^<]+)', nobody.body.decode())[1])  # type: ignore[index]
    assert len(bodies) == 1
    await sign_in(cloud, user, shown)


async def test_a_form_that_was_changed_or_is_old_is_refused(cloud: Cloud) -> None:
    user, client = await cloud.project(), await register(cloud)
    shown = await page(cloud, client)
    for sealed in ("", "x", sealed_in(shown)[:-4] + "AAA=", "é"):
        await sign_in(cloud, user, shown, 400, request=sealed)
    await cloud.client().post(f"{OIDC}/authorize", {"request": "x"}, status=415)
    await cloud.client().post(f"{OIDC}/authorize", b"request=a&request=b", content_type=FORM, status=400)
    await cloud.client().post(f"{OIDC}/authorize", b"%%%", content_type=FORM, status=400)
    await cloud.client().post(f"{OIDC}/authorize", b"a=" + b"x" * 300_000, content_type=FORM, status=413)
    clock = cloud.core.clock
    now = clock()
    try:
        cloud.core.clock = lambda: now + 901_000_000
        await sign_in(cloud, user, shown, 400)
    finally:
        cloud.core.clock = clock


async def test_a_code_is_good_once_for_one_client_and_place(cloud: Cloud) -> None:
    user, client, other = await cloud.project(), await register(cloud), await register(cloud)
    for wrong in ({"redirect_uri": "https://app.test/back"}, {"code_verifier": "w" * 43}, {"code_verifier": ""}):
        code = await a_code(cloud, user, client)
        assert (await redeem(cloud, client, code, 400, **wrong))["error"] == "invalid_grant"
        assert (await redeem(cloud, client, code, 400))["error"] == "invalid_grant"
    code = await a_code(cloud, user, client)
    assert (await redeem(cloud, other, code, 400))["error"] == "invalid_grant"
    got = await redeem(cloud, client, code)
    assert (await redeem(cloud, client, code, 400))["error"] == "invalid_grant"
    # Somebody else has the code too: what followed from it ends.
    assert (await refresh(cloud, client, got["refresh_token"], 400))["error"] == "invalid_grant"
    code = await a_code(cloud, user, client)
    answers = await asyncio.gather(*(
        form(cloud, "/token", {"grant_type": "authorization_code", "code": code, "redirect_uri": BACK,
                               "code_verifier": VERIFIER}, (200, 400), Authorization=basic(client)) for _ in range(4)
    ))
    assert sorted(answer.status for answer in answers) == [200, 400, 400, 400]


async def test_a_code_lives_a_minute(cloud: Cloud) -> None:
    user, client = await cloud.project(), await register(cloud)
    code = await a_code(cloud, user, client)
    clock = cloud.core.clock
    now = clock()
    try:
        cloud.core.clock = lambda: now + 61_000_000
        assert (await redeem(cloud, client, code, 400))["error"] == "invalid_grant"
    finally:
        cloud.core.clock = clock


async def test_a_client_proves_itself(cloud: Cloud) -> None:
    user, client = await cloud.project(), await register(cloud)
    code = await a_code(cloud, user, client)
    fields = {"grant_type": "authorization_code", "code": code, "redirect_uri": BACK, "code_verifier": VERIFIER}
    for sent in ({"client_id": client["id"]}, {"client_id": client["id"], "client_secret": "guess"}, {},
                 {"client_id": "nobody", "client_secret": "x"}):
        assert (await form(cloud, "/token", {**fields, **sent}, 401)).json["error"] == "invalid_client"
    for header in ("Basic !!!", "Bearer x", "Basic " + base64.b64encode(b"nobody:x").decode()):
        assert (await form(cloud, "/token", fields, 401, Authorization=header)).json["error"] == "invalid_client"
    mine = {"client_id": client["id"], "client_secret": client["secret"]}
    unknown = await form(cloud, "/token", {**mine, "grant_type": "password"}, 400)
    assert unknown.json["error"] == "unsupported_grant_type"
    got = (await form(cloud, "/token", {**fields, **mine}, 200)).json
    assert got["token_type"] == "Bearer"


async def test_a_public_client_needs_pkce_and_no_secret(cloud: Cloud) -> None:
    user, client = await cloud.project(), await register(cloud, public=True)
    assert "secret" not in client
    refused = await cloud.client().get(f"{OIDC}/authorize", asking(client, code_challenge=""), status=303)
    assert told(refused)["error"] == "invalid_request"
    code = await a_code(cloud, user, client)
    fields = {"grant_type": "authorization_code", "code": code, "redirect_uri": BACK, "client_id": client["id"]}
    await form(cloud, "/token", fields, 400)
    fields["code"] = await a_code(cloud, user, client)
    await form(cloud, "/token", {**fields, "code_verifier": VERIFIER}, 200)


async def test_refresh_tokens_bring_the_next_and_one_used_twice_ends_them_all(cloud: Cloud) -> None:
    user, client = await cloud.project(), await register(cloud)
    first = await redeem(cloud, client, await a_code(cloud, user, client))
    second = await refresh(cloud, client, first["refresh_token"])
    assert second["refresh_token"] != first["refresh_token"]
    assert (await verified(cloud, second["id_token"], audience=client["id"]))["sub"] == user.user_id
    await refresh(cloud, client, first["refresh_token"], 400)
    await refresh(cloud, client, second["refresh_token"], 400)
    without = await redeem(cloud, client, await a_code(cloud, user, client, scope="openid"))
    assert "refresh_token" not in without
    assert "preferred_username" not in await verified(cloud, without["id_token"], audience=client["id"])


async def test_a_refresh_token_never_outlives_what_it_began_with(cloud: Cloud) -> None:
    user, client = await cloud.project(), await register(cloud)
    got = await redeem(cloud, client, await a_code(cloud, user, client))
    clock = cloud.core.clock
    start, day = clock(), 86_400_000_000
    try:
        for days in (6, 13):
            cloud.core.clock = lambda days=days: start + days * day
            got = await refresh(cloud, client, got["refresh_token"])
        cloud.core.clock = lambda: start + 14 * day + 60_000_000
        await refresh(cloud, client, got["refresh_token"], 400)
        await cloud.core.loops.run_once("identity.oidc_grants")
    finally:
        cloud.core.clock = clock


async def test_a_new_password_or_disabling_ends_what_programs_hold(cloud: Cloud) -> None:
    user, client = await cloud.project(), await register(cloud)
    for change in ({"password": "another-one"}, {"enabled": False}):
        got = await redeem(cloud, client, await a_code(cloud, user, client))
        code = await a_code(cloud, user, client)
        await userinfo(cloud, got["access_token"])
        await cloud.admin.patch(f"{V3}/users/{user.user_id}", {"user": change}, status=200)
        user.password = str(change.get("password", ""))
        await userinfo(cloud, got["access_token"], 401)
        await refresh(cloud, client, got["refresh_token"], 400)
        await redeem(cloud, client, code, 400)


async def test_a_client_that_is_deleted_has_nothing_left(cloud: Cloud) -> None:
    user, client = await cloud.project(), await register(cloud)
    got = await redeem(cloud, client, await a_code(cloud, user, client))
    shown = await page(cloud, client)
    await cloud.admin.delete(f"{V3}/OS-OIDC/clients/{client['id']}", status=204)
    await userinfo(cloud, got["access_token"], 401)
    assert (await refresh(cloud, client, got["refresh_token"], 401))["error"] == "invalid_client"
    await sign_in(cloud, user, shown, 400)


async def test_keys_rotate_and_what_the_last_one_signed_stays_good(cloud: Cloud) -> None:
    user, client = await cloud.project(), await register(cloud)
    got = await redeem(cloud, client, await a_code(cloud, user, client))
    await signing.rotate(internal(cloud.core))
    await userinfo(cloud, got["access_token"])
    await verified(cloud, got["id_token"], audience=client["id"])
    newer = await redeem(cloud, client, await a_code(cloud, user, client))
    kids = [jwt.get_unverified_header(each["id_token"])["kid"] for each in (got, newer)]
    assert kids[0] != kids[1]
    clock = cloud.core.clock
    now = clock()
    try:
        cloud.core.clock = lambda: now + 31 * 86_400_000_000
        await cloud.core.loops.run_once("identity.oidc_keys")
        keys = (await cloud.client().get(f"{OIDC}/jwks", status=200)).json["keys"]
        assert kids[0] not in [key["kid"] for key in keys] and kids[1] in [key["kid"] for key in keys]
    finally:
        cloud.core.clock = clock
        cloud.core.shelf.pop(signing.SHELF, None)


async def test_what_another_process_signed_with_a_new_key_is_good_here_at_once(cloud: Cloud) -> None:
    user, client = await cloud.project(), await register(cloud)
    await signing.keys(internal(cloud.core))
    await signing.rotate(internal(cloud.core))
    got = await redeem(cloud, client, await a_code(cloud, user, client))
    kid = jwt.get_unverified_header(got["access_token"])["kid"]
    shelf, clock, now = cloud.core.shelf, cloud.core.clock, cloud.core.clock()
    before = now, [key for key in shelf[signing.SHELF][1] if key.kid != kid]
    assert before[1], "none at all would be read anew anyway"
    try:
        cloud.core.clock = lambda: now + 2 * signing.FRESH_US
        shelf[signing.SHELF] = before
        await userinfo(cloud, got["access_token"])
        shelf[signing.SHELF] = before
        told = (await cloud.client().get(f"{OIDC}/jwks", status=200)).json["keys"]
        assert kid in [key["kid"] for key in told]
    finally:
        cloud.core.clock = clock
        shelf.pop(signing.SHELF, None)


async def test_tokens_of_others_and_tokens_of_ours_for_other_things_are_no_access_tokens(cloud: Cloud) -> None:
    user, client = await cloud.project(), await register(cloud)
    got = await redeem(cloud, client, await a_code(cloud, user, client))
    for text in ("", "x", got["access_token"][:-4] + "AAAA", user.token or "", "é"):
        header = {"Authorization": f"Bearer {text}"} if text.isascii() else {}
        await cloud.client().get(f"{OIDC}/userinfo", headers=header, status=401)
    await cloud.client(got["access_token"]).get(f"{V3}/auth/projects", status=401)
