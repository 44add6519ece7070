# SPDX-License-Identifier: Apache-2.0
"""How a valid token is printed: `{"token": {…}}` with its catalogue, to the byte.

What it says is validate.py. Bodies are kept with the remembered token, so validating a known token
costs a look-up.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import orjson

from skyhold.identity.auth.subjects import PlaceView
from skyhold.identity.auth.validate import Valid


def printed(
    valid: Valid, catalogue: list[dict[str, Any]] | None, service_providers: list[dict[str, str]] | None = None
) -> bytes:
    """`catalogue` None leaves it out; so do no other clouds."""
    token = valid.token
    body: dict[str, Any] = {
        "methods": list(token.methods),
        "user": user(valid),
        "audit_ids": token.audit_ids,
        "expires_at": moment(token.expires_at),
        "issued_at": moment(token.issued_at),
        **scope(valid),
    }
    if token.scope != "unscoped":
        body["roles"] = [{"id": id, "name": name} for id, name in valid.roles]
        if catalogue is not None:
            body["catalog"] = catalogue
        if service_providers:
            body["service_providers"] = service_providers
    for bound in valid.bounds:
        body |= bound.shown
    if token.thumbprint is not None:
        body["oauth2_credential"] = {"x5t#S256": token.thumbprint}
    return orjson.dumps({"token": body})


def user(valid: Valid) -> dict[str, Any]:
    shown = valid.user
    body: dict[str, Any] = {
        "domain": {"id": shown.domain_id, "name": shown.domain_name}, "id": shown.id, "name": shown.name,
        "password_expires_at": moment(shown.password_expires_at),
    }
    if valid.token.idp_id is not None:
        body["OS-FEDERATION"] = {
            "identity_provider": {"id": valid.token.idp_id}, "protocol": {"id": valid.token.protocol_id},
            "groups": [{"id": id} for id in valid.token.group_ids],
        }
    return body


def scope(valid: Valid) -> dict[str, Any]:
    place = valid.place
    if valid.token.scope == "system":
        return {"system": {"all": True}}
    if place is None:
        return {}
    if valid.token.scope == "domain":
        return {"domain": {"id": place.id, "name": place.name}}
    return {"project": project(place), "is_domain": place.is_domain}


def project(place: PlaceView) -> dict[str, Any]:
    domain = None if place.is_domain else {"id": place.domain_id, "name": place.domain_name}
    return {"domain": domain, "id": place.id, "name": place.name}


def moment(at_us: int | None) -> str | None:
    """2026-01-01T00:00:00.000000Z"""
    if at_us is None:
        return None
    seconds, rest_us = divmod(at_us, 1_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest_us:06}Z"
