# SPDX-License-Identifier: Apache-2.0
"""Routes of imports: HTTP in and out.

Staging is staging.py. An import answers at once; what becomes of it is told by the image and by its tasks.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from skyhold.core.context import Context
from skyhold.core.http.routes import Reply, Routes
from skyhold.image import blobs, policy
from skyhold.image.files import STORE_HEADER
from skyhold.image.imports import ops
from skyhold.image.imports.shape import METHODS, ImportRequest

routes = Routes()


@routes.get("/v2/info/import", policy=policy.GET_STORES)
async def import_methods(ctx: Context) -> dict[str, Any]:
    """List the ways an image can be imported."""
    return {
        "import-methods": {"description": "Import methods available.", "type": "array", "value": list(METHODS)}
    }


@routes.post(
    "/v2/images/{image_id}/import", policy=policy.MODIFY_IMAGE, body=ImportRequest, status=202,
    headers=(STORE_HEADER,),
)
async def begin(ctx: Context, image_id: str, want: ImportRequest, headers: Mapping[str, str | None]) -> Reply:
    """Import an image's content."""
    plan = ops.plan(blobs.stores_of(ctx.core), want, headers[STORE_HEADER])
    ops.check_method(ctx.core, plan.method)
    await ctx.write(ops.begin, image_id, plan)
    return Reply(status=202, headers={"OpenStack-image-store-ids": ",".join(plan.stores)})
