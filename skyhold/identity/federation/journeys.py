# SPDX-License-Identifier: Apache-2.0
"""A browser's way to its identity provider and back: what must be remembered meanwhile, sealed in its own cookie.

Nothing is stored here for who hasn't signed in yet. The cookie ties the way back to the browser that went: a link
that somebody else sends leads nowhere.
"""

from __future__ import annotations

import hmac
import secrets
from urllib.parse import urlsplit

import msgspec

from skyhold.core import errors
from skyhold.core.context import Context

NAME = "skyhold_sso_"
LASTS_S = 600
PATH = "/identity/v3/auth/OS-FEDERATION"


class Journey(msgspec.Struct, frozen=True, kw_only=True):
    """`state` goes to the provider and comes back; `secret` is what only this cloud can prove there."""

    provider_id: str
    protocol_id: str
    origin: str
    ends_at: int
    state: str
    nonce: str = ""
    secret: str = ""


def begin(ctx: Context, provider_id: str, protocol_id: str, origin: str) -> Journey:
    return Journey(
        provider_id=provider_id, protocol_id=protocol_id, origin=origin, ends_at=ctx.now + LASTS_S * 1_000_000,
        state=secrets.token_urlsafe(24), nonce=secrets.token_urlsafe(24), secret=secrets.token_urlsafe(48),
    )


def cookie(ctx: Context, journey: Journey, *, across_sites: bool = False) -> str:
    """`across_sites` for providers that send the browser back with a form, which others' cookies don't go with."""
    sealed = ctx.core.keyring.seal(msgspec.json.encode(journey))
    https = urlsplit(ctx.core.settings.public_url).scheme == "https"
    site = "None" if across_sites and https else "Lax"
    kept = f"{name_of(journey.state)}={sealed}; Path={PATH}; Max-Age={LASTS_S}; HttpOnly; SameSite={site}"
    return kept + ("; Secure" if https else "")


def over(journey: Journey) -> str:
    return f"{name_of(journey.state)}=; Path={PATH}; Max-Age=0; HttpOnly"


def resumed(ctx: Context, state: str | None, cookies: str | None) -> Journey:
    """The journey that this browser began with that state. Raises Unauthorized."""
    found = dict(part.strip().partition("=")[::2] for part in (cookies or "").split(";"))
    sealed = found.get(name_of(state or ""), "")
    try:
        journey = msgspec.json.decode(ctx.core.keyring.open(sealed), type=Journey)
    except (ValueError, msgspec.MsgspecError):
        raise lost() from None
    if not hmac.compare_digest(journey.state.encode(), (state or "").encode()) or journey.ends_at <= ctx.now:
        raise lost()
    return journey


def name_of(state: str) -> str:
    return NAME + state[:8]


def lost() -> errors.Unauthorized:
    return errors.Unauthorized(
        "This browser did not begin to sign in here, or began too long ago: start again at the dashboard.",
        reason="lost_journey",
    )
