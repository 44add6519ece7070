# SPDX-License-Identifier: Apache-2.0
"""The cache: copies of images whose stores are slow to read, on a disk of ours, and the API that fills and empties it.

Downloads of images from far stores ask here first (files.py) and queue what is missing; loops/caching.py fetches and
prunes. A cache site is a further endpoint of the service with a cache of its own (setting `image.cache_sites`): `site`
is its name, and "" the cloud's own. Rows say what is cached; a file without one is nobody's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Final

import msgspec
import sqlalchemy as sa

from skyhold.core import errors, journal
from skyhold.core.blobs.file import FileStore
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.http.routes import Reply, Routes
from skyhold.core.store import Store
from skyhold.image import policy, states
from skyhold.image.images.store import store
from skyhold.image.tables import CACHED

if TYPE_CHECKING:
    from skyhold.core.app import Core

TARGET_HEADER: Final = "X-Image-Cache-Clear-Target"
TARGETS: Final = ("cache", "queue")
UNHASHED: Final = "unhashed"
FILL: Final = "image.caching"
MINE: Final = (CACHED.c.site == sa.bindparam("at_site")) & (CACHED.c.image_id == sa.bindparam("image"))
ONE: Final = sa.select(CACHED).where(MINE)
HIT: Final = CACHED.update().where(MINE).values(hits=CACHED.c.hits + 1, used_at=sa.bindparam("now"))


# ---- what the journal keeps ------------------------------------------------------------------

cached_images = Store(CACHED, service="image", kind="cached_image", key="image_id")


class CacheStore:
    """As much of a Store as the journal asks for: of a cache as a whole."""

    service, kind, key = "image", "image_cache", "name"

    @staticmethod
    def public(row: Cache) -> dict[str, Any]:
        return {"name": row.name, **row.done}


class Cache(msgspec.Struct, frozen=True):
    """`done` is what was done to it, in figures."""

    name: str
    done: dict[str, Any]
    store: ClassVar[type[CacheStore]] = CacheStore


def record(tx: Tx, verb: str, site: str, **done: Any) -> None:
    journal.record(tx, f"image_cache.{verb}", Cache(site or "cloud", done))


# ---- the disk --------------------------------------------------------------------------------


def disk(core: Core, site: str) -> FileStore:
    return FileStore(core.settings.image_cache_dir / (site or "cloud"), f"cache_{site}")


def key_of(image_id: str, sha512: str | None) -> str:
    return f"{image_id}/{(sha512 or UNHASHED)[:64]}"


def place_of(core: Core, image_id: str, sha512: str | None) -> tuple[FileStore, str]:
    return disk(core, ""), key_of(image_id, sha512)


# ---- routes ----------------------------------------------------------------------------------


def routes_of(site: str) -> Routes:
    """The cache's API at one endpoint."""
    routes = Routes()

    @routes.get("/v2/cache", policy=policy.CACHE_LIST)
    async def index(ctx: Context) -> dict[str, Any]:
        """List what is cached, and what waits for it."""
        return shown(await ctx.read(rows_of, site))

    @routes.get("/v2/cache/nodes/{image_id}", policy=policy.CACHE_LIST)
    async def nodes(ctx: Context, image_id: str) -> list[str]:
        """List the endpoints that have an image in their cache."""
        return [url_of(ctx.core, each) for each in await ctx.read(sites_with, image_id)]

    @routes.put("/v2/cache/{image_id}", policy=policy.CACHE_IMAGE, status=202)
    async def queue(ctx: Context, image_id: str) -> None:
        """Queue an image for caching."""
        await ctx.write(enqueue, site, image_id)

    @routes.delete("/v2/cache/{image_id}", policy=policy.CACHE_DELETE)
    async def delete(ctx: Context, image_id: str) -> None:
        """Remove an image from the cache, or from what waits for it."""
        await ctx.write(remove, site, image_id)

    @routes.delete("/v2/cache", policy=policy.CACHE_DELETE, headers=(TARGET_HEADER,))
    async def clear(ctx: Context, headers: Mapping[str, str | None]) -> None:
        """Empty the cache, its queue, or both."""
        await ctx.write(empty, site, target_of(headers[TARGET_HEADER]))

    @routes.post("/v2/cache/clean", policy=policy.CACHE_DELETE, status=204)
    async def clean(ctx: Context) -> None:
        """Remove files that no row names, and rows whose file is gone."""
        await tidy(ctx, site)

    @routes.post("/v2/cache/prune", policy=policy.CACHE_DELETE)
    async def prune(ctx: Context) -> Reply:
        """Remove what was longest unused until the cache is within its size."""
        return Reply(await ctx.write(prune_now, site))

    return routes


def target_of(header: str | None) -> str:
    """What is to be emptied: the cache, its queue, or both where nothing is said."""
    target = (header or "").strip().lower()
    if target and target not in TARGETS:
        raise errors.Invalid(f"If provided 'x-image-cache-clear-target' must be {' or '.join(TARGETS)}.")
    return target


async def tidy(ctx: Context, site: str) -> None:
    from skyhold.image.loops import caching

    if not ctx.dry_run:
        async with caching.turn(ctx.core):
            await caching.sweep(ctx, site)
        await ctx.write(lambda tx, ctx: record(tx, "clean", site))


def told_of(gone: list[Any]) -> dict[str, int]:
    return {"total_files_pruned": len(gone), "total_bytes_pruned": sum(row.size_bytes for row in gone)}


def url_of(core: Core, site: str) -> str:
    return f"{core.settings.public_url}/image{'_' + site if site else ''}"


def shown(rows: list[Any]) -> dict[str, Any]:
    return {
        "cached_images": [
            {
                "image_id": row.image_id, "hits": row.hits, "size": row.size_bytes,
                "last_accessed": (row.used_at or 0) / 1e6, "last_modified": row.updated_at / 1e6,
            }
            for row in rows if row.size_bytes is not None
        ],
        "queued_images": [row.image_id for row in rows if row.size_bytes is None],
    }


# ---- operations ------------------------------------------------------------------------------


def rows_of(tx: Tx, ctx: Context, site: str) -> list[Any]:
    statement = sa.select(CACHED).where(CACHED.c.site == site)
    return list(tx.all(statement.order_by(CACHED.c.created_at, CACHED.c.image_id)))


def sites_with(tx: Tx, ctx: Context, image_id: str) -> list[str]:
    """Raises NotFound for an image that isn't there."""
    image = store.get(tx, ctx, image_id, may=policy.CACHE_LIST)
    statement = sa.select(CACHED.c.site).where(CACHED.c.image_id == image.id, CACHED.c.size_bytes.is_not(None))
    return [row.site for row in tx.all(statement.order_by(CACHED.c.site))]


def enqueue(tx: Tx, ctx: Context, site: str, image_id: str) -> None:
    """Raises NotFound, and Invalid for an image without content."""
    image = store.get(tx, ctx, image_id, may=policy.CACHE_IMAGE, lock="stay")
    if image.status != states.ACTIVE or not image.locations:
        raise errors.Invalid(f"Image {image_id} is {image.status}: only active images can be cached.")
    row = wait_for(tx, ctx, site, image.id)
    if row is not None:
        journal.record(tx, "cached_image.queue", row)


def wait_for(tx: Tx, ctx: Context, site: str, image_id: str) -> Any | None:
    """The new row; what is cached or waits already stays as it is."""
    loops = ctx.core.loops
    tx.after_commit(lambda: loops.ring(FILL))
    if tx.first(ONE, {"at_site": site, "image": image_id}) is not None:
        return None
    # Another may ask for it in the same moment, or the image has just been deleted.
    return cached_images.add(tx, site=site, image_id=image_id, hits=0)


def remove(tx: Tx, ctx: Context, site: str, image_id: str) -> None:
    mine = {"at_site": site, "image": image_id}
    row = tx.first(ONE, mine)
    if row is None or not tx.changed(CACHED.delete().where(MINE), mine):
        raise errors.NotFound(f"Image {image_id} is neither cached nor queued for it.")
    journal.record(tx, "cached_image.delete", cached_images.Row._make(row))
    sweep_soon(tx, ctx)


def empty(tx: Tx, ctx: Context, site: str, target: str) -> None:
    wanted = {"cache": CACHED.c.size_bytes.is_not(None), "queue": CACHED.c.size_bytes.is_(None)}.get(target, sa.true())
    gone = tx.changed(CACHED.delete().where(CACHED.c.site == site, wanted))
    record(tx, "clear", site, target=target or "both", images=gone)
    sweep_soon(tx, ctx)


def prune_now(tx: Tx, ctx: Context, site: str) -> dict[str, int]:
    told = told_of(shrink(tx, ctx, site))
    record(tx, "prune", site, **told)
    return told


def shrink(tx: Tx, ctx: Context, site: str) -> list[Any]:
    """The rows of what was longest unused, removed until the rest fits."""
    statement = sa.select(CACHED).where(CACHED.c.site == site, CACHED.c.size_bytes.is_not(None))
    rows = tx.all(statement.order_by(CACHED.c.used_at.desc(), CACHED.c.image_id))
    room, gone = ctx.core.settings.image.cache_size_bytes, []
    for row in rows:
        room -= row.size_bytes
        if room < 0:
            tx.execute(CACHED.delete().where(MINE), {"at_site": site, "image": row.image_id})
            gone.append(row)
    if gone:
        sweep_soon(tx, ctx)
    return gone


def sweep_soon(tx: Tx, ctx: Context) -> None:
    loops = ctx.core.loops
    tx.after_commit(lambda: loops.ring(FILL))


def hit(tx: Tx, ctx: Context, site: str, image_id: str) -> None:
    tx.execute(HIT, {"at_site": site, "image": image_id, "now": tx.now})
