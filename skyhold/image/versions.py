# SPDX-License-Identifier: Apache-2.0
"""The versions of the image API: a line of prose each, and the documents that announce them.

Image has no microversions: a minor version only says what a cloud can do. `/` answers 300 and `/versions`
200, as upstream.
"""

from __future__ import annotations

from typing import Any

from skyhold.core.context import Context
from skyhold.core.http.routes import PUBLIC, Reply, Routes

LINES = {
    "v2.17": "Locations are added and listed by operations of their own, and hashed in the background.",
    "v2.16": "The cache is pruned and cleaned on request.",
    "v2.15": "Administrators see how each store is set up.",
    "v2.14": "The cache is listed, filled and emptied by its own operations.",
    "v2.13": "A project sees what it uses of its quotas.",
    "v2.12": "The tasks of an image are listed.",
    "v2.11": "Images are copied to further stores by whoever may.",
    "v2.10": "An import goes to several stores, and an image is removed from one of them.",
    "v2.9": "Images can be hidden, and carry the hash of their content.",
    "v2.8": "There may be several stores, and they can be listed.",
    "v2.7": "Hashes by a named algorithm.",
    "v2.6": "Images are imported, by methods that are listed.",
    "v2.5": "Visibilities shared and community.",
    "v2.4": "Images can be deactivated and reactivated.",
    "v2.3": "Filters take several values, and compare times.",
    "v2.2": "Lists are sorted by several keys.",
    "v2.1": "Images have members.",
    "v2.0": "Images are created, uploaded, changed, downloaded and deleted.",
}
CURRENT = "v2.17"

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
