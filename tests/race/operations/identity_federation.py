# SPDX-License-Identifier: Apache-2.0
"""Races of federation's operations.

What an entry means is ../duel.py. All of it is an administrator's.
"""

from __future__ import annotations

import asyncio
import base64
import re
import tempfile
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from tests.kit import saml_idp
from tests.kit.federated import NAMED, agree
from tests.kit.oidc_issuer import CLIENT, SECRET, OidcIssuer, serving
from tests.race.duel import Call, Duel, Ground, name, race
from tests.race.operations.identity import change, removal

V3 = "/identity/v3/OS-FEDERATION"
RULES = [{"local": [{"user": {"name": "{0}"}}], "remote": [{"type": "REMOTE_USER"}]}]
PLACES = {"auth_url": "https://sp.test/auth", "sp_url": "https://sp.test/sp"}


async def put(g: Ground, kind: str, body: dict[str, Any], path: str | None = None) -> str:
    """The address of a new one."""
    at = path or f"{V3}/{kind}s/{name()}"
    await g.admin.put(at, {kind: body}, status=201)
    return at


async def a_mapping(g: Ground) -> str:
    return await put(g, "mapping", {"rules": RULES})


async def a_provider(g: Ground) -> str:
    return await put(g, "identity_provider", {"enabled": True}, f"{V3}/identity_providers/{name()}")


async def a_protocol(g: Ground) -> tuple[str, str]:
    """Its address, and its provider's."""
    provider, mapping = await a_provider(g), (await a_mapping(g)).rpartition("/")[2]
    return await put(g, "protocol", {"mapping_id": mapping}, f"{provider}/protocols/{name()}"), provider


def creation(g: Ground, path: str, kind: str, body: dict[str, Any], gone: str) -> Duel:
    return Duel(Call(g.admin, "PUT", path, {kind: body}), gone=Call(g.admin, "DELETE", gone), winners=(1,))


@race("PUT /identity/v3/OS-FEDERATION/identity_providers/{idp_id}")
async def create_provider(g: Ground) -> Duel:
    domain = await g.make("/identity/v3/domains", "domain", name=name(), enabled=False)
    body = {"domain_id": domain["id"], "remote_ids": [name()]}
    gone = f"/identity/v3/domains/{domain['id']}"
    return creation(g, f"{V3}/identity_providers/{name()}", "identity_provider", body, gone)


@race("PATCH /identity/v3/OS-FEDERATION/identity_providers/{idp_id}")
async def change_provider(g: Ground) -> Duel:
    first, second = {"description": "one"}, {"authorization_ttl": 7}
    return change(g, "identity_provider", await a_provider(g), first, second)


@race("DELETE /identity/v3/OS-FEDERATION/identity_providers/{idp_id}")
async def delete_provider(g: Ground) -> Duel:
    return removal(g, await a_provider(g))


@race("PUT /identity/v3/OS-FEDERATION/identity_providers/{idp_id}/protocols/{protocol_id}")
async def create_protocol(g: Ground) -> Duel:
    provider, mapping = await a_provider(g), (await a_mapping(g)).rpartition("/")[2]
    return creation(g, f"{provider}/protocols/{name()}", "protocol", {"mapping_id": mapping}, provider)


@race("PATCH /identity/v3/OS-FEDERATION/identity_providers/{idp_id}/protocols/{protocol_id}")
async def change_protocol(g: Ground) -> Duel:
    path, _ = await a_protocol(g)
    mapping = (await a_mapping(g)).rpartition("/")[2]
    return change(g, "protocol", path, {"mapping_id": mapping}, {"remote_id_attribute": "two"})


@race("DELETE /identity/v3/OS-FEDERATION/identity_providers/{idp_id}/protocols/{protocol_id}")
async def delete_protocol(g: Ground) -> Duel:
    path, provider = await a_protocol(g)
    return removal(g, path, provider)


@race("PUT /identity/v3/OS-FEDERATION/mappings/{mapping_id}")
async def create_mapping(g: Ground) -> Duel:
    return creation(g, f"{V3}/mappings/{name()}", "mapping", {"rules": RULES}, await a_mapping(g))


@race("PATCH /identity/v3/OS-FEDERATION/mappings/{mapping_id}")
async def change_mapping(g: Ground) -> Duel:
    return change(g, "mapping", await a_mapping(g), {"rules": [*RULES, *RULES]}, {"schema_version": "2.0"})


@race("DELETE /identity/v3/OS-FEDERATION/mappings/{mapping_id}")
async def delete_mapping(g: Ground) -> Duel:
    return removal(g, await a_mapping(g))


@race("PUT /identity/v3/OS-FEDERATION/service_providers/{sp_id}")
async def create_service_provider(g: Ground) -> Duel:
    other = await put(g, "service_provider", PLACES)
    return creation(g, f"{V3}/service_providers/{name()}", "service_provider", PLACES, other)


@race("PATCH /identity/v3/OS-FEDERATION/service_providers/{sp_id}")
async def change_service_provider(g: Ground) -> Duel:
    path = await put(g, "service_provider", PLACES)
    return change(g, "service_provider", path, {"description": "one"}, {"enabled": True})


@race("DELETE /identity/v3/OS-FEDERATION/service_providers/{sp_id}")
async def delete_service_provider(g: Ground) -> Duel:
    return removal(g, await put(g, "service_provider", PLACES))


# ---- signing in ------------------------------------------------------------------------------

DASHBOARD = "https://dashboard.test/"


async def a_way_in(g: Ground) -> tuple[OidcIssuer, str]:
    """An issuer, and the address of the protocol that it speaks for."""
    issuer = await serving(preferred_username="alice", email="a@x.org")
    mapping = await put(g, "mapping", {"rules": NAMED})
    provider = await a_provider(g)
    path = await put(g, "protocol", {"mapping_id": mapping.rpartition("/")[2]}, f"{provider}/protocols/openid")
    agreed = {"issuer": issuer.url, "client_id": CLIENT, "client_secret": SECRET}
    agree(g.cloud, oidc={provider.rpartition("/")[2]: {"openid": agreed}}, trusted_dashboards=[DASHBOARD])
    return issuer, path


@race("POST /identity/v3/OS-FEDERATION/identity_providers/{idp_id}/protocols/{protocol_id}/auth")
async def come_with_a_word(g: Ground) -> Duel:
    issuer, path = await a_way_in(g)
    one = Call(g.cloud.client(), "POST", f"{path}/auth", headers={"Authorization": f"Bearer {issuer.sign()}"})
    return Duel(one, gone=Call(g.admin, "DELETE", path), winners=(2,), refusals=(401,))


@race("POST /identity/v3/auth/OS-FEDERATION/identity_providers/{idp_id}/protocols/{protocol_id}/websso")
async def start_at_a_provider(g: Ground) -> Duel:
    _, path = await a_way_in(g)
    at = path.replace("/v3/OS-FEDERATION/", "/v3/auth/OS-FEDERATION/") + f"/websso?origin={DASHBOARD}"
    return Duel(Call(g.cloud.client(), "POST", at), gone=Call(g.admin, "DELETE", path), winners=(2,), refusals=(401,))


@race("POST /identity/v3/auth/OS-FEDERATION/websso/{protocol_id}")
async def start_by_a_protocol(g: Ground) -> Duel:
    _, path = await a_way_in(g)
    at = f"/identity/v3/auth/OS-FEDERATION/websso/openid?origin={DASHBOARD}"
    return Duel(Call(g.cloud.client(), "POST", at), gone=Call(g.admin, "DELETE", path), winners=(2,), refusals=(401,))


async def a_way_by_saml(g: Ground) -> tuple[str, Any, str]:
    """The protocol's address, the provider's server, and its name."""
    folder, url = tempfile.mkdtemp(), f"http://{name()}.test"
    await asyncio.to_thread(saml_idp.write_metadata, Path(folder), url)
    mapping = await put(g, "mapping", {"rules": BY_UID})
    provider = await a_provider(g)
    path = await put(g, "protocol", {"mapping_id": mapping.rpartition("/")[2]}, f"{provider}/protocols/saml2")
    agreed = {"metadata": f"{folder}/idp.xml", "entity_id": f"{url}/metadata"}
    agree(g.cloud, saml={provider.rpartition("/")[2]: {"saml2": agreed}}, trusted_dashboards=[DASHBOARD])
    told = await g.cloud.client().get("/identity/v3/auth/OS-FEDERATION/saml2/sp", status=200)
    await asyncio.to_thread(Path(folder, "sp.xml").write_bytes, told.body)
    return path, await asyncio.to_thread(saml_idp.server, Path(folder), url), url


BY_UID = [{"local": [{"user": {"name": "{0}"}}], "remote": [{"type": "uid"}]}]


@race("POST /identity/v3/auth/OS-FEDERATION/saml2/acs")
async def come_back_from_saml(g: Ground) -> Duel:
    """An assertion is good once."""
    path, server, _ = await a_way_by_saml(g)
    at = path.replace("/v3/OS-FEDERATION/", "/v3/auth/OS-FEDERATION/") + f"/websso?origin={DASHBOARD}"
    begun = await g.cloud.client().get(at, status=302)

    def respond() -> dict[str, str]:
        request, state = saml_idp.parsed(server, begun.headers["location"])
        xml = saml_idp.answer(server, request)
        return {"RelayState": state, "SAMLResponse": base64.b64encode(xml.encode()).decode()}

    form = urlencode(await asyncio.to_thread(respond)).encode()
    cookie = {"Cookie": begun.headers["set-cookie"].partition(";")[0]}
    acs = "/identity/v3/auth/OS-FEDERATION/saml2/acs"
    one = Call(g.cloud.client(), "POST", acs, form, cookie, content_type=FORM)
    return Duel(one, gone=Call(g.admin, "DELETE", path), winners=(1,), refusals=(401,))


@race("POST /identity/v3/auth/OS-FEDERATION/saml2")
async def make_an_assertion(g: Ground) -> Duel:
    return await an_assertion(g, "saml2")


@race("POST /identity/v3/auth/OS-FEDERATION/saml2/ecp")
async def make_an_assertion_wrapped(g: Ground) -> Duel:
    return await an_assertion(g, "saml2/ecp")


async def an_assertion(g: Ground, where: str) -> Duel:
    sp = await put(g, "service_provider", {**PLACES, "enabled": True})
    identity = {"methods": ["token"], "token": {"id": g.user.token}}
    wish = {"auth": {"identity": identity, "scope": {"service_provider": {"id": sp.rpartition("/")[2]}}}}
    one = Call(g.cloud.client(), "POST", f"/identity/v3/auth/OS-FEDERATION/{where}", wish)
    return Duel(one, gone=Call(g.admin, "DELETE", sp), winners=(2,), refusals=(401,))


# ---- the issuer ------------------------------------------------------------------------------

OIDC = "/identity/oidc"
BACK = "https://app.test/back"
CLIENTS = "/identity/v3/OS-OIDC/clients"
FORM = "application/x-www-form-urlencoded"


async def a_client(g: Ground) -> dict[str, Any]:
    return await g.make(CLIENTS, "client", name=name(), redirect_uris=[BACK])


def form(g: Ground, path: str, fields: dict[str, str]) -> Call:
    return Call(g.cloud.client(), "POST", OIDC + path, urlencode(fields).encode(), content_type=FORM)


async def a_login(g: Ground, client: dict[str, Any]) -> tuple[Call, str]:
    """Sending the page's form, and the address of the user that does."""
    user = await g.make("/identity/v3/users", "user", name=name(), password="the-password")
    asked = {"response_type": "code", "client_id": client["id"], "redirect_uri": BACK, "scope": "openid offline_access"}
    page = (await g.cloud.client().get(f"{OIDC}/authorize", asked, status=200)).body.decode()
    found = re.search(r'name="request" value="([^"]+)"', page)
    assert found is not None
    fields = {"request": unescape(found[1]), "username": user["name"], "domain": "Default", "password": "the-password"}
    return form(g, "/authorize", fields), f"/identity/v3/users/{user['id']}"


async def a_grant(g: Ground) -> tuple[dict[str, Any], dict[str, str], str]:
    """A client, what it sends for tokens, and the address of the user that allowed it."""
    client = await a_client(g)
    login, user = await a_login(g, client)
    answer = await login.send()
    code = parse_qs(urlsplit(answer.headers["location"]).query)["code"][0]
    mine = {"client_id": client["id"], "client_secret": client["secret"]}
    return client, {"grant_type": "authorization_code", "code": code, "redirect_uri": BACK, **mine}, user


@race("POST /identity/v3/OS-OIDC/clients")
async def create_client(g: Ground) -> Duel:
    body = {"client": {"name": name(), "redirect_uris": [BACK]}}
    gone = Call(g.admin, "DELETE", f"{CLIENTS}/{(await a_client(g))['id']}")
    return Duel(Call(g.admin, "POST", CLIENTS, body), gone=gone, winners=(1,))


@race("PATCH /identity/v3/OS-OIDC/clients/{oidc_client_id}")
async def change_client(g: Ground) -> Duel:
    path = f"{CLIENTS}/{(await a_client(g))['id']}"
    return change(g, "client", path, {"name": name()}, {"redirect_uris": ["https://app.test/other"]})


@race("DELETE /identity/v3/OS-OIDC/clients/{oidc_client_id}")
async def delete_client(g: Ground) -> Duel:
    return removal(g, f"{CLIENTS}/{(await a_client(g))['id']}")


@race("POST /identity/oidc/authorize")
async def sign_in_for_a_client(g: Ground) -> Duel:
    login, user = await a_login(g, await a_client(g))
    return Duel(login, gone=Call(g.admin, "DELETE", user), winners=(2,), refusals=(401,))


@race("POST /identity/oidc/token")
async def redeem_a_code(g: Ground) -> Duel:
    """A code is good once."""
    client, fields, _ = await a_grant(g)
    gone = Call(g.admin, "DELETE", f"{CLIENTS}/{client['id']}")
    return Duel(form(g, "/token", fields), gone=gone, winners=(1,), refusals=(400, 401))


@race("POST /identity/oidc/userinfo")
async def ask_who_it_is(g: Ground) -> Duel:
    _, fields, user = await a_grant(g)
    text = (await form(g, "/token", fields).send()).json["access_token"]
    one = Call(g.cloud.client(), "POST", f"{OIDC}/userinfo", headers={"Authorization": f"Bearer {text}"})
    return Duel(one, gone=Call(g.admin, "DELETE", user), winners=(2,), refusals=(401,))
