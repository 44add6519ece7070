# SPDX-License-Identifier: Apache-2.0
"""Stories of credentials and of EC2 keys: made, seen, changed and taken back by whom they belong to.

Signing in with an EC2 key is test_ec2_tokens.py. The past advisories about delegation are here by name.
"""

from __future__ import annotations

import json
from typing import Any

import sqlalchemy as sa

from skyhold.core.context import internal
from skyhold.identity.delegation.tables import CREDENTIALS
from tests.kit.client import Client
from tests.kit.cloud import Cloud, Persona
from tests.story.identity.test_app_credentials import client_of
from tests.story.identity.test_app_credentials import make as make_app_credential

V3 = "/identity/v3"


async def make(who: Client, status: int = 201, **more: Any) -> dict[str, Any]:
    answer = await who.post(f"{V3}/credentials", {"credential": more}, status=status)
    return answer.json.get("credential", answer.json)


def ec2(access: str, secret: str = "the-secret-of-a-key", **more: str) -> dict[str, str]:
    return {"type": "ec2", "blob": json.dumps({"access": access, "secret": secret, **more})}


async def make_key(who: Client, user_id: str, project_id: str, status: int = 201) -> dict[str, Any]:
    answer = await who.post(f"{V3}/users/{user_id}/credentials/OS-EC2", {"tenant_id": project_id}, status=status)
    return answer.json.get("credential", answer.json)


async def test_an_ec2_key_that_is_nested_too_deep_is_refused(cloud: Cloud) -> None:
    user = await cloud.project()
    for blob in ("[" * 20_000, '{"access": ' * 20_000):
        await make(user, 400, type="ec2", blob=blob, user_id=user.user_id, project_id=user.project_id)


async def sealed(cloud: Cloud) -> list[str]:
    return await internal(cloud.core).read(lambda tx, ctx: [row.blob for row in tx.all(sa.select(CREDENTIALS.c.blob))])


async def test_key_09_a_credential_is_made_changed_and_deleted(cloud: Cloud) -> None:
    user = await cloud.project()
    made = await make(user, type="cert", blob="-----BEGIN", user_id=user.user_id, colour="blue")
    assert made["project_id"] is None and made["colour"] == "blue" and made["blob"] == "-----BEGIN"
    assert made["links"]["self"].endswith(f"/v3/credentials/{made['id']}")
    path = f"{V3}/credentials/{made['id']}"
    changed = (await user.patch(path, {"credential": {"blob": "other", "size": 3}}, status=200)).json["credential"]
    assert (changed["blob"], changed["size"], changed["colour"]) == ("other", 3, "blue")
    assert (await user.get(path, status=200)).json["credential"] == changed
    await user.delete(path, status=204)
    await user.get(path, status=404)
    await user.delete(path, status=404)


async def test_key_09_blobs_are_sealed_at_rest_and_survive_new_keys(cloud: Cloud) -> None:
    user = await cloud.project()
    made = await make(user, type="totp", blob="GEZDGNBVGY3TQOJQ", user_id=user.user_id)
    before = await sealed(cloud)
    assert not any("GEZDGNBVGY3TQOJQ" in each for each in before)
    core = cloud.core
    core.keyring.rotate()
    for each in core.services["identity"].reseals:
        await each(internal(core))
    assert not set(await sealed(cloud)) & set(before)
    shown = (await user.get(f"{V3}/credentials/{made['id']}", status=200)).json["credential"]
    assert shown["blob"] == "GEZDGNBVGY3TQOJQ"


async def test_key_09_lists_are_filtered_and_hold_only_ones_own(cloud: Cloud) -> None:
    user, other = await cloud.project(), await cloud.project()
    mine = await make(user, type="cert", blob="x", user_id=user.user_id)
    await make(other, type="cert", blob="y", user_id=other.user_id)
    await make(user, type="totp", blob="z", user_id=user.user_id)

    async def seen(who: Client, **query: str) -> list[str]:
        return [c["id"] for c in (await who.get(f"{V3}/credentials", query, status=200)).json["credentials"]]

    assert len(await seen(user)) == 2
    assert await seen(user, type="cert") == [mine["id"]]
    assert await seen(other, user_id=user.user_id) == []
    assert await seen(cloud.admin, user_id=user.user_id, type="cert") == [mine["id"]]
    await other.get(f"{V3}/credentials/{mine['id']}", status=404)
    await other.patch(f"{V3}/credentials/{mine['id']}", {"credential": {"blob": "stolen"}}, status=404)
    await other.delete(f"{V3}/credentials/{mine['id']}", status=404)


async def test_key_09_nobody_makes_a_credential_for_another_but_an_administrator(cloud: Cloud) -> None:
    user, other = await cloud.project(), await cloud.project()
    await make(user, 403, type="cert", blob="x", user_id=other.user_id)
    made = await make(cloud.admin, type="cert", blob="x", user_id=other.user_id)
    assert made["user_id"] == other.user_id
    await make(cloud.admin, 404, type="cert", blob="x", user_id="nobody")
    await make(user, 403, **ec2("a" * 20), user_id=user.user_id, project_id=other.project_id)
    await make(user, 404, **ec2("a" * 20), user_id=user.user_id, project_id="nothing")
    await make_key(user, user.user_id, other.project_id, 403)
    await make_key(user, other.user_id, other.project_id, 403)


async def test_an_ec2_key_is_found_by_its_access_and_stays_for_its_project(cloud: Cloud) -> None:
    user = await cloud.project()
    access = "access-of-" + user.user_id
    made = await make(user, **ec2(access), user_id=user.user_id, project_id=user.project_id)
    await make(user, 409, **ec2(access), user_id=user.user_id, project_id=user.project_id)
    key = (await user.get(f"{V3}/users/{user.user_id}/credentials/OS-EC2/{access}", status=200)).json["credential"]
    assert (key["secret"], key["tenant_id"], key["trust_id"]) == ("the-secret-of-a-key", user.project_id, None)
    path = f"{V3}/credentials/{made['id']}"
    changed = (await user.patch(path, {"credential": ec2(access + "2")}, status=200)).json["credential"]
    assert changed["id"] == made["id"]
    await user.get(f"{V3}/users/{user.user_id}/credentials/OS-EC2/{access}", status=404)
    await user.get(f"{V3}/users/{user.user_id}/credentials/OS-EC2/{access}2", status=200)
    for wrong in ({"type": "cert"}, {"user_id": cloud.admin.user_id}, {"project_id": cloud.admin.project_id},
                  {"blob": "no json"}, {"blob": "{}"}, {"blob": '{"access": 1}'},
                  {"blob": json.dumps({"access": access, "secret": "x", "trust_id": "another"})}):
        await user.patch(path, {"credential": wrong}, status=400)


async def test_key_08_ec2_keys_by_their_own_address(cloud: Cloud) -> None:
    user = await cloud.project()
    one, two = [await make_key(user, user.user_id, user.project_id) for _ in range(2)]
    base = f"{V3}/users/{user.user_id}/credentials/OS-EC2"
    listed = (await user.get(base, status=200)).json["credentials"]
    assert {key["access"] for key in listed} == {one["access"], two["access"]}
    await user.delete(f"{base}/{one['access']}", status=204)
    await user.get(f"{base}/{one['access']}", status=404)
    stranger = await cloud.project()
    await stranger.get(f"{base}/{two['access']}", status=404)
    await stranger.get(base, status=403)
    await cloud.admin.get(f"{base}/{two['access']}", status=200)
    await cloud.admin.get(f"{V3}/users/{stranger.user_id}/credentials/OS-EC2/{two['access']}", status=404)


async def test_cve_2026_33551_a_restricted_application_credential_makes_no_credential(cloud: Cloud) -> None:
    user = await cloud.project(["member"])
    client = await client_of(cloud, await make_app_credential(user, user.user_id, roles=[{"name": "reader"}]))
    assert (await make_key(client, user.user_id, user.project_id, 403))["error"]["reason"] == "restricted"
    await make(client, 403, **ec2("x" * 20), user_id=user.user_id, project_id=user.project_id)
    await make(client, 403, type="totp", blob="x", user_id=user.user_id)


async def test_cve_2026_43001_an_application_credential_makes_keys_for_its_own_project_alone(cloud: Cloud) -> None:
    user = await cloud.project(["member"])
    other = await cloud.project([], domain_id=user.domain_id)
    await cloud.grant("member", user.user_id, project_id=other.project_id)
    made = await make_app_credential(user, user.user_id, unrestricted=True)
    client = await client_of(cloud, made)
    assert (await make_key(client, user.user_id, other.project_id, 403))["error"]["reason"] == "other_project"
    body = {**ec2("y" * 20, app_cred_id="forged"), "user_id": user.user_id}
    await make(client, 403, **body, project_id=other.project_id)
    key = await make(client, **body, project_id=user.project_id)
    assert json.loads(key["blob"])["app_cred_id"] == made["id"]


async def test_invariant_4_a_delegated_token_reads_no_key_that_is_worth_more(cloud: Cloud) -> None:
    user = await cloud.project(["member"])
    strong = await make_key(user, user.user_id, user.project_id)
    made = await make_app_credential(user, user.user_id, unrestricted=True, roles=[{"name": "reader"}])
    client = await client_of(cloud, made)
    weak = await make_key(client, user.user_id, user.project_id)
    base = f"{V3}/users/{user.user_id}/credentials/OS-EC2"
    assert [key["access"] for key in (await client.get(base, status=200)).json["credentials"]] == [weak["access"]]
    listed = (await client.get(f"{V3}/credentials", status=200)).json["credentials"]
    assert [json.loads(each["blob"])["access"] for each in listed] == [weak["access"]]
    await client.get(f"{base}/{strong['access']}", status=404)
    assert len((await user.get(base, status=200)).json["credentials"]) == 2


async def test_credentials_end_with_their_user_and_their_project(cloud: Cloud) -> None:
    user = await cloud.project()
    key = await make_key(user, user.user_id, user.project_id)
    made = await make(user, type="cert", blob="x", user_id=user.user_id)
    await cloud.admin.delete(f"{V3}/projects/{user.project_id}", status=204)
    await cloud.admin.get(f"{V3}/users/{user.user_id}/credentials/OS-EC2/{key['access']}", status=404)
    await cloud.admin.delete(f"{V3}/users/{user.user_id}", status=204)
    await cloud.admin.get(f"{V3}/credentials/{made['id']}", status=404)


async def test_bad_input_for_credentials(cloud: Cloud) -> None:
    user = await cloud.project()
    good: dict[str, Any] = {"type": "cert", "blob": "x", "user_id": user.user_id}
    for wrong in ({"type": ""}, {"type": None}, {"type": 5}, {"type": "x" * 256}, {"blob": None}, {"blob": {}},
                  {"blob": "x" * 70_000}, {"user_id": 5}, {"user_id": None}, {"project_id": 5},
                  {"type": "ec2", "blob": "{}"}, {"type": "ec2", "blob": "[]"}, {"type": "ec2"},
                  {"type": "ec2", "blob": '{"access": "a", "secret": "b"}'}):
        answer = await make(user, 400, **(good | wrong))
        assert answer["error"]["code"] == 400
    for name in ("type", "blob"):
        await make(user, 400, **{key: value for key, value in good.items() if key != name})
    for wrong in ({}, {"tenant_id": None}, {"tenant_id": 5}, {"tenant_id": ""}):
        await user.post(f"{V3}/users/{user.user_id}/credentials/OS-EC2", wrong, status=400)


async def test_secrets_of_credentials_are_in_no_event(cloud: Cloud) -> None:
    user: Persona = await cloud.project()
    key = await make_key(user, user.user_id, user.project_id)
    await make(user, type="totp", blob="NEVERINANEVENT", user_id=user.user_id)
    events = (await cloud.admin.get("/events/v1/events", {"limit": 1000}, status=200)).body
    assert key["secret"].encode() not in events and b"NEVERINANEVENT" not in events
