# SPDX-License-Identifier: Apache-2.0
"""Stories of people and programs that sign in by SAML, at an identity provider that runs as a process.

OpenID Connect is test_websso.py; one cloud as the other's provider is test_keystone_to_keystone.py.
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import aiohttp
import pytest
import pytest_asyncio

from tests.kit import saml_idp as kit
from tests.kit.client import Answer
from tests.kit.cloud import Cloud
from tests.kit.federated import AT, V3, agree, provider

SSO = V3 + "/auth/OS-FEDERATION"
DASHBOARD = "https://dashboard.test/auth/websso/"
PAOS = "application/vnd.paos+xml"
ECP = {"Accept": f"text/html, {PAOS}",
       "PAOS": 'ver="urn:liberty:paos:2003-08";"urn:oasis:names:tc:SAML:2.0:profiles:SSO:ecp"'}
NAMED = [{
    "local": [{"user": {"name": "{0}", "email": "{1}"}}],
    "remote": [{"type": "uid"}, {"type": "MELLON_mail"}, {"type": "eduPersonEntitlement", "any_one_of": ["ravens"]}],
}]


@dataclass
class Way:
    """A cloud's agreement with the provider."""

    cloud: Cloud
    idp: kit.SamlIdp
    id: str
    server: Any = None

    @property
    def auth(self) -> str:
        return f"{AT}/identity_providers/{self.id}/protocols/saml2/auth"

    async def start(self) -> tuple[str, str]:
        """Where the browser is sent, and its cookie."""
        path = f"{SSO}/identity_providers/{self.id}/protocols/saml2/websso"
        answer = await self.cloud.client().get(path, {"origin": DASHBOARD}, status=302)
        return answer.headers["location"], answer.headers["set-cookie"].partition(";")[0]

    async def come_back(self, state: str, xml: str | bytes, cookie: str, status: int = 200) -> Answer:
        raw = xml.encode() if isinstance(xml, str) else xml
        form = urlencode({"SAMLResponse": base64.b64encode(raw).decode(), "RelayState": state}).encode()
        return await self.cloud.client().post(
            f"{SSO}/saml2/acs", form, content_type="application/x-www-form-urlencoded", headers={"Cookie": cookie},
            status=status,
        )

    async def respond(self, location: str, key: str = "idp", life: Any = None, **more: Any) -> tuple[str, str]:
        """A response made here, right but for `more`; and the relay state."""
        def make() -> tuple[str, str]:
            request, state = kit.parsed(self.server, location)
            maker = self.server if (key, life) == ("idp", None) else kit.server(self.idp.folder, self.idp.url, key=key,
                                                                                 life=life)
            return kit.answer(maker, request, **more), state

        return await asyncio.to_thread(make)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def way(cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Way]:
    folder: Path = tmp_path_factory.mktemp("idp")
    async with kit.saml_idp(folder) as idp:
        id = await provider(cloud, NAMED, "saml2", remote_ids=[idp.entity_id])
        agreed = {"metadata": idp.metadata, "entity_id": idp.entity_id}
        agree(cloud, saml={id: {"saml2": agreed}}, trusted_dashboards=[DASHBOARD])
        known = (await cloud.client().get(f"{SSO}/saml2/sp", status=200)).body
        (folder / "sp.xml").write_bytes(known)
        named = f'entityID="{cloud.core.settings.public_url}{SSO}/saml2/sp"'.encode()
        (folder / "elsewhere.xml").write_bytes(known.replace(named, b'entityID="https://elsewhere.test"'))
        yield Way(cloud, idp, id, await asyncio.to_thread(kit.server, folder, idp.url))


def token_in(page: Answer) -> str:
    found = re.search(r'name="token" value="([^"]+)"', page.body.decode())
    assert found is not None
    return unescape(found[1])


async def test_key_13_a_browser_signs_in_by_saml(way: Way) -> None:
    location, cookie = await way.start()
    assert location.startswith(way.idp.url + "/sso") and "Signature=" in location
    assert "rsa-sha256" in location
    async with aiohttp.ClientSession() as session:
        form = json.loads(await (await session.get(location)).text())
    assert form["to"] == way.cloud.core.settings.public_url + SSO + "/saml2/acs"
    page = await way.come_back(form["RelayState"], base64.b64decode(form["SAMLResponse"]), cookie)
    token = token_in(page)
    shown = await way.cloud.client(token).get(f"{V3}/auth/tokens", headers={"X-Subject-Token": token}, status=200)
    user = shown.json["token"]["user"]
    assert user["name"] == "alice"
    assert user["OS-FEDERATION"]["protocol"] == {"id": "saml2"}


async def test_key_13_a_program_signs_in_by_saml(way: Way) -> None:
    asked = await way.cloud.client().get(way.auth, headers=ECP, status=200)
    assert asked.headers["content-type"].startswith(PAOS)
    text = asked.body.decode()
    state = re.search(r"<[^>]*RelayState[^>]*>([^<]+)</", text)
    request = re.search(r"<(\w+):Envelope", text)
    assert state is not None and request is not None
    basic = base64.b64encode(f"{kit.USER}:{kit.PASSWORD}".encode()).decode()
    headers = {"Content-Type": "text/xml", "Authorization": f"Basic {basic}"}
    async with aiohttp.ClientSession() as session:
        got = await session.post(way.idp.url + "/ecp", data=without_header(text), headers=headers)
        answer = await got.text()
    assert got.status == 200, answer
    brought = with_state(answer, state[1])
    done = await way.cloud.client().post(way.auth, brought, content_type=PAOS, status=201)
    assert done.json["token"]["user"]["name"] == "alice" and done.headers["x-subject-token"]
    again = await way.cloud.client().post(way.auth, brought, content_type=PAOS, status=401)
    assert again.json["error"]["reason"] == "replayed"
    # Nobody asked, says the envelope; but the response is an answer, and this provider sends none unasked.
    await way.cloud.client().post(way.auth, answer.encode(), content_type=PAOS, status=401)


def without_header(envelope: str) -> bytes:
    """What goes to the provider (Profiles 4.2.3.3)."""
    return re.sub(r"<(\w+:)?Header.*?</\1Header>", "", envelope, flags=re.S).encode()


def with_state(envelope: str, state: str) -> bytes:
    header = ('<e:RelayState xmlns:e="urn:oasis:names:tc:SAML:2.0:profiles:SSO:ecp">' + state + "</e:RelayState>")
    within = r"(<(?:\w+:)?Header>).*?(</(?:\w+:)?Header>)"
    return re.sub(within, lambda found: found[1] + header + found[2], envelope, flags=re.S).encode()


async def test_a_browser_or_a_stranger_gets_no_envelope(way: Way) -> None:
    assert (await way.cloud.client().get(way.auth, status=401)).json["error"]["reason"] == "no_ecp"
    for body in (b"", b"no", b"<a/>", b"<!DOCTYPE a [<!ENTITY x 'y'>]><a>&x;</a>"):
        await way.cloud.client().post(way.auth, body, content_type=PAOS, status=401)


@pytest.mark.parametrize("wrong", [
    {"sign_assertion": False}, {"sign_assertion": False, "sign_response": True}, {"key": "thief"},
    {"sp_entity_id": "https://elsewhere.test"}, {"destination": "https://elsewhere.test/acs"},
    {"in_response_to": "_another"}, {"sign_alg": "http://www.w3.org/2000/09/xmldsig#rsa-sha1"},
    {"life": {"minutes": -10}}, {"issuer": "https://evil.test"},
], ids=repr)
async def test_what_is_not_for_us_now_and_signed_is_refused(way: Way, wrong: dict[str, Any]) -> None:
    location, cookie = await way.start()
    xml, state = await way.respond(location, **wrong)
    refused = await way.come_back(state, xml, cookie, 401)
    assert refused.json["error"]["reason"] == "bad_assertion"
    right, _ = await way.respond(location)
    await way.come_back(state, right, cookie)


async def test_an_assertion_is_good_once(way: Way) -> None:
    location, cookie = await way.start()
    xml, state = await way.respond(location)
    answers = await asyncio.gather(*(way.come_back(state, xml, cookie, (200, 401)) for _ in range(3)))  # type: ignore[arg-type]
    assert sorted(answer.status for answer in answers) == [200, 401, 401]


async def test_the_way_back_is_only_for_the_browser_that_went(way: Way) -> None:
    location, cookie = await way.start()
    xml, state = await way.respond(location)
    _, other = await way.start()
    await way.come_back(state, xml, other, 401)
    await way.come_back("another", xml, cookie, 401)
    await way.come_back(state, xml, cookie)


async def test_changed_wrapped_and_hostile_xml_is_refused(way: Way) -> None:
    location, cookie = await way.start()
    xml, state = await way.respond(location)
    assertion = re.search(r"<(\w+):Assertion .*</\1:Assertion>", xml, flags=re.S)
    assert assertion is not None
    forged = assertion[0].replace(">alice<", ">admin<")
    other_id = re.sub(r'ID="[^"]+"', 'ID="_other"', forged, count=1)
    without = re.sub(r"<(\w+):Signature .*?</\1:Signature>", "", other_id, flags=re.S)
    entity = re.sub(r"(<\?xml[^>]*\?>)?", "", xml, count=1).replace(">alice<", ">&me;<")
    for hostile in (
        xml.replace(">alice<", ">admin<"), xml.replace(assertion[0], forged + assertion[0]),
        xml.replace(assertion[0], without + assertion[0]), xml.replace(assertion[0], assertion[0] + without),
        xml.replace(assertion[0], other_id.replace("</", assertion[0] + "</", 1)),
        f"<!DOCTYPE r [<!ENTITY me 'admin'>]>{entity}", f"<!DOCTYPE r SYSTEM 'file:///etc/passwd'>{entity}",
        "<a/>", "", "no",
    ):
        assert hostile != xml
        refused = await way.come_back(state, hostile, cookie, 401)
        assert refused.json["error"]["code"] == 401
    # A comment is no part of what is signed, and none of what is read either.
    commented = xml.replace(">alice<", "><!-- x -->ali<!-- -->ce<")
    token = token_in(await way.come_back(state, commented, cookie))
    shown = await way.cloud.client(token).get(f"{V3}/auth/tokens", headers={"X-Subject-Token": token})
    assert shown.json["token"]["user"]["name"] == "alice"


async def test_an_agreement_that_cannot_be_used_is_503(way: Way) -> None:
    idp = await provider(way.cloud, NAMED, "saml2")
    agree(way.cloud, saml={idp: {"saml2": {"metadata": "/nowhere.xml", "entity_id": "x"}}})
    path = f"{SSO}/identity_providers/{idp}/protocols/saml2/websso"
    await way.cloud.client().get(path, {"origin": DASHBOARD}, status=503)
