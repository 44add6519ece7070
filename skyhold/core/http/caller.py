# SPDX-License-Identifier: Apache-2.0
"""Who calls: the token of a request, the client's certificate, and what access rules leave of it.

What a token is worth the Authenticator says, what a route asks for its policy. A certificate comes from the
connection itself, or from a proxy that is trusted to have checked it; from anybody else the header is nothing.
"""

from __future__ import annotations

import base64
import hashlib
import ipaddress
import ssl
from collections.abc import Iterable
from typing import TYPE_CHECKING
from urllib.parse import unquote

import falcon.asgi

from skyhold.core import errors
from skyhold.core.context import Credentials

if TYPE_CHECKING:
    from skyhold.core.app import Core

CERTIFICATE = "skyhold.certificate"
"""Where core/http/server.py puts into a request's scope how to get the certificate of the connection."""
HEADER = "X-SSL-Client-Cert"
BEARER = "bearer "


async def credentials(core: Core, req: falcon.asgi.Request, certificate: bytes | None) -> Credentials:
    """Raises Unauthorized. A token bound to a certificate is none without it (RFC 8705)."""
    creds = await core.authenticate(token_of(req))
    if creds.thumbprint is not None and creds.thumbprint != thumbprint(certificate):
        raise errors.Unauthorized(
            "This token is bound to a client certificate, and the request came without it.", reason="unbound"
        )
    return creds


def token_of(req: falcon.asgi.Request) -> str | None:
    """OAuth2's clients send it as a bearer token (RFC 6750)."""
    found = req.get_header("X-Auth-Token")
    if found:
        return found
    given = req.get_header("Authorization") or ""
    return given[len(BEARER):].strip() if given.lower().startswith(BEARER) else None


def certificate_of(core: Core, req: falcon.asgi.Request, peer: str) -> bytes | None:
    """In DER. The header is URL-encoded PEM, as proxies write it."""
    own = req.scope.get(CERTIFICATE)
    if own is not None and (found := own()) is not None:
        return bytes(found)
    given = req.get_header(HEADER)
    if not given or not is_within(peer, core.settings.identity.external_proxies):
        return None
    try:
        return ssl.PEM_cert_to_DER_cert(unquote(given).strip())
    except ValueError:
        return None


def peer_of(req: falcon.asgi.Request) -> str:
    """Who is at the other end of the connection, whatever headers say; empty on a unix socket."""
    client = req.scope.get("client")
    return client[0] if client else ""


def is_within(peer: str, ranges: Iterable[str]) -> bool:
    try:
        address = ipaddress.ip_address(peer)
    except ValueError:
        return False
    return any(address in ipaddress.ip_network(each, strict=False) for each in ranges)


def thumbprint(certificate: bytes | None) -> str | None:
    """x5t#S256, with its padding, as the token middleware of all services computes and compares it."""
    if certificate is None:
        return None
    return base64.urlsafe_b64encode(hashlib.sha256(certificate).digest()).decode()


def check_access(creds: Credentials, service_type: str, prefix: str, method: str, path: str) -> None:
    """An application credential with access rules may only do what they list; a rule's path may have the
    service's prefix or not. Raises Unauthorized."""
    if creds.access_rules is None:
        return
    for service, allowed, pattern in creds.access_rules:
        if service == service_type and allowed == method and (
            path_matches(pattern, path) or path_matches(pattern, prefix + path)
        ):
            return
    raise errors.Unauthorized(
        f"The access rules of this application credential do not allow {method} {path} of {service_type}."
    )


def path_matches(pattern: str, path: str) -> bool:
    """Access-rule patterns: `*` is one segment, `**` any number, `{name}` one segment."""
    return match_segments(pattern.strip("/").split("/"), path.strip("/").split("/"))


def match_segments(pattern: list[str], path: list[str]) -> bool:
    """`reached` are the lengths of path that the pattern so far can match: users write patterns, and
    trying each `**` at each place would take for ever."""
    reached = {0}
    for segment in pattern:
        if segment == "**":
            reached = set(range(min(reached), len(path) + 1))
        else:
            one = segment == "*" or (segment.startswith("{") and segment.endswith("}"))
            reached = {i + 1 for i in reached if i < len(path) and (one or path[i] == segment)}
        if not reached:
            return False
    return len(path) in reached
