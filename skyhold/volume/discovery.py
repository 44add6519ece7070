# SPDX-License-Identifier: Apache-2.0
"""Version documents, as clients look for them before they know anything else.

Both are for everybody, with or without a token. The range of microversions is versions.py.
"""

from __future__ import annotations

from typing import Any

from skyhold.core.context import Context
from skyhold.core.http.routes import PUBLIC, Reply, Routes
from skyhold.volume.links import base
from skyhold.volume.versions import VERSIONS

routes = Routes()


@routes.get("/", policy=PUBLIC, status=300)
async def versions(ctx: Context) -> Reply:
    """List the versions of this API."""
    # Upstream answers 300 here, with a body that clients read like any other.
    return Reply({"versions": [document(ctx)]})


@routes.get("/v3", policy=PUBLIC)
async def version(ctx: Context) -> Any:
    """Show version 3 of this API."""
    return {"versions": [document(ctx)]}


def document(ctx: Context) -> dict[str, Any]:
    described = {"rel": "describedby", "type": "text/html", "href": "https://docs.openstack.org/"}
    kind = {"base": "application/json", "type": "application/vnd.openstack.volume+json;version=3"}
    return {
        "id": "v3.0", "status": "CURRENT", "version": str(VERSIONS.maximum),
        "min_version": str(VERSIONS.minimum), "updated": "2023-08-31T00:00:00Z",
        "links": [described, {"rel": "self", "href": base(ctx) + "/v3/"}], "media-types": [kind],
    }
