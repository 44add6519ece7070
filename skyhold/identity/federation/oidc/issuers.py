# SPDX-License-Identifier: Apache-2.0
"""What other OpenID Connect issuers publish: their endpoints and keys, asked for and kept for a while.

What is done with them is tokens.py and websso.py. Everything goes through the one outbound client: an issuer's
document may name any address.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_plus, urlencode

import orjson

from skyhold.core import errors
from skyhold.core.outbound import Outbound, Refused
from skyhold.identity.federation.agreements import Oidc, safe

if TYPE_CHECKING:
    from skyhold.core.app import Core

DISCOVERY = "/.well-known/openid-configuration"
GOOD_FOR_US = 600 * 1_000_000
ASKED_AGAIN_US = 30 * 1_000_000
"""An unknown key is asked for at most so often: tokens name keys, and anybody can send one."""
LIMIT_BYTES = 512 * 1024


class Issuer:
    """One of the agreements' issuers: `issuer_of(core, agreement)`."""

    def __init__(self, core: Core, agreement: Oidc) -> None:
        self._core, self.agreement = core, agreement
        self._outbound = Outbound(core.settings)
        self._metadata: tuple[int, dict[str, Any]] | None = None
        self._keys: tuple[int, list[dict[str, Any]]] | None = None
        self._one_at_a_time = asyncio.Lock()

    async def metadata(self) -> dict[str, Any]:
        """Raises Unavailable when the issuer can't be asked, Unauthorized when it calls itself otherwise."""
        async with self._one_at_a_time:
            if self._metadata is None or self._metadata[0] + GOOD_FOR_US < self._core.clock():
                found = await self._get(self.agreement.issuer.rstrip("/") + DISCOVERY)
                if found.get("issuer") != self.agreement.issuer:
                    raise errors.Unauthorized("The issuer's discovery document is another issuer's.")
                self._metadata = (self._core.clock(), found)
            return self._metadata[1]

    async def endpoint(self, name: str) -> str:
        """Raises Unavailable when the issuer has none, or one that isn't safe to send secrets to."""
        url = (await self.metadata()).get(name)
        if not isinstance(url, str) or not safe(url):
            raise errors.Unavailable(f"The identity provider has no usable {name}.", reason="no_endpoint")
        return url

    async def key(self, kid: str | None) -> dict[str, Any]:
        """The key of that id (or the only one); Unauthorized when the issuer has no such key."""
        for fresh in (False, True):
            keys = await self._key_set(fresh)
            fitting = [key for key in keys if kid is None or key.get("kid") == kid]
            if len(fitting) == 1 or (fitting and kid is not None):
                return fitting[0]
        raise errors.Unauthorized("The token is signed with a key that its issuer does not have.", reason="bad_token")

    async def _key_set(self, fresh: bool) -> list[dict[str, Any]]:
        url = await self.endpoint("jwks_uri")
        async with self._one_at_a_time:
            lasts = ASKED_AGAIN_US if fresh else GOOD_FOR_US
            if self._keys is None or self._keys[0] + lasts < self._core.clock():
                found = (await self._get(url)).get("keys")
                keys = [key for key in found if isinstance(key, dict)] if isinstance(found, list) else []
                self._keys = (self._core.clock(), keys)
            return self._keys[1]

    async def _get(self, url: str, headers: Mapping[str, str] | None = None) -> dict[str, Any]:
        return await self._ask("GET", url, {"Accept": "application/json", **(headers or {})})

    async def _ask(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None = None, redirects: int = 3
    ) -> dict[str, Any]:
        try:
            answer = await self._outbound.request(
                method, url, headers=headers, body=body, redirects=redirects, limit_bytes=LIMIT_BYTES
            )
        except Refused as refused:
            # The user aimed at nothing: it is the operator's to allow.
            raise errors.Unavailable(
                f"The identity provider can't be asked: {refused.message} The setting outbound.allow names ranges "
                "that may.", reason=refused.reason,
            ) from None
        return parsed(answer.status, answer.body)

    async def post(self, endpoint: str, form: Mapping[str, str]) -> dict[str, Any]:
        """A form to one of the issuer's endpoints, as the client of the agreement. Never redirected: it holds
        secrets."""
        agreement, headers = self.agreement, {"Accept": "application/json"}
        if agreement.client_secret:
            pair = f"{quote_plus(agreement.client_id)}:{quote_plus(agreement.client_secret)}"
            headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
        else:
            form = {**form, "client_id": agreement.client_id}
        headers["Content-Type"] = "application/x-www-form-urlencoded"
        return await self._ask("POST", await self.endpoint(endpoint), headers, urlencode(form).encode(), redirects=0)

    async def userinfo(self, access_token: str) -> dict[str, Any]:
        return await self._get(
            await self.endpoint("userinfo_endpoint"), {"Authorization": f"Bearer {access_token}"}
        )


def parsed(status: int, body: bytes) -> dict[str, Any]:
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        found = None
    if status in (400, 401, 403):
        raise errors.Unauthorized("The identity provider refused.", reason="refused_by_provider")
    if status != 200 or not isinstance(found, dict):
        raise errors.Unavailable(f"The identity provider answered {status}, or not in JSON.", reason="bad_answer")
    return found


def issuer_of(core: Core, agreement: Oidc) -> Issuer:
    known: dict[Oidc, Issuer] = core.shelf.setdefault("identity.issuers", {})
    if agreement not in known:
        known[agreement] = Issuer(core, agreement)
    return known[agreement]
