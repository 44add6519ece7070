# SPDX-License-Identifier: Apache-2.0
"""Version documents, as clients look for them before they know anything else.

The service has one version; there are no microversions. `/` answers 300, as Keystone does, and both
documents are for everybody.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from skyhold.core.context import Context
from skyhold.core.http.routes import PUBLIC, Reply, Routes
from skyhold.identity import json_home, links

routes = Routes()

VARY = {"Vary": "X-Auth-Token"}
ACCEPT = ("Accept",)


@routes.get("/", policy=PUBLIC, status=300, headers=ACCEPT)
async def versions(ctx: Context, headers: Mapping[str, str | None]) -> Reply:
    """List the versions of this API, or as JSON Home all its addresses."""
    if json_home.is_wanted(headers["Accept"]):
        return home(ctx, "/v3")
    return Reply({"versions": {"values": [document(ctx)]}}, headers=VARY)


@routes.get("/v3", policy=PUBLIC, headers=ACCEPT)
async def version(ctx: Context, headers: Mapping[str, str | None]) -> Reply:
    """Show version 3 of this API, or as JSON Home all its addresses."""
    if json_home.is_wanted(headers["Accept"]):
        return home(ctx, "")
    return Reply({"version": document(ctx)}, headers=VARY)


def home(ctx: Context, prefix: str) -> Reply:
    paths = [route.path for each in ctx.core.services["identity"].routes for route in each.all]
    printed = orjson.dumps(json_home.document(paths, prefix))
    return Reply(printed, status=200, headers=VARY, content_type=json_home.MEDIA)


def document(ctx: Context) -> dict[str, Any]:
    return {
        "id": "v3.14", "status": "stable", "updated": "2020-04-07T00:00:00Z",
        "links": [{"rel": "self", "href": links.base(ctx) + "/"}],
        "media-types": [{"base": "application/json", "type": "application/vnd.openstack.identity-v3+json"}],
    }
