# SPDX-License-Identifier: Apache-2.0
"""Session tokens for the metadata service, as EC2's second version has them.

What they guard is in pages.py. A token is a signed time and is stored nowhere: a guest can make a million
of them without costing the host a byte, and after a restart of the service it simply asks again.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
import struct

from skyhold.host.metadata.wire import Page, Request, problem

PATH = "/latest/api/token"
_TTL_FIELD, _TOKEN_FIELD = "x-aws-ec2-metadata-token-ttl-seconds", "x-aws-ec2-metadata-token"
_MAX_TTL_S = 21600


class Sessions:
    """Tokens of this process; each holds for one server and until its time."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)

    def grant(self, request: Request, server_id: str, now_s: float) -> Page:
        """The answer to PUT on PATH."""
        if request.method != "PUT":
            return problem(405)._replace(more=(("Allow", "PUT"),))
        # A reverse proxy inside the guest adds this field, and what lies behind one gets no token.
        if "x-forwarded-for" in request.fields:
            return problem(403)
        ttl = request.fields.get(_TTL_FIELD, "")
        if not (ttl.isascii() and ttl.isdigit() and len(ttl) < 10 and 1 <= int(ttl) <= _MAX_TTL_S):
            return problem(400)
        until = struct.pack("!d", now_s + int(ttl))
        token = base64.urlsafe_b64encode(until + self._sign(until, server_id))
        return Page(200, token, more=((_TTL_FIELD.title(), ttl),))

    def refuses(self, request: Request, server_id: str, now_s: float) -> bool:
        """True when the request carries a token that isn't good; one without a token is fine."""
        token = request.fields.get(_TOKEN_FIELD)
        if token is None:
            return False
        try:
            raw = base64.b64decode(token.encode(), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            return True
        if len(raw) != 40 or not hmac.compare_digest(raw[8:], self._sign(raw[:8], server_id)):
            return True
        (until_s,) = struct.unpack("!d", raw[:8])
        return bool(until_s <= now_s)

    def _sign(self, until: bytes, server_id: str) -> bytes:
        return hmac.digest(self._key, until + server_id.encode(), hashlib.sha256)
