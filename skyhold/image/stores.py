# SPDX-License-Identifier: Apache-2.0
"""What this cloud tells about itself under /v2/info: its store, import methods and usage.

The store itself is blobs.py. There is one store and no import method; both are said as they are, so
that a client chooses the plain upload.
"""

from __future__ import annotations

from typing import Any

from skyhold.core.context import Context
from skyhold.core.http.routes import Routes
from skyhold.image import blobs, policy
from skyhold.image.images import ops

routes = Routes()


@routes.get("/v2/info/import", policy=policy.GET_STORES)
async def import_methods(ctx: Context) -> dict[str, Any]:
    """List the ways an image can be imported."""
    return {"import-methods": {"description": "Import methods available.", "type": "array", "value": []}}


@routes.get("/v2/info/stores", policy=policy.GET_STORES)
async def stores(ctx: Context) -> dict[str, Any]:
    """List the stores."""
    return {"stores": [{"id": blobs.store_of(ctx.core).name, "default": "true"}]}


@routes.get("/v2/info/stores/detail", policy=policy.GET_STORES_DETAIL)
async def stores_detail(ctx: Context) -> dict[str, Any]:
    """List the stores with their kind and place."""
    store = blobs.store_of(ctx.core)
    one = {"id": store.name, "type": store.name, "default": "true", "properties": {}}
    if store.name == "file":
        one["properties"] = {"data_dir": str(ctx.core.settings.images_dir), "chunk_size": 1024 * 1024}
    return {"stores": [one]}


@routes.get("/v2/info/usage", policy=policy.GET_USAGE)
async def usage(ctx: Context) -> dict[str, Any]:
    """Show the project's quota and what is used of it."""
    return {"usage": await ctx.read(ops.usage)}
