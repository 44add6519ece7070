# SPDX-License-Identifier: Apache-2.0
"""Stories of federation's resources: identity providers, protocols, mappings, service providers.

Signing in by them is test_federated_users.py and its neighbours; what a mapping says is
tests/unit/identity/test_mapping.py.
"""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from tests.kit.cloud import Cloud

V3 = "/identity/v3"
AT = V3 + "/OS-FEDERATION"
RULES = [{"local": [{"user": {"name": "{0}"}}], "remote": [{"type": "REMOTE_USER"}]}]
PLACES = {"auth_url": "https://b.test/v3/OS-FEDERATION/identity_providers/a/protocols/saml2/auth",
          "sp_url": "https://b.test/Shibboleth.sso/SAML2/ECP"}


def fresh(kind: str) -> str:
    return f"{kind}-{uuid.uuid4().hex[:10]}"


async def put(cloud: Cloud, path: str, kind: str, status: int = 201, **body: Any) -> Any:
    answer = await cloud.admin.put(path, {kind: body}, status=status)
    return answer.json.get(kind, answer.json)


async def test_key_13_an_identity_provider_gets_a_domain_of_its_own(cloud: Cloud) -> None:
    path = f"{AT}/identity_providers/{fresh('idp')}"
    remote = [fresh("remote"), fresh("remote")]
    made = await put(cloud, path, "identity_provider", enabled=True, remote_ids=remote, description="ours")
    assert made["id"] == path.rpartition("/")[2]
    assert sorted(made["remote_ids"]) == sorted(remote)
    assert made["authorization_ttl"] is None
    assert made["links"]["self"].endswith(path) and made["links"]["protocols"].endswith("/protocols")
    domain = (await cloud.admin.get(f"{V3}/domains/{made['domain_id']}", status=200)).json["domain"]
    assert domain["enabled"] is True
    shown = (await cloud.admin.get(path, status=200)).json["identity_provider"]
    assert shown == made
    listed = (await cloud.admin.get(f"{AT}/identity_providers", {"id": made["id"]}, status=200)).json
    assert listed["identity_providers"] == [made]
    await cloud.admin.request("HEAD", path, status=200)
    off = (await cloud.admin.patch(path, {"identity_provider": {"enabled": False}}, status=200)).json
    assert off["identity_provider"]["enabled"] is False
    assert sorted(off["identity_provider"]["remote_ids"]) == sorted(remote)
    found = await cloud.admin.get(f"{AT}/identity_providers", {"enabled": "True"}, status=200)
    assert made["id"] not in [each["id"] for each in found.json["identity_providers"]]
    await cloud.admin.delete(path, status=204)
    await cloud.admin.get(path, status=404)
    await cloud.admin.get(f"{V3}/domains/{made['domain_id']}", status=200)


async def test_a_domain_and_a_remote_id_belong_to_one_identity_provider(cloud: Cloud) -> None:
    domain_id, remote = await cloud.domain(), fresh("remote")
    path = f"{AT}/identity_providers/{fresh('idp')}"
    await put(cloud, path, "identity_provider", domain_id=domain_id, remote_ids=[remote])
    await put(cloud, path, "identity_provider", 409)
    other = f"{AT}/identity_providers/{fresh('idp')}"
    await put(cloud, other, "identity_provider", 409, domain_id=domain_id)
    await put(cloud, other, "identity_provider", 409, remote_ids=[remote])
    await cloud.admin.get(other, status=404)
    await put(cloud, other, "identity_provider", 404, domain_id="nobodys")
    await put(cloud, other, "identity_provider")
    await cloud.admin.patch(other, {"identity_provider": {"remote_ids": [remote]}}, status=409)
    await cloud.admin.patch(other, {"identity_provider": {"domain_id": domain_id}}, status=400)
    await cloud.admin.patch(other, {"identity_provider": {}}, status=400)
    await cloud.admin.patch(f"{V3}/domains/{domain_id}", {"domain": {"enabled": False}}, status=200)
    await cloud.admin.delete(f"{V3}/domains/{domain_id}", status=204)
    await cloud.admin.get(path, status=404)


@pytest.mark.parametrize("body", [
    {"enabled": None}, {"enabled": "yes"}, {"remote_ids": "one"}, {"remote_ids": ["a", "a"]}, {"remote_ids": [7]},
    {"authorization_ttl": -1}, {"authorization_ttl": "10"}, {"domain_id": ""}, {"domain_id": "a b"},
    {"remote_ids": ["x" * 256]}, {"surprise": 1}, {"description": 7},
])
async def test_bad_identity_providers_are_400(cloud: Cloud, body: dict[str, Any]) -> None:
    await put(cloud, f"{AT}/identity_providers/{fresh('idp')}", "identity_provider", 400, **body)


async def test_ids_longer_than_can_be_stored_are_400(cloud: Cloud) -> None:
    long = "x" * 65
    await put(cloud, f"{AT}/identity_providers/{long}", "identity_provider", 400)
    await put(cloud, f"{AT}/mappings/{long}", "mapping", 400, rules=RULES)
    await put(cloud, f"{AT}/service_providers/{long}", "service_provider", 400, **PLACES)


async def test_a_protocol_ties_a_provider_to_a_mapping(cloud: Cloud) -> None:
    provider, mapping = f"{AT}/identity_providers/{fresh('idp')}", fresh("mapping")
    path = f"{provider}/protocols/openid"
    await put(cloud, path, "protocol", 404, mapping_id=mapping)
    await put(cloud, provider, "identity_provider")
    await put(cloud, path, "protocol", 400, mapping_id=mapping)
    await put(cloud, path, "protocol", 400)
    await put(cloud, f"{AT}/mappings/{mapping}", "mapping", rules=RULES)
    made = await put(cloud, path, "protocol", mapping_id=mapping)
    assert (made["id"], made["mapping_id"]) == ("openid", mapping)
    assert made["links"]["identity_provider"].endswith(provider)
    await put(cloud, path, "protocol", 409, mapping_id=mapping)
    other = f"{AT}/identity_providers/{fresh('idp')}"
    await put(cloud, other, "identity_provider")
    await put(cloud, f"{other}/protocols/openid", "protocol", mapping_id=mapping)
    assert (await cloud.admin.get(f"{provider}/protocols", status=200)).json["protocols"] == [made]
    changed = await cloud.admin.patch(path, {"protocol": {"remote_id_attribute": "HTTP_OIDC_ISS"}}, status=200)
    assert changed.json["protocol"]["remote_id_attribute"] == "HTTP_OIDC_ISS"
    await cloud.admin.patch(path, {"protocol": {"mapping_id": "nothing"}}, status=400)
    await cloud.admin.delete(provider, status=204)
    await cloud.admin.get(path, status=404)
    await cloud.admin.get(f"{other}/protocols/openid", status=200)
    await cloud.admin.delete(f"{other}/protocols/openid", status=204)
    await cloud.admin.delete(f"{other}/protocols/openid", status=404)


async def test_mappings_are_checked_when_they_are_stored(cloud: Cloud) -> None:
    path = f"{AT}/mappings/{fresh('mapping')}"
    made = await put(cloud, path, "mapping", rules=RULES)
    assert (made["rules"], made["schema_version"]) == (RULES, "1.0")
    await put(cloud, path, "mapping", 409, rules=RULES)
    wide = [{**RULES[0], "local": [{"projects": "{0}", "user": {"name": "{0}"}}]}]
    refused = (await cloud.admin.patch(path, {"mapping": {"rules": wide}}, status=400)).json["error"]
    assert "rules[0].local[0].projects" in refused["message"]
    await cloud.admin.patch(path, {"mapping": {"rules": wide, "schema_version": "3.0"}}, status=200)
    await cloud.admin.patch(path, {"mapping": {"schema_version": "1.0"}}, status=400)
    await cloud.admin.patch(path, {"mapping": {"schema_version": "9.9"}}, status=400)
    await cloud.admin.delete(path, status=204)
    await put(cloud, path, "mapping", 400, rules=[])
    await put(cloud, path, "mapping", 400, rules="no")
    await put(cloud, path, "mapping", 400)


async def test_a_regular_expression_that_could_hang_is_refused(cloud: Cloud) -> None:
    remote = {"type": "REMOTE_USER", "any_one_of": ["(?=a)(a+)+$"], "regex": True}
    rules = [{"local": [{"user": {"name": "x"}}], "remote": [remote]}]
    refused = await put(cloud, f"{AT}/mappings/{fresh('mapping')}", "mapping", 400, rules=rules)
    assert refused["error"]["reason"] == "bad_pattern"


async def test_service_providers_come_and_go(cloud: Cloud) -> None:
    path = f"{AT}/service_providers/{fresh('sp')}"
    await put(cloud, path, "service_provider", 400, auth_url="nowhere", sp_url=PLACES["sp_url"])
    await put(cloud, path, "service_provider", 400, auth_url=PLACES["auth_url"])
    made = await put(cloud, path, "service_provider", **PLACES, enabled=True)
    assert made["relay_state_prefix"] == "ss:mem:"
    await put(cloud, path, "service_provider", 409, **PLACES)
    changed = await cloud.admin.patch(path, {"service_provider": {"description": "west"}}, status=200)
    assert changed.json["service_provider"] == {**made, "description": "west"}
    await cloud.admin.patch(path, {"service_provider": {}}, status=400)
    await cloud.admin.delete(path, status=204)
    await cloud.admin.get(path, status=404)


async def test_only_an_administrator_changes_them_and_a_member_sees_none(cloud: Cloud) -> None:
    user = await cloud.project()
    for what in ("identity_providers", "mappings", "service_providers"):
        await user.get(f"{AT}/{what}", status=403)
        await user.delete(f"{AT}/{what}/any", status=403)
    projects = (await user.get(f"{AT}/projects", status=200)).json["projects"]
    assert [each["id"] for each in projects] == [user.project_id]
    assert (await user.get(f"{AT}/domains", status=200)).json["domains"] == []
    await cloud.client().get(f"{AT}/projects", status=401)
