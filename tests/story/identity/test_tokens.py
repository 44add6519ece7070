# SPDX-License-Identifier: Apache-2.0
"""Stories of signing in: what proves who one is, what a token then says, and when it ends.

What the roles in it come from is test_roles.py; application credentials have a file of their own.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import pytest

from skyhold.core.context import Context, internal
from skyhold.identity.auth import revoking
from skyhold.identity.auth.sessions import sessions
from tests.kit.client import Answer, Client
from tests.kit.cloud import Cloud, Persona, admin_of
from tests.story.identity.test_password_policy import later

V3 = "/identity/v3"
TOKENS = f"{V3}/auth/tokens"


def by_password(user: dict[str, Any], scope: Any = None) -> dict[str, Any]:
    auth: dict[str, Any] = {"identity": {"methods": ["password"], "password": {"user": user}}}
    return {"auth": auth | ({} if scope is None else {"scope": scope})}


def by_token(token: str, scope: Any = None) -> dict[str, Any]:
    auth: dict[str, Any] = {"identity": {"methods": ["token"], "token": {"id": token}}}
    return {"auth": auth | ({} if scope is None else {"scope": scope})}


async def ask(cloud: Cloud, body: Any, status: int = 201) -> Answer:
    return await cloud.client().post(TOKENS, body, status=status)


async def validate(cloud: Cloud, token: str, status: int = 200) -> Answer:
    return await cloud.admin.get(TOKENS, headers={"X-Subject-Token": token}, status=status)


def me(user: Persona) -> dict[str, Any]:
    return {"id": user.user_id, "password": user.password}


async def test_signing_in_asks_a_shared_database_for_the_epoch_only_once(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = await cloud.project()
    body = by_password(me(user), {"project": {"id": user.project_id}})
    await ask(cloud, body)
    asked, glance = [], cloud.core.db.glance

    async def counted(ctx: Context, statement: Any) -> Any:
        asked.append(statement)
        return await glance(ctx, statement)

    monkeypatch.setattr(cloud.core.db, "glance", counted)
    await ask(cloud, body)
    assert len(asked) == (0 if cloud.core.db.name == "sqlite" else 1)


async def test_key_01_a_password_by_id_and_by_name_gives_the_same_user(cloud: Cloud) -> None:
    user = await cloud.project()
    named = {"name": user.user_name, "domain": {"id": user.domain_id}, "password": user.password}
    domain = (await cloud.admin.get(f"/identity/v3/domains/{user.domain_id}", status=200)).json["domain"]
    by_domain_name = {**named, "domain": {"name": domain["name"]}}
    for given in (me(user), named, by_domain_name):
        body = (await ask(cloud, by_password(given))).json["token"]
        assert body["user"]["id"] == user.user_id
        assert body["methods"] == ["password"]
        assert "project" not in body
        assert "catalog" not in body
        assert "roles" not in body


async def test_key_01_every_scope_says_what_it_is(cloud: Cloud) -> None:
    user = await cloud.project(["member"])
    await cloud.grant("reader", user.user_id, domain_id=user.domain_id)
    await cloud.grant("reader", user.user_id, system=True)
    project = (await ask(cloud, by_password(me(user), {"project": {"id": user.project_id}}))).json["token"]
    assert project["project"]["name"] == user.project_name
    assert project["project"]["domain"]["id"] == user.domain_id
    assert project["is_domain"] is False
    assert {role["name"] for role in project["roles"]} == {"member", "reader"}
    named = {"project": {"name": user.project_name, "domain": {"id": user.domain_id}}}
    assert (await ask(cloud, by_password(me(user), named))).json["token"]["project"] == project["project"]
    domain = (await ask(cloud, by_password(me(user), {"domain": {"id": user.domain_id}}))).json["token"]
    assert domain["domain"]["id"] == user.domain_id
    system = (await ask(cloud, by_password(me(user), {"system": {"all": True}}))).json["token"]
    assert system["system"] == {"all": True}
    assert [role["name"] for role in system["roles"]] == ["reader"]
    for unscoped in ("unscoped", {"unscoped": {}}):
        assert "roles" not in (await ask(cloud, by_password(me(user), unscoped))).json["token"]


async def test_a_default_project_is_the_scope_when_none_is_asked_for(cloud: Cloud) -> None:
    user = await cloud.project()
    change = {"user": {"default_project_id": user.project_id}}
    await cloud.admin.patch(f"/identity/v3/users/{user.user_id}", change, status=200)
    assert (await ask(cloud, by_password(me(user)))).json["token"]["project"]["id"] == user.project_id
    assert "project" not in (await ask(cloud, by_password(me(user), "unscoped"))).json["token"]
    await cloud.admin.patch(f"/identity/v3/projects/{user.project_id}", {"project": {"enabled": False}}, status=200)
    assert "project" not in (await ask(cloud, by_password(me(user)))).json["token"]


async def test_nocatalog_leaves_the_catalogue_out(cloud: Cloud) -> None:
    user = await cloud.project()
    body = by_password(me(user), {"project": {"id": user.project_id}})
    bare = await cloud.client().post(TOKENS + "?nocatalog", body, status=201)
    assert "catalog" not in bare.json["token"]
    full = await ask(cloud, body)
    assert [e["interface"] for s in full.json["token"]["catalog"] for e in s["endpoints"]]
    token = bare.headers["x-subject-token"]
    assert "catalog" in (await validate(cloud, token)).json["token"]
    shown = await cloud.admin.get(TOKENS + "?nocatalog", headers={"X-Subject-Token": token}, status=200)
    assert "catalog" not in shown.json["token"]


@pytest.mark.parametrize("wrong", [
    {"id": "USER", "password": "not it"},
    {"id": "nobody", "password": "PASSWORD"},
    {"name": "nobody", "domain": {"id": "default"}, "password": "PASSWORD"},
    {"name": "admin", "domain": {"name": "no such domain"}, "password": "PASSWORD"},
    {"id": "USER", "password": "x" * 5000},
    {"id": "USER", "password": ""},
])
async def test_whatever_is_wrong_with_a_proof_looks_the_same(cloud: Cloud, wrong: dict[str, Any]) -> None:
    user = await cloud.user()
    swap = {"USER": user.user_id, "PASSWORD": user.password}
    given = {key: swap.get(value, value) if isinstance(value, str) else value for key, value in wrong.items()}
    answer = await ask(cloud, by_password(given), status=401)
    assert answer.json["error"]["message"] == "The request you have made requires authentication."
    assert answer.headers["www-authenticate"].startswith("Keystone uri=")


@pytest.mark.parametrize("body", [
    {}, {"auth": {}}, {"auth": None}, {"auth": []}, {"auth": {"identity": {}}},
    {"auth": {"identity": {"methods": "password"}}},
    {"auth": {"identity": {"methods": ["password"]}}},
    {"auth": {"identity": {"methods": ["password"], "password": {}}}},
    {"auth": {"identity": {"methods": ["password"], "password": {"user": {"id": "x"}}}}},
    {"auth": {"identity": {"methods": ["password"], "password": {"user": {"name": "x", "password": "y"}}}}},
    {"auth": {"identity": {"methods": ["password"], "password": {"user": {"id": 1, "password": "y"}}}}},
    {"auth": {"identity": {"methods": ["token"]}}},
    {"auth": {"identity": {"methods": ["application_credential"], "application_credential": {"id": "x"}}}},
    by_password({"id": "x", "password": "a\u0000b"}),
])
async def test_a_malformed_request_for_a_token_is_400(cloud: Cloud, body: Any) -> None:
    answer = await ask(cloud, body, status=400)
    assert answer.json["error"]["code"] == 400
    assert answer.json["error"]["title"] == "Bad Request"


@pytest.mark.parametrize("scope", [
    "everything", {}, {"project": {}}, {"project": {"name": "x"}}, {"domain": {}}, {"system": {}},
    {"project": {"id": "x"}, "domain": {"id": "y"}}, {"system": {"all": False}},
])
async def test_a_scope_that_means_nothing_is_400(cloud: Cloud, scope: Any) -> None:
    user = await cloud.user()
    await ask(cloud, by_password(me(user), scope), status=400)


async def test_a_scope_without_a_role_is_401(cloud: Cloud) -> None:
    user, other = await cloud.project(), await cloud.project()
    for scope in ({"project": {"id": other.project_id}}, {"domain": {"id": user.domain_id}},
                  {"system": {"all": True}}, {"project": {"id": "no such project"}}):
        await ask(cloud, by_password(me(user), scope), status=401)


async def test_malformed_json_is_400_and_another_media_type_415(cloud: Cloud) -> None:
    await cloud.client().post(TOKENS, b'{"auth": ', status=400)
    await cloud.client().post(TOKENS, b"", status=400)
    await cloud.client().post(TOKENS, b"auth=1", content_type="text/plain", status=415)


async def test_an_unsupported_method_is_401(cloud: Cloud) -> None:
    await ask(cloud, {"auth": {"identity": {"methods": ["wishful"]}}}, status=401)
    await ask(cloud, {"auth": {"identity": {"methods": []}}}, status=401)


async def test_key_01_rescoping_keeps_expiry_and_origin(cloud: Cloud) -> None:
    user = await cloud.project()
    first = await ask(cloud, by_password(me(user), "unscoped"))
    token = first.headers["x-subject-token"]
    second = await ask(cloud, by_token(token, {"project": {"id": user.project_id}}))
    a, b = first.json["token"], second.json["token"]
    assert a["expires_at"] == b["expires_at"]
    assert b["methods"] == ["password", "token"]
    assert b["audit_ids"][1] == a["audit_ids"][0]
    third = await ask(cloud, by_token(second.headers["x-subject-token"], "unscoped"))
    assert third.json["token"]["expires_at"] == a["expires_at"]
    assert third.json["token"]["audit_ids"][1] == a["audit_ids"][0]


async def test_cve_2026_44394_rescoping_can_not_renew_a_token(cloud: Cloud) -> None:
    user = await cloud.project()
    token = await cloud.token(user)
    ends = (await validate(cloud, token)).json["token"]["expires_at"]
    for _ in range(4):
        token = (await ask(cloud, by_token(token, {"project": {"id": user.project_id}}))).headers["x-subject-token"]
        assert (await validate(cloud, token)).json["token"]["expires_at"] == ends


async def test_key_02_a_user_may_look_at_the_own_token_only(cloud: Cloud) -> None:
    user, other = await cloud.project(), await cloud.project()
    mine = {"X-Subject-Token": user.token or ""}
    shown = await user.get(TOKENS, headers=mine, status=200)
    assert shown.headers["x-subject-token"] == user.token
    assert shown.headers["vary"] == "X-Auth-Token"
    assert shown.json["token"]["user"]["id"] == user.user_id
    head = await user.request("HEAD", TOKENS, headers=mine, status=200)
    assert head.body == b""
    await other.get(TOKENS, headers=mine, status=403)
    await other.delete(TOKENS, headers=mine, status=403)
    await user.get(TOKENS, headers=mine, status=200)


@pytest.mark.parametrize("token", ["nonsense", "gAAAAABrAET8FTJleZX5o86og4U", "x" * 5000, "gAAAA\u00e9"])
async def test_a_subject_that_is_no_token_is_404_and_as_the_own_401(cloud: Cloud, token: str) -> None:
    answer = await cloud.admin.get(TOKENS, headers={"X-Subject-Token": token}, status=404)
    assert answer.json["error"]["title"] == "Not Found"
    await cloud.client(token).get("/identity/v3/auth/projects", status=401)


async def test_without_a_token_is_401(cloud: Cloud) -> None:
    answer = await cloud.client().get("/identity/v3/projects", status=401)
    assert answer.json["error"]["code"] == 401
    await cloud.admin.get(TOKENS, status=404)


async def test_key_02_a_revoked_token_is_void_at_once_and_no_other(cloud: Cloud) -> None:
    user = await cloud.project()
    other = await cloud.token(user, {"project": {"id": user.project_id}})
    await user.get("/identity/v3/auth/projects", status=200)
    await user.delete(TOKENS, headers={"X-Subject-Token": user.token or ""}, status=204)
    await user.get("/identity/v3/auth/projects", status=401)
    await cloud.client(other).get("/identity/v3/auth/projects", status=200)
    await validate(cloud, user.token or "", status=404)


async def test_a_new_password_ends_every_session(cloud: Cloud) -> None:
    user = await cloud.project()
    address = f"/identity/v3/users/{user.user_id}/password"
    change = {"user": {"original_password": user.password, "password": "another one"}}
    wrong = {"user": {"original_password": "guess", "password": "another one"}}
    await cloud.client().post(address, wrong, status=401)
    await user.get("/identity/v3/auth/projects", status=200)
    await cloud.client().post(address, change, status=204)
    await user.get("/identity/v3/auth/projects", status=401)
    await ask(cloud, by_password(me(user)), status=401)
    await ask(cloud, by_password({"id": user.user_id, "password": "another one"}))


@pytest.mark.parametrize("what", ["user", "project", "domain"])
async def test_invariant_15_disabling_voids_tokens_at_once_and_for_good(cloud: Cloud, what: str) -> None:
    user = await cloud.project()
    await user.get("/identity/v3/auth/projects", status=200)
    address = f"/identity/v3/{what}s/{getattr(user, what + '_id')}"
    await cloud.admin.patch(address, {what: {"enabled": False}}, status=200)
    await user.get("/identity/v3/auth/projects", status=401)
    await ask(cloud, by_password(me(user), {"project": {"id": user.project_id}}), status=401)
    await cloud.admin.patch(address, {what: {"enabled": True}}, status=200)
    await user.get("/identity/v3/auth/projects", status=401)
    await ask(cloud, by_password(me(user), {"project": {"id": user.project_id}}))


@pytest.mark.parametrize("what", ["user", "project"])
async def test_deleting_voids_tokens_at_once(cloud: Cloud, what: str) -> None:
    user = await cloud.project()
    await cloud.admin.delete(f"/identity/v3/{what}s/{getattr(user, what + '_id')}", status=204)
    await user.get("/identity/v3/auth/projects", status=401)


async def test_a_password_changed_while_it_is_being_checked_gives_no_token(cloud: Cloud) -> None:
    """Signing in takes its time outside of any transaction; the token must not outlive the change."""
    user = await cloud.project()
    body = by_password(me(user), {"project": {"id": user.project_id}})
    change = {"user": {"password": "changed meanwhile"}}
    answers = await asyncio.gather(
        *[cloud.client().post(TOKENS, body) for _ in range(8)],
        cloud.admin.patch(f"/identity/v3/users/{user.user_id}", change, status=200),
        *[cloud.client().post(TOKENS, body) for _ in range(8)],
    )
    tokens = [a.headers["x-subject-token"] for a in answers if a.status == 201 and "x-subject-token" in a.headers]
    for token in tokens:
        await cloud.client(token).get("/identity/v3/auth/projects", status=401)


async def test_an_expired_token_is_void(cloud: Cloud) -> None:
    user = await cloud.project()
    core, clock = cloud.core, cloud.core.clock
    try:
        core.clock = lambda: clock() + 3601 * 1_000_000
        await user.get("/identity/v3/auth/projects", status=401)
    finally:
        core.clock = clock
    await user.get("/identity/v3/auth/projects", status=200)


async def test_key_21_rotating_the_keys_logs_nobody_out(cloud: Cloud) -> None:
    from skyhold.identity import facade

    user = await cloud.project()
    facade.rotate_token_keys(cloud.core)
    await user.get("/identity/v3/auth/projects", status=200)
    fresh = await cloud.token(user, {"project": {"id": user.project_id}})
    await cloud.client(fresh).get("/identity/v3/auth/projects", status=200)


@contextmanager
def signed_tokens(cloud: Cloud) -> Iterator[None]:
    before = cloud.core.settings
    chosen = msgspec.structs.replace(before.identity, token_provider="jws")
    cloud.core.settings = msgspec.structs.replace(before, identity=chosen)
    try:
        yield
    finally:
        cloud.core.settings = before


async def test_signed_tokens_are_good_everywhere_beside_sealed_ones(cloud: Cloud) -> None:
    """How their keys rotate is tests/unit/identity/test_jws.py."""
    user, here = await cloud.project(), "/network/v2.0/networks"
    sealed, scope = user.token, {"project": {"id": user.project_id}}
    with signed_tokens(cloud):
        signed = await cloud.token(user, scope)
        assert signed.startswith("eyJ") and signed.count(".") == 2
        await cloud.client(sealed).get(here, status=200)
        again = (await ask(cloud, by_token(signed, scope))).headers["x-subject-token"]
        for text in (signed, again):
            sessions(cloud.core).raised()
            await cloud.client(text).get(here, status=200)
            assert (await validate(cloud, text)).json["token"]["user"]["id"] == user.user_id
        await user.delete(TOKENS, headers={"X-Subject-Token": again}, status=204)
        await cloud.client(again).get(here, status=401)
    await cloud.client(signed).get(here, status=200)
    await cloud.admin.patch(f"{V3}/users/{user.user_id}", {"user": {"password": "another"}}, status=200)
    for text in (signed, sealed):
        await cloud.client(text).get(here, status=401)


async def test_a_token_is_short_enough_for_every_client(cloud: Cloud) -> None:
    user = await cloud.project()
    token = await cloud.token(user, {"project": {"id": user.project_id}})
    again = await ask(cloud, by_token(token, {"project": {"id": user.project_id}}))
    assert len(again.headers["x-subject-token"]) <= 255


async def test_a_minted_token_has_the_roles_of_the_user_now(cloud: Cloud) -> None:
    from skyhold.core.context import internal
    from skyhold.core.errors import Unauthorized
    from skyhold.identity import facade

    user = await cloud.project(["reader"])
    ctx = internal(cloud.core)
    token = await facade.mint(ctx, user_id=user.user_id, project_id=user.project_id)
    creds = await cloud.core.authenticate(token)
    assert (creds.user_id, creds.project_id, creds.roles) == (user.user_id, user.project_id, {"reader"})
    other = await cloud.project()
    with pytest.raises(Unauthorized):
        await facade.mint(ctx, user_id=user.user_id, project_id=other.project_id)


async def test_key_05_auth_paths_list_what_a_token_can_be_had_for(cloud: Cloud) -> None:
    user = await cloud.project()
    await cloud.grant("reader", user.user_id, domain_id=user.domain_id)
    unscoped = cloud.client(await cloud.token(user))
    projects = (await unscoped.get("/identity/v3/auth/projects", status=200)).json["projects"]
    assert [p["id"] for p in projects] == [user.project_id]
    domains = (await unscoped.get("/identity/v3/auth/domains", status=200)).json["domains"]
    assert [d["id"] for d in domains] == [user.domain_id]
    assert (await unscoped.get("/identity/v3/auth/system", status=200)).json["system"] == []
    await cloud.grant("reader", user.user_id, system=True)
    assert (await unscoped.get("/identity/v3/auth/system", status=200)).json["system"] == [{"all": True}]
    await unscoped.get("/identity/v3/auth/catalog", status=403)
    catalogue = (await user.get("/identity/v3/auth/catalog", status=200)).json["catalog"]
    assert "identity" in {service["type"] for service in catalogue}


async def test_versions_are_told_to_everybody(cloud: Cloud) -> None:
    anyone = Client(cloud.core.asgi)
    for path in ("/identity", "/identity/"):
        found = (await anyone.get(path, status=300)).json["versions"]["values"]
        assert found[0]["id"] == "v3.14"
        assert found[0]["links"][0]["href"].endswith("/identity/v3/")
    assert (await anyone.get("/identity/v3", status=200)).json["version"]["status"] == "stable"
    assert (await anyone.get("/identity/v3/", status=200)).json["version"]["status"] == "stable"
    assert (await cloud.admin.get("/identity/v2.0", status=404)).json["error"]["code"] == 404
    await cloud.admin.request("PUT", "/identity/v3/auth/tokens", {}, status=405)


async def test_invariant_9_identity_headers_of_clients_count_for_nothing(cloud: Cloud) -> None:
    user = await cloud.project(["reader"])
    forged = {"X-Roles": "admin", "X-User-Id": cloud.admin.user_id, "X-Project-Id": cloud.admin.project_id,
              "X-Identity-Status": "Confirmed", "X-Is-Admin-Project": "True"}
    await user.get("/identity/v3/projects", headers=forged, status=403)
    await cloud.client().get("/identity/v3/projects", headers=forged, status=401)


# ---- after the end, and revocation ---------------------------------------------------------


async def test_key_02_services_may_ask_for_a_token_that_has_ended(cloud: Cloud) -> None:
    user, service = await cloud.project(), await cloud.project(["service"])
    query = {"allow_expired": "1"}
    subject = {"X-Subject-Token": user.token}
    with later(cloud, 3601):
        service.token = await cloud.token(service, {"project": {"id": service.project_id}})
        await service.get(TOKENS, headers=subject, status=404)
        for unclear in ("0", "", "perhaps"):
            await service.get(TOKENS, {"allow_expired": unclear}, headers=subject, status=404)
        shown = await service.get(TOKENS, query, headers=subject, status=200)
        assert shown.json["token"]["user"]["id"] == user.user_id
        await service.get(TOKENS, headers=subject, status=404)
        await user.get(f"{V3}/auth/projects", status=401)
        fresh = await cloud.token(user, {"project": {"id": user.project_id}})
        await cloud.client(fresh).get(TOKENS, query, headers=subject, status=404)
    with later(cloud, 3601 + 172_800):
        service.token = await cloud.token(service, {"project": {"id": service.project_id}})
        await service.get(TOKENS, query, headers=subject, status=404)


async def test_a_revoked_token_does_not_come_back_after_its_end(cloud: Cloud) -> None:
    user, service = await cloud.project(), await cloud.project(["service"])
    await user.delete(TOKENS, headers={"X-Subject-Token": user.token}, status=204)
    with later(cloud, 3700):
        await internal(cloud.core).write(revoking.forget)
        service.token = await cloud.token(service, {"project": {"id": service.project_id}})
        await service.get(TOKENS, {"allow_expired": "1"}, headers={"X-Subject-Token": user.token}, status=404)


async def test_key_02_revocations_are_told_to_services(cloud: Cloud) -> None:
    user, service = await cloud.project(), await cloud.project(["service"])
    audit_id = (await validate(cloud, user.token)).json["token"]["audit_ids"][0]
    await user.delete(TOKENS, headers={"X-Subject-Token": user.token}, status=204)
    await cloud.admin.patch(f"{V3}/users/{user.user_id}", {"user": {"password": "another"}}, status=200)
    await cloud.admin.patch(f"{V3}/projects/{user.project_id}", {"project": {"enabled": False}}, status=200)
    told = (await service.get(f"{V3}/OS-REVOKE/events", status=200)).json["events"]
    about = [{k: v for k, v in event.items() if k not in ("issued_before", "revoked_at")} for event in told]
    for expected in ({"audit_id": audit_id}, {"user_id": user.user_id}, {"project_id": user.project_id}):
        assert expected in about
    last = told[-1]["issued_before"]
    assert (await service.get(f"{V3}/OS-REVOKE/events", {"since": last}, status=200)).json["events"]
    assert not (await service.get(f"{V3}/OS-REVOKE/events", {"since": "2100-01-01T00:00:00Z"})).json["events"]
    for nonsense in ("yesterday", "", "1"):
        await service.get(f"{V3}/OS-REVOKE/events", {"since": nonsense}, status=400)
    ordinary = await cloud.project()
    await ordinary.get(f"{V3}/OS-REVOKE/events", status=403)
    with later(cloud, 3601 + 172_801):
        await internal(cloud.core).write(revoking.forget)
        admin = await admin_of(cloud.core)
        left = (await admin.get(f"{V3}/OS-REVOKE/events", status=200)).json["events"]
        assert not [event for event in left if event.get("user_id") == user.user_id]


async def test_key_02_delegations_taken_back_are_told_with_all_that_hung_on_them(cloud: Cloud) -> None:
    user, other, service = await cloud.project(), await cloud.project(), await cloud.project(["service"])
    wish = {"trustor_user_id": user.user_id, "trustee_user_id": other.user_id, "impersonation": False,
            "project_id": user.project_id, "roles": [{"name": "member"}]}
    trust = (await user.post(f"{V3}/OS-TRUST/trusts", {"trust": wish}, status=201)).json["trust"]
    await user.delete(f"{V3}/OS-TRUST/trusts/{trust['id']}", status=204)
    mine = f"{V3}/users/{user.user_id}/application_credentials"
    made = (await user.post(
        mine, {"application_credential": {"name": "a", "unrestricted": True}}, status=201
    )).json["application_credential"]
    proof = {"methods": ["application_credential"],
             "application_credential": {"id": made["id"], "secret": made["secret"]}}
    answer = await cloud.client().post(TOKENS, {"auth": {"identity": proof}}, status=201)
    script = cloud.client(answer.headers["x-subject-token"])
    keys = f"{V3}/users/{user.user_id}/credentials/OS-EC2"
    key = (await script.post(keys, {"tenant_id": user.project_id}, status=(200, 201))).json["credential"]
    await user.delete(f"{mine}/{made['id']}", status=204)
    consumer = (await cloud.admin.post(f"{V3}/OS-OAUTH1/consumers", {"consumer": {}}, status=201)).json["consumer"]
    await cloud.admin.delete(f"{V3}/OS-OAUTH1/consumers/{consumer['id']}", status=204)
    told = (await service.get(f"{V3}/OS-REVOKE/events", status=200)).json["events"]
    about = [{k: v for k, v in event.items() if k not in ("issued_before", "revoked_at")} for event in told]
    whose = {"user_id": user.user_id, "project_id": user.project_id}
    assert {"OS-TRUST:trust_id": trust["id"]} in about
    assert {"application_credential_id": made["id"], **whose} in about
    assert {"ec2_credential_id": hashlib.sha256(key["access"].encode()).hexdigest(), **whose} in about
    assert {"OS-OAUTH1:consumer_id": consumer["id"]} in about


async def test_what_was_of_pki_tokens_says_so(cloud: Cloud) -> None:
    for user in (cloud.admin, await cloud.project()):
        await user.get(f"{V3}/auth/tokens/OS-PKI/revoked", status=403)
    for what in ("ca", "certificates"):
        await cloud.client().get(f"{V3}/OS-SIMPLE-CERT/{what}", status=410)


async def test_revoking_a_chain_voids_all_that_came_of_one_sign_in(cloud: Cloud) -> None:
    user = await cloud.project()
    first = await cloud.token(user)
    scope = {"project": {"id": user.project_id}}
    second = (await ask(cloud, by_token(first, scope))).headers["x-subject-token"]
    third = (await ask(cloud, by_token(second, scope))).headers["x-subject-token"]
    other = await cloud.token(user)
    known = await sessions(cloud.core).look(third)
    await internal(cloud.core).write(revoking.revoke, known.valid.token, True)
    for token in (first, second, third):
        await validate(cloud, token, 404)
    await validate(cloud, other)
