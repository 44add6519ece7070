# SPDX-License-Identifier: Apache-2.0
"""The bytes of objects: which blobs there are, who names them, and the disk they lie on.

Objects are objects.py; the file format is core/blobs/file.py. A blob's row is committed before its first byte is
written, and counts the objects that name it: copies share one. What nobody names any more goes after the commit.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Final

import msgspec
import sqlalchemy as sa
import structlog

from skyhold.core import errors
from skyhold.core.blobs.base import NoSuchBlob, Piece, StoreFull, Writer
from skyhold.core.blobs.file import FileReader, FileStore
from skyhold.core.blobs.flow import begun, finished, give_way, in_pool, pump
from skyhold.core.blobs.heart import beating
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.http.routes import Stream
from skyhold.object.tables import BLOBS

if TYPE_CHECKING:
    from skyhold.core.app import Core

log = structlog.get_logger("object")

BEAT_S: Final = 20.0
SILENT_S: Final = 120.0
"""Whoever writes a blob and isn't heard of for so long has died."""
POOL: Final = ThreadPoolExecutor(4, thread_name_prefix="object", initializer=give_way)
GOING: Final = set[asyncio.Task[None]]()

MINE = BLOBS.c.id == sa.bindparam("key")
BEAT = BLOBS.update().where(MINE, BLOBS.c.refs == 0).values(seen_at=sa.bindparam("now"))
KEEP = BLOBS.update().where(MINE, BLOBS.c.refs == 0).values(refs=1, size_bytes=sa.bindparam("n"))
SHARE = BLOBS.update().where(MINE, BLOBS.c.refs > 0).values(refs=BLOBS.c.refs + 1)
LET_GO = BLOBS.update().where(MINE, BLOBS.c.refs > 0).values(refs=BLOBS.c.refs - 1)
DROP = BLOBS.delete().where(MINE, BLOBS.c.refs == 0)


class Received(msgspec.Struct, frozen=True):
    """`etag` is the MD5 of what came, in hex."""

    blob_id: str
    size_bytes: int
    etag: str


# ---- rows ------------------------------------------------------------------------------------


def begin(tx: Tx, ctx: Context) -> str:
    """The id of a blob that this caller is going to write."""
    blob_id = ctx.new_id()
    tx.execute(BLOBS.insert(), {
        "id": blob_id, "refs": 0, "size_bytes": None, "seen_at": tx.now, "created_at": tx.now
    })
    return blob_id


def keep(tx: Tx, received: Received) -> None:
    """An object names the finished blob. Raises Gone when it was given up meanwhile."""
    if not tx.changed(KEEP, {"key": received.blob_id, "n": received.size_bytes}):
        raise errors.Gone("This upload was given up meanwhile: nothing was heard of it for too long.")


def share(tx: Tx, blob_id: str) -> bool:
    """One more object names it; False when nobody names it any more."""
    return bool(tx.changed(SHARE, {"key": blob_id}))


def release(tx: Tx, blob_id: str) -> None:
    """An object names it no more; its bytes go after the commit if no other one does."""
    tx.execute(LET_GO, {"key": blob_id})
    if tx.changed(DROP, {"key": blob_id}):
        core = tx.ctx.core
        tx.after_commit(lambda: discard_soon(core, [blob_id]))


def forget(tx: Tx, ctx: Context, blob_id: str) -> None:
    """A blob that will not be finished."""
    tx.execute(DROP, {"key": blob_id})


def beat(tx: Tx, ctx: Context, blob_id: str) -> None:
    tx.execute(BEAT, {"key": blob_id, "now": tx.now})


def drop_silent(tx: Tx, ctx: Context, before_us: int) -> int:
    """Uploads that nothing was heard of since then have died; returns how many."""
    return tx.changed(BLOBS.delete().where(BLOBS.c.refs == 0, BLOBS.c.seen_at < before_us))


def named_among(tx: Tx, ctx: Context, ids: list[str]) -> set[str]:
    return {row.id for row in tx.all(sa.select(BLOBS.c.id).where(BLOBS.c.id.in_(ids)))}


# ---- the disk --------------------------------------------------------------------------------


def disk(core: Core) -> FileStore:
    """Where the bytes are; a test may put another into `core.shelf["object.disk"]`."""
    found: FileStore | None = core.shelf.get("object.disk")
    if found is None:
        found = core.shelf["object.disk"] = FileStore(core.settings.objects_dir, label="object store")
    return found


def key_of(blob_id: str) -> str:
    """No directory gets more than a 256th of all."""
    return f"{blob_id[:2]}/{blob_id}"


async def opened(core: Core, blob_id: str) -> FileReader:
    """Raises NoSuchBlob."""
    return await in_pool(POOL, disk(core).open, key_of(blob_id))


async def read(core: Core, blob_id: str) -> bytes:
    """All of a small blob, by one visit to a thread. Raises NoSuchBlob."""
    return await in_pool(POOL, read_all, disk(core), key_of(blob_id))


def read_all(disk: FileStore, key: str) -> bytes:
    reader = disk.open(key)
    try:
        return reader.read(0, reader.size_bytes)
    finally:
        reader.close()


async def discard(core: Core, ids: Iterable[str]) -> None:
    """What can't be removed now is found by loops/orphans.py."""
    for blob_id in ids:
        try:
            await in_pool(POOL, disk(core).delete, key_of(blob_id))
        except OSError as error:
            log.warning("an object's bytes could not be removed yet", blob=blob_id, why=str(error))


def discard_soon(core: Core, ids: list[str]) -> None:
    task = asyncio.get_running_loop().create_task(discard(core, ids))
    GOING.add(task)
    task.add_done_callback(GOING.discard)


# ---- writing ---------------------------------------------------------------------------------


class Intake:
    """Counts, hashes and writes the pieces of one content."""

    def __init__(self, writer: Writer, limit_bytes: int) -> None:
        self._writer, self._limit_bytes = writer, limit_bytes
        self._md5 = hashlib.md5(usedforsecurity=False)
        self.size_bytes = 0

    def take(self, chunk: Piece) -> None:
        """Raises TooLarge, StoreFull."""
        self.size_bytes += len(chunk)
        check_size(self.size_bytes, self._limit_bytes)
        self._md5.update(chunk)
        self._writer.write(chunk)

    def finish(self, blob_id: str) -> Received:
        """Raises StoreFull, NoSuchBlob."""
        self._writer.commit()
        return Received(blob_id, self.size_bytes, self._md5.hexdigest())


def check_size(size_bytes: int, limit_bytes: int) -> None:
    if size_bytes > limit_bytes:
        raise errors.TooLarge(f"An object may have {limit_bytes} bytes.", limit_bytes=limit_bytes)


@asynccontextmanager
async def given_back(ctx: Context, blob_id: str) -> AsyncIterator[None]:
    """Whatever goes wrong inside, nothing stays of the blob. While inside, its row says that it is being written."""
    async with beating(ctx, beat, blob_id, BEAT_S):
        try:
            yield
        except BaseException:
            # Shielded: a cancelled request must not leave half of this undone.
            await asyncio.shield(give_up(ctx, blob_id))
            raise


async def give_up(ctx: Context, blob_id: str) -> None:
    await ctx.write(forget, blob_id)
    if not await ctx.read(named_among, [blob_id]):
        await discard(ctx.core, [blob_id])


async def write(ctx: Context, blob_id: str, stream: Stream) -> Received:
    """The stream as a durable blob. Raises TooLarge, Invalid, StorageFull, Gone."""
    limit_bytes = ctx.core.settings.object.size_limit_bytes
    check_size(stream.length or 0, limit_bytes)
    try:
        writer = await begun(POOL, partial(disk(ctx.core).create, key_of(blob_id), stream.length))
        intake = Intake(writer, limit_bytes)
        try:
            await pump(intake, stream.chunks, stream.length, POOL)
            return await finished(in_pool(POOL, intake.finish, blob_id))
        finally:
            with suppress(OSError):
                await asyncio.shield(in_pool(POOL, writer.abort))
    except StoreFull as full:
        raise errors.StorageFull(str(full)) from None
    except NoSuchBlob:
        raise errors.Gone("This upload was given up meanwhile.") from None

