# SPDX-License-Identifier: Apache-2.0
"""Network's version documents; this API has one version and no microversions.

What it can do besides is told by its extensions (extensions.py). The documents need no token.
"""

from __future__ import annotations

from typing import Any

from skyhold.core.context import Context
from skyhold.core.http.routes import PUBLIC, Routes

routes = Routes()

RESOURCES = (
    ("network", "networks"), ("subnet", "subnets"), ("port", "ports"), ("router", "routers"),
    ("floatingip", "floatingips"), ("security-group", "security-groups"),
    ("security-group-rule", "security-group-rules"), ("quota", "quotas"), ("extension", "extensions"),
)


def base_url(ctx: Context) -> str:
    return ctx.core.settings.public_url + "/network"


@routes.get("/", policy=PUBLIC)
async def versions(ctx: Context) -> Any:
    """List API versions."""
    return {"versions": [{
        "id": "v2.0", "status": "CURRENT", "links": [{"rel": "self", "href": base_url(ctx) + "/v2.0/"}],
    }]}


@routes.get("/v2.0", policy=PUBLIC)
async def resources(ctx: Context) -> Any:
    """List what this version holds."""
    return {"resources": [
        {"name": name, "collection": many, "links": [{"rel": "self", "href": f"{base_url(ctx)}/v2.0/{many}"}]}
        for name, many in RESOURCES
    ]}
