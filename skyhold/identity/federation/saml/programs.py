# SPDX-License-Identifier: Apache-2.0
"""Programs sign in by SAML: they carry the request to their identity provider themselves, and bring the answer.

So does another cloud's user, who brings an assertion that nobody here asked for. Browsers are ../websso.py. What
was asked stands sealed in the relay state, for nothing is kept of who hasn't signed in. Source: SAML 2.0 Profiles
4.2 (Enhanced Client or Proxy).
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from skyhold.core import errors
from skyhold.core.context import Context
from skyhold.core.http.routes import Reply, Stream
from skyhold.identity import forms
from skyhold.identity.federation.agreements import Saml
from skyhold.identity.federation.arrivals import Word
from skyhold.identity.federation.saml import consumer
from skyhold.identity.logic import soap

KINDS = ("application/vnd.paos+xml", "text/xml", "application/soap+xml")
LASTS_US = 600 * 1_000_000


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    provider_id: str
    protocol_id: str
    request_id: str
    ends_at: int


def is_answer(stream: Stream) -> bool:
    return stream.content_type.partition(";")[0].strip().lower() in KINDS


async def begin(
    ctx: Context, agreement: Saml, provider_id: str, protocol_id: str, headers: Mapping[str, str | None]
) -> Reply:
    """The request for the provider, to a program that says that it can carry it."""
    if KINDS[0] not in (headers["Accept"] or "") or not headers["PAOS"]:
        raise errors.Unauthorized(
            "This needs a program that speaks SAML's profile for enhanced clients; browsers start at websso.",
            reason="no_ecp",
        )

    def seal(request_id: str) -> str:
        asked = Asked(
            provider_id=provider_id, protocol_id=protocol_id, request_id=request_id, ends_at=ctx.now + LASTS_US
        )
        return ctx.core.keyring.seal(msgspec.json.encode(asked))

    text = await consumer.envelope(ctx, provider_id, protocol_id, agreement, seal)
    return Reply(text.encode(), status=200, headers={"Cache-Control": "no-store"}, content_type=KINDS[0])


async def heard(ctx: Context, agreement: Saml, provider_id: str, protocol_id: str, stream: Stream) -> Word:
    """Raises Unauthorized."""
    xml, state = soap.message(await forms.whole(stream, consumer.LONGEST_BYTES))
    asked = opened(ctx, state)
    if asked is not None and (asked.provider_id, asked.protocol_id) != (provider_id, protocol_id):
        raise soap.bad("it answers another request")
    request_id = None if asked is None else asked.request_id
    return await consumer.judged(ctx, provider_id, protocol_id, agreement, xml, request_id)


def opened(ctx: Context, state: str) -> Asked | None:
    """None for what isn't ours: then nobody here asked, and the agreement says whether that will do."""
    try:
        asked = msgspec.json.decode(ctx.core.keyring.open(state), type=Asked)
    except (ValueError, msgspec.MsgspecError):
        return None
    if asked.ends_at <= ctx.now:
        raise soap.bad("it took too long")
    return asked
