# SPDX-License-Identifier: Apache-2.0
"""Stories of application credentials: less than their owner, for one project, and never more.

Ordinary tokens are test_tokens.py. The past advisories about delegation are here by name.
"""

from __future__ import annotations

from typing import Any

from tests.kit.client import Answer, Client
from tests.kit.cloud import Cloud, Persona

V3 = "/identity/v3"


async def make(user: Client, user_id: str, status: int = 201, **more: Any) -> dict[str, Any]:
    body = {"application_credential": {"name": "mine", **more}}
    answer = await user.post(f"{V3}/users/{user_id}/application_credentials", body, status=status)
    return answer.json.get("application_credential", answer.json)


async def sign_in(cloud: Cloud, made: dict[str, Any], status: int = 201, scope: Any = None) -> Answer:
    given = {"id": made["id"], "secret": made["secret"]}
    return await sign_in_with(cloud, given, status, scope)


async def sign_in_with(cloud: Cloud, given: dict[str, Any], status: int, scope: Any = None) -> Answer:
    identity = {"methods": ["application_credential"], "application_credential": given}
    body = {"auth": {"identity": identity} | ({"scope": scope} if scope else {})}
    return await cloud.client().post(f"{V3}/auth/tokens", body, status=status)


async def client_of(cloud: Cloud, made: dict[str, Any]) -> Client:
    return cloud.client((await sign_in(cloud, made)).headers["x-subject-token"])


def address(user: Persona, made: dict[str, Any]) -> str:
    return f"{V3}/users/{user.user_id}/application_credentials/{made['id']}"


async def test_key_07_the_secret_is_shown_once_and_signs_in(cloud: Cloud) -> None:
    user = await cloud.project(["member"])
    made = await make(user, user.user_id, roles=[{"name": "reader"}])
    assert made["project_id"] == user.project_id
    assert made["unrestricted"] is False
    shown = await user.get(address(user, made), status=200)
    assert "secret" not in shown.json["application_credential"]
    assert made["secret"].encode() not in (await user.get(f"{V3}/users/{user.user_id}/application_credentials")).body
    token = (await sign_in(cloud, made)).json["token"]
    assert [role["name"] for role in token["roles"]] == ["reader"]
    assert token["project"]["id"] == user.project_id
    assert token["methods"] == ["application_credential"]
    assert token["application_credential"] == {"id": made["id"], "name": "mine", "restricted": True}
    named = {"name": "mine", "user": {"id": user.user_id}, "secret": made["secret"]}
    assert (await sign_in_with(cloud, named, 201)).json["token"]["user"]["id"] == user.user_id
    named["user"] = {"name": user.user_name, "domain": {"id": user.domain_id}}
    await sign_in_with(cloud, named, 201)


async def test_a_wrong_secret_an_unknown_and_an_expired_one_are_401(cloud: Cloud) -> None:
    user = await cloud.project()
    made = await make(user, user.user_id, expires_at="2099-01-01T00:00:00")
    await sign_in(cloud, {**made, "secret": "guess"}, 401)
    await sign_in(cloud, {"id": "nothing", "secret": "guess"}, 401)
    clock = cloud.core.clock
    try:
        cloud.core.clock = lambda: 4_200_000_000 * 1_000_000
        await sign_in(cloud, made, 401)
    finally:
        cloud.core.clock = clock
    await make(user, user.user_id, 400, expires_at="2001-01-01T00:00:00")


async def test_a_token_ends_with_its_application_credential(cloud: Cloud) -> None:
    user = await cloud.project()
    made = await make(user, user.user_id)
    client = await client_of(cloud, made)
    await client.get(f"{V3}/auth/projects", status=200)
    await user.delete(address(user, made), status=204)
    await client.get(f"{V3}/auth/projects", status=401)
    await sign_in(cloud, made, 401)
    await user.delete(address(user, made), status=404)


async def test_invariant_4_roles_taken_from_the_owner_are_gone_from_the_credential(cloud: Cloud) -> None:
    user = await cloud.project(["member", "reader"])
    made = await make(user, user.user_id)
    client = await client_of(cloud, made)
    roles = (await cloud.admin.get(f"{V3}/roles", {"name": "member"})).json["roles"]
    grant = f"{V3}/projects/{user.project_id}/users/{user.user_id}/roles/{roles[0]['id']}"
    await cloud.admin.delete(grant, status=204)
    await client.get(f"{V3}/auth/projects", status=401)
    await sign_in(cloud, made, 401)


async def with_key(cloud: Cloud, kind: str, blob: str) -> tuple[Persona, dict[str, Any], Client, dict[str, str]]:
    """A user, an application credential, its client, and a credential that was made with it."""
    user = await cloud.project(["member", "reader"])
    made = await make(user, user.user_id, unrestricted=True)
    client = await client_of(cloud, made)
    key = {"type": kind, "user_id": user.user_id, "project_id": user.project_id, "blob": blob}
    key["id"] = (await client.post(f"{V3}/credentials", {"credential": key}, status=201)).json["credential"]["id"]
    return user, made, client, key


async def test_a_credential_that_goes_with_a_role_takes_along_what_was_made_with_it_and_both_are_told(
    cloud: Cloud,
) -> None:
    user, made, _, key = await with_key(cloud, "ec2", '{"access": "a", "secret": "s"}')
    role = (await cloud.admin.get(f"{V3}/roles", {"name": "member"})).json["roles"][0]["id"]
    await cloud.admin.delete(f"{V3}/projects/{user.project_id}/users/{user.user_id}/roles/{role}", status=204)
    await cloud.admin.get(f"{V3}/credentials/{key['id']}", status=404)
    for id in (made["id"], key["id"]):
        told = (await cloud.admin.get("/events/v1/events", {"resource": id}, status=200)).json["events"]
        assert told[-1]["action"].endswith("credential.delete")
    revoked = (await cloud.admin.get(f"{V3}/OS-REVOKE/events", status=200)).body
    assert made["id"].encode() in revoked and key["id"].encode() in revoked


async def test_a_credential_that_goes_with_its_project_takes_along_what_was_made_with_it_and_both_are_told(
    cloud: Cloud,
) -> None:
    user, made, client, key = await with_key(cloud, "cert", "-----BEGIN")
    trust = {
        "trustor_user_id": user.user_id, "trustee_user_id": cloud.admin.user_id, "project_id": user.project_id,
        "impersonation": False, "roles": [{"name": "reader"}],
    }
    trust["id"] = (await user.post(f"{V3}/OS-TRUST/trusts", {"trust": trust}, status=201)).json["trust"]["id"]
    await cloud.admin.delete(f"{V3}/projects/{user.project_id}", status=204)
    await cloud.admin.get(f"{V3}/credentials/{key['id']}", status=404)
    for gone, action in ((made, "application_credential"), (key, "credential"), (trust, "trust")):
        told = (await cloud.admin.get("/events/v1/events", {"resource": gone["id"]}, status=200)).json["events"]
        assert [event["action"] for event in told][-1:] == [f"{action}.delete"]


async def test_invariant_4_a_role_not_held_can_not_be_delegated(cloud: Cloud) -> None:
    user = await cloud.project(["reader"])
    await make(user, user.user_id, 400, roles=[{"name": "member"}])
    roles = (await cloud.admin.get(f"{V3}/roles", {"name": "admin"})).json["roles"]
    await make(user, user.user_id, 400, roles=[{"id": roles[0]["id"]}])


async def test_cve_2026_33551_a_restricted_one_can_not_manage_others(cloud: Cloud) -> None:
    user = await cloud.project(["member"])
    made = await make(user, user.user_id)
    client = await client_of(cloud, made)
    answer = await make(client, user.user_id, 403, name="another", unrestricted=True)
    assert answer["error"]["reason"] == "restricted"
    await client.delete(address(user, made), status=403)
    await user.get(address(user, made), status=200)


async def test_invariant_4_an_unrestricted_one_makes_only_what_it_has_itself(cloud: Cloud) -> None:
    user = await cloud.project(["member"])
    made = await make(
        user, user.user_id, unrestricted=True, roles=[{"name": "reader"}], expires_at="2098-01-01T00:00:00"
    )
    client = await client_of(cloud, made)
    await make(client, user.user_id, 400, name="more", roles=[{"name": "member"}])
    child = await make(client, user.user_id, 201, name="child", expires_at="2099-01-01T00:00:00")
    assert [role["name"] for role in child["roles"]] == ["reader"]
    assert child["expires_at"].startswith("2098")


async def test_cve_2026_43001_no_other_scope_through_an_application_credential(cloud: Cloud) -> None:
    user = await cloud.project(["member"])
    other = await cloud.project([], domain_id=user.domain_id)
    await cloud.grant("member", user.user_id, project_id=other.project_id)
    made = await make(user, user.user_id)
    await sign_in(cloud, made, 401, {"project": {"id": other.project_id}})
    token = (await sign_in(cloud, made)).headers["x-subject-token"]
    for scope in ({"project": {"id": other.project_id}}, "unscoped", {"domain": {"id": user.domain_id}}):
        body = {"auth": {"identity": {"methods": ["token"], "token": {"id": token}}, "scope": scope}}
        await cloud.client().post(f"{V3}/auth/tokens", body, status=401)
    body = {"auth": {"identity": {"methods": ["token"], "token": {"id": token}}}}
    again = await cloud.client().post(f"{V3}/auth/tokens", body, status=201)
    assert again.json["token"]["application_credential"]["id"] == made["id"]
    reach = (await cloud.client(token).get(f"{V3}/auth/projects", status=200)).json["projects"]
    assert [p["id"] for p in reach] == [user.project_id]


async def test_key_07_access_rules_allow_their_calls_and_no_other(cloud: Cloud) -> None:
    user = await cloud.project(["member"])
    rule = {"service": "identity", "method": "GET", "path": "/v3/auth/projects"}
    made = await make(user, user.user_id, access_rules=[rule])
    assert [{k: v for k, v in r.items() if k != "id"} for r in made["access_rules"]] == [rule]
    client = await client_of(cloud, made)
    await client.get(f"{V3}/auth/projects", status=200)
    await client.get(f"{V3}/auth/domains", status=401)
    base = f"{V3}/users/{user.user_id}/access_rules"
    rules = (await user.get(base, status=200)).json["access_rules"]
    assert [r["id"] for r in rules] == [made["access_rules"][0]["id"]]
    await user.delete(f"{base}/{rules[0]['id']}", status=403)
    await user.delete(address(user, made), status=204)
    await user.delete(f"{base}/{rules[0]['id']}", status=204)
    await user.get(f"{base}/{rules[0]['id']}", status=404)


async def test_others_can_not_see_make_or_delete_them(cloud: Cloud) -> None:
    user, other = await cloud.project(), await cloud.project(["manager"])
    made = await make(user, user.user_id)
    await other.get(address(user, made), status=404)
    await other.delete(address(user, made), status=404)
    await other.get(f"{V3}/users/{user.user_id}/application_credentials", status=403)
    await make(other, user.user_id, 403)
    await make(cloud.admin, user.user_id, 403)
    await cloud.admin.get(address(user, made), status=200)
    wrong_owner = f"{V3}/users/{other.user_id}/application_credentials/{made['id']}"
    await cloud.admin.get(wrong_owner, status=404)


async def test_an_empty_list_of_access_rules_is_no_limit(cloud: Cloud) -> None:
    user = await cloud.project()
    client = await client_of(cloud, await make(user, user.user_id, access_rules=[]))
    await client.get(f"{V3}/auth/domains", status=200)


async def test_bad_input_for_application_credentials(cloud: Cloud) -> None:
    user = await cloud.project()
    await make(user, user.user_id)
    await make(user, user.user_id, 409)
    for wrong in ({"name": ""}, {"name": 1}, {"name": None}, {"name": "x" * 256}, {"name": "n", "roles": "all"},
                  {"name": "n", "roles": [{"id": "a", "x": 1}]}, {"name": "n", "unrestricted": "yes"},
                  {"name": "n", "expires_at": "tomorrow"}, {"name": "n", "access_rules": [{"path": "relative"}]},
                  {"name": "n", "access_rules": [{"service": "compute"}]}, {"name": "n", "secret": 5}):
        answer = await make(user, user.user_id, 400, **wrong)
        assert answer["error"]["code"] == 400
    unscoped = cloud.client(await cloud.token(user))
    await make(unscoped, user.user_id, 400, name="of no project")


async def test_an_end_that_is_outside_the_calendar_in_utc_is_refused(cloud: Cloud) -> None:
    """It would be kept, and could not be printed: not one list of the owner's would be answered any more."""
    user = await cloud.project()
    await make(user, user.user_id, 400, expires_at="9999-12-31T23:59:59-12:00")
    await user.get(f"{V3}/users/{user.user_id}/application_credentials", status=200)
