# SPDX-License-Identifier: Apache-2.0
"""Version documents, as clients look for them before they know anything else.

Both are for everybody, with or without a token. The range of microversions is versions.py.
"""

from __future__ import annotations

from typing import Any

from skyhold.compute.links import base
from skyhold.compute.versions import VERSIONS
from skyhold.core.context import Context
from skyhold.core.http.routes import PUBLIC, Routes

routes = Routes()


@routes.get("/", policy=PUBLIC)
async def versions(ctx: Context) -> Any:
    """List the versions of this API."""
    return {"versions": [document(ctx)]}


@routes.get("/v2.1", policy=PUBLIC)
async def version(ctx: Context) -> Any:
    """Show version 2.1 of this API."""
    described = {"rel": "describedby", "type": "text/html", "href": "http://docs.openstack.org/"}
    kind = {"base": "application/json", "type": "application/vnd.openstack.compute+json;version=2.1"}
    found = document(ctx)
    return {"version": found | {"links": [*found["links"], described], "media-types": [kind]}}


def document(ctx: Context) -> dict[str, Any]:
    return {
        "id": "v2.1", "status": "CURRENT", "version": str(VERSIONS.maximum),
        "min_version": str(VERSIONS.minimum), "updated": "2013-07-23T11:33:21Z",
        "links": [{"rel": "self", "href": base(ctx) + "/v2.1/"}],
    }
