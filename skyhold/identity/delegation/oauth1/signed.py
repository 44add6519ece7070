# SPDX-License-Identifier: Apache-2.0
"""A request that a consumer signed (RFC 5849): what it says in its Authorization header, and whether it is true.

What may be asked for so is dance.py and signing_in.py. Clients sign the address they call, which a proxy may
have changed on the way: those by which this cloud can be reached are tried. Each nonce counts once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import sqlalchemy as sa

from skyhold.core.context import Context
from skyhold.identity.auth.proof import denied
from skyhold.identity.delegation import sealing
from skyhold.identity.delegation.tables import CONSUMERS, NONCES

if TYPE_CHECKING:
    from skyhold.core.db.tx import Tx

HEADERS = ("Authorization", "Host")
METHODS = {"HMAC-SHA1": "verify_hmac_sha1", "HMAC-SHA256": "verify_hmac_sha256", "HMAC-SHA512": "verify_hmac_sha512"}
"""To the functions of oauthlib; PLAINTEXT would show the secret."""
SKEW_S = 300
LONGEST_HEADER = 8192
NOBODY = "a secret of no consumer, so that an unknown one takes as long"


class Signed(NamedTuple):
    """Not verified yet. `params` are the header's, without `oauth_`."""

    urls: tuple[str, ...]
    header: str
    params: Mapping[str, str]

    @property
    def consumer_id(self) -> str:
        return self.params.get("consumer_key", "")

    @property
    def token_id(self) -> str:
        return self.params.get("token", "")


def read(ctx: Context, headers: Mapping[str, str | None], path: str) -> Signed | None:
    """None for a request without such a header; `path` begins with /v3. Raises Unauthorized."""
    from oauthlib.oauth1.rfc5849.utils import parse_authorization_header, unescape

    header = headers.get("Authorization") or ""
    if not header.lower().startswith("oauth "):
        return None
    if len(header) > LONGEST_HEADER:
        raise denied()
    try:
        pairs = [(name, unescape(value)) for name, value in parse_authorization_header(header) if name != "realm"]
    except (ValueError, IndexError):
        raise denied() from None
    params = {name.removeprefix("oauth_"): value for name, value in pairs}
    if len(params) < len(pairs) or params.get("signature_method") not in METHODS or not is_timely(ctx, params):
        raise denied()
    return Signed(addresses(ctx, headers.get("Host") or "", path), header, params)


def is_timely(ctx: Context, params: Mapping[str, str]) -> bool:
    at = params.get("timestamp", "")
    return at.isascii() and at.isdigit() and len(at) < 12 and abs(int(at) - ctx.now // 1_000_000) <= SKEW_S


def addresses(ctx: Context, host: str, path: str) -> tuple[str, ...]:
    """Under the public address, and under the name that the client called; by the one port, and by our own."""
    bases = [ctx.core.settings.public_url, f"http://{host}", f"https://{host}"]
    return tuple(base + prefix + path for base in bases for prefix in ("/identity", ""))


def is_right(signed: Signed, consumer_secret: str, token_secret: str) -> bool:
    """Whether it was signed with these secrets, in a POST without a form."""
    from oauthlib.common import Request
    from oauthlib.oauth1.rfc5849 import signature

    verify = getattr(signature, METHODS[signed.params["signature_method"]])
    found = False
    for url in signed.urls:
        try:
            request = Request(url, http_method="POST", headers={"Authorization": signed.header})
            request.params = signature.collect_parameters(headers=request.headers, exclude_oauth_signature=True)
            request.signature = signed.params.get("signature", "")
            found = verify(request, consumer_secret, token_secret) or found
        except ValueError:
            # A Host that can be part of no address.
            continue
    return found


def secret_of(ctx: Context, row: Any) -> str:
    """The secret of a consumer or a token; one that nobody has when there is no such row."""
    return NOBODY if row is None else sealing.unseal(ctx, row.secret)


def consumer(tx: Tx, id: str) -> Any:
    return tx.first(sa.select(*CONSUMERS.c).where(CONSUMERS.c.id == id))


def use_nonce(tx: Tx, ctx: Context, signed: Signed) -> None:
    """Raises Unauthorized for a request that was seen before. Only of requests that were signed right:
    nothing is kept for just anybody."""
    params = signed.params
    said = "\0".join([signed.consumer_id, signed.token_id, params["timestamp"], params.get("nonce", "")])
    digest = hashlib.sha256(said.encode()).hexdigest()
    if not tx.add(NONCES, {"digest": digest, "forget_at": ctx.now + 3 * SKEW_S * 1_000_000}):
        raise denied()
