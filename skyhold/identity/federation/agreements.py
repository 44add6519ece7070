# SPDX-License-Identifier: Apache-2.0
"""What the operator agreed on with each identity provider: issuers, clients' secrets, metadata, dashboards.

It stands in `federation.toml` in the state directory, because it holds secrets and addresses that no API should
show: docs/operate/federation.md. Which provider and protocol an agreement is about are its two keys, the ids
that the API knows them by.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta, Struct

from skyhold.core.settings.whole import SettingsError

if TYPE_CHECKING:
    from skyhold.core.app import Core

FILE = "federation.toml"
Url = Annotated[str, Meta(pattern=r"^https?://[^\s]+$", max_length=2048)]


class Oidc(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An OpenID Connect provider; what isn't told here is found out from its discovery document."""

    issuer: Url
    client_id: str
    client_secret: str = ""
    """Empty for a public client, which proves itself by PKCE alone."""
    scopes: tuple[str, ...] = ("openid", "email", "profile")
    audiences: tuple[str, ...] = ()
    """Of access tokens that are JWTs; the client's id always counts."""
    introspect: bool = False
    """Ask the provider about each access token (RFC 7662); else it must be a JWT signed by it."""
    userinfo: bool = False
    """Ask the provider's userinfo as well, for claims that its tokens don't hold."""


class Saml(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A SAML 2.0 identity provider, by a file with its metadata."""

    metadata: str
    entity_id: str
    unsolicited: bool = False
    """Take assertions that nobody here asked for: how another cloud's Keystone sends its users."""


class Party(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """This cloud as a party of SAML: files of its certificate and key. Empty: made when first needed."""

    certificate: str = ""
    key: str = ""


class Agreements(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`oidc` and `saml` are by identity provider, then by protocol."""

    trusted_dashboards: tuple[Url, ...] = ()
    """Origins that a browser may be sent back to with a token, exactly as dashboards spell them."""
    authorization_ttl_min: Annotated[int, Meta(ge=0)] = 0
    """How long group memberships last beyond the token, where the identity provider doesn't say."""
    oidc: dict[str, dict[str, Oidc]] = {}
    saml: dict[str, dict[str, Saml]] = {}
    own_saml: Party = Party()

    def by_protocol(self, protocol_id: str) -> list[str]:
        """Identity providers that have an agreement for this protocol."""
        parties: list[tuple[str, Collection[str]]] = [*self.oidc.items(), *self.saml.items()]
        return sorted({provider for provider, protocols in parties if protocol_id in protocols})


def load(path: Path) -> Agreements:
    """Raises SettingsError, naming the file and the place in it."""
    try:
        with path.open("rb") as file:
            told = tomllib.load(file)
    except FileNotFoundError:
        return Agreements()
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"{path}: {error}") from None
    if os.stat(path).st_mode & 0o007:
        raise SettingsError(f"{path} holds secrets and is open to everybody: chmod 600 {path}")
    return checked(path, told)


def checked(path: Path, told: dict[str, Any]) -> Agreements:
    try:
        found = msgspec.convert(told, Agreements)
    except msgspec.ValidationError as error:
        raise SettingsError(f"{path}: {error}") from None
    for provider, by_protocol in found.oidc.items():
        for protocol, one in by_protocol.items():
            if not safe(one.issuer):
                raise SettingsError(f"{path}: oidc.{provider}.{protocol}.issuer must be an https URL.")
    return found


def safe(url: str) -> bool:
    """Plain http would let whoever is on the way sign in as anybody; a machine's own address has no way."""
    parts = urlsplit(url)
    return parts.scheme == "https" or parts.hostname in ("127.0.0.1", "localhost", "::1")


def agreements(core: Core) -> Agreements:
    """Read once a process: a change is taken over by a restart."""
    found: Agreements | None = core.shelf.get("identity.agreements")
    if found is None:
        found = core.shelf["identity.agreements"] = load(core.settings.home / FILE)
    return found


async def prepare(core: Core) -> None:
    """A file that can't be used stops the start, with a sentence."""
    agreements(core)
