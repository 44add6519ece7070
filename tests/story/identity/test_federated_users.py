# SPDX-License-Identifier: Apache-2.0
"""Stories of users whom an identity provider vouches for: how they come to be, what they get, how it ends.

The provider speaks OpenID Connect here; its tokens are tested in test_oidc_tokens.py, browsers in
test_websso.py, SAML in test_saml.py.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from typing import Any

from tests.kit.client import Answer
from tests.kit.cloud import Cloud
from tests.kit.federated import AT, NAMED, V3, bring, by_oidc, rescope
from tests.kit.oidc_issuer import oidc_issuer
from tests.story.identity.test_tokens import signed_tokens


def group_rule(name: str, domain: str = "default") -> dict[str, Any]:
    return {"local": [{"group": {"name": name, "domain": {"id": domain}}}], "remote": [{"type": "OIDC-sub"}]}


async def a_group(cloud: Cloud, role: str = "member") -> tuple[str, str, str]:
    """Id and name of a group that has the role in a project, and the project's id."""
    name = "group-" + uuid.uuid4().hex[:10]
    made = await cloud.admin.post(f"{V3}/groups", {"group": {"name": name, "domain_id": "default"}}, status=201)
    project = (await cloud.project()).project_id
    role_id = (await cloud.admin.get(f"{V3}/roles", {"name": role}, status=200)).json["roles"][0]["id"]
    group_id = made.json["group"]["id"]
    await cloud.admin.put(f"{V3}/projects/{project}/groups/{group_id}/roles/{role_id}", status=204)
    return group_id, name, project


def alice(**more: Any) -> Any:
    return oidc_issuer(preferred_username="alice", email="alice@x.org", **more)


def token_of(answer: Answer) -> str:
    return answer.headers["x-subject-token"]


async def test_key_13_a_person_comes_with_the_word_of_an_issuer_and_goes_to_a_project(cloud: Cloud) -> None:
    group_id, name, project = await a_group(cloud)
    async with alice() as issuer:
        idp = await by_oidc(cloud, issuer, [*NAMED, group_rule(name)])
        answer = await bring(cloud, idp, issuer.sign())
    body = answer.json["token"]
    assert body["methods"] == ["mapped"]
    assert body["user"]["name"] == "alice"
    assert body["user"]["OS-FEDERATION"] == {
        "identity_provider": {"id": idp}, "protocol": {"id": "openid"}, "groups": [{"id": group_id}],
    }
    assert "project" not in body and "roles" not in body and "catalog" not in body
    reachable = (await cloud.client(token_of(answer)).get(f"{AT}/projects", status=200)).json["projects"]
    assert [each["id"] for each in reachable] == [project]
    scoped = await rescope(cloud, token_of(answer), {"project": {"id": project}})
    assert sorted(scoped.json["token"]["methods"]) == ["mapped", "token"]
    assert "member" in [role["name"] for role in scoped.json["token"]["roles"]]
    assert scoped.json["token"]["user"]["OS-FEDERATION"]["identity_provider"] == {"id": idp}
    await cloud.client(token_of(scoped)).get("/compute/v2.1/servers", status=200)
    user = (await cloud.admin.get(f"{V3}/users/{body['user']['id']}", status=200)).json["user"]
    assert user["email"] == "alice@x.org"
    assert user["federated"] == [{"idp_id": idp, "protocols": [{"protocol_id": "openid", "unique_id": "alice-7"}]}]
    domain = (await cloud.admin.get(f"{AT}/identity_providers/{idp}", status=200)).json["identity_provider"]
    assert user["domain_id"] == domain["domain_id"] == body["user"]["domain"]["id"]


async def test_somebody_of_very_many_groups_gets_a_token_as_long_as_it_can_be_sent(cloud: Cloud) -> None:
    many = [(await a_group(cloud))[0]]
    for i in range(299):
        body = {"group": {"name": f"{i}-{uuid.uuid4().hex[:10]}", "domain_id": "default"}}
        many.append((await cloud.admin.post(f"{V3}/groups", body, status=201)).json["group"]["id"])
    rule = {"local": [{"group": {"id": id}} for id in many], "remote": [{"type": "OIDC-sub"}]}
    async with alice() as issuer:
        idp = await by_oidc(cloud, issuer, [*NAMED, rule])
        token = token_of(await bring(cloud, idp, issuer.sign()))
        assert len((await cloud.client(token).get(f"{V3}/auth/projects", status=200)).json["projects"]) == 1
        with signed_tokens(cloud):
            refused = await bring(cloud, idp, issuer.sign(), 403)
    assert refused.json["error"]["reason"] == "too_many_groups"


async def test_cve_2026_44394_rescoping_never_renews_a_federated_token(cloud: Cloud) -> None:
    _, name, project = await a_group(cloud)
    async with alice() as issuer:
        idp = await by_oidc(cloud, issuer, [*NAMED, group_rule(name)])
        first = await bring(cloud, idp, issuer.sign())
    token, ends = token_of(first), first.json["token"]["expires_at"]
    clock = cloud.core.clock
    start = clock()
    try:
        there: Any = {"project": {"id": project}}
        for minutes, scope in ((20, there), (40, "unscoped"), (55, there)):
            cloud.core.clock = lambda minutes=minutes: start + minutes * 60_000_000
            answer = await rescope(cloud, token, scope)
            assert answer.json["token"]["expires_at"] == ends
            assert answer.json["token"]["user"]["OS-FEDERATION"]
            token = token_of(answer)
        cloud.core.clock = lambda: start + 61 * 60_000_000
        await rescope(cloud, token, "unscoped", 404)
        await cloud.client(token).get(f"{V3}/auth/projects", status=401)
    finally:
        cloud.core.clock = clock


async def test_who_comes_again_is_the_same_user_brought_up_to_date(cloud: Cloud) -> None:
    async with alice() as issuer:
        idp = await by_oidc(cloud, issuer)
        first = (await bring(cloud, idp, issuer.sign())).json["token"]["user"]
        issuer.claims |= {"preferred_username": "alice lee", "email": "lee@x.org"}
        second = (await bring(cloud, idp, issuer.sign())).json["token"]["user"]
        namesake = (await bring(cloud, idp, issuer.sign(sub="alice-8"))).json["token"]["user"]
        again = (await bring(cloud, idp, issuer.sign(sub="alice-8"))).json["token"]["user"]
    assert second["id"] == first["id"] and second["name"] == "alice lee"
    assert namesake["id"] != first["id"]
    assert namesake["name"].startswith("alice lee (")
    assert again == namesake
    shown = (await cloud.admin.get(f"{V3}/users/{first['id']}", status=200)).json["user"]
    assert shown["email"] == "lee@x.org"


async def test_two_first_sign_ins_at_once_make_one_user(cloud: Cloud) -> None:
    async with alice() as issuer:
        idp = await by_oidc(cloud, issuer)
        answers = await asyncio.gather(*(bring(cloud, idp, issuer.sign()) for _ in range(4)))
    assert len({answer.json["token"]["user"]["id"] for answer in answers}) == 1


async def test_a_user_entered_beforehand_is_found(cloud: Cloud) -> None:
    async with alice(sub="alice@x.org") as issuer:
        idp = await by_oidc(cloud, issuer)
        domain = (await cloud.admin.get(f"{AT}/identity_providers/{idp}")).json["identity_provider"]["domain_id"]
        known = [{"idp_id": idp, "protocols": [{"protocol_id": "openid", "unique_id": "alice%40x.org"}]}]
        body = {"name": "alice", "domain_id": domain, "federated": known}
        made = (await cloud.admin.post(f"{V3}/users", {"user": body}, status=201)).json["user"]
        assert made["federated"] == known
        assert (await bring(cloud, idp, issuer.sign())).json["token"]["user"]["id"] == made["id"]
    found = await cloud.admin.get(f"{V3}/users", {"idp_id": idp, "protocol_id": "openid"}, status=200)
    assert [each["id"] for each in found.json["users"]] == [made["id"]]
    assert found.json["users"][0]["federated"] == known
    by_id = await cloud.admin.get(f"{V3}/users", {"unique_id": "alice%40x.org"}, status=200)
    assert [each["id"] for each in by_id.json["users"]] == [made["id"]]
    await cloud.admin.post(f"{V3}/users", {"user": {**body, "name": "other"}}, status=409)
    gone = await cloud.admin.patch(f"{V3}/users/{made['id']}", {"user": {"federated": []}}, status=200)
    assert "federated" not in gone.json["user"]
    wrong: Any
    for wrong in ([{"idp_id": idp}], [{"idp_id": idp, "protocols": []}], "x", [7],
                  [{"idp_id": "nobody", "protocols": [{"protocol_id": "openid", "unique_id": "1"}]}],
                  [{"idp_id": idp, "protocols": [{"protocol_id": "saml2", "unique_id": "1"}]}]):
        await cloud.admin.patch(f"{V3}/users/{made['id']}", {"user": {"federated": wrong}}, status=400)


async def test_a_domains_manager_catches_nobody_who_comes_by_anothers_provider(cloud: Cloud) -> None:
    async with alice() as issuer:
        idp = await by_oidc(cloud, issuer)
    domain = await cloud.domain()
    manager = await cloud.user(domain)
    await cloud.grant("manager", manager.user_id, domain_id=domain)
    manager.token = await cloud.token(manager, {"domain": {"id": domain}})
    known = [{"idp_id": idp, "protocols": [{"protocol_id": "openid", "unique_id": "alice-7"}]}]
    body = {"name": "trap", "domain_id": domain, "federated": known}
    await manager.post(f"{V3}/users", {"user": body}, status=403)


async def test_disabling_the_provider_voids_its_tokens_for_good(cloud: Cloud) -> None:
    async with alice() as issuer:
        idp = await by_oidc(cloud, issuer)
        token = token_of(await bring(cloud, idp, issuer.sign()))
        path = f"{AT}/identity_providers/{idp}"
        await cloud.client(token).get(f"{V3}/auth/projects", status=200)
        await cloud.admin.patch(path, {"identity_provider": {"enabled": False}}, status=200)
        await cloud.client(token).get(f"{V3}/auth/projects", status=401)
        await bring(cloud, idp, issuer.sign(), 403)
        await cloud.admin.patch(path, {"identity_provider": {"enabled": True}}, status=200)
        await cloud.client(token).get(f"{V3}/auth/projects", status=401)
        token = token_of(await bring(cloud, idp, issuer.sign()))
        await cloud.admin.delete(f"{path}/protocols/openid", status=204)
        await cloud.client(token).get(f"{V3}/auth/projects", status=401)
        await bring(cloud, idp, issuer.sign(), 404)


async def test_a_disabled_user_stays_out_whatever_the_issuer_says(cloud: Cloud) -> None:
    async with alice() as issuer:
        idp = await by_oidc(cloud, issuer)
        answer = await bring(cloud, idp, issuer.sign())
        path = f"{V3}/users/{answer.json['token']['user']['id']}"
        await cloud.admin.patch(path, {"user": {"enabled": False}}, status=200)
        await cloud.client(token_of(answer)).get(f"{V3}/auth/projects", status=401)
        await bring(cloud, idp, issuer.sign(), 401)


async def test_memberships_last_beyond_the_token_as_long_as_the_provider_says(cloud: Cloud) -> None:
    group_id, name, project = await a_group(cloud)
    async with alice() as issuer:
        rules = [*NAMED, {**group_rule(name), "remote": [{"type": "OIDC-team", "any_one_of": ["ravens"]}]}]
        idp = await by_oidc(cloud, issuer, rules, authorization_ttl=10)
        answer = await bring(cloud, idp, issuer.sign(team="ravens"))
        user_id = answer.json["token"]["user"]["id"]
        listed = (await cloud.admin.get(f"{V3}/users/{user_id}/groups", status=200)).json["groups"]
        assert [each["id"] for each in listed] == [group_id]
        assert listed[0]["membership_expires_at"].endswith("Z")
        scoped = cloud.client(token_of(await rescope(cloud, token_of(answer), {"project": {"id": project}})))
        body = {"application_credential": {"name": "lasting"}}
        made = await scoped.post(f"{V3}/users/{user_id}/application_credentials", body, status=201)
        token = await usable(cloud, made.json["application_credential"])
        await cloud.client(token).get("/compute/v2.1/servers", status=200)
        clock = cloud.core.clock
        start = clock()
        try:
            cloud.core.clock = lambda: start + 11 * 60_000_000
            # Nothing was changed meanwhile that would void what is remembered of the token.
            await cloud.client(token).get("/compute/v2.1/servers", status=401)
            assert not await usable(cloud, made.json["application_credential"])
            assert (await cloud.admin.get(f"{V3}/users/{user_id}/groups", status=200)).json["groups"] == []
        finally:
            cloud.core.clock = clock
        await bring(cloud, idp, issuer.sign(team="crows"))
        assert (await cloud.admin.get(f"{V3}/users/{user_id}/groups", status=200)).json["groups"] == []


async def usable(cloud: Cloud, made: dict[str, Any]) -> str | None:
    """The token that the application credential gives, if any."""
    identity = {"methods": ["application_credential"],
                "application_credential": {"id": made["id"], "secret": made["secret"]}}
    answer = await cloud.client().post(f"{V3}/auth/tokens", {"auth": {"identity": identity}}, status=(201, 401))
    return token_of(answer) if answer.status == 201 else None


async def roles_of(cloud: Cloud, user_id: str) -> dict[str, str]:
    query = {"user.id": user_id, "include_names": "1"}
    rows = (await cloud.admin.get(f"{V3}/role_assignments", query, status=200)).json["role_assignments"]
    return {row["scope"]["project"]["name"]: row["role"]["name"] for row in rows}


async def test_projects_are_made_with_roles(cloud: Cloud) -> None:
    projects = [{"name": "Production", "roles": [{"name": "reader"}]},
                {"name": "Project for {0}", "roles": [{"name": "member"}]}]
    local = [{"user": {"name": "{0}"}}, {"projects": projects}]
    async with alice() as issuer:
        idp = await by_oidc(cloud, issuer, [{"local": local, "remote": [{"type": "OIDC-preferred_username"}]}])
        answer = await bring(cloud, idp, issuer.sign())
        await bring(cloud, idp, issuer.sign())
    user_id = answer.json["token"]["user"]["id"]
    assert await roles_of(cloud, user_id) == {"Production": "reader", "Project for alice": "member"}
    reachable = (await cloud.client(token_of(answer)).get(f"{AT}/projects", status=200)).json["projects"]
    assert {each["domain_id"] for each in reachable} == {answer.json["token"]["user"]["domain"]["id"]}


async def test_with_3_0_the_issuer_gives_and_takes_projects(cloud: Cloud) -> None:
    rules = [{"local": [{"user": {"name": "{0}"}, "projects": "{1}"}],
              "remote": [{"type": "OIDC-preferred_username"}, {"type": "OIDC-projects"}]}]
    first = [{"name": "acme", "roles": [{"name": "member"}]}, {"name": "west", "roles": [{"name": "reader"}]}]
    async with alice(projects=json.dumps(first)) as issuer:
        idp = await by_oidc(cloud, issuer, rules, version="3.0")
        user_id = (await bring(cloud, idp, issuer.sign())).json["token"]["user"]["id"]
        assert await roles_of(cloud, user_id) == {"acme": "member", "west": "reader"}
        await bring(cloud, idp, issuer.sign(projects=json.dumps([{"name": "west", "roles": [{"name": "member"}]}])))
        assert await roles_of(cloud, user_id) == {"west": "member"}
        await bring(cloud, idp, issuer.sign(projects="[]"))
        assert await roles_of(cloud, user_id) == {}
        refused = await bring(cloud, idp, issuer.sign(projects="nonsense"), 400)
        assert refused.json["error"]["reason"] == "bad_assertion"
        unknown = [{"name": "acme", "roles": [{"name": "emperor"}]}]
        refused = await bring(cloud, idp, issuer.sign(projects=json.dumps(unknown)), 400)
        assert refused.json["error"]["reason"] == "no_role"


async def test_a_local_user_is_signed_in_as_it_is_and_gets_an_ordinary_token(cloud: Cloud) -> None:
    user = await cloud.project()
    local = {"user": {"name": "{0}", "type": "local", "domain": {"id": user.domain_id}}}
    rules = [{"local": [local, {"group": {"id": "any"}}], "remote": [{"type": "OIDC-preferred_username"}]}]
    async with alice() as issuer:
        idp = await by_oidc(cloud, issuer, rules)
        answer = await bring(cloud, idp, issuer.sign(preferred_username=user.user_name))
        await bring(cloud, idp, issuer.sign(preferred_username="nobody"), 401)
    body = answer.json["token"]
    assert body["user"]["id"] == user.user_id and "OS-FEDERATION" not in body["user"]
    await rescope(cloud, token_of(answer), {"project": {"id": user.project_id}})


async def test_with_2_0_the_mapping_says_which_domain_a_user_is_in(cloud: Cloud) -> None:
    domain = await cloud.domain()
    rules = [{"local": [{"domain": {"id": domain}, "user": {"name": "{0}"}}], "remote": [{"type": "OIDC-sub"}]}]
    async with alice() as issuer:
        idp = await by_oidc(cloud, issuer, rules, version="2.0")
        user = (await bring(cloud, idp, issuer.sign())).json["token"]["user"]
    assert user["domain"]["id"] == domain


async def test_whom_no_rule_names_is_401(cloud: Cloud) -> None:
    rules = [{"local": [{"user": {"name": "x"}}], "remote": [{"type": "OIDC-team", "any_one_of": ["ravens"]}]}]
    async with alice() as issuer:
        idp = await by_oidc(cloud, issuer, rules)
        assert (await bring(cloud, idp, issuer.sign(), 401)).json["error"]["reason"] == "not_mapped"
        await bring(cloud, idp, issuer.sign(team=["crows", "ravens"]))


async def test_a_provider_speaks_under_its_remote_ids(cloud: Cloud) -> None:
    async with alice() as issuer:
        other = await by_oidc(cloud, issuer, remote_ids=["https://elsewhere.test/" + uuid.uuid4().hex])
        assert (await bring(cloud, other, issuer.sign(), 403)).json["error"]["reason"] == "unknown_remote_id"
        mine = await by_oidc(cloud, issuer, remote_ids=[issuer.url])
        await bring(cloud, mine, issuer.sign())
        path = f"{AT}/identity_providers/{mine}/protocols/openid"
        for attribute, status in (("OIDC-sub", 403), ("HTTP_OIDC_ISS", 201)):
            await cloud.admin.patch(path, {"protocol": {"remote_id_attribute": attribute}}, status=200)
            await bring(cloud, mine, issuer.sign(iss=issuer.url), status)


async def test_without_an_agreement_or_a_token_there_is_no_way_in(cloud: Cloud) -> None:
    path = f"{AT}/identity_providers/none/protocols/openid/auth"
    assert (await cloud.client().get(path, status=401)).json["error"]["reason"] == "no_agreement"
    async with alice() as issuer:
        idp = await by_oidc(cloud, issuer)
        for header in ({}, {"Authorization": "Basic abc"}, {"Authorization": "Bearer "}):
            at = f"{AT}/identity_providers/{idp}/protocols/openid/auth"
            await cloud.client().post(at, headers=header, status=401)


