# SPDX-License-Identifier: Apache-2.0
"""What an import has in staging: writing it, replacing it by what a plug-in made of it, telling how far that is.

The import's steps are sagas/import_image.py, uploads into staging are ../staging.py. Only the commit of a step makes
a blob the staged content; a blob that was written for nothing is swept.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from skyhold.core import errors
from skyhold.core.blobs.flow import finished
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.saga.base import Abort
from skyhold.core.saga.runner import Run
from skyhold.image import blobs, content, quotas, signatures, tasks
from skyhold.image.drivers.base import BlobStore, NoSuchBlob, StoreFull
from skyhold.image.images.store import store
from skyhold.image.intake import Intake, Received, pump, read_through
from skyhold.image.logic.inspection import Inspection, Refused
from skyhold.image.logic.signing import Unverified

TELL_EVERY_S: Final = 2.0
MIB: Final = 1024 * 1024


async def image_of(s: Run) -> Any:
    """The image's row. Raises Abort when it was deleted meanwhile."""
    row = await s.read(lambda tx, ctx: store.find(tx, s.subject))
    if row is None:
        raise deleted(s.subject)
    return row


def deleted(image_id: str) -> Abort:
    return Abort(f"Image {image_id} was deleted while it was imported.")


MOST_AT_ONCE: Final = 16
MOST_OF_A_PROJECT: Final = 4


@contextmanager
def turn(s: Run, project_id: str | None) -> Iterator[bool]:
    """Whether this import may move bytes now, in this process. Others wait: a slow web server must hold up neither the
    imports of other projects nor the sagas of other services."""
    moving: Counter[str] = s.ctx.core.shelf.setdefault("image.moving", Counter())
    owner = project_id or ""
    if moving.total() >= MOST_AT_ONCE or moving[owner] >= MOST_OF_A_PROJECT:
        yield False
        return
    moving[owner] += 1
    try:
        yield True
    finally:
        moving[owner] -= 1


def limit_of(tx: Tx, ctx: Context, row: Any) -> int:
    """How many bytes this image may have now, in the place of what it has staged. Raises Abort."""
    with quotas.ends_work():
        size = quotas.room_bytes(tx, row.project_id, quotas.SIZE)
        staged = quotas.room_bytes(tx, row.project_id, quotas.STAGED, own=quotas.held(row)[quotas.STAGED])
        return min(ctx.core.settings.image.size_limit_bytes, size, staged)


def place(s: Run) -> BlobStore:
    return blobs.stores_of(s.ctx.core).get(blobs.STAGING)


async def path(s: Run) -> Path:
    """The staged content as a file. Raises Abort when it is gone."""
    found = await blobs.in_thread(place(s).path, s.kept.staged)
    if found is None:
        raise Abort("The staged content is gone.")
    return found


async def begin_blob(s: Run, store_name: str) -> str:
    """The key of a new blob that this saga is going to write. What an attempt that was killed has left goes first."""
    key = f"{s.subject}/{s.ctx.new_id()}"
    await blobs.discard(s.ctx.core, await s.ctx.write(content.begin, store_name, key, s.id))
    return key


async def write(s: Run, chunks: AsyncIterator[bytes], length: int | None, limit_bytes: int) -> None:
    """The pieces become the staged content. Raises Abort."""
    if length is not None and length > limit_bytes:
        raise Abort(f"The image has {length} bytes; at most {limit_bytes} are left for it.")
    key = await begin_blob(s, blobs.STAGING)
    async with content.alive(s.ctx, key):
        try:
            writer = await blobs.writer_to(place(s), key, length)
            intake = Intake(writer, None, limit_bytes)
            try:
                await pump(intake, told(s, "Fetched", chunks, length), length)
                received = await finished(blobs.in_thread(intake.finish))
            finally:
                await asyncio.shield(blobs.in_thread(intake.abort))
        except StoreFull as full:
            raise Abort(f"The staging area is full: {full}") from None
    check_promised(s, received)
    adopt(s, key, received.size_bytes)


def check_promised(s: Run, received: Received) -> None:
    """Another image service said what its content hashes to."""
    promised = s.kept.attributes.get("sha512")
    if promised and len(promised) == len(received.sha512) and promised != received.sha512:
        raise Abort("The content that came doesn't match the hash that the other image service has of it.")


def adopt(s: Run, key: str, size_bytes: int) -> None:
    """This finished blob becomes the staged content, in the commit of the step."""
    s.kept.staged = key
    s.then(take, s.subject, key, size_bytes)


def take(tx: Tx, ctx: Context, image_id: str, key: str, size_bytes: int) -> None:
    row = store.find(tx, image_id, lock=True)
    if row is None:
        raise deleted(image_id)
    content.keep_unhashed(tx, key, size_bytes)
    let_go(tx, ctx, [(blobs.STAGING, row.blob)] if row.blob and row.blob != key else [])
    with quotas.ends_work():
        store.update(tx, row, blob=key, staged_bytes=size_bytes)


async def inspected(s: Run, row: Any) -> Received:
    """What the staged content really is. Raises Abort when it isn't what it is said to be."""
    told_format = s.kept.attributes.get("disk_format") or row.disk_format
    container = s.kept.attributes.get("container_format") or row.container_format
    settings = s.ctx.core.settings.image
    inspection = Inspection(told_format, container, settings.virtual_size_limit_bytes)
    try:
        verifier = await signatures.verifier(s.ctx, row.properties)
        intake = Intake(None, inspection, settings.size_limit_bytes, verifier=verifier)
        reader = await blobs.in_thread(place(s).open, s.kept.staged)
        try:
            await read_through(reader, intake, telling(s, "Inspected", reader.size_bytes))
        finally:
            await asyncio.shield(blobs.in_thread(reader.close))
        return await finished(blobs.in_thread(intake.finish))
    except (Refused, Unverified) as refused:
        raise Abort(str(refused)) from None
    except errors.Invalid as refused:
        raise Abort(refused.message) from None
    except NoSuchBlob:
        raise Abort("The staged content is gone.") from None


def let_go(tx: Tx, ctx: Context, placed: list[content.Placed]) -> None:
    """Blobs that the image doesn't name any more; discarded after the commit when no other names them."""
    gone, core = content.release(tx, placed), ctx.core
    tx.after_commit(lambda: blobs.discard_soon(core, gone))


def give_up(tx: Tx, s: Run) -> None:
    """What this import was writing when it ended; discarded after the commit."""
    gone, core = content.give_up(tx, s.id), s.ctx.core
    tx.after_commit(lambda: blobs.discard_soon(core, gone))


def telling(s: Run, what: str, total: int | None) -> Callable[[int], Awaitable[None]]:
    """Tells the task every few seconds how far a step is."""
    last = time.monotonic()

    async def tell(done: int) -> None:
        nonlocal last
        if time.monotonic() - last < TELL_EVERY_S:
            return
        last = time.monotonic()
        # A deleted image ends its import here, not only when everything has come.
        await image_of(s)
        share = f" ({done * 100 // total} %)" if total else ""
        await s.ctx.write(tasks.progress, s.kept.task_id, f"{what} {done // MIB} MiB{share}")

    return tell


async def told(s: Run, what: str, chunks: AsyncIterator[bytes], total: int | None) -> AsyncIterator[bytes]:
    tell, done = telling(s, what, total), 0
    async for chunk in chunks:
        done += len(chunk)
        await tell(done)
        yield chunk
