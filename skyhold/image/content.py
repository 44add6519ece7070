# SPDX-License-Identifier: Apache-2.0
"""Which blobs there are in the stores, each content once, and how many images name each.

Bytes themselves are drivers/; who writes them is files.py, staging.py and sagas/. A row is committed before the first
byte is written and says who writes; when the bytes are complete it gets its hash, or, if its store has that content
already, makes way for the blob that was first. So what is in a store without a row belongs to nobody.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from skyhold.core import context, errors
from skyhold.core.blobs.heart import beating
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.image.tables import BLOBS, IMAGES

if TYPE_CHECKING:
    from skyhold.core.app import Core

BEAT_S: Final = 15.0
SILENT_S: Final = 120.0
"""Whoever writes a blob and isn't heard of for so long has died."""

Placed = tuple[str, str]
"""(store, key) of a blob."""

ADD = BLOBS.insert()
BY_KEY = sa.select(BLOBS).where(BLOBS.c.id == sa.bindparam("key"))
MINE = (BLOBS.c.id == sa.bindparam("key")) & (BLOBS.c.refs == 0)
BEAT = BLOBS.update().where(MINE).values(seen_at=sa.bindparam("now"))
JOIN_TWIN = (
    BLOBS.update()
    .where(BLOBS.c.store == sa.bindparam("at_store"), BLOBS.c.sha512 == sa.bindparam("digest"), BLOBS.c.refs > 0)
    .values(refs=BLOBS.c.refs + 1)
)
TWIN = sa.select(BLOBS.c.id).where(
    BLOBS.c.store == sa.bindparam("at_store"), BLOBS.c.sha512 == sa.bindparam("digest")
)
COMPLETE = BLOBS.update().where(MINE).values(
    sha512=sa.bindparam("digest"), size_bytes=sa.bindparam("n"), refs=1, seen_at=sa.bindparam("now")
)
REST = BLOBS.update().where(MINE).values(size_bytes=sa.bindparam("n"), refs=1, seen_at=sa.bindparam("now"))
DROP_UNFINISHED = BLOBS.delete().where(MINE)
BEGUN_BY = sa.select(BLOBS.c.store, BLOBS.c.id).where(BLOBS.c.writer_id == sa.bindparam("writer"), BLOBS.c.refs == 0)
SILENT = sa.select(BLOBS.c.store, BLOBS.c.id).where(BLOBS.c.refs == 0, BLOBS.c.seen_at < sa.bindparam("before"))
DROP_SILENT = BLOBS.delete().where(MINE, BLOBS.c.seen_at < sa.bindparam("before"))
LET_GO = BLOBS.update().where(BLOBS.c.id == sa.bindparam("key"), BLOBS.c.refs > 0).values(refs=BLOBS.c.refs - 1)
DROP_UNUSED = BLOBS.delete().where(BLOBS.c.id == sa.bindparam("key"), BLOBS.c.refs == 0)
TRIES: Final = 3


# ---- writing ---------------------------------------------------------------------------------


def begin(tx: Tx, ctx: Context, store: str, key: str, writer_id: str) -> list[Placed]:
    """`writer_id` is going to write this blob; what it began before and didn't finish is nobody's from now on, and to
    be discarded after the commit."""
    gone = give_up(tx, writer_id)
    tx.execute(ADD, {
        "id": key, "store": store, "sha512": None, "size_bytes": None, "refs": 0, "seen_at": tx.now,
        "writer_id": writer_id, "created_at": tx.now,
    })
    return gone


def give_up(tx: Tx, writer_id: str) -> list[Placed]:
    """What this writer began and didn't finish is nobody's: to be discarded after the commit."""
    begun = tx.all(BEGUN_BY, {"writer": writer_id})
    return [(row.store, row.id) for row in begun if tx.changed(DROP_UNFINISHED, {"key": row.id})]


def give_up_silent(tx: Tx, before_us: int) -> list[Placed]:
    """The same of all writers that were not heard of since."""
    silent = tx.all(SILENT, {"before": before_us})
    return [
        (row.store, row.id) for row in silent if tx.changed(DROP_SILENT, {"key": row.id, "before": before_us})
    ]


def complete(tx: Tx, store: str, key: str, sha512: str, size_bytes: int) -> tuple[str, list[Placed]]:
    """The key by which an image may name this content now, and the blob that is superfluous, if any.

    Raises Gone when the blob was given up meanwhile.
    """
    for _ in range(TRIES):
        if tx.changed(JOIN_TWIN, {"at_store": store, "digest": sha512}):
            twin = str(tx.scalar(TWIN, {"at_store": store, "digest": sha512}))
            check_mine(tx.changed(DROP_UNFINISHED, {"key": key}), key)
            return twin, [(store, key)]
        try:
            with tx.nested():
                told = {"key": key, "digest": sha512, "n": size_bytes, "now": tx.now}
                check_mine(tx.changed(COMPLETE, told), key)
        except sa.exc.IntegrityError:
            # Another upload of the same content was first; it is there to be joined now.
            continue
        return key, []
    raise errors.Conflict("The same content is being uploaded and deleted at once; try again.")


def keep_unhashed(tx: Tx, key: str, size_bytes: int) -> None:
    """What waits for its import stays although nobody knows its hash yet. Raises Gone."""
    check_mine(tx.changed(REST, {"key": key, "n": size_bytes, "now": tx.now}), key)


def check_mine(changed: int, key: str) -> None:
    if not changed:
        raise errors.Gone(f"The upload {key} was given up meanwhile.")


def forget(tx: Tx, key: str) -> None:
    """A blob that will not be finished."""
    tx.execute(DROP_UNFINISHED, {"key": key})


# ---- letting go ------------------------------------------------------------------------------


def release(tx: Tx, placed: Iterable[Placed]) -> list[Placed]:
    """An image names these no more; those that no image names any more, to be discarded after the commit."""
    gone = []
    for store, key in sorted(placed):
        tx.execute(LET_GO, {"key": key})
        if tx.changed(DROP_UNUSED, {"key": key}):
            gone.append((store, key))
    return gone


def release_of(tx: Tx, row: Any) -> list[Placed]:
    """All that the image of this row names, is writing or had staged."""
    gone = release(tx, placed_of(row))
    if row.blob:
        written = tx.first(BY_KEY, {"key": row.blob})
        if written is not None:
            gone += release(tx, [(written.store, written.id)])
    return gone


def placed_of(row: Any) -> list[Placed]:
    return [(each["store"], each["blob"]) for each in row.locations or () if each.get("blob")]


def location(store: str, key: str) -> dict[str, Any]:
    """An entry of an image's `locations` for a blob of ours."""
    return {"store": store, "blob": key, "metadata": {}}


# ---- who writes is alive ---------------------------------------------------------------------


def alive(ctx: Context, key: str) -> AbstractAsyncContextManager[None]:
    """While inside, loops/uploads.py, perhaps in another process, is told that this blob is being written."""
    return beating(ctx, beat_once, key, BEAT_S)


def beat_once(tx: Tx, ctx: Context, key: str) -> None:
    tx.execute(BEAT, {"key": key, "now": tx.now})


# ---- images of an earlier release ------------------------------------------------------------


def adopt_earlier(tx: Tx, ctx: Context) -> None:
    """An image of a release before there were several stores says by `blob` alone where its content is."""
    old = (IMAGES.c.status.in_(("active", "deactivated"))) & IMAGES.c.blob.is_not(None) & IMAGES.c.locations.is_(None)
    for row in tx.all(sa.select(IMAGES.c.id, IMAGES.c.blob, IMAGES.c.sha512, IMAGES.c.size_bytes).where(old)):
        begin(tx, ctx, "file", row.blob, row.id)
        key, _ = complete(tx, "file", row.blob, row.sha512, row.size_bytes)
        tx.execute(
            IMAGES.update().where(IMAGES.c.id == row.id).values(blob=None, locations=[location("file", key)])
        )


async def at_start(core: Core) -> None:
    await context.internal(core).write(adopt_earlier)
