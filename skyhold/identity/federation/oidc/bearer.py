# SPDX-License-Identifier: Apache-2.0
"""Programs sign in with an access token that they got from their identity provider themselves.

So do keystoneauth's v3oidcpassword, v3oidcclientcredentials, v3oidcdeviceauthz and v3oidcaccesstoken: how
they get it is between them and the provider. Browsers are websso.py.
"""

from __future__ import annotations

from typing import Any

from skyhold.core import errors
from skyhold.core.context import Context
from skyhold.identity.federation.agreements import Oidc
from skyhold.identity.federation.arrivals import Word
from skyhold.identity.federation.oidc import tokens
from skyhold.identity.federation.oidc.issuers import issuer_of
from skyhold.identity.logic.claims import assertion


async def heard(ctx: Context, agreement: Oidc, provider_id: str, protocol_id: str, authorization: str | None) -> Word:
    """What the bearer's token says; Unauthorized without a good one."""
    kind, _, text = (authorization or "").partition(" ")
    if kind.lower() != "bearer" or not text.strip():
        raise errors.Unauthorized("This needs an access token of the identity provider, as a bearer's.")
    issuer = issuer_of(ctx.core, agreement)
    claims = await tokens.access_token(issuer, text.strip(), ctx.now)
    return word_of(agreement, provider_id, protocol_id, claims)


def word_of(agreement: Oidc, provider_id: str, protocol_id: str, claims: dict[str, Any]) -> Word:
    """The claims, with the issuer that was checked and never one that a userinfo claimed to be."""
    told = assertion({**claims, "iss": agreement.issuer})
    return Word(provider_id=provider_id, protocol_id=protocol_id, remote_id=agreement.issuer, assertion=told)
