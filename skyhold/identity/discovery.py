# SPDX-License-Identifier: Apache-2.0
"""Version documents, as clients look for them before they know anything else.

The service has one version; there are no microversions. `/` answers 300, as Keystone does, and both
documents are for everybody.
"""

from __future__ import annotations

from typing import Any

from skyhold.core.context import Context
from skyhold.core.http.routes import PUBLIC, Reply, Routes
from skyhold.identity import links

routes = Routes()

VARY = {"Vary": "X-Auth-Token"}


@routes.get("/", policy=PUBLIC, status=300)
async def versions(ctx: Context) -> Reply:
    """List the versions of this API."""
    return Reply({"versions": {"values": [document(ctx)]}}, headers=VARY)


@routes.get("/v3", policy=PUBLIC)
async def version(ctx: Context) -> Reply:
    """Show version 3 of this API."""
    return Reply({"version": document(ctx)}, headers=VARY)


def document(ctx: Context) -> dict[str, Any]:
    return {
        "id": "v3.14", "status": "stable", "updated": "2020-04-07T00:00:00Z",
        "links": [{"rel": "self", "href": links.base(ctx) + "/"}],
        "media-types": [{"base": "application/json", "type": "application/vnd.openstack.identity-v3+json"}],
    }
