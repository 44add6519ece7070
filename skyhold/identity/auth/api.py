# SPDX-License-Identifier: Apache-2.0
"""Tokens over HTTP: asking for one, validating, revoking, and what the own token can reach.

The steps behind are methods.py, issuing.py, scoping.py, validate.py and body.py. The subject of most calls is
the token in X-Subject-Token, which need not be the caller's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from skyhold.core import errors
from skyhold.core.context import Context
from skyhold.core.http.routes import PUBLIC, Reply, Routes
from skyhold.core.policy.rules import Rule
from skyhold.core.shapes import Page, collection
from skyhold.core.wire.kinds import truth
from skyhold.identity import policy
from skyhold.identity.auth import external, issuing, methods, reach, receipts, revoking, shape
from skyhold.identity.auth.issuing import VARY
from skyhold.identity.auth.sessions import Known, sessions
from skyhold.identity.catalogue import catalogue_of
from skyhold.identity.delegation.oauth1 import signed, signing_in
from skyhold.identity.views import Domain, Project

routes = Routes()

SUBJECT = ("X-Subject-Token",)


@routes.post(
    "/v3/auth/tokens", policy=PUBLIC, body=shape.AUTH, query=shape.TokenQuery, status=201,
    headers=(receipts.HEADER, external.USER, external.DOMAIN, *signed.HEADERS),
)
async def issue(
    ctx: Context, want: shape.Auth, query: shape.TokenQuery, headers: Mapping[str, str | None]
) -> Reply:
    """Ask for a token."""
    given = signed.read(ctx, headers, signing_in.PATH) if signing_in.NAME in want.identity.methods else None
    proof = await methods.prove(ctx, want.identity, external.vouched(ctx, headers), given)
    if (receipt := headers[receipts.HEADER]) is not None:
        proof = receipts.added(ctx, proof, receipt)
    if (rules := receipts.lacking(proof)) is not None:
        return await receipts.offer(ctx, proof, rules)
    known = await issuing.hand_out(ctx, proof, want.scope)
    return await issuing.answer(ctx, known, without_catalogue=query.nocatalog is not None)


@routes.get("/v3/auth/tokens", policy=policy.VALIDATE_TOKEN, query=shape.TokenQuery, headers=SUBJECT)
async def show(ctx: Context, query: shape.TokenQuery, headers: Mapping[str, str | None]) -> Reply:
    """Validate a token and show it."""
    known = await subject(ctx, headers, policy.VALIDATE_TOKEN, late_s(ctx, policy.VALIDATE_TOKEN, query))
    return await issuing.answer(ctx, known, without_catalogue=query.nocatalog is not None)


@routes.head("/v3/auth/tokens", policy=policy.CHECK_TOKEN, query=shape.TokenQuery, headers=SUBJECT)
async def check(ctx: Context, query: shape.TokenQuery, headers: Mapping[str, str | None]) -> Reply:
    """Check that a token is valid."""
    known = await subject(ctx, headers, policy.CHECK_TOKEN, late_s(ctx, policy.CHECK_TOKEN, query))
    return Reply(headers={"X-Subject-Token": known.creds.token, **VARY})


@routes.delete("/v3/auth/tokens", policy=policy.REVOKE_TOKEN, headers=SUBJECT)
async def revoke(ctx: Context, headers: Mapping[str, str | None]) -> Reply:
    """Revoke a token; it is void at once."""
    known = await subject(ctx, headers, policy.REVOKE_TOKEN)
    await ctx.write(revoking.revoke, known.valid.token)
    return Reply(headers=VARY)


@routes.get("/v3/auth/tokens/OS-PKI/revoked", policy=policy.REVOCATION_LIST)
async def revoked_pki(ctx: Context) -> None:
    """List revoked PKI tokens: refused, since there are no such tokens any more."""
    raise errors.Forbidden("There are no PKI tokens: revocation events are at /v3/OS-REVOKE/events.", reason="no_pki")


@routes.get("/v3/OS-SIMPLE-CERT/ca", policy=PUBLIC)
async def ca_certificate(ctx: Context) -> None:
    """Show the CA certificate of PKI tokens: gone with them."""
    raise no_pki()


@routes.get("/v3/OS-SIMPLE-CERT/certificates", policy=PUBLIC)
async def signing_certificate(ctx: Context) -> None:
    """Show the signing certificate of PKI tokens: gone with them."""
    raise no_pki()


@routes.get("/v3/auth/catalog", policy=policy.GET_AUTH_CATALOG)
async def catalogue(ctx: Context) -> dict[str, Any]:
    """The catalogue of the own token."""
    if ctx.creds.scope == "unscoped":
        raise errors.Forbidden("An unscoped token has no catalogue: ask for one with a scope.")
    epoch = await sessions(ctx.core).epoch_of(ctx)
    found = await catalogue_of(ctx, ctx.creds.project_id, ctx.user_id, epoch)
    return {"catalog": found, "links": {"self": f"{ctx.core.settings.public_url}/identity/v3/auth/catalog"}}


@routes.get(
    "/v3/auth/projects", policy=policy.GET_AUTH_PROJECTS, reply=collection("projects", Project, links="links")
)
async def projects(ctx: Context) -> Page:
    """Projects that the caller can get a token for."""
    return await ctx.read(reach.projects)


@routes.get(
    "/v3/auth/domains", policy=policy.GET_AUTH_DOMAINS, reply=collection("domains", Domain, links="links")
)
async def domains(ctx: Context) -> Page:
    """Domains that the caller can get a token for."""
    return await ctx.read(reach.domains)


@routes.get("/v3/auth/system", policy=policy.GET_AUTH_SYSTEM)
async def system(ctx: Context) -> dict[str, Any]:
    """Whether the caller can get a token for the system."""
    return await ctx.read(reach.system)


def no_pki() -> errors.Gone:
    return errors.Gone("This API is no longer available due to the removal of support for PKI tokens.", reason="no_pki")


def late_s(ctx: Context, rule: Rule, query: shape.TokenQuery) -> int:
    """How long after its end the token may still be shown: for work that outlives it, to services and
    administrators. Whose own token it is gains nothing by asking."""
    # Unlike flags that only filter, this one lets more through: it must be said clearly, as in Keystone.
    asked = truth(query.allow_expired) is True
    return ctx.core.settings.identity.allow_expired_window_s if asked and ctx.allows(rule, {}) else 0


async def subject(ctx: Context, headers: Mapping[str, str | None], rule: Rule, late_s: int = 0) -> Known:
    """The token spoken about; NotFound when it doesn't count, Forbidden when the caller has no say in it."""
    text = headers["X-Subject-Token"]
    if not text:
        raise errors.NotFound("Could not find token: the header X-Subject-Token is missing.")
    known = await sessions(ctx.core).look(text, late_s, ctx.creds.token)
    target = {"target.token.user_id": known.creds.user_id}
    ctx.demand(rule, target)
    return known
