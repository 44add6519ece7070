# SPDX-License-Identifier: Apache-2.0
"""The metadata of volumes and of snapshots: words their owner gave them, each with paths of its own.

They are kept in the row of the thing, so a change locks it, and two changes at once both count. What a volume says of
its image is apart (volumes/actions.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from skyhold.core import errors, journal
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.http.routes import Routes
from skyhold.core.policy.rules import Rule
from skyhold.core.shapes import Shape, field
from skyhold.core.store import Store
from skyhold.volume import policy
from skyhold.volume.volumes.shape import KEY
from skyhold.volume.volumes.store import SNAPSHOTS_STORE, VOLUMES_STORE

MOST_ITEMS = 128
"""Cinder's usual bound."""

# ---- shape ---------------------------------------------------------------------------------


class Metadata(Shape):
    metadata: dict[str, str] = field(keys=KEY, max=255)


class Item(Shape):
    meta: dict[str, str] = field(keys=KEY, max=255, min_items=1, max_items=1)


# ---- routes --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Kind:
    """What has metadata, where, and who may do what to it."""

    store: Store
    path: str
    seeing: Rule
    adding: Rule
    changing: Rule
    dropping: Rule


def routes_of(kind: Kind) -> Routes:
    routes = Routes()
    item = kind.path + "/{key}"

    @routes.get(kind.path, policy=kind.seeing)
    async def index(ctx: Context, id: str) -> Any:
        """List metadata."""
        return {"metadata": await ctx.read(metadata_of, kind.store, id)}

    @routes.post(kind.path, policy=kind.adding, body=Metadata)
    async def create(ctx: Context, id: str, want: Metadata) -> Any:
        """Add items of metadata, or change them."""
        return {"metadata": await ctx.write(merge, kind.store, id, want.metadata)}

    @routes.put(kind.path, policy=kind.changing, body=Metadata)
    async def replace(ctx: Context, id: str, want: Metadata) -> Any:
        """Replace the metadata."""
        return {"metadata": await ctx.write(set_all, kind.store, id, want.metadata)}

    @routes.get(item, policy=kind.seeing)
    async def show(ctx: Context, id: str, key: str) -> Any:
        """Show one item of metadata."""
        return {"meta": {key: await ctx.read(item_of, kind.store, id, key)}}

    @routes.put(item, policy=kind.changing, body=Item)
    async def update(ctx: Context, id: str, key: str, want: Item) -> Any:
        """Set one item of metadata."""
        if key not in want.meta:
            raise errors.Invalid("Request body and URI mismatch")
        await ctx.write(merge, kind.store, id, want.meta)
        return {"meta": want.meta}

    @routes.delete(item, policy=kind.dropping, status=200)
    async def delete(ctx: Context, id: str, key: str) -> None:
        """Delete an item of metadata."""
        await ctx.write(drop, kind.store, id, key)

    return routes


volumes = routes_of(Kind(
    VOLUMES_STORE, "/v3/volumes/{volume_id}/metadata", policy.METADATA_SHOW, policy.METADATA_CREATE,
    policy.METADATA_UPDATE, policy.METADATA_DELETE,
))
snapshots = routes_of(Kind(
    SNAPSHOTS_STORE, "/v3/snapshots/{snapshot_id}/metadata", policy.SNAPSHOT_METADATA_SHOW,
    policy.SNAPSHOT_METADATA_UPDATE, policy.SNAPSHOT_METADATA_UPDATE, policy.SNAPSHOT_METADATA_DELETE,
))

# ---- operations ----------------------------------------------------------------------------


def metadata_of(tx: Tx, ctx: Context, store: Store, id: str) -> dict[str, str]:
    return dict(store.get(tx, ctx, id).metadata)


def item_of(tx: Tx, ctx: Context, store: Store, id: str, key: str) -> str:
    kept = metadata_of(tx, ctx, store, id)
    if key not in kept:
        raise missing(store, id, key)
    return kept[key]


def merge(tx: Tx, ctx: Context, store: Store, id: str, given: dict[str, str]) -> dict[str, str]:
    row = store.get(tx, ctx, id)
    return keep(tx, store, row, {**row.metadata, **given})


def set_all(tx: Tx, ctx: Context, store: Store, id: str, given: dict[str, str]) -> dict[str, str]:
    return keep(tx, store, store.get(tx, ctx, id), given)


def drop(tx: Tx, ctx: Context, store: Store, id: str, key: str) -> None:
    row = store.get(tx, ctx, id)
    if key not in row.metadata:
        raise missing(store, id, key)
    keep(tx, store, row, {name: value for name, value in row.metadata.items() if name != key})


def keep(tx: Tx, store: Store, row: Any, metadata: dict[str, str]) -> dict[str, str]:
    if len(metadata) > MOST_ITEMS and len(metadata) > len(row.metadata):
        raise errors.OverQuota(
            f"Maximum number of metadata items exceeds {MOST_ITEMS}: used {len(row.metadata)} of {MOST_ITEMS}, "
            f"requested {len(metadata)} in all.",
            resource="metadata_items", used=len(row.metadata), limit=MOST_ITEMS, asked=len(metadata),
        )
    row = store.update(tx, row, metadata=metadata)
    journal.record(tx, f"{store.kind}.metadata.update", row)
    return metadata


def missing(store: Store, id: str, key: str) -> errors.NotFound:
    return errors.NotFound(f"{store.label} {id} has no metadata with key {key[:100]}.")
