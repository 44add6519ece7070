# SPDX-License-Identifier: Apache-2.0
"""What this cloud tells about itself under /v2/info, and taking an image out of one of its stores.

The stores themselves are blobs.py and drivers/, import methods imports/api.py.
"""

from __future__ import annotations

from typing import Any

from skyhold.core import errors, journal
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.http.routes import Routes
from skyhold.image import blobs, content, policy, states
from skyhold.image.images import ops
from skyhold.image.images.store import store

routes = Routes()


@routes.get("/v2/info/stores", policy=policy.GET_STORES)
async def stores(ctx: Context) -> dict[str, Any]:
    """List the stores."""
    found = blobs.stores_of(ctx.core)
    return {"stores": [brief(found, name) for name in found.names]}


@routes.get("/v2/info/stores/detail", policy=policy.GET_STORES_DETAIL)
async def stores_detail(ctx: Context) -> dict[str, Any]:
    """List the stores with their kind and place."""
    found = blobs.stores_of(ctx.core)
    return {
        "stores": [
            brief(found, name) | {"type": found.get(name).kind, "properties": found.get(name).properties()}
            for name in found.names
        ]
    }


@routes.get("/v2/info/usage", policy=policy.GET_USAGE)
async def usage(ctx: Context) -> dict[str, Any]:
    """Show the project's quota and what is used of it."""
    return {"usage": await ctx.read(ops.usage)}


@routes.delete("/v2/stores/{store_id}/{image_id}", policy=policy.DELETE_LOCATION)
async def delete(ctx: Context, store_id: str, image_id: str) -> None:
    """Take an image's content out of one store."""
    gone = await ctx.write(take_out, store_id, image_id)
    if not ctx.dry_run:
        await blobs.discard(ctx.core, gone)


def brief(stores: blobs.Stores, name: str) -> dict[str, Any]:
    """Flags are the words true, and left out otherwise, as upstream."""
    described = stores.described(name)
    told: dict[str, Any] = {"id": name, "description": described.description, "weight": described.weight}
    if name == stores.default.name:
        told["default"] = "true"
    if described.store.read_only:
        told["read-only"] = "true"
    return told


def take_out(tx: Tx, ctx: Context, name: str, image_id: str) -> list[content.Placed]:
    """What to discard after the commit. Raises Conflict when the image isn't active or the store unknown, NotFound
    when it isn't in there, Forbidden when it is nowhere else."""
    row = store.get(tx, ctx, image_id, may=policy.DELETE_LOCATION)
    if name not in blobs.stores_of(ctx.core).names:
        raise errors.Conflict(f"There is no image store {name[:80]!r} in this cloud.", reason="unknown_store")
    if row.status != states.ACTIVE:
        raise errors.Conflict(
            f"It's not allowed to remove image data from store if image status is not 'active'; it is {row.status}"
        )
    there = [each for each in row.locations if each["store"] == name]
    if not there:
        raise errors.NotFound(f"Image {image_id} is not stored in store {name}.")
    rest = [each for each in row.locations if each["store"] != name]
    if not rest:
        raise errors.Forbidden(f"Image {image_id} is in no other store: delete the image instead.")
    row = store.update(tx, row, locations=rest)
    journal.record(tx, "image.update", row)
    return content.release(tx, [(each["store"], each["blob"]) for each in there if each.get("blob")])
