# SPDX-License-Identifier: Apache-2.0
"""How compute prints errors: Nova's envelope, `{"itemNotFound": {"code": 404, "message": "…"}}`.

What goes wrong is core/errors.py. A quota refusal is 403 here, and hidden things are 404.
"""

from __future__ import annotations

from typing import Any

from skyhold.core.errors import Error, NotAcceptable
from skyhold.core.http.dialect import Dialect, ListedErrors

ENVELOPES = {
    400: "badRequest", 401: "unauthorized", 403: "forbidden", 404: "itemNotFound", 405: "badMethod",
    406: "notAcceptable", 409: "conflictingRequest", 413: "overLimit", 415: "badMediaType",
    429: "overLimit", 501: "notImplemented", 503: "serviceUnavailable",
}


class ComputeDialect(Dialect):
    def body(self, error: Error, status: int, request_id: str) -> Any:
        if isinstance(error, NotAcceptable):
            return ListedErrors().body(error, status, request_id)
        if status == 401:
            return super().body(error, status, request_id)
        fault = {"code": status, "message": error.message, "reason": error.reason}
        return {ENVELOPES.get(status, "computeFault"): fault}


DIALECT = ComputeDialect()
