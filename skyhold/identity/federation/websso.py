# SPDX-License-Identifier: Apache-2.0
"""Browsers sign in for a dashboard: to the identity provider, back here, and with a token to the dashboard.

What is said between here and the provider is oidc/browser.py and saml/consumer.py. A token is only ever sent to an
origin that the operator listed, spelled exactly so.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote, urlencode

import msgspec
import sqlalchemy as sa

from skyhold.core import errors
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.http.routes import PUBLIC, Reply, Routes, Stream
from skyhold.core.shapes import Shape, field
from skyhold.identity import forms, links
from skyhold.identity.auth import issuing, receipts
from skyhold.identity.federation import journeys, pages
from skyhold.identity.federation.agreements import agreements
from skyhold.identity.federation.arrivals import Word, arrive
from skyhold.identity.federation.oidc import browser as oidc
from skyhold.identity.federation.saml import consumer as saml
from skyhold.identity.federation.saml import party
from skyhold.identity.federation.tables import PROTOCOLS, PROVIDERS

routes = Routes()
BY_PROTOCOL = "/v3/auth/OS-FEDERATION/websso/{protocol_id}"
BY_PROVIDER = "/v3/auth/OS-FEDERATION/identity_providers/{idp_id}/protocols/{protocol_id}/websso"
AS_DOCUMENTED = BY_PROVIDER.replace("/protocols/", "/protocol/")
"""The API reference leaves a letter out; clients that follow it must get in too."""


class StartQuery(Shape, extra="ignore"):
    origin: str | None = field(default=None)


class CallbackQuery(Shape, extra="ignore"):
    code: str | None = field(default=None)
    state: str | None = field(default=None)
    error: str | None = field(default=None)


@routes.get(BY_PROTOCOL, policy=PUBLIC, query=StartQuery)
async def by_protocol(ctx: Context, protocol_id: str, query: StartQuery) -> Reply:
    """Sign a browser in by a protocol; with several identity providers it chooses one."""
    origin = trusted(ctx, query.origin)
    usable = await ctx.read(among, protocol_id, agreements(ctx.core).by_protocol(protocol_id))
    if not usable:
        raise no_agreement(protocol_id)
    if len(usable) == 1:
        return await begin(ctx, usable[0], protocol_id, origin)
    return pages.choice(ctx, "Sign in with", [(each, address(ctx, each, protocol_id, origin)) for each in usable])


@routes.post(BY_PROTOCOL, policy=PUBLIC, query=StartQuery)
async def by_protocol_too(ctx: Context, protocol_id: str, query: StartQuery) -> Reply:
    """Sign a browser in by a protocol; with several identity providers it chooses one."""
    return await by_protocol(ctx, protocol_id, query)


@routes.get(BY_PROVIDER, policy=PUBLIC, query=StartQuery)
@routes.get(AS_DOCUMENTED, policy=PUBLIC, query=StartQuery)
async def by_provider(ctx: Context, idp_id: str, protocol_id: str, query: StartQuery) -> Reply:
    """Sign a browser in by an identity provider."""
    origin = trusted(ctx, query.origin)
    if not await ctx.read(among, protocol_id, [idp_id]):
        raise errors.NotFound(f"There is no identity provider {idp_id} with the protocol {protocol_id}.")
    return await begin(ctx, idp_id, protocol_id, origin)


@routes.post(BY_PROVIDER, policy=PUBLIC, query=StartQuery)
async def by_provider_too(ctx: Context, idp_id: str, protocol_id: str, query: StartQuery) -> Reply:
    """Sign a browser in by an identity provider."""
    return await by_provider(ctx, idp_id, protocol_id, query)


@routes.get(oidc.CALLBACK, policy=PUBLIC, query=CallbackQuery, headers=("Cookie",))
async def back_from_oidc(ctx: Context, query: CallbackQuery, headers: Mapping[str, str | None]) -> Reply:
    """A browser comes back from an OpenID Connect provider."""
    journey = journeys.resumed(ctx, query.state, headers["Cookie"])
    agreement = agreements(ctx.core).oidc.get(journey.provider_id, {}).get(journey.protocol_id)
    if agreement is None:
        raise no_agreement(journey.protocol_id)
    if query.error or not query.code:
        raise errors.Unauthorized("The identity provider did not sign you in.", reason="refused_by_provider")
    return await to_dashboard(ctx, journey, await oidc.finish(ctx, agreement, journey, query.code))


@routes.post(party.ACS, policy=PUBLIC, stream=True, headers=("Cookie",), status=200)
async def back_from_saml(ctx: Context, headers: Mapping[str, str | None], stream: Stream) -> Reply:
    """A browser comes back from a SAML identity provider."""
    form = await forms.fields(stream)
    journey = journeys.resumed(ctx, form.get("RelayState"), headers["Cookie"])
    agreement = agreements(ctx.core).saml.get(journey.provider_id, {}).get(journey.protocol_id)
    if agreement is None:
        raise no_agreement(journey.protocol_id)
    xml = saml.in_form(form)
    word = await saml.judged(ctx, journey.provider_id, journey.protocol_id, agreement, xml, journey.nonce)
    return await to_dashboard(ctx, journey, word)


@routes.get(party.SP_METADATA, policy=PUBLIC)
async def metadata(ctx: Context) -> Reply:
    """Show what SAML identity providers must know of this cloud."""
    return Reply((await saml.metadata(ctx)).encode(), content_type="text/xml; charset=utf-8")


async def begin(ctx: Context, idp_id: str, protocol_id: str, origin: str) -> Reply:
    known = agreements(ctx.core)
    if (by_oidc := known.oidc.get(idp_id, {}).get(protocol_id)) is not None:
        return await oidc.begin(ctx, by_oidc, idp_id, protocol_id, origin)
    if (by_saml := known.saml.get(idp_id, {}).get(protocol_id)) is not None:
        journey = journeys.begin(ctx, idp_id, protocol_id, origin)
        request_id, to = await saml.request(ctx, idp_id, protocol_id, by_saml, journey.state)
        journey = msgspec.structs.replace(journey, nonce=request_id)
        return pages.redirect(to, **{"Set-Cookie": journeys.cookie(ctx, journey, across_sites=True)})
    raise no_agreement(protocol_id)


async def to_dashboard(ctx: Context, journey: journeys.Journey, word: Word) -> Reply:
    """An unscoped token, posted to where the browser came from."""
    proof = await arrive(ctx, word)
    if receipts.lacking(proof) is not None:
        raise errors.Unauthorized("This user has to prove more than that.", reason="more_methods_needed")
    known = await issuing.hand_out(ctx, proof, "unscoped")
    fields = {"token": known.creds.token}
    return pages.sends_itself(
        ctx, "Signing in", trusted(ctx, journey.origin), fields, **{"Set-Cookie": journeys.over(journey)}
    )


def trusted(ctx: Context, origin: str | None) -> str:
    if not origin:
        raise errors.Invalid("The request must have an origin query parameter: where to go with the token.")
    if origin not in agreements(ctx.core).trusted_dashboards:
        raise errors.Unauthorized(f"{origin[:200]} is not a trusted dashboard host.", reason="untrusted_origin")
    return origin


def among(tx: Tx, ctx: Context, protocol_id: str, provider_ids: list[str]) -> list[str]:
    """Those that are enabled and have the protocol."""
    statement = (
        sa.select(PROVIDERS.c.id).join(PROTOCOLS, PROTOCOLS.c.provider_id == PROVIDERS.c.id)
        .where(PROVIDERS.c.id.in_(provider_ids), PROVIDERS.c.enabled.is_(True), PROTOCOLS.c.name == protocol_id)
    )
    return [row.id for row in tx.all(statement.order_by(PROVIDERS.c.id))]


def address(ctx: Context, idp_id: str, protocol_id: str, origin: str) -> str:
    path = BY_PROVIDER.format(idp_id=quote(idp_id, safe=""), protocol_id=quote(protocol_id, safe=""))
    return f"{links.base(ctx).removesuffix('/v3')}{path}?{urlencode({'origin': origin})}"


def no_agreement(protocol_id: str) -> errors.Unauthorized:
    return errors.Unauthorized(f"There is no agreement for the protocol {protocol_id}.", reason="no_agreement")
