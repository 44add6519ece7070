# SPDX-License-Identifier: Apache-2.0
"""Routes of /v2/images: HTTP in and out; no decision is made here.

The bytes (`/file`) are files.py, sharing is members.py. Answers are written as ready bytes, since a
list holds up to a thousand images.
"""

from __future__ import annotations

from typing import Any

import orjson

from skyhold.core import errors
from skyhold.core.context import Context
from skyhold.core.http.routes import Reply, Routes
from skyhold.image import blobs, locations, policy, protection
from skyhold.image.images import ops
from skyhold.image.images.shape import Image, ImageCreate, ImageDeletion, ImageList, ImageQuery, View, shown
from skyhold.image.imports.shape import METHODS
from skyhold.image.logic import listing, patch

routes = Routes()

PATCH_MEDIA = ("application/openstack-images-v2.1-json-patch", "application/openstack-images-v2.0-json-patch")


@routes.post("/v2/images", policy=policy.ADD_IMAGE, body=ImageCreate, reply=Image, status=201)
async def create(ctx: Context, want: ImageCreate) -> Reply:
    """Create an image without content."""
    row = await ctx.write(ops.insert, want)
    location = f"{ctx.core.settings.public_url}/image/v2/images/{row.id}"
    return Reply(as_json(ctx, row), headers={
        "Location": location, "OpenStack-image-import-methods": ",".join(METHODS),
        "OpenStack-image-store-ids": ",".join(blobs.stores_of(ctx.core).writable),
    })


@routes.get("/v2/images", policy=policy.GET_IMAGES, query=ImageQuery, reply=ImageList)
async def index(ctx: Context, query: ImageQuery) -> bytes:
    """List images."""
    want = listing.listing(query.extra)
    rows = await ctx.read(ops.list_page, want)
    view = view_of(ctx)
    body = {
        "images": [shown(row, view) for row in rows],
        "first": listing.link(query.extra, None), "schema": "/v2/schemas/images",
    }
    if rows and len(rows) == want.limit:
        body["next"] = listing.link(query.extra, rows[-1].id)
    return orjson.dumps(body)


@routes.get("/v2/images/{image_id}", policy=policy.GET_IMAGE, reply=Image)
async def show(ctx: Context, image_id: str) -> bytes:
    """Show an image."""
    return as_json(ctx, await ctx.read(ops.show, image_id))


@routes.patch("/v2/images/{image_id}", policy=policy.MODIFY_IMAGE, body=list, reply=Image, media=PATCH_MEDIA)
async def update(ctx: Context, image_id: str, body: list[Any]) -> bytes:
    """Change attributes, tags and properties."""
    changes = patch.changes(body)
    seen = await locations.sizes(ctx, image_id, changes)
    return as_json(ctx, await ctx.write(locations.update, image_id, changes, seen))


@routes.delete("/v2/images/{image_id}", policy=policy.DELETE_IMAGE, query=ImageDeletion)
async def delete(ctx: Context, image_id: str, query: ImageDeletion) -> None:
    """Delete an image and its content; with `if_unused=true` only when nothing was made of it."""
    gone = await ctx.write(ops.remove, image_id, query.if_unused == "true")
    if not ctx.dry_run:
        await blobs.discard(ctx.core, gone)


@routes.put("/v2/images/{image_id}/tags/{tag_value}", policy=policy.MODIFY_IMAGE, status=204)
async def add_tag(ctx: Context, image_id: str, tag: str) -> None:
    """Add a tag."""
    if len(tag) > ops.NAME_CHARS:
        raise errors.Invalid(f"A tag has at most {ops.NAME_CHARS} characters.")
    await ctx.write(ops.add_tag, image_id, tag)


@routes.delete("/v2/images/{image_id}/tags/{tag_value}", policy=policy.MODIFY_IMAGE)
async def remove_tag(ctx: Context, image_id: str, tag: str) -> None:
    """Remove a tag."""
    await ctx.write(ops.remove_tag, image_id, tag)


@routes.post("/v2/images/{image_id}/actions/deactivate", policy=policy.DEACTIVATE, status=204)
async def deactivate(ctx: Context, image_id: str) -> None:
    """Forbid the download of an image."""
    await ctx.write(ops.deactivate, image_id)


@routes.post("/v2/images/{image_id}/actions/reactivate", policy=policy.REACTIVATE, status=204)
async def reactivate(ctx: Context, image_id: str) -> None:
    """Allow the download of an image again."""
    await ctx.write(ops.reactivate, image_id)


def as_json(ctx: Context, row: Any) -> bytes:
    row = protection.shown_to(ctx, [row])[0]
    return orjson.dumps(shown(row, view_of(ctx)))


def view_of(ctx: Context) -> View:
    stores = blobs.stores_of(ctx.core)
    settings = ctx.core.settings.image
    return View(stores.ordered, stores.get, settings.show_multiple_locations, settings.show_image_direct_url)
