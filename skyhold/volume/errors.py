# SPDX-License-Identifier: Apache-2.0
"""How volume prints errors: Cinder's envelope, `{"badRequest": {"code": 400, "message": "…"}}`.

What goes wrong is core/errors.py. A quota refusal is 413 here, hidden things are 404, and a volume in the wrong
state is a bad request.
"""

from __future__ import annotations

from typing import Any

from skyhold.core.errors import Error, NotAcceptable, OverQuota
from skyhold.core.http.dialect import Dialect

ENVELOPES = {
    400: "badRequest", 401: "unauthorized", 403: "forbidden", 404: "itemNotFound", 405: "badMethod",
    406: "notAcceptable", 409: "conflictingRequest", 413: "overLimit", 415: "badMediaType",
    429: "overLimit", 501: "notImplemented", 503: "serviceUnavailable",
}
RETRY_S = "0"


class VolumeDialect(Dialect):
    def status(self, error: Error) -> int:
        return 413 if isinstance(error, OverQuota) else error.status

    def body(self, error: Error, status: int, request_id: str) -> Any:
        if status == 401:
            return super().body(error, status, request_id)
        fault: dict[str, Any] = {"code": status, "message": error.message, "reason": error.reason}
        if isinstance(error, NotAcceptable):
            fault |= {"min_version": error.extra.get("minimum"), "max_version": error.extra.get("maximum")}
        return {ENVELOPES.get(status, "computeFault"): fault}

    def headers(self, error: Error, base_url: str) -> dict[str, str]:
        found = super().headers(error, base_url)
        return found | {"Retry-After": RETRY_S} if isinstance(error, OverQuota) else found


DIALECT = VolumeDialect()
