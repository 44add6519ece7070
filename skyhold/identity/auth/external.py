# SPDX-License-Identifier: Apache-2.0
"""Signing in by the word of a proxy that has checked the user itself (Kerberos, client certificates).

The proxy says who it is in X-Remote-User, and in X-Remote-Domain the domain's name. Both are believed only from
the addresses in identity.external_proxies, which is empty by default: from anybody else they are nothing.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from skyhold.core.context import Context
from skyhold.core.http.caller import is_within
from skyhold.core.settings.whole import SettingsError
from skyhold.identity import standing
from skyhold.identity.auth import shape
from skyhold.identity.auth.proof import Proof, denied, fresh
from skyhold.identity.auth.subjects import UserView, named_user

if TYPE_CHECKING:
    from skyhold.core.app import Core
    from skyhold.core.db.tx import Tx

NAME = "external"
USER, DOMAIN = "X-Remote-User", "X-Remote-Domain"
DEFAULT = shape.DomainRef(id="default")


class Remote(NamedTuple):
    """Whom a trusted proxy vouches for; `domain` is a name, None for the default domain."""

    user: str
    domain: str | None


def vouched(ctx: Context, headers: Mapping[str, str | None]) -> Remote | None:
    user = headers.get(USER)
    return Remote(user, headers.get(DOMAIN)) if user and is_trusted(ctx) else None


def is_trusted(ctx: Context) -> bool:
    return is_within(ctx.peer, ctx.core.settings.identity.external_proxies)


async def check_proxies(core: Core) -> None:
    """At the start, so that an address that is none isn't found out by whoever signs in first."""
    for each in core.settings.identity.external_proxies:
        try:
            ipaddress.ip_network(each, strict=False)
        except ValueError as error:
            raise SettingsError(f"identity.external_proxies holds {each!r}, which is no address or range.") from error


async def prove(ctx: Context, remote: Remote | None) -> Proof:
    if remote is None:
        raise denied()
    user = await ctx.read(find, remote)
    if user is None:
        raise denied()
    await standing.demand(ctx, user)
    await standing.succeeded(ctx, user)
    return fresh(ctx, user, NAME)


def find(tx: Tx, ctx: Context, remote: Remote) -> UserView | None:
    domain = shape.DomainRef(name=remote.domain) if remote.domain else DEFAULT
    return named_user(tx, shape.UserRef(name=remote.user, domain=domain))
