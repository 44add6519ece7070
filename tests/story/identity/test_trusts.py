# SPDX-License-Identifier: Apache-2.0
"""Stories of trusts: somebody acts with somebody else's roles, no longer and no further than was meant.

How chains of delegations are bounded in general is test_delegation.py; races for the last use are in
tests/race.
"""

from __future__ import annotations

import asyncio
from typing import Any

from tests.kit.client import Answer, Client
from tests.kit.cloud import Cloud, Persona
from tests.story.identity.test_app_credentials import client_of
from tests.story.identity.test_app_credentials import make as make_app_credential

V3 = "/identity/v3"
TRUSTS = f"{V3}/OS-TRUST/trusts"


async def trust(
    who: Client, trustor: Persona, trustee: Persona, status: int = 201, names: tuple[str, ...] = ("member",),
    **more: Any,
) -> dict[str, Any]:
    wish = {
        "trustor_user_id": trustor.user_id, "trustee_user_id": trustee.user_id, "impersonation": True,
        "project_id": trustor.project_id, "roles": [{"name": name} for name in names], **more,
    }
    answer = await who.post(TRUSTS, {"trust": {k: v for k, v in wish.items() if v is not ...}}, status=status)
    return answer.json.get("trust", answer.json)


async def ask(
    cloud: Cloud, trustee: Persona, trust_id: str, status: int | tuple[int, ...] = 201, **headers: str
) -> Answer:
    user = {"id": trustee.user_id, "password": trustee.password}
    identity = {"methods": ["password"], "password": {"user": user}}
    body = {"auth": {"identity": identity, "scope": {"OS-TRUST:trust": {"id": trust_id}}}}
    return await cloud.client().post(f"{V3}/auth/tokens", body, status=status, headers=headers)


async def acting(cloud: Cloud, trustee: Persona, made: dict[str, Any]) -> Client:
    return cloud.client((await ask(cloud, trustee, made["id"])).headers["x-subject-token"])


async def lives(client: Client, status: int = 200) -> None:
    await client.get(f"{V3}/auth/projects", status=status)


async def role_id(cloud: Cloud, name: str) -> str:
    return (await cloud.admin.get(f"{V3}/roles", {"name": name}, status=200)).json["roles"][0]["id"]


async def pair(cloud: Cloud, roles: tuple[str, ...] = ("member",)) -> tuple[Persona, Persona]:
    return await cloud.project(list(roles)), await cloud.project()


async def test_key_10_the_trustee_acts_as_the_trustor_with_the_roles_given(cloud: Cloud) -> None:
    trustor, trustee = await pair(cloud, ("manager",))
    made = await trust(trustor, trustor, trustee, names=("member",))
    assert made["links"]["self"].endswith(f"/v3/OS-TRUST/trusts/{made['id']}")
    assert (made["deleted_at"], made["remaining_uses"], made["redelegation_count"]) == (None, None, 0)
    assert [role["name"] for role in made["roles"]] == ["member"]
    token = (await ask(cloud, trustee, made["id"])).json["token"]
    assert token["user"]["id"] == trustor.user_id
    assert token["project"]["id"] == trustor.project_id
    assert {role["name"] for role in token["roles"]} == {"member", "reader"}
    assert token["OS-TRUST:trust"]["trustee_user"] == {"id": trustee.user_id}
    assert token["OS-TRUST:trust"]["trustor_user"] == {"id": trustor.user_id}
    client = await acting(cloud, trustee, made)
    await client.get("/network/v2.0/networks", status=200)
    reach = (await client.get(f"{V3}/auth/projects", status=200)).json["projects"]
    assert [project["id"] for project in reach] == [trustor.project_id]


async def test_key_10_without_impersonation_the_trustee_keeps_the_own_name(cloud: Cloud) -> None:
    trustor, trustee = await pair(cloud)
    made = await trust(trustor, trustor, trustee, impersonation=False)
    token = (await ask(cloud, trustee, made["id"])).json["token"]
    assert token["user"]["id"] == trustee.user_id and token["project"]["id"] == trustor.project_id
    assert token["OS-TRUST:trust"]["impersonation"] is False


async def test_only_the_trustee_may_ask_and_only_once_signed_in(cloud: Cloud) -> None:
    trustor, trustee = await pair(cloud)
    made = await trust(trustor, trustor, trustee)
    await ask(cloud, trustor, made["id"], 403)
    await ask(cloud, trustee, "no-such-trust", 401)
    body = {"auth": {"identity": {"methods": ["token"], "token": {"id": trustee.token}},
                     "scope": {"OS-TRUST:trust": {"id": made["id"]}, "project": {"id": trustee.project_id}}}}
    await cloud.client().post(f"{V3}/auth/tokens", body, status=400)
    del body["auth"]["scope"]["project"]
    token = (await cloud.client().post(f"{V3}/auth/tokens", body, status=201)).headers["x-subject-token"]
    for scope in ({}, {"scope": {"project": {"id": trustor.project_id}}}, {"scope": "unscoped"}):
        again = {"auth": {"identity": {"methods": ["token"], "token": {"id": token}}, **scope}}
        await cloud.client().post(f"{V3}/auth/tokens", again, status=403)


async def test_who_may_see_and_delete_a_trust(cloud: Cloud) -> None:
    trustor, trustee = await pair(cloud)
    stranger = await cloud.project()
    made = await trust(trustor, trustor, trustee)
    path = f"{TRUSTS}/{made['id']}"
    for who in (trustor, trustee, cloud.admin):
        assert (await who.get(path, status=200)).json["trust"]["id"] == made["id"]
        roles = (await who.get(path + "/roles", status=200)).json["roles"]
        assert [role["name"] for role in roles] == ["member"] and "/v3/roles/" in roles[0]["links"]["self"]
        await who.get(f"{path}/roles/{roles[0]['id']}", status=200)
        await who.request("HEAD", f"{path}/roles/{roles[0]['id']}", status=200)
        await who.get(f"{path}/roles/{await role_id(cloud, 'admin')}", status=404)
        await who.request("HEAD", f"{path}/roles/{await role_id(cloud, 'admin')}", status=404)
    await stranger.get(path, status=404)
    await stranger.get(path + "/roles", status=404)
    await stranger.delete(path, status=404)
    await trustee.delete(path, status=404)
    await trustor.get(TRUSTS, status=403)
    assert made["id"] in [t["id"] for t in (await cloud.admin.get(TRUSTS, status=200)).json["trusts"]]
    for who, name in ((trustor, "trustor_user_id"), (trustee, "trustee_user_id")):
        query = {name: who.user_id}
        found = (await who.get(TRUSTS, query, status=200)).json["trusts"]
        assert [t["id"] for t in found] == [made["id"]] and "roles" not in found[0]
        await stranger.get(TRUSTS, query, status=403)
    await trustor.get(TRUSTS, {"trustee_user_id": trustee.user_id}, status=403)
    await trustor.delete(path, status=204)
    await trustor.get(path, status=404)


async def test_a_trust_is_of_ones_own_roles_alone(cloud: Cloud) -> None:
    trustor, trustee = await pair(cloud, ("reader",))
    await trust(trustee, trustor, trustee, 403)
    await trust(cloud.admin, trustor, trustee, 403)
    await trust(trustor, trustor, trustee, 404, names=("member",))
    await trust(trustor, trustor, trustee, 404, names=("no such role",))
    await trust(trustor, trustor, trustee, 404, roles=[{"id": await role_id(cloud, "admin")}])
    await trust(trustor, trustor, trustee, 403, names=())
    await trust(trustor, trustor, trustee, 404, names=("reader",), project_id=trustee.project_id)
    await trust(trustor, trustor, trustee, 404, names=("reader",), project_id="nothing")
    await trust(trustor, trustor, trustee, 404, names=("reader",), trustee_user_id="nobody")


async def test_invariant_15_whatever_a_trust_rests_on_ends_its_tokens_at_once(cloud: Cloud) -> None:
    trustor, trustee = await pair(cloud)
    made = await trust(trustor, trustor, trustee)
    client = await acting(cloud, trustee, made)
    for person in (trustor, trustee):
        client = await acting(cloud, trustee, made)
        await cloud.admin.patch(f"{V3}/users/{person.user_id}", {"user": {"enabled": False}}, status=200)
        await lives(client, 401)
        await ask(cloud, trustee, made["id"], (401, 403))
        await cloud.admin.patch(f"{V3}/users/{person.user_id}", {"user": {"enabled": True}}, status=200)
    client = await acting(cloud, trustee, made)
    await cloud.admin.patch(f"{V3}/projects/{trustor.project_id}", {"project": {"enabled": False}}, status=200)
    await lives(client, 401)
    await cloud.admin.patch(f"{V3}/projects/{trustor.project_id}", {"project": {"enabled": True}}, status=200)
    client = await acting(cloud, trustee, made)
    grant = f"{V3}/projects/{trustor.project_id}/users/{trustor.user_id}/roles/{await role_id(cloud, 'member')}"
    await cloud.admin.delete(grant, status=204)
    await lives(client, 401)
    await ask(cloud, trustee, made["id"], 401)
    await cloud.admin.put(grant, status=204)
    client = await acting(cloud, trustee, made)
    await cloud.admin.delete(f"{TRUSTS}/{made['id']}", status=204)
    await lives(client, 401)
    await ask(cloud, trustee, made["id"], 401)


async def test_a_trust_gives_nothing_once_one_of_its_roles_was_taken_away(cloud: Cloud) -> None:
    trustor, trustee = await pair(cloud, ("member", "service"))
    made = await trust(trustor, trustor, trustee, names=("member", "service"))
    client = await acting(cloud, trustee, made)
    grant = f"{V3}/projects/{trustor.project_id}/users/{trustor.user_id}/roles/{await role_id(cloud, 'service')}"
    await cloud.admin.delete(grant, status=204)
    await lives(client, 401)


async def test_a_trust_ends_and_its_tokens_end_no_later(cloud: Cloud) -> None:
    trustor, trustee = await pair(cloud)
    for wrong in ("bad.123Z", "2001-01-01T00:00:00Z", 5):
        await trust(trustor, trustor, trustee, 400, expires_at=wrong)
    clock = cloud.core.clock
    at_s = clock() // 1_000_000 + 600
    made = await trust(trustor, trustor, trustee, expires_at=stamp(at_s))
    assert made["expires_at"] == stamp(at_s)
    answer = await ask(cloud, trustee, made["id"])
    assert answer.json["token"]["expires_at"] == stamp(at_s)
    client = cloud.client(answer.headers["x-subject-token"])
    try:
        cloud.core.clock = lambda: (at_s + 1) * 1_000_000
        await lives(client, 401)
        await ask(cloud, trustee, made["id"], 401)
    finally:
        cloud.core.clock = clock


def stamp(at_s: int) -> str:
    from datetime import UTC, datetime

    return f"{datetime.fromtimestamp(at_s, UTC):%Y-%m-%dT%H:%M:%S}.000000Z"


async def test_key_10_uses_are_counted_exactly_and_tokens_outlive_the_last(cloud: Cloud) -> None:
    trustor, trustee = await pair(cloud)
    made = await trust(trustor, trustor, trustee, remaining_uses=2)
    client = await acting(cloud, trustee, made)
    assert (await trustor.get(f"{TRUSTS}/{made['id']}", status=200)).json["trust"]["remaining_uses"] == 1
    await acting(cloud, trustee, made)
    await ask(cloud, trustee, made["id"], 401)
    await trustor.get(f"{TRUSTS}/{made['id']}", status=404)
    await lives(client)
    made = await trust(trustor, trustor, trustee, remaining_uses=3)
    answers = await asyncio.gather(*(ask(cloud, trustee, made["id"], (201, 401)) for _ in range(8)))
    assert sorted(answer.status for answer in answers) == [201] * 3 + [401] * 5


async def test_a_rehearsal_hands_out_a_real_token_so_it_counts_as_a_use(cloud: Cloud) -> None:
    trustor, trustee = await pair(cloud)
    made = await trust(trustor, trustor, trustee, remaining_uses=1)
    await ask(cloud, trustee, made["id"], 201, **{"X-Dry-Run": "true"})
    await ask(cloud, trustee, made["id"], 401)


async def test_a_failed_sign_in_uses_nothing_up(cloud: Cloud) -> None:
    trustor, trustee = await pair(cloud)
    made = await trust(trustor, trustor, trustee, remaining_uses=1)
    grant = f"{V3}/projects/{trustor.project_id}/users/{trustor.user_id}/roles/{await role_id(cloud, 'member')}"
    await cloud.admin.delete(grant, status=204)
    await ask(cloud, trustee, made["id"], 401)
    await cloud.admin.put(grant, status=204)
    await ask(cloud, trustee, made["id"], 201)


async def test_key_10_a_trust_is_passed_on_only_as_far_as_it_allows(cloud: Cloud) -> None:
    trustor, trustee = await pair(cloud, ("manager",))
    third, fourth = await cloud.project(), await cloud.project()
    plain = await trust(trustor, trustor, trustee)
    await trust(await acting(cloud, trustee, plain), trustor, third, 403)
    first = await trust(trustor, trustor, trustee, allow_redelegation=True, redelegation_count=2)
    assert first["redelegation_count"] == 2
    holder = await acting(cloud, trustee, first)
    await trust(holder, trustor, third, 404, names=("manager",))
    await trust(holder, trustor, third, 400, remaining_uses=1)
    await trust(holder, trustor, third, 403, redelegation_count=2)
    await trust(holder, trustor, third, 403, project_id=third.project_id)
    second = await trust(holder, trustor, third, names=("reader",))
    assert (second["redelegation_count"], second["redelegated_trust_id"]) == (1, first["id"])
    token = (await ask(cloud, third, second["id"])).json["token"]
    assert token["user"]["id"] == trustor.user_id and [r["name"] for r in token["roles"]] == ["reader"]
    last = await trust(await acting(cloud, third, second), trustor, fourth, names=("reader",))
    assert last["redelegation_count"] == 0
    tail = await acting(cloud, fourth, last)
    await trust(tail, trustor, trustee, 403, names=("reader",))
    await trustor.delete(f"{TRUSTS}/{first['id']}", status=204)
    await lives(tail, 401)
    await ask(cloud, fourth, last["id"], 401)
    await trustor.get(f"{TRUSTS}/{last['id']}", status=404)


async def test_invariant_4_passing_on_without_impersonation_stays_without(cloud: Cloud) -> None:
    trustor, trustee = await pair(cloud)
    third = await cloud.project()
    first = await trust(trustor, trustor, trustee, impersonation=False, allow_redelegation=True,
                        expires_at="2098-01-01T00:00:00Z")
    holder = await acting(cloud, trustee, first)
    wish: dict[str, Any] = {"project_id": trustor.project_id}
    await trust(holder, trustee, third, 403, **wish)
    await trust(holder, trustee, third, 403, impersonation=False, expires_at="2099-01-01T00:00:00Z", **wish)
    await trust(holder, trustor, third, 403, impersonation=False, **wish)
    second = await trust(holder, trustee, third, impersonation=False, **wish)
    assert second["expires_at"].startswith("2098") and second["trustor_user_id"] == trustee.user_id
    token = (await ask(cloud, third, second["id"])).json["token"]
    assert token["user"]["id"] == third.user_id and token["project"]["id"] == trustor.project_id
    client = await acting(cloud, third, second)
    await cloud.admin.patch(f"{V3}/users/{trustee.user_id}", {"user": {"enabled": False}}, status=200)
    await lives(client, 401)


async def test_redelegation_counts_have_their_bounds(cloud: Cloud) -> None:
    trustor, trustee = await pair(cloud)
    assert (await trust(trustor, trustor, trustee, allow_redelegation=True))["redelegation_count"] == 3
    await trust(trustor, trustor, trustee, 403, allow_redelegation=True, redelegation_count=4)
    await trust(trustor, trustor, trustee, 400, allow_redelegation=True, remaining_uses=1)
    assert (await trust(trustor, trustor, trustee, redelegation_count=2))["redelegation_count"] == 0


async def test_invariant_4_delegated_tokens_make_nothing_that_is_wider(cloud: Cloud) -> None:
    trustor, trustee = await pair(cloud, ("manager",))
    made = await trust(trustor, trustor, trustee)
    holder = await acting(cloud, trustee, made)
    await make_app_credential(holder, trustor.user_id, 403)
    await holder.post(
        f"{V3}/credentials", {"credential": {"type": "totp", "blob": "x", "user_id": trustor.user_id}}, status=403
    )
    await holder.delete(f"{TRUSTS}/{made['id']}", status=403)
    restricted = await client_of(cloud, await make_app_credential(trustor, trustor.user_id))
    await trust(restricted, trustor, trustee, 403)
    wide = await make_app_credential(
        trustor, trustor.user_id, name="wide", unrestricted=True, roles=[{"name": "reader"}]
    )
    client = await client_of(cloud, wide)
    await trust(client, trustor, trustee, 404, names=("member",))
    narrow = await trust(client, trustor, trustee, names=("reader",))
    token = await acting(cloud, trustee, narrow)
    await trustor.delete(f"{V3}/users/{trustor.user_id}/application_credentials/{wide['id']}", status=204)
    await lives(token, 401)
    await trustor.get(f"{TRUSTS}/{narrow['id']}", status=404)


async def test_cve_2026_43000_an_application_credential_signs_in_its_owner_alone(cloud: Cloud) -> None:
    owner, other = await cloud.project(), await cloud.project()
    made = await make_app_credential(owner, owner.user_id)
    named = {"name": made["name"], "user": {"id": other.user_id}, "secret": made["secret"]}
    password = {"user": {"id": other.user_id, "password": other.password}}
    for methods in (["application_credential"], ["password", "application_credential"]):
        for given in (named, {"id": made["id"], "secret": made["secret"]}):
            if methods == ["application_credential"] and "id" in given:
                continue
            identity = {"methods": methods, "application_credential": given, "password": password}
            await cloud.client().post(f"{V3}/auth/tokens", {"auth": {"identity": identity}}, status=401)


async def test_bad_input_for_trusts(cloud: Cloud) -> None:
    trustor, trustee = await pair(cloud)
    for wrong in ({"impersonation": "yes"}, {"impersonation": None}, {"impersonation": ...}, {"trustor_user_id": None},
                  {"trustee_user_id": None}, {"trustee_user_id": ...}, {"trustor_user_id": ...}, {"roles": "all"},
                  {"roles": [{}]}, {"roles": [5]}, {"remaining_uses": 0}, {"remaining_uses": -1},
                  {"remaining_uses": "2"}, {"remaining_uses": True}, {"project_id": 5}, {"project_id": None},
                  {"redelegation_count": -1}, {"redelegation_count": "a"}, {"allow_redelegation": "a"}):
        answer = await trust(trustor, trustor, trustee, 400, **wrong)
        assert answer["error"]["code"] == 400


async def test_a_trustor_who_was_disabled_does_not_revive_old_tokens(cloud: Cloud) -> None:
    trustor, trustee = await pair(cloud)
    made = await trust(trustor, trustor, trustee)
    client = await acting(cloud, trustee, made)
    await client.get("/network/v2.0/networks", status=200)
    for enabled in (False, True):
        await cloud.admin.patch(f"{V3}/users/{trustor.user_id}", {"user": {"enabled": enabled}}, status=200)
        await client.get("/network/v2.0/networks", status=401)
    await (await acting(cloud, trustee, made)).get("/network/v2.0/networks", status=200)
