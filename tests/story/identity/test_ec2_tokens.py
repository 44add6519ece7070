# SPDX-License-Identifier: Apache-2.0
"""Stories of signed EC2 and S3 requests: services turn them into tokens worth what the key is worth.

Keys are made and seen in test_credentials.py; versions of signatures are tests/unit/identity/test_signatures.py.
"""

from __future__ import annotations

import base64
import json
from typing import Any

from botocore.auth import HmacV1Auth
from botocore.credentials import Credentials

from tests.kit.client import Answer, Client
from tests.kit.cloud import Cloud
from tests.story.identity.test_app_credentials import client_of
from tests.story.identity.test_app_credentials import make as make_app_credential
from tests.story.identity.test_credentials import make_key
from tests.story.identity.test_trusts import acting, pair, role_id, trust
from tests.unit.identity.test_signatures import HASH, AWSRequest, SigV2Auth, SigV4Auth

V3 = "/identity/v3"


def signed(key: dict[str, Any], version: str = "4", **more: Any) -> dict[str, Any]:
    owner = Credentials(key["access"], key["secret"])
    if version == "2":
        request = AWSRequest("POST", "https://cloud.test/cloud", data={"Action": "DescribeInstances"})
        SigV2Auth(owner).add_auth(request)
        params = dict(request.data)
        return {"access": key["access"], "signature": params.pop("Signature"), "host": "cloud.test", "verb": "POST",
                "path": "/cloud", "params": params, **more}
    request = AWSRequest("GET", "https://cloud.test/cloud", headers={"Host": "cloud.test"})
    SigV4Auth(owner, "ec2", "here").add_auth(request)
    headers = dict(request.headers)
    return {
        "access": key["access"], "signature": headers["Authorization"].rpartition("Signature=")[2], "verb": "GET",
        "host": "cloud.test", "path": "/cloud", "params": {}, "headers": headers, "body_hash": HASH, **more,
    }


async def ask(who: Client, given: dict[str, Any], status: int = 200, name: str = "credentials") -> Answer:
    return await who.post(f"{V3}/ec2tokens", {name: given}, status=status)


async def acting_with(cloud: Cloud, key: dict[str, Any]) -> Client:
    return cloud.client((await ask(cloud.admin, signed(key))).headers["x-subject-token"])


async def lives(client: Client, status: int = 200) -> None:
    await client.get(f"{V3}/auth/projects", status=status)


async def test_key_08_a_signed_request_becomes_a_token_of_the_keys_owner(cloud: Cloud) -> None:
    user = await cloud.project(["member"])
    key = await make_key(user, user.user_id, user.project_id)
    for version in ("2", "4"):
        answer = await ask(cloud.admin, signed(key, version))
        token = answer.json["token"]
        assert (token["user"]["id"], token["project"]["id"]) == (user.user_id, user.project_id)
        assert token["methods"] == ["ec2credential"] and token["catalog"]
        await lives(cloud.client(answer.headers["x-subject-token"]))
    await ask(cloud.admin, signed(key), name="ec2Credentials")


async def test_key_17_a_signed_request_is_never_asked_for_more(cloud: Cloud) -> None:
    """As upstream: its client has no way to prove anything else, and its token is bounded by the key."""
    user = await cloud.project(["member"])
    key = await make_key(user, user.user_id, user.project_id)
    body = {"user": {"options": {"multi_factor_auth_rules": [["password", "totp"]]}}}
    await cloud.admin.patch(f"{V3}/users/{user.user_id}", body, status=200)
    await ask(cloud.admin, signed(key))


async def test_cve_2025_65073_only_services_and_administrators_turn_signatures_into_tokens(cloud: Cloud) -> None:
    user = await cloud.project(["manager"])
    key = await make_key(user, user.user_id, user.project_id)
    for path in ("ec2tokens", "s3tokens"):
        await cloud.client().post(f"{V3}/{path}", {"credentials": signed(key)}, status=401)
        await user.post(f"{V3}/{path}", {"credentials": {**signed(key), "token": ""}}, status=403)
    service = await cloud.project(["service"])
    await ask(service, signed(key))


async def test_a_wrong_signature_an_unknown_key_and_an_old_request_look_alike_enough(cloud: Cloud) -> None:
    user = await cloud.project()
    key = await make_key(user, user.user_id, user.project_id)
    wrong = await ask(cloud.admin, signed({**key, "secret": "guess"}), 401)
    unknown = await ask(cloud.admin, signed({**key, "access": "f" * 32}), 401)
    assert wrong.json["error"]["message"] == unknown.json["error"]["message"]
    clock = cloud.core.clock
    given = signed(key)
    try:
        cloud.core.clock = lambda: clock() + 1000 * 1_000_000
        await ask(cloud.admin, given, 401)
    finally:
        cloud.core.clock = clock
    await ask(cloud.admin, {"access": key["access"]}, 401)
    await cloud.admin.post(f"{V3}/ec2tokens", {}, status=401)
    for bad in ({"access": 5}, {"access": None}, {"params": "x"}, {"headers": {"a": {}}}, {"signature": 5}):
        await ask(cloud.admin, signed(key, **bad), 400)


async def test_key_08_s3_requests_are_checked_and_give_no_token_away(cloud: Cloud) -> None:
    user = await cloud.project()
    key = await make_key(user, user.user_id, user.project_id)
    text = "GET\n\n\nThu, 01 Jan 2026 00:00:00 GMT\n/bucket/object"
    signature = HmacV1Auth(Credentials(key["access"], key["secret"])).sign_string(text)
    given = {"access": key["access"], "signature": signature, "token": base64.b64encode(text.encode()).decode()}
    answer = await cloud.admin.post(f"{V3}/s3tokens", {"credentials": given}, status=200)
    assert answer.json["token"]["project"]["id"] == user.project_id
    assert "x-subject-token" not in answer.headers
    await cloud.admin.post(f"{V3}/s3tokens", {"credentials": {**given, "signature": "x"}}, status=401)
    for bad in ({}, {"credentials": {}}, {"credentials": {**given, "token": 5}}):
        await cloud.admin.post(f"{V3}/s3tokens", bad, status=400)


async def test_invariant_15_a_token_ends_with_its_key_owner_and_project(cloud: Cloud) -> None:
    user = await cloud.project()
    key = await make_key(user, user.user_id, user.project_id)
    client = await acting_with(cloud, key)
    await lives(client)
    await user.delete(f"{V3}/users/{user.user_id}/credentials/OS-EC2/{key['access']}", status=204)
    await lives(client, 401)
    await ask(cloud.admin, signed(key), 401)
    key = await make_key(user, user.user_id, user.project_id)
    client = await acting_with(cloud, key)
    await cloud.admin.patch(f"{V3}/users/{user.user_id}", {"user": {"enabled": False}}, status=200)
    await lives(client, 401)
    await ask(cloud.admin, signed(key), 401)


async def test_invariant_4_a_keys_token_stays_in_the_keys_project(cloud: Cloud) -> None:
    user = await cloud.project(["member"])
    other = await cloud.project([], domain_id=user.domain_id)
    await cloud.grant("member", user.user_id, project_id=other.project_id)
    client = await acting_with(cloud, await make_key(user, user.user_id, user.project_id))
    reach = (await client.get(f"{V3}/auth/projects", status=200)).json["projects"]
    assert [project["id"] for project in reach] == [user.project_id]
    for scope in ({"project": {"id": other.project_id}}, "unscoped"):
        body = {"auth": {"identity": {"methods": ["token"], "token": {"id": client.token}}, "scope": scope}}
        await cloud.client().post(f"{V3}/auth/tokens", body, status=401)
    await make_key(client, user.user_id, other.project_id, 403)


async def test_cve_2026_33551_a_key_made_through_a_delegation_is_worth_no_more(cloud: Cloud) -> None:
    user = await cloud.project(["manager"])
    made = await make_app_credential(user, user.user_id, unrestricted=True, roles=[{"name": "reader"}])
    key = await make_key(await client_of(cloud, made), user.user_id, user.project_id)
    token = (await ask(cloud.admin, signed(key))).json["token"]
    assert [role["name"] for role in token["roles"]] == ["reader"]
    assert token["application_credential"]["id"] == made["id"]
    client = await acting_with(cloud, key)
    await user.delete(f"{V3}/users/{user.user_id}/application_credentials/{made['id']}", status=204)
    await lives(client, 401)
    await ask(cloud.admin, signed(key), 401)


async def test_a_key_made_with_a_trust_is_the_trusts(cloud: Cloud) -> None:
    trustor, trustee = await pair(cloud, ("manager",))
    for impersonation, owner in ((True, trustor), (False, trustee)):
        made = await trust(trustor, trustor, trustee, names=("reader",), impersonation=impersonation)
        holder = await acting(cloud, trustee, made)
        key = await make_key(holder, owner.user_id, trustor.project_id)
        assert key["trust_id"] == made["id"]
        token = (await ask(cloud.admin, signed(key))).json["token"]
        assert [role["name"] for role in token["roles"]] == ["reader"]
        assert token["user"]["id"] == owner.user_id and token["OS-TRUST:trust"]["id"] == made["id"]
        client = await acting_with(cloud, key)
        await lives(client)
        await trustor.delete(f"{V3}/OS-TRUST/trusts/{made['id']}", status=204)
        await lives(client, 401)
        await ask(cloud.admin, signed(key), 401)


async def test_access_rules_of_an_application_credential_hold_for_its_keys(cloud: Cloud) -> None:
    user = await cloud.project(["member"])
    rules = [{"service": "identity", "method": "POST", "path": "/v3/users/*/credentials/OS-EC2"},
             {"service": "identity", "method": "GET", "path": "/v3/auth/projects"}]
    made = await make_app_credential(user, user.user_id, unrestricted=True, access_rules=rules)
    key = await make_key(await client_of(cloud, made), user.user_id, user.project_id)
    client = await acting_with(cloud, key)
    await lives(client)
    await client.get(f"{V3}/auth/domains", status=401)


async def test_a_key_of_an_administrators_making_needs_a_role_to_be_any_good(cloud: Cloud) -> None:
    user, other = await cloud.project(), await cloud.project()
    blob = json.dumps({"access": "admins-" + user.user_id, "secret": "known"})
    wish = {"type": "ec2", "blob": blob, "user_id": user.user_id, "project_id": other.project_id}
    await cloud.admin.post(f"{V3}/credentials", {"credential": wish}, status=201)
    key = {"access": "admins-" + user.user_id, "secret": "known"}
    await ask(cloud.admin, signed(key), 401)
    await cloud.grant("reader", user.user_id, project_id=other.project_id)
    assert (await ask(cloud.admin, signed(key))).json["token"]["roles"][0]["id"] == await role_id(cloud, "reader")
