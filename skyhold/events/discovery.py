# SPDX-License-Identifier: Apache-2.0
"""Version documents of this API, for everybody.

What the version has is openapi.json of this service (core/http/openapi_routes.py). There are no
microversions.
"""

from __future__ import annotations

from typing import Any

from skyhold.core.context import Context
from skyhold.core.http.routes import PUBLIC, Routes

routes = Routes()


@routes.get("/", policy=PUBLIC)
async def versions(ctx: Context) -> Any:
    """List the versions of this API."""
    return {"versions": [document(ctx)]}


@routes.get("/v1", policy=PUBLIC)
async def version(ctx: Context) -> Any:
    """Show version 1 of this API."""
    return {"version": document(ctx)}


def document(ctx: Context) -> dict[str, Any]:
    base = ctx.core.settings.public_url + "/events"
    return {
        "id": "v1", "status": "CURRENT",
        "links": [
            {"rel": "self", "href": f"{base}/v1/"},
            {"rel": "describedby", "type": "application/json", "href": f"{base}/openapi.json"},
        ],
    }
