# SPDX-License-Identifier: Apache-2.0
"""A browser signs in at an OpenID Connect provider: authorization code with state, nonce and PKCE.

Where it starts and ends is ../websso.py. The code goes from this cloud straight to the provider; the browser
never sees a token of it. Sources: OpenID Connect Core 3.1, RFC 7636.
"""

from __future__ import annotations

import base64
import hashlib
from urllib.parse import urlencode

from skyhold.core import errors
from skyhold.core.context import Context
from skyhold.core.http.routes import Reply
from skyhold.identity import links
from skyhold.identity.federation import journeys, pages
from skyhold.identity.federation.agreements import Oidc
from skyhold.identity.federation.arrivals import Word
from skyhold.identity.federation.journeys import Journey
from skyhold.identity.federation.oidc import tokens
from skyhold.identity.federation.oidc.bearer import word_of
from skyhold.identity.federation.oidc.issuers import issuer_of

CALLBACK = "/v3/auth/OS-FEDERATION/oidc/callback"


async def begin(ctx: Context, agreement: Oidc, provider_id: str, protocol_id: str, origin: str) -> Reply:
    """Off to the provider."""
    journey = journeys.begin(ctx, provider_id, protocol_id, origin)
    endpoint = await issuer_of(ctx.core, agreement).endpoint("authorization_endpoint")
    asked = urlencode({
        "response_type": "code", "client_id": agreement.client_id, "redirect_uri": callback(ctx),
        "scope": " ".join(agreement.scopes), "state": journey.state, "nonce": journey.nonce,
        "code_challenge": challenge(journey.secret), "code_challenge_method": "S256",
    })
    to = f"{endpoint}{'&' if '?' in endpoint else '?'}{asked}"
    return pages.redirect(to, **{"Set-Cookie": journeys.cookie(ctx, journey)})


async def finish(ctx: Context, agreement: Oidc, journey: Journey, code: str) -> Word:
    """What the provider says of whoever came back with this code. Raises Unauthorized."""
    issuer = issuer_of(ctx.core, agreement)
    answer = await issuer.post("token_endpoint", {
        "grant_type": "authorization_code", "code": code, "redirect_uri": callback(ctx),
        "code_verifier": journey.secret,
    })
    text, access = answer.get("id_token"), answer.get("access_token")
    if not isinstance(text, str):
        raise errors.Unauthorized("The identity provider gave no id token.", reason="bad_token")
    claims = await tokens.id_token(issuer, text, journey.nonce, ctx.now)
    if agreement.userinfo and isinstance(access, str):
        claims = tokens.enriched(claims, await issuer.userinfo(access))
    return word_of(agreement, journey.provider_id, journey.protocol_id, claims)


def callback(ctx: Context) -> str:
    return links.base(ctx).removesuffix("/v3") + CALLBACK


def challenge(verifier: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
