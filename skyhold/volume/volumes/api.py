# SPDX-License-Identifier: Apache-2.0
"""The routes of volumes.

Decisions are ops.py, lists lists.py, wire forms shape.py; actions are actions.py beside this file. No decision is
made here.
"""

from __future__ import annotations

from typing import Any

from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.http.routes import Routes
from skyhold.core.shapes import Page
from skyhold.volume import policy
from skyhold.volume.volumes import lists, ops, shape, store, views

VOLUMES = "/v3/volumes"
VOLUME = "/v3/volumes/{volume_id}"

routes = Routes()


@routes.get(VOLUMES, policy=policy.VOLUMES_LIST, query=shape.VolumeQuery, reply=shape.BRIEFS)
async def index(ctx: Context, query: shape.VolumeQuery) -> Page:
    """List volumes."""
    return await ctx.read(lists.briefs, query)


@routes.get(VOLUMES + "/detail", policy=policy.VOLUMES_LIST, query=shape.VolumeQuery, reply=shape.DETAILS)
async def detail(ctx: Context, query: shape.VolumeQuery) -> Page:
    """List volumes with details."""
    return await ctx.read(lists.details, query)


@routes.get(VOLUMES + "/summary", since="3.12", policy=policy.VOLUMES_LIST, query=shape.VolumeQuery)
async def summary(ctx: Context, query: shape.VolumeQuery) -> Any:
    """Sum up volumes."""
    return {"volume-summary": await ctx.read(lists.summary, query)}


@routes.post(VOLUMES, policy=policy.VOLUMES_CREATE, body=shape.CREATE, reply=shape.SAID, status=202)
async def create(ctx: Context, want: shape.VolumeCreate) -> shape.VolumeSaid:
    """Create a volume: blank, or of an image, a snapshot or another volume."""
    return await ctx.write(create_one, want)


@routes.get(VOLUME, policy=policy.VOLUMES_SHOW, reply=shape.ONE)
async def show(ctx: Context, volume_id: str) -> shape.Volume:
    """Show a volume."""
    return await ctx.read(show_one, volume_id)


@routes.put(VOLUME, policy=policy.VOLUMES_UPDATE, body=shape.UPDATE, reply=shape.SAID)
async def update(ctx: Context, volume_id: str, want: shape.VolumeUpdate) -> shape.VolumeSaid:
    """Change a volume's name, description or metadata."""
    return await ctx.write(update_one, volume_id, want)


@routes.delete(VOLUME, policy=policy.VOLUMES_DELETE, query=shape.DeleteQuery, status=202)
async def delete(ctx: Context, volume_id: str, query: shape.DeleteQuery) -> None:
    """Delete a volume, and with `cascade` its snapshots."""
    await ctx.write(delete_one, volume_id, query)


def create_one(tx: Tx, ctx: Context, want: shape.VolumeCreate) -> shape.VolumeSaid:
    return views.said(tx, ctx, ops.create(tx, ctx, want))


def show_one(tx: Tx, ctx: Context, volume_id: str) -> shape.Volume:
    return views.full(tx, ctx, [store.get(tx, ctx, volume_id)])[0]


def update_one(tx: Tx, ctx: Context, volume_id: str, want: shape.VolumeUpdate) -> shape.VolumeSaid:
    return views.said(tx, ctx, ops.update(tx, ctx, volume_id, want))


def delete_one(tx: Tx, ctx: Context, volume_id: str, query: shape.DeleteQuery) -> None:
    ops.delete(tx, ctx, volume_id, cascade=query.cascade, force=query.force)
