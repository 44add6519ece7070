# SPDX-License-Identifier: Apache-2.0
"""Stories of OAuth1: a program of somebody else's comes to act for a user, as far as the user agreed.

The client's side is oauthlib, which most clients of OAuth1 sign with.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

import pytest
from oauthlib.oauth1 import SIGNATURE_HMAC_SHA256, SIGNATURE_PLAINTEXT, Client

from tests.kit.client import Answer
from tests.kit.cloud import Cloud, Persona
from tests.story.identity.test_trusts import role_id

V3 = "/identity/v3"
O1 = f"{V3}/OS-OAUTH1"


async def consumer(cloud: Cloud, **more: Any) -> dict[str, Any]:
    return (await cloud.admin.post(f"{O1}/consumers", {"consumer": more}, status=201)).json["consumer"]


async def signed_post(
    cloud: Cloud, path: str, who: Client, body: Any = None, status: int = 201, base: str = "http://cloud.test",
    **more: str,
) -> Answer:
    _, headers, _ = who.sign(base + path, http_method="POST")
    return await cloud.client().post(path, body, status=status, headers={**headers, **more})


async def ask(cloud: Cloud, made: dict[str, Any], project_id: str, status: int = 201, **signing: Any) -> dict[str, str]:
    who = Client(made["id"], client_secret=made["secret"], callback_uri="oob", **signing)
    answer = await signed_post(cloud, f"{O1}/request_token", who, status=status, **{"Requested-Project-Id": project_id})
    return dict(parse_qsl(answer.body.decode()))


async def agree(who: Persona, token: str, *roles: dict[str, str], status: int = 200) -> str:
    answer = await who.put(f"{O1}/authorize/{token}", {"roles": list(roles)}, status=status)
    return answer.json.get("token", {}).get("oauth_verifier", "")


async def exchange(
    cloud: Cloud, made: dict[str, Any], asked: dict[str, str], verifier: str, status: int = 201
) -> dict[str, str]:
    who = Client(made["id"], made["secret"], asked["oauth_token"], asked["oauth_token_secret"], verifier=verifier)
    return dict(parse_qsl((await signed_post(cloud, f"{O1}/access_token", who, status=status)).body.decode()))


async def administrator(cloud: Cloud) -> Persona:
    """Upstream lets only administrators authorize."""
    return await cloud.project(["admin"])


async def danced(cloud: Cloud, user: Persona, role: str = "reader") -> tuple[dict[str, Any], dict[str, str]]:
    made = await consumer(cloud)
    asked = await ask(cloud, made, user.project_id)
    verifier = await agree(user, asked["oauth_token"], {"id": await role_id(cloud, role)})
    return made, await exchange(cloud, made, asked, verifier)


def signing(made: dict[str, Any], granted: dict[str, str], **more: Any) -> Client:
    return Client(made["id"], made["secret"], granted["oauth_token"], granted["oauth_token_secret"], **more)


AUTH = {"auth": {"identity": {"methods": ["oauth1"], "oauth1": {}}}}


async def sign_in(cloud: Cloud, who: Client, status: int = 201, **more: str) -> Answer:
    return await signed_post(cloud, f"{V3}/auth/tokens", who, AUTH, status, **more)


async def test_key_16_a_consumer_is_made_shown_changed_and_deleted(cloud: Cloud) -> None:
    made = await consumer(cloud, description="waters plants", colour="green")
    assert made["secret"] and made["links"]["self"].endswith(f"/v3/OS-OAUTH1/consumers/{made['id']}")
    path = f"{O1}/consumers/{made['id']}"
    shown = (await cloud.admin.get(path, status=200)).json["consumer"]
    assert shown == {key: value for key, value in made.items() if key != "secret"}
    changed = (await cloud.admin.patch(path, {"consumer": {"description": "x"}}, status=200)).json["consumer"]
    assert changed["description"] == "x" and changed["colour"] == "green"
    await cloud.admin.patch(path, {"consumer": {"secret": "mine"}}, status=400)
    await cloud.admin.post(f"{O1}/consumers", {"consumer": {"secret": "mine"}}, status=400)
    assert made["id"] in [each["id"] for each in (await cloud.admin.get(f"{O1}/consumers")).json["consumers"]]
    user = await cloud.project()
    await user.get(f"{O1}/consumers", status=403)
    await user.get(path, status=403)
    await cloud.admin.delete(path, status=204)
    await cloud.admin.get(path, status=404)


async def test_key_16_the_whole_dance_ends_with_a_token_of_the_roles_agreed(cloud: Cloud) -> None:
    user = await administrator(cloud)
    made, granted = await danced(cloud, user)
    answer = await sign_in(cloud, signing(made, granted))
    token = answer.json["token"]
    assert token["methods"] == ["oauth1"] and token["user"]["id"] == user.user_id
    assert [role["name"] for role in token["roles"]] == ["reader"] and token["project"]["id"] == user.project_id
    assert token["OS-OAUTH1"] == {"access_token_id": granted["oauth_token"], "consumer_id": made["id"]}
    client = cloud.client(answer.headers["x-subject-token"])
    await client.get("/network/v2.0/networks", status=200)
    again = {"auth": {"identity": {"methods": ["token"], "token": {"id": client.token}}}}
    await cloud.client().post(f"{V3}/auth/tokens", again, status=403)


async def test_key_17_who_must_prove_more_must_so_with_an_access_token_too(cloud: Cloud) -> None:
    """As upstream: rules ask every way of signing in, and may name this one."""
    user = await administrator(cloud)
    made, granted = await danced(cloud, user)
    path, options = f"{V3}/users/{user.user_id}", {"multi_factor_auth_rules": [["password", "totp"]]}
    await cloud.admin.patch(path, {"user": {"options": options}}, status=200)
    await sign_in(cloud, signing(made, granted), 401)
    options["multi_factor_auth_rules"].append(["oauth1"])
    await cloud.admin.patch(path, {"user": {"options": options}}, status=200)
    await sign_in(cloud, signing(made, granted))


async def test_access_tokens_are_seen_and_taken_back(cloud: Cloud) -> None:
    user = await administrator(cloud)
    made, granted = await danced(cloud, user)
    client = cloud.client((await sign_in(cloud, signing(made, granted))).headers["x-subject-token"])
    base = f"{V3}/users/{user.user_id}/OS-OAUTH1/access_tokens"
    listed = (await user.get(base, status=200)).json["access_tokens"]
    assert [(each["id"], each["consumer_id"]) for each in listed] == [(granted["oauth_token"], made["id"])]
    path = f"{base}/{granted['oauth_token']}"
    shown = (await user.get(path, status=200)).json["access_token"]
    assert shown["authorizing_user_id"] == user.user_id and shown["links"]["roles"].endswith("/roles")
    roles = (await user.get(path + "/roles", status=200)).json["roles"]
    assert [role["name"] for role in roles] == ["reader"]
    assert (await user.get(f"{path}/roles/{roles[0]['id']}", status=200)).json["role"]["name"] == "reader"
    await user.get(f"{path}/roles/{await role_id(cloud, 'admin')}", status=404)
    await user.get(f"{V3}/users/{cloud.admin.user_id}/OS-OAUTH1/access_tokens/{granted['oauth_token']}", status=404)
    assert granted["oauth_token_secret"].encode() not in (await user.get(path)).body
    await user.delete(path, status=204)
    await client.get(f"{V3}/auth/projects", status=401)
    await sign_in(cloud, signing(made, granted), 401)
    await user.get(path, status=404)


@pytest.mark.parametrize("ends", ["consumer", "user", "project", "role"])
async def test_invariant_15_whatever_an_access_token_rests_on_ends_it(cloud: Cloud, ends: str) -> None:
    user = await administrator(cloud)
    made, granted = await danced(cloud, user)
    client = cloud.client((await sign_in(cloud, signing(made, granted))).headers["x-subject-token"])
    await client.get(f"{V3}/auth/projects", status=200)
    off: dict[str, Any] = {"enabled": False}
    if ends == "consumer":
        await cloud.admin.delete(f"{O1}/consumers/{made['id']}", status=204)
    elif ends == "role":
        grant = f"{V3}/projects/{user.project_id}/users/{user.user_id}/roles/{await role_id(cloud, 'admin')}"
        await cloud.admin.delete(grant, status=204)
    else:
        path = f"users/{user.user_id}" if ends == "user" else f"projects/{user.project_id}"
        await cloud.admin.patch(f"{V3}/{path}", {ends: off}, status=200)
    await client.get(f"{V3}/auth/projects", status=401)
    await sign_in(cloud, signing(made, granted), 401)


async def test_a_request_token_is_exchanged_once_by_its_consumer_with_its_verifier(cloud: Cloud) -> None:
    user = await administrator(cloud)
    made, other = await consumer(cloud), await consumer(cloud)
    asked = await ask(cloud, made, user.project_id)
    await exchange(cloud, made, asked, "", 401)
    verifier = await agree(user, asked["oauth_token"], {"name": "reader"})
    await exchange(cloud, made, asked, "wrong", 401)
    await exchange(cloud, other, asked, verifier, 401)
    await exchange(cloud, {**made, "secret": "guess"}, asked, verifier, 401)
    await exchange(cloud, made, {**asked, "oauth_token_secret": "guess"}, verifier, 401)
    await exchange(cloud, made, asked, verifier)
    await exchange(cloud, made, asked, verifier, 401)
    await agree(user, asked["oauth_token"], {"name": "reader"}, status=404)


async def test_nobody_agrees_to_more_than_they_have_or_with_what_was_handed_to_them(cloud: Cloud) -> None:
    user = await administrator(cloud)
    other = await cloud.project()
    made = await consumer(cloud)
    asked = await ask(cloud, made, user.project_id)
    await agree(user, asked["oauth_token"], {"id": await role_id(cloud, "service")}, status=401)
    await agree(user, asked["oauth_token"], {"name": "no such role"}, status=401)
    await agree(other, asked["oauth_token"], {"name": "reader"}, status=403)
    foreign = await ask(cloud, made, other.project_id)
    await agree(user, foreign["oauth_token"], {"name": "reader"}, status=401)
    await agree(user, "no-such-token", {"name": "reader"}, status=404)
    for wrong in ({}, {"roles": []}, {"roles": "all"}, {"roles": [{}]}, {"roles": [5]}, {"roles": None}):
        await user.put(f"{O1}/authorize/{asked['oauth_token']}", wrong, status=400)
    _, granted = made, await danced(cloud, user, "admin")
    token = (await sign_in(cloud, signing(*granted))).headers["x-subject-token"]
    handed = Persona(cloud.core.asgi, token)
    await agree(handed, asked["oauth_token"], {"name": "reader"}, status=403)
    body = {"application_credential": {"name": "more"}}
    await handed.post(f"{V3}/users/{user.user_id}/application_credentials", body, status=403)
    trust = {"trustor_user_id": user.user_id, "trustee_user_id": user.user_id, "impersonation": True}
    await handed.post(f"{V3}/OS-TRUST/trusts", {"trust": trust}, status=403)


async def test_signatures_that_are_wrong_old_or_seen_before(cloud: Cloud) -> None:
    user = await administrator(cloud)
    made, granted = await danced(cloud, user)
    await ask(cloud, {**made, "secret": "guess"}, user.project_id, 401)
    await ask(cloud, {**made, "id": "nobody"}, user.project_id, 401)
    await ask(cloud, made, user.project_id, 401, signature_method=SIGNATURE_PLAINTEXT)
    await ask(cloud, made, user.project_id, 401, timestamp="1000000000")
    await ask(cloud, made, user.project_id, signature_method=SIGNATURE_HMAC_SHA256)
    await ask(cloud, made, "nothing", 404)
    same = signing(made, granted, nonce="once", timestamp=str(cloud.core.clock() // 1_000_000))
    await sign_in(cloud, same, **{"X-Dry-Run": "true"})
    await sign_in(cloud, same, 401)
    await sign_in(cloud, Client(made["id"], made["secret"]), 401)
    await sign_in(cloud, signing(made, granted | {"oauth_token_secret": "guess"}), 401)
    await cloud.client().post(f"{V3}/auth/tokens", AUTH, status=401)
    for junk in ("OAuth", "OAuth x", 'OAuth oauth_token="a", oauth_token="b"', "OAuth " + "x" * 9000, "Basic eDp5"):
        for path in (f"{V3}/auth/tokens", f"{O1}/request_token", f"{O1}/access_token"):
            body = AUTH if path.endswith("tokens") else None
            await cloud.client().post(path, body, headers={"Authorization": junk}, status=401)
    headers = {"Requested-Project-Id": user.project_id, "Host": "[::1"}
    who = Client(made["id"], client_secret=made["secret"])
    await signed_post(cloud, f"{O1}/request_token", who, status=401, **headers)


async def test_the_public_address_may_be_signed_where_a_proxy_changes_the_host(cloud: Cloud) -> None:
    user = await administrator(cloud)
    made = await consumer(cloud)
    who = Client(made["id"], client_secret=made["secret"])
    for base in (cloud.core.settings.public_url, "https://cloud.test"):
        await signed_post(
            cloud, f"{O1}/request_token", who, base=base, **{"Requested-Project-Id": user.project_id}
        )
    await signed_post(
        cloud, f"{O1}/request_token", who, status=401, base="https://elsewhere.test",
        **{"Requested-Project-Id": user.project_id},
    )


async def test_what_is_long_over_is_cleared_away(cloud: Cloud) -> None:
    user = await administrator(cloud)
    made, granted = await danced(cloud, user)
    clock = cloud.core.clock
    try:
        cloud.core.clock = lambda: clock() + 90_000 * 1_000_000
        await sign_in(cloud, signing(made, granted, timestamp=str(cloud.core.clock() // 1_000_000)), 401)
        cloud.core.clock = lambda: clock() + 200_000 * 1_000_000
        await cloud.core.loops.run_once("identity.leftovers")
    finally:
        cloud.core.clock = clock
    path = f"{V3}/users/{user.user_id}/OS-OAUTH1/access_tokens/{granted['oauth_token']}"
    await cloud.admin.get(path, status=404)
