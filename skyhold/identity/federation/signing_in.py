# SPDX-License-Identifier: Apache-2.0
"""The address where a federated user gets an unscoped token, by whatever protocol was agreed on.

The protocols are oidc/ and saml/, what becomes of an assertion arrivals.py. Taking the token to a project
is the ordinary `POST /v3/auth/tokens`: it ends when this one does.
"""

from __future__ import annotations

from collections.abc import Mapping

from skyhold.core import errors
from skyhold.core.context import Context
from skyhold.core.http.routes import PUBLIC, Reply, Routes
from skyhold.identity.auth import issuing, receipts
from skyhold.identity.federation.agreements import agreements
from skyhold.identity.federation.arrivals import Word, arrive
from skyhold.identity.federation.oidc import bearer

routes = Routes()
AUTH = "/v3/OS-FEDERATION/identity_providers/{idp_id}/protocols/{protocol_id}/auth"
HEADERS = ("Authorization",)


@routes.get(AUTH, policy=PUBLIC, headers=HEADERS, status=201)
async def ask(ctx: Context, idp_id: str, protocol_id: str, headers: Mapping[str, str | None]) -> Reply:
    """Ask for an unscoped token with the word of an identity provider."""
    return await token_for(ctx, await heard(ctx, idp_id, protocol_id, headers))


@routes.post(AUTH, policy=PUBLIC, headers=HEADERS, status=201)
async def bring(ctx: Context, idp_id: str, protocol_id: str, headers: Mapping[str, str | None]) -> Reply:
    """Ask for an unscoped token with the word of an identity provider."""
    return await token_for(ctx, await heard(ctx, idp_id, protocol_id, headers))


async def heard(ctx: Context, idp_id: str, protocol_id: str, headers: Mapping[str, str | None]) -> Word:
    oidc = agreements(ctx.core).oidc.get(idp_id, {}).get(protocol_id)
    if oidc is None:
        raise errors.Unauthorized(
            f"There is no agreement with {idp_id} for the protocol {protocol_id}.", reason="no_agreement"
        )
    return await bearer.heard(ctx, oidc, idp_id, protocol_id, headers["Authorization"])


async def token_for(ctx: Context, word: Word) -> Reply:
    proof = await arrive(ctx, word)
    if (rules := receipts.lacking(proof)) is not None:
        return await receipts.offer(ctx, proof, rules)
    known = await issuing.hand_out(ctx, proof, "unscoped")
    return await issuing.answer(ctx, known, without_catalogue=True)
