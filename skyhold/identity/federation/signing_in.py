# SPDX-License-Identifier: Apache-2.0
"""The address where a federated user gets an unscoped token, by whatever protocol was agreed on.

The protocols are oidc/ and saml/, what becomes of an assertion arrivals.py. Taking the token to a project
is the ordinary `POST /v3/auth/tokens`: it ends when this one does.
"""

from __future__ import annotations

from collections.abc import Mapping

from skyhold.core import errors
from skyhold.core.context import Context
from skyhold.core.http.routes import PUBLIC, Reply, Routes, Stream
from skyhold.identity.auth import issuing, receipts
from skyhold.identity.federation.agreements import agreements
from skyhold.identity.federation.arrivals import Word, arrive
from skyhold.identity.federation.oidc import bearer
from skyhold.identity.federation.saml import programs

routes = Routes()
AUTH = "/v3/OS-FEDERATION/identity_providers/{idp_id}/protocols/{protocol_id}/auth"
HEADERS = ("Authorization", "Accept", "PAOS")


@routes.get(AUTH, policy=PUBLIC, headers=HEADERS, status=201)
async def ask(ctx: Context, idp_id: str, protocol_id: str, headers: Mapping[str, str | None]) -> Reply:
    """Ask for an unscoped token with the word of an identity provider."""
    return await answered(ctx, idp_id, protocol_id, headers, None)


@routes.post(AUTH, policy=PUBLIC, headers=HEADERS, stream=True, status=201)
async def bring(
    ctx: Context, idp_id: str, protocol_id: str, headers: Mapping[str, str | None], stream: Stream
) -> Reply:
    """Ask for an unscoped token with the word of an identity provider."""
    return await answered(ctx, idp_id, protocol_id, headers, stream)


async def answered(
    ctx: Context, idp_id: str, protocol_id: str, headers: Mapping[str, str | None], stream: Stream | None
) -> Reply:
    known = agreements(ctx.core)
    if (by_oidc := known.oidc.get(idp_id, {}).get(protocol_id)) is not None:
        return await token_for(ctx, await bearer.heard(ctx, by_oidc, idp_id, protocol_id, headers["Authorization"]))
    if (by_saml := known.saml.get(idp_id, {}).get(protocol_id)) is not None:
        if stream is not None and programs.is_answer(stream):
            return await token_for(ctx, await programs.heard(ctx, by_saml, idp_id, protocol_id, stream))
        return await programs.begin(ctx, by_saml, idp_id, protocol_id, headers)
    raise errors.Unauthorized(
        f"There is no agreement with {idp_id} for the protocol {protocol_id}.", reason="no_agreement"
    )


async def token_for(ctx: Context, word: Word) -> Reply:
    proof = await arrive(ctx, word)
    if (rules := receipts.lacking(proof)) is not None:
        return await receipts.offer(ctx, proof, rules)
    known = await issuing.hand_out(ctx, proof, "unscoped")
    return await issuing.answer(ctx, known, without_catalogue=True)
