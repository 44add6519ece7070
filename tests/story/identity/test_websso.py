# SPDX-License-Identifier: Apache-2.0
"""Stories of browsers that sign in for a dashboard, at an OpenID Connect provider.

Programs are test_federated_users.py; with SAML it is test_saml.py.
"""

from __future__ import annotations

import re
from html import unescape
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp

from tests.kit.client import Answer
from tests.kit.cloud import Cloud
from tests.kit.federated import V3, agree, by_oidc
from tests.kit.oidc_issuer import OidcIssuer, oidc_issuer

SSO = V3 + "/auth/OS-FEDERATION"
DASHBOARD = "https://dashboard.test/auth/websso/"
EVIL = '"><script>alert(1)</script>'


def alice() -> Any:
    return oidc_issuer(preferred_username="alice", email="alice@x.org")


async def start(cloud: Cloud, idp: str, status: int = 302, **query: str) -> Answer:
    path = f"{SSO}/identity_providers/{idp}/protocols/openid/websso"
    return await cloud.client().get(path, {"origin": DASHBOARD, **query}, status=status)


async def consent(cloud: Cloud, started: Answer) -> tuple[str, str]:
    """The person agrees; the browser's way back, and the cookie it has."""
    async with aiohttp.ClientSession() as session:
        answer = await session.get(started.headers["location"], allow_redirects=False)
        back = answer.headers["Location"]
    assert back.startswith(cloud.core.settings.public_url + SSO)
    return back.removeprefix(cloud.core.settings.public_url), started.headers["set-cookie"].partition(";")[0]


async def come_back(cloud: Cloud, back: str, cookie: str, status: int = 200) -> Answer:
    return await cloud.client().get(back, headers={"Cookie": f"other=1; {cookie}"}, status=status)


def token_in(page: Answer) -> str:
    found = re.search(r'name="token" value="([^"]+)"', page.body.decode())
    assert found is not None
    return unescape(found[1])


async def test_key_13_a_browser_signs_in_and_the_dashboard_gets_a_token(cloud: Cloud) -> None:
    agree(cloud, trusted_dashboards=[DASHBOARD])
    async with alice() as issuer:
        idp = await by_oidc(cloud, issuer)
        path = f"{SSO}/identity_providers/{idp}/protocol/openid/websso"
        await cloud.client().get(path, {"origin": DASHBOARD}, status=302)
        started = await start(cloud, idp)
        asked = parse_qs(urlsplit(started.headers["location"]).query)
        assert asked["code_challenge_method"] == ["S256"] and asked["nonce"] and asked["state"]
        cookie = started.headers["set-cookie"]
        assert "HttpOnly" in cookie and "SameSite=Lax" in cookie
        page = await come_back(cloud, *(await consent(cloud, started)))
    assert f'action="{DASHBOARD}"' in page.body.decode()
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "form-action https://dashboard.test" in policy
    assert "unsafe" not in policy and "<script>" not in page.body.decode()
    assert page.headers["cache-control"] == "no-store"
    assert "Max-Age=0" in page.headers["set-cookie"]
    shown = await cloud.client(token_in(page)).get(
        f"{V3}/auth/tokens", headers={"X-Subject-Token": token_in(page)}, status=200
    )
    assert shown.json["token"]["user"]["name"] == "alice"
    script = await cloud.client().get(f"{SSO}/submit.js", status=200)
    assert b"submit" in script.body


async def test_a_token_goes_to_no_origin_but_those_the_operator_listed(cloud: Cloud) -> None:
    agree(cloud, trusted_dashboards=[DASHBOARD])
    async with alice() as issuer:
        idp = await by_oidc(cloud, issuer)
        for origin in ("https://evil.test/", DASHBOARD + "x", DASHBOARD[:-1], DASHBOARD.upper(), EVIL, "javascript:1"):
            refused = await start(cloud, idp, 401, origin=origin)
            assert refused.json["error"]["reason"] == "untrusted_origin"
        await start(cloud, idp, 400, origin="")
        started = await start(cloud, idp)
        way = await consent(cloud, started)
        agree(cloud, trusted_dashboards=[])
        await come_back(cloud, *way, 401)
        agree(cloud, trusted_dashboards=[DASHBOARD])


async def test_the_way_back_is_only_for_the_browser_that_went(cloud: Cloud) -> None:
    agree(cloud, trusted_dashboards=[DASHBOARD])
    async with alice() as issuer:
        idp = await by_oidc(cloud, issuer)
        back, cookie = await consent(cloud, await start(cloud, idp))
        await come_back(cloud, back, "none=1", 401)
        _, other = await consent(cloud, await start(cloud, idp))
        await come_back(cloud, back, other, 401)
        renamed = cookie.partition("=")[0] + "=" + other.partition("=")[2]
        await come_back(cloud, back, renamed, 401)
        await come_back(cloud, re.sub("state=[^&]*", "state=%C3%A9", back), cookie, 401)
        clock = cloud.core.clock
        now = clock()
        try:
            cloud.core.clock = lambda: now + 601_000_000
            await come_back(cloud, back, cookie, 401)
        finally:
            cloud.core.clock = clock
        await come_back(cloud, back, cookie)
        # A code is good once.
        await come_back(cloud, back, cookie, 401)


async def test_what_the_provider_answers_must_fit_what_was_asked(cloud: Cloud) -> None:
    agree(cloud, trusted_dashboards=[DASHBOARD])
    async with alice() as issuer:
        idp = await by_oidc(cloud, issuer)
        for spoilt in ("nonce", "code_challenge", "redirect_uri"):
            back, cookie = await consent(cloud, await start(cloud, idp))
            spoil(issuer, back, spoilt)
            await come_back(cloud, back, cookie, 401)
        back, cookie = await consent(cloud, await start(cloud, idp))
        await come_back(cloud, back.replace("code=", "error=access_denied&was="), cookie, 401)


def spoil(issuer: OidcIssuer, back: str, name: str) -> None:
    code = parse_qs(urlsplit(back).query)["code"][0]
    issuer.codes[code][name] = "another"


async def test_by_protocol_alone_a_browser_chooses_among_several(cloud: Cloud) -> None:
    agree(cloud, trusted_dashboards=[DASHBOARD])
    await cloud.client().get(f"{SSO}/websso/nothing", {"origin": DASHBOARD}, status=401)
    async with alice() as issuer:
        first, second = await by_oidc(cloud, issuer), await by_oidc(cloud, issuer)
        page = await cloud.client().get(f"{SSO}/websso/openid", {"origin": DASHBOARD}, status=200)
        text = page.body.decode()
        assert f"{first}/protocols/openid/websso" in text and second in text
        path = f"{V3}/OS-FEDERATION/identity_providers/{first}"
        await cloud.admin.patch(path, {"identity_provider": {"enabled": False}}, status=200)
        page = await cloud.client().post(f"{SSO}/websso/openid?origin={DASHBOARD}", status=(200, 302))
        assert first not in page.body.decode()
        await start(cloud, first, 404)


async def test_pages_hold_nothing_that_came_from_outside_unescaped(cloud: Cloud) -> None:
    odd = "https://dash.test/'\"%3E&<b>/"
    agree(cloud, trusted_dashboards=[odd])
    async with alice() as issuer:
        idp = await by_oidc(cloud, issuer)
        started = await start(cloud, idp, origin=odd)
        page = (await come_back(cloud, *(await consent(cloud, started)))).body.decode()
    agree(cloud, trusted_dashboards=[DASHBOARD])
    assert "<b>" not in page and "&lt;b&gt;" in page
