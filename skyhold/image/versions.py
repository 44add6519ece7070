# SPDX-License-Identifier: Apache-2.0
"""The versions of the image API: a line of prose each, and the documents that announce them.

Image has no microversions: a minor version only says what a cloud can do, so just those are named
whose additions work here. `/` answers 300 and `/versions` 200, as upstream.
"""

from __future__ import annotations

from typing import Any

from skyhold.core.context import Context
from skyhold.core.http.routes import PUBLIC, Reply, Routes

LINES = {
    "v2.9": "Images can be hidden, and carry the hash of their content.",
    "v2.7": "Hashes by a named algorithm.",
    "v2.6": "Import methods are listed, even when there are none.",
    "v2.5": "Visibilities shared and community.",
    "v2.4": "Images can be deactivated and reactivated.",
    "v2.3": "Filters take several values, and compare times.",
    "v2.2": "Lists are sorted by several keys.",
    "v2.1": "Images have members.",
    "v2.0": "Images are created, uploaded, changed, downloaded and deleted.",
}
CURRENT = "v2.9"

routes = Routes()


@routes.get("/", policy=PUBLIC)
async def choices(ctx: Context) -> Reply:
    """List the versions of this API."""
    return Reply(document(ctx.core.settings.public_url), status=300)


@routes.get("/versions", policy=PUBLIC)
async def versions(ctx: Context) -> dict[str, Any]:
    """List the versions of this API."""
    return document(ctx.core.settings.public_url)


def document(public_url: str) -> dict[str, Any]:
    link = {"rel": "self", "href": f"{public_url}/image/v2/"}
    return {
        "versions": [
            {"id": name, "status": "CURRENT" if name == CURRENT else "SUPPORTED", "links": [link]}
            for name in LINES
        ]
    }
