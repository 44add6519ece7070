# SPDX-License-Identifier: Apache-2.0
"""One cloud sends its users to another by SAML, with keystoneauth's own plugin.

East makes the assertion, west takes it: what an operator writes into both is here. OpenID Connect between two
clouds is test_two_clouds.py.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio

from tests.clients.walks import CLIENTS
from tests.kit.cloud import Cloud, Persona, start_cloud
from tests.kit.federated import agree, provider

pytestmark = pytest.mark.asyncio(loop_scope="module")

V3 = "/identity/v3"
RULES = [{
    "local": [{"user": {"name": "{0} of {1}"}},
              {"projects": [{"name": "{2}", "roles": [{"name": "member"}]}]}],
    "remote": [{"type": "openstack_user"}, {"type": "openstack_user_domain"}, {"type": "openstack_project"},
               {"type": "openstack_roles", "any_one_of": ["member"]}],
}]
PLUGIN = """
import json, sys
from keystoneauth1 import session
from keystoneauth1.identity import v3
base, options, sp, scope = json.loads(sys.argv[1])
here = v3.Password(auth_url=base, **options)
there = v3.Keystone2Keystone(here, sp, **scope)
found = session.Session(auth=there)
access = there.get_access(found)
servers = found.get("/servers", endpoint_filter={"service_type": "compute"})
print(json.dumps({"user": access.username, "project": access.project_name, "status": servers.status_code}))
"""


@dataclass
class Pair:
    east: Cloud
    west: Cloud
    user: Persona
    idp: str


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pair(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Pair]:
    east, west = [await start_cloud(tmp_path_factory.mktemp(name)) for name in ("east", "west")]
    async with east.listening(), west.listening():
        folder = tmp_path_factory.mktemp("agreed")
        told = await east.client().get(f"{V3}/OS-FEDERATION/saml2/metadata", status=200)
        (folder / "east.xml").write_bytes(told.body)
        entity = f"{east.core.settings.public_url}{V3}/OS-FEDERATION/saml2/metadata"
        idp = await provider(west, RULES, "saml2", remote_ids=[entity])
        agreed = {"metadata": str(folder / "east.xml"), "entity_id": entity, "unsolicited": True}
        agree(west, saml={idp: {"saml2": agreed}})
        yield Pair(east, west, await east.project(["member"]), idp)
    for cloud in (east, west):
        await cloud.core.stop()


async def registered(pair: Pair, name: str, **more: Any) -> None:
    at = f"{pair.west.core.settings.public_url}{V3}/OS-FEDERATION/identity_providers/{pair.idp}/protocols/saml2/auth"
    body = {"auth_url": at, "sp_url": at, "enabled": True, **more}
    await pair.east.admin.put(f"{V3}/OS-FEDERATION/service_providers/{name}", {"service_provider": body}, status=201)


def wish(token: str | None, name: str) -> dict[str, Any]:
    identity = {"methods": ["token"], "token": {"id": token}}
    return {"auth": {"identity": identity, "scope": {"service_provider": {"id": name}}}}


async def test_key_15_a_user_of_east_works_in_west(pair: Pair) -> None:
    await registered(pair, "west")
    domain = (await pair.east.admin.get(f"{V3}/domains/{pair.user.domain_id}")).json["domain"]["name"]
    own = (await pair.west.admin.get(f"{V3}/OS-FEDERATION/identity_providers/{pair.idp}")).json["identity_provider"]
    told = [f"{pair.east.core.settings.public_url}{V3}",
            {"user_id": pair.user.user_id, "password": pair.user.password, "project_id": pair.user.project_id},
            "west", {"project_name": pair.user.project_name, "project_domain_id": own["domain_id"]}]
    env = {key: value for key, value in os.environ.items() if not key.startswith(("OS_", "PYTHON"))}
    process = await asyncio.create_subprocess_exec(
        str(CLIENTS / "bin" / "python"), "-c", PLUGIN, json.dumps(told), env=env,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), 120)
    assert process.returncode == 0, err.decode()[-3000:]
    assert json.loads(out) == {
        "user": f"{pair.user.user_name} of {domain}", "project": pair.user.project_name, "status": 200,
    }


async def test_an_assertion_is_for_a_project_an_enabled_cloud_and_no_delegation(pair: Pair) -> None:
    await registered(pair, "north")
    await registered(pair, "off", enabled=False)
    client, path = pair.east.client(), f"{V3}/auth/OS-FEDERATION/saml2"
    made = await client.post(path, wish(pair.user.token, "north"), status=200)
    assert made.headers["content-type"].startswith("text/xml") and b"openstack_roles" in made.body
    await client.post(path, wish(pair.user.token, "nowhere"), status=404)
    await client.post(path, wish(pair.user.token, "off"), status=403)
    await client.post(path, wish("gAAAAnonsense", "north"), status=401)
    unscoped = await pair.east.token(pair.user, "unscoped")
    await client.post(path + "/ecp", wish(unscoped, "north"), status=403)
    body = {"application_credential": {"name": "some"}}
    credential = (await pair.user.post(
        f"{V3}/users/{pair.user.user_id}/application_credentials", body, status=201
    )).json["application_credential"]
    identity = {"methods": ["application_credential"],
                "application_credential": {"id": credential["id"], "secret": credential["secret"]}}
    token = (await client.post(f"{V3}/auth/tokens", {"auth": {"identity": identity}}, status=201)).headers
    refused = await client.post(path, wish(token["x-subject-token"], "north"), status=403)
    assert refused.json["error"]["reason"] == "restricted"


async def test_west_takes_an_assertion_once_and_only_its_own(pair: Pair) -> None:
    await registered(pair, "again")
    await registered(pair, "elsewhere", sp_url="https://elsewhere.test/ecp")
    path = f"{V3}/OS-FEDERATION/identity_providers/{pair.idp}/protocols/saml2/auth"
    kind = "application/vnd.paos+xml"

    async def made(name: str) -> bytes:
        answer = await pair.east.client().post(
            f"{V3}/auth/OS-FEDERATION/saml2/ecp", wish(pair.user.token, name), status=200
        )
        return answer.body

    envelope = await made("again")
    await pair.west.client().post(path, envelope, content_type=kind, status=201)
    refused = await pair.west.client().post(path, envelope, content_type=kind, status=401)
    assert refused.json["error"]["reason"] == "replayed"
    other = await made("elsewhere")
    await pair.west.client().post(path, other, content_type=kind, status=401)
    forged = (await made("again")).replace(pair.user.user_name.encode(), b"admin")
    await pair.west.client().post(path, forged, content_type=kind, status=401)


async def test_a_token_names_the_clouds_its_bearer_can_go_to(pair: Pair) -> None:
    await registered(pair, "near")
    await registered(pair, "hidden", enabled=False)
    token = await pair.east.token(pair.user, {"project": {"id": pair.user.project_id}})
    shown = await pair.east.client(token).get(f"{V3}/auth/tokens", headers={"X-Subject-Token": token}, status=200)
    names = [each["id"] for each in shown.json["token"]["service_providers"]]
    assert "near" in names and "hidden" not in names
    near = next(each for each in shown.json["token"]["service_providers"] if each["id"] == "near")
    assert set(near) == {"id", "auth_url", "sp_url"}
