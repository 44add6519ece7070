# SPDX-License-Identifier: Apache-2.0
"""Keeps true: what waits for being cached is fetched, caches stay within their size, and hold only what rows name.

What a cache is stands in cache.py.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
import structlog

from skyhold.core import errors
from skyhold.core.blobs.flow import finished
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.image import blobs, cache, files, states
from skyhold.image.drivers.base import NoSuchBlob, StoreAway, StoreFull
from skyhold.image.images.store import store
from skyhold.image.intake import Intake, Received, read_through
from skyhold.image.tables import CACHED

if TYPE_CHECKING:
    from skyhold.core.app import Core

log = structlog.get_logger("image")

EVERY_S = 300.0
NAME = cache.FILL


def turn(core: Core) -> asyncio.Lock:
    """One at a time writes and sweeps the files: the loop, or who asks for a sweep."""
    lock: asyncio.Lock = core.shelf.setdefault("image.caching", asyncio.Lock())
    return lock


async def run(ctx: Context) -> None:
    async with turn(ctx.core):
        await fill(ctx)


async def fill(ctx: Context) -> None:
    sites = ["", *ctx.core.settings.image.cache_sites]
    for site, image_id in await ctx.read(waiting):
        if site in sites:
            await fetch(ctx, site, image_id)
    for site in sites:
        await ctx.write(cache.shrink, site)
        await sweep(ctx, site)


def waiting(tx: Tx, ctx: Context) -> list[tuple[str, str]]:
    rows = tx.all(sa.select(CACHED.c.site, CACHED.c.image_id).where(CACHED.c.size_bytes.is_(None)))
    return [(row.site, row.image_id) for row in rows]


async def fetch(ctx: Context, site: str, image_id: str) -> None:
    """One image into one cache; what can't be had is not waited for any longer."""
    row = await ctx.read(lambda tx, ctx: store.find(tx, image_id))
    try:
        if row is None or row.status != states.ACTIVE:
            raise errors.NotFound(f"Image {image_id} is not active any more.")
        received = await brought(ctx, site, row)
    except (errors.Error, NoSuchBlob, StoreAway, StoreFull) as error:
        log.warning("an image could not be cached", image=image_id, site=site, why=str(error))
        await ctx.write(give_up, site, image_id)
        return
    await ctx.write(note, site, image_id, received)


async def brought(ctx: Context, site: str, row: Any) -> Received:
    target, key = cache.disk(ctx.core, site), cache.key_of(row.id, row.sha512)
    await blobs.in_thread(target.delete, key)
    reader = await files.opened(ctx, row)
    try:
        if reader.size_bytes > ctx.core.settings.image.cache_size_bytes:
            raise StoreFull("It is larger than the whole cache.")
        writer = await blobs.writer_to(target, key, reader.size_bytes)
        intake = Intake(writer, None, reader.size_bytes)
        try:
            await read_through(reader, intake, nobody)
            if row.sha512 and intake.sha512 != row.sha512:
                raise StoreAway("What came isn't what its hash says.")
            return await finished(blobs.in_thread(intake.finish))
        finally:
            await asyncio.shield(blobs.in_thread(intake.abort))
    finally:
        await asyncio.shield(blobs.in_thread(reader.close))


async def nobody(done: int) -> None:
    """Nobody asks how far a cache is."""


def note(tx: Tx, ctx: Context, site: str, image_id: str, received: Received) -> None:
    tx.execute(
        CACHED.update().where(cache.MINE),
        {"at_site": site, "image": image_id, "sha512": received.sha512, "size_bytes": received.size_bytes,
         "used_at": tx.now, "updated_at": tx.now},
    )


def give_up(tx: Tx, ctx: Context, site: str, image_id: str) -> None:
    tx.execute(CACHED.delete().where(cache.MINE, CACHED.c.size_bytes.is_(None)), {"at_site": site, "image": image_id})


async def sweep(ctx: Context, site: str) -> None:
    """Files that no row names go, and rows whose file is gone. Whoever calls has the turn: no file is in the making."""
    disk = cache.disk(ctx.core, site)
    found = set(await blobs.in_thread(lambda: list(disk.keys())))
    named = {key.partition("/")[0]: key for key in found}
    rows = await ctx.read(cache.rows_of, site)
    cached = {row.image_id for row in rows if row.size_bytes is not None}
    for key in found:
        if key.partition("/")[0] not in cached:
            await blobs.in_thread(disk.delete, key)
    for image_id in cached - named.keys():
        await ctx.write(forget, site, image_id)


def forget(tx: Tx, ctx: Context, site: str, image_id: str) -> None:
    tx.execute(CACHED.delete().where(cache.MINE), {"at_site": site, "image": image_id})
