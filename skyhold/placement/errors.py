# SPDX-License-Identifier: Apache-2.0
"""How placement prints errors: the API SIG's list, with a `code` that programs can tell apart.

The errors themselves are core/errors.py. An operation gives the code as `extra`:
`Conflict("…", code=CONCURRENT_UPDATE)`; what has none is `placement.undefined_code`.
"""

from __future__ import annotations

from typing import Any

from skyhold.core.errors import Error, Invalid, NotFound, Unauthorized
from skyhold.core.http.dialect import BUILT_IN, ListedErrors

UNDEFINED = "placement.undefined_code"
INVENTORY_IN_USE = "placement.inventory.inuse"
CONCURRENT_UPDATE = "placement.concurrent_update"
DUPLICATE_NAME = "placement.duplicate_name"
PROVIDER_IN_USE = "placement.resource_provider.inuse"
CANNOT_DELETE_PARENT = "placement.resource_provider.cannot_delete_parent"
PROVIDER_NOT_FOUND = "placement.resource_provider.not_found"
DUPLICATE_KEY = "placement.query.duplicate_key"
BAD_VALUE = "placement.query.bad_value"
MISSING_VALUE = "placement.query.missing_value"


class PlacementDialect(ListedErrors):
    def body(self, error: Error, status: int, request_id: str) -> Any:
        if isinstance(error, Unauthorized):
            return BUILT_IN.body(error, status, request_id)
        error.extra.setdefault("code", UNDEFINED)
        body = super().body(error, status, request_id)
        body["errors"][0]["reason"] = error.reason
        return body


DIALECT = PlacementDialect()


def bad_query(message: str, code: str = BAD_VALUE) -> Invalid:
    return Invalid(message, code=code)


def no_provider(provider_id: str) -> NotFound:
    return NotFound(f"No resource provider with uuid {provider_id} found", code=PROVIDER_NOT_FOUND)
