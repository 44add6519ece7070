# SPDX-License-Identifier: Apache-2.0
"""How errors look in an API: the base that each service's errors.py adapts.

What can go wrong is core/errors.py. Every dialect keeps upstream's envelope and status code and
adds `reason`, one machine-readable word, plus the error's numbers where there are some.
"""

from __future__ import annotations

from typing import Any

import orjson

from skyhold.core.errors import Error, NotAcceptable, NotAllowed, TooMany, TooSlow, Unauthorized

TITLES = {
    400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed",
    406: "Not Acceptable", 408: "Request Timeout", 409: "Conflict", 410: "Gone", 412: "Precondition Failed",
    413: "Request Entity Too Large", 415: "Unsupported Media Type", 416: "Range Not Satisfiable",
    429: "Too Many Requests", 500: "Internal Server Error", 501: "Not Implemented",
    503: "Service Unavailable", 507: "Insufficient Storage",
}


class Dialect:
    """Identity's way, which the token middleware of all services shares:
    `{"error": {"code": 404, "title": "Not Found", "message": "…"}}`."""

    def status(self, error: Error) -> int:
        return error.status

    def body(self, error: Error, status: int, request_id: str) -> Any:
        return {
            "error": {
                "code": status, "title": TITLES.get(status, "Error"), "message": error.message,
                "reason": error.reason,
            }
        }

    def printed(self, error: Error, status: int, request_id: str) -> tuple[str, bytes]:
        """The media type and the bytes of an error."""
        return "application/json", orjson.dumps(self.body(error, status, request_id), default=str)

    def headers(self, error: Error, base_url: str) -> dict[str, str]:
        if isinstance(error, Unauthorized):
            return {"WWW-Authenticate": f'Keystone uri="{base_url}/identity"'}
        if isinstance(error, NotAllowed):
            return {"Allow": ", ".join(error.extra.get("allowed", []))}  # type: ignore[arg-type]
        if isinstance(error, TooSlow):
            return {"Connection": "close"}
        if isinstance(error, TooMany):
            return {"Retry-After": str(error.extra.get("retry_after_s", 1))}
        return {}


class ListedErrors(Dialect):
    """The API SIG's way, as placement and the microversion specification print errors."""

    def body(self, error: Error, status: int, request_id: str) -> Any:
        entry: dict[str, Any] = {
            "status": status, "title": TITLES.get(status, "Error"), "detail": error.message,
            "request_id": request_id, "code": str(error.extra.get("code", "skyhold." + error.reason)),
        }
        if isinstance(error, NotAcceptable):
            entry |= {"min_version": error.extra.get("minimum"), "max_version": error.extra.get("maximum")}
        return {"errors": [entry]}


BUILT_IN = Dialect()
