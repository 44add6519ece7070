# SPDX-License-Identifier: Apache-2.0
"""One cloud lets another's people in: OpenID Connect between two clouds, with the plugins that programs use.

The first cloud issues, the second is its relying party. The plugins are the unmodified ones of keystoneauth, in a
process of their own; the browser is an HTTP client with a jar for cookies.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from html import unescape
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import aiohttp
import pytest
import pytest_asyncio

from tests.clients.walks import CLIENTS
from tests.kit.cloud import Cloud, Persona, start_cloud
from tests.kit.federated import agree, by_oidc, provider
from tests.kit.oidc_issuer import CLIENT, PASSWORD, SECRET, oidc_issuer

pytestmark = pytest.mark.asyncio(loop_scope="module")

V3 = "/identity/v3"
DASHBOARD = "https://dashboard.test/auth/websso/"
HERE = "http://127.0.0.1:1/"
"""Where a program on the person's own machine would wait for the code."""
RULES = [{
    "local": [{"user": {"id": "{0}", "name": "{1}"}},
              {"projects": [{"name": "guests of {2}", "roles": [{"name": "member"}]}]}],
    "remote": [{"type": "OIDC-sub"}, {"type": "OIDC-preferred_username"}, {"type": "OIDC-openstack_user_domain"}],
}]
PLUGIN = """
import json, sys
from keystoneauth1 import loading, session
name, options, path = json.loads(sys.argv[1])
auth = loading.get_plugin_loader(name).load_from_options(**options)
found = session.Session(auth=auth)
access = auth.get_access(found)
servers = found.get(path, endpoint_filter={"service_type": "compute"}) if path else None
print(json.dumps({"user": access.username, "project": access.project_name, "status": servers and servers.status_code}))
"""


@dataclass
class Pair:
    east: Cloud
    west: Cloud
    user: Persona
    client: dict[str, Any]
    idp: str


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pair(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Pair]:
    """East issues; west knows it as an identity provider."""
    east, west = [await start_cloud(tmp_path_factory.mktemp(name)) for name in ("east", "west")]
    async with east.listening(), west.listening():
        public = west.core.settings.public_url
        back = f"{public}{V3}/auth/OS-FEDERATION/oidc/callback"
        body = {"name": "west", "redirect_uris": [back, HERE]}
        client = (await east.admin.post(f"{V3}/OS-OIDC/clients", {"client": body}, status=201)).json["client"]
        idp = await provider(west, RULES)
        agreed = {"issuer": f"{east.core.settings.public_url}/identity/oidc", "client_id": client["id"],
                  "client_secret": client["secret"]}
        agree(west, oidc={idp: {"openid": agreed}}, trusted_dashboards=[DASHBOARD])
        yield Pair(east, west, await east.project(), client, idp)
    for cloud in (east, west):
        await cloud.core.stop()


async def log_in(pair: Pair, session: aiohttp.ClientSession, url: str) -> str:
    """The person fills in east's page; the address that the browser is sent to then."""
    shown = await session.get(url)
    text = await shown.text()
    found = re.search(r'name="request" value="([^"]+)"', text)
    assert found is not None, text
    domain = (await pair.east.admin.get(f"{V3}/domains/{pair.user.domain_id}")).json["domain"]["name"]
    fields = {"request": unescape(found[1]), "username": pair.user.user_name, "domain": domain,
              "password": pair.user.password}
    action = re.search(r'action="([^"]+)"', text)
    assert action is not None
    answer = await session.post(unescape(action[1]), data=fields, allow_redirects=False)
    assert answer.status == 303, await answer.text()
    return answer.headers["Location"]


async def test_key_14_a_browser_of_wests_dashboard_signs_in_at_east(pair: Pair) -> None:
    west = pair.west.core.settings.public_url
    start = f"{west}{V3}/auth/OS-FEDERATION/websso/openid?{urlencode({'origin': DASHBOARD})}"
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        page = await (await session.get(await log_in(pair, session, start))).text()
    found = re.search(r'name="token" value="([^"]+)"', page)
    assert found is not None, page
    token = unescape(found[1])
    shown = await pair.west.client(token).get(f"{V3}/auth/tokens", headers={"X-Subject-Token": token}, status=200)
    assert shown.json["token"]["user"]["name"] == pair.user.user_name
    projects = (await pair.west.client(token).get(f"{V3}/auth/projects", status=200)).json["projects"]
    assert [each["name"].startswith("guests of domain-") for each in projects] == [True]


async def a_code(pair: Pair) -> str:
    """As a program on the person's machine gets it."""
    asked = {"response_type": "code", "client_id": pair.client["id"], "redirect_uri": HERE,
             "scope": "openid profile groups", "state": "s"}
    url = f"{pair.east.core.settings.public_url}/identity/oidc/authorize?{urlencode(asked)}"
    async with aiohttp.ClientSession() as session:
        return parse_qs(urlsplit(await log_in(pair, session, url)).query)["code"][0]


async def plugin(cloud: Cloud, idp: str, name: str, path: str = "", **options: str) -> dict[str, Any]:
    """What keystoneauth's plugin of that name comes to."""
    base = f"{cloud.core.settings.public_url}{V3}"
    told = {"auth_url": base, "identity_provider": idp, "protocol": "openid", **options}
    env = {key: value for key, value in os.environ.items() if not key.startswith(("OS_", "PYTHON"))}
    process = await asyncio.create_subprocess_exec(
        str(CLIENTS / "bin" / "python"), "-c", PLUGIN, json.dumps([name, told, path]), env=env,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, err.decode()[-2000:]
    found: dict[str, Any] = json.loads(out)
    return found


async def test_the_plugin_with_a_code_goes_from_east_to_wests_compute(pair: Pair) -> None:
    domain = (await pair.east.admin.get(f"{V3}/domains/{pair.user.domain_id}")).json["domain"]["name"]
    own = (await pair.west.admin.get(f"{V3}/OS-FEDERATION/identity_providers/{pair.idp}")).json["identity_provider"]
    found = await plugin(
        pair.west, pair.idp, "v3oidcauthcode", "/servers", client_id=pair.client["id"],
        client_secret=pair.client["secret"], code=await a_code(pair), redirect_uri=HERE,
        discovery_endpoint=f"{pair.east.core.settings.public_url}/identity/oidc/.well-known/openid-configuration",
        project_name=f"guests of {domain}", project_domain_id=own["domain_id"],
    )
    assert found == {"user": pair.user.user_name, "project": f"guests of {domain}", "status": 200}


async def test_the_plugin_with_an_access_token_of_east_signs_in_at_west(pair: Pair) -> None:
    form = urlencode({"grant_type": "authorization_code", "code": await a_code(pair), "redirect_uri": HERE,
                      "client_id": pair.client["id"], "client_secret": pair.client["secret"]}).encode()
    answer = await pair.east.client().post(
        "/identity/oidc/token", form, content_type="application/x-www-form-urlencoded", status=200
    )
    found = await plugin(pair.west, pair.idp, "v3oidcaccesstoken", access_token=answer.json["access_token"])
    assert found["user"] == pair.user.user_name


@pytest.mark.parametrize(("name", "more"), [
    ("v3oidcpassword", {"username": "alice", "password": PASSWORD}), ("v3oidcclientcredentials", {}),
    ("v3oidcdeviceauthz", {}),
])
async def test_key_13_the_plugins_get_their_token_from_the_provider_themselves(
    pair: Pair, name: str, more: dict[str, str]
) -> None:
    async with oidc_issuer(preferred_username="alice", email="alice@x.org") as issuer:
        idp = await by_oidc(pair.west, issuer)
        found = await plugin(
            pair.west, idp, name, client_id=CLIENT, client_secret=SECRET,
            discovery_endpoint=f"{issuer.url}/.well-known/openid-configuration", **more,
        )
    assert found["user"] == "alice"
