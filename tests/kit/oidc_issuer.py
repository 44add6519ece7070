# SPDX-License-Identifier: Apache-2.0
"""Somebody else's OpenID Connect issuer, on a port of its own: what clouds meet that don't issue themselves.

It knows one person, says whatever `claims` holds, and can be told to lie: `sign` makes any token. Grants:
authorization code with PKCE, password, client credentials, device code; userinfo and introspection.
"""

from __future__ import annotations

import base64
import hashlib
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from urllib.parse import urlencode

import jwt
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

CLIENT, SECRET = "skyhold", "the-client's-secret"
PASSWORD = "wonderland"


@cache
def a_key(kid: str) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@dataclass
class OidcIssuer:
    url: str = ""
    claims: dict[str, Any] = field(default_factory=dict)
    """Beside those that every token has."""
    kid: str = "one"
    asked: list[str] = field(default_factory=list)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    active: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Opaque access tokens, for introspection."""
    runner: Any = None

    def sign(self, key: Any = None, algorithm: str = "RS256", kid: str | None = None, **claims: Any) -> str:
        now = int(time.time())
        told = {"iss": self.url, "sub": "alice-7", "aud": CLIENT, "exp": now + 600, "iat": now, **self.claims, **claims}
        told = {name: value for name, value in told.items() if value is not ...}
        return jwt.encode(told, key or a_key(self.kid), algorithm, headers={"kid": kid or self.kid})

    def app(self) -> web.Application:
        app = web.Application()
        app.add_routes([
            web.get("/.well-known/openid-configuration", self.discovery), web.get("/jwks", self.jwks),
            web.get("/authorize", self.authorize), web.post("/token", self.token), web.post("/device", self.device),
            web.get("/userinfo", self.userinfo), web.post("/introspect", self.introspect),
        ])
        return app

    async def discovery(self, request: web.Request) -> web.Response:
        self.asked.append("discovery")
        names = {"authorization_endpoint": "authorize", "token_endpoint": "token", "jwks_uri": "jwks",
                 "userinfo_endpoint": "userinfo", "introspection_endpoint": "introspect",
                 "device_authorization_endpoint": "device"}
        return web.json_response({"issuer": self.url, **{name: f"{self.url}/{path}" for name, path in names.items()}})

    async def jwks(self, request: web.Request) -> web.Response:
        self.asked.append("jwks")
        public = RSAAlgorithm.to_jwk(a_key(self.kid).public_key(), as_dict=True)
        return web.json_response({"keys": [{**public, "kid": self.kid, "use": "sig"}]})

    async def authorize(self, request: web.Request) -> web.Response:
        """The person agrees at once."""
        code = uuid.uuid4().hex
        self.codes[code] = dict(request.query)
        back = urlencode({"code": code, "state": request.query["state"]})
        raise web.HTTPFound(f"{request.query['redirect_uri']}?{back}")

    async def token(self, request: web.Request) -> web.Response:
        form = {name: str(value) for name, value in (await request.post()).items()}
        basic = base64.b64encode(f"{CLIENT}:{SECRET.replace(chr(39), '%27')}".encode()).decode()
        sent = request.headers.get("Authorization", "")
        plain = base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        if sent not in (f"Basic {basic}", f"Basic {plain}"):
            return web.json_response({"error": "invalid_client"}, status=401)
        extra: dict[str, Any] = {}
        if form["grant_type"] == "authorization_code":
            asked = self.codes.pop(form["code"], None)
            if asked is None or not self.fits(asked, form):
                return web.json_response({"error": "invalid_grant"}, status=400)
            extra["id_token"] = self.sign(nonce=asked["nonce"])
        elif form["grant_type"] == "password" and form.get("password") != PASSWORD:
            return web.json_response({"error": "invalid_grant"}, status=400)
        return web.json_response({"access_token": self.sign(), "token_type": "Bearer", "expires_in": 600, **extra})

    def fits(self, asked: dict[str, str], form: dict[str, str]) -> bool:
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
        return asked["redirect_uri"] == form["redirect_uri"] and asked["code_challenge"] == challenge

    async def device(self, request: web.Request) -> web.Response:
        return web.json_response({
            "device_code": uuid.uuid4().hex, "user_code": "AB-CD", "verification_uri": self.url, "interval": 1,
            "verification_uri_complete": self.url, "expires_in": 60,
        })

    async def userinfo(self, request: web.Request) -> web.Response:
        return web.json_response({"sub": "alice-7", "team": "ravens", "email": "changed@x.org", **self.claims})

    async def introspect(self, request: web.Request) -> web.Response:
        form = await request.post()
        return web.json_response(self.active.get(str(form["token"]), {"active": False}))


@asynccontextmanager
async def oidc_issuer(**claims: Any) -> AsyncIterator[OidcIssuer]:
    issuer = await serving(**claims)
    try:
        yield issuer
    finally:
        await issuer.runner.cleanup()


async def serving(**claims: Any) -> OidcIssuer:
    """One that serves until its loop ends, or `runner.cleanup()`."""
    issuer = OidcIssuer(claims=claims)
    issuer.runner = web.AppRunner(issuer.app())
    await issuer.runner.setup()
    await web.TCPSite(issuer.runner, "127.0.0.1", 0).start()
    issuer.url = f"http://127.0.0.1:{issuer.runner.addresses[0][1]}"
    return issuer
