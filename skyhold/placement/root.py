# SPDX-License-Identifier: Apache-2.0
"""The version document at the root of the service, for anybody.

What each microversion changes is versions.py.
"""

from __future__ import annotations

from typing import Any

from skyhold.core.context import Context
from skyhold.core.http.routes import PUBLIC, Reply, Routes
from skyhold.placement import versions
from skyhold.placement.answers import answer

routes = Routes()


@routes.get("/", policy=PUBLIC)
async def show(ctx: Context) -> Reply:
    """List versions."""
    found = versions.VERSIONS
    version: dict[str, Any] = {
        "id": "v1.0", "min_version": str(found.minimum), "max_version": str(found.maximum), "status": "CURRENT",
        "links": [{"rel": "self", "href": ""}],
    }
    return answer(ctx, {"versions": [version]})
