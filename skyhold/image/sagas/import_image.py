# SPDX-License-Identifier: Apache-2.0
"""An import: content is brought into staging, made ready, inspected, placed in each store, and the image is active.

Which imports are allowed is imports/ops.py, where content comes from imports/sources.py, how it is made ready
imports/plugins.py. Every attempt writes a blob of its own, so that a step may be done again after any crash; what an
attempt left behind is nobody's, and goes with the next one or the import's end. A deleted image ends its import with
the next commit.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from typing import Any, ClassVar, Final

from skyhold.core import errors, journal
from skyhold.core.blobs.file import FileStore
from skyhold.core.blobs.flow import finished
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.saga.base import Abort, Again, Kept, Outcome, Saga
from skyhold.core.saga.runner import Run
from skyhold.image import blobs, content, files, quotas, states, tasks
from skyhold.image.drivers.base import BlobStore, NoSuchBlob, Piece, StoreAway, StoreFull
from skyhold.image.images import ops as images
from skyhold.image.images.store import set_terms, store
from skyhold.image.imports import conversion, plugins, sources, staged
from skyhold.image.imports.shape import COPY_IMAGE, GLANCE_DOWNLOAD, WEB_DOWNLOAD
from skyhold.image.intake import Received, read_through

WAIT_S: Final = 0.5


class ImportKept(Kept, kw_only=True):
    """`staged` is the key of the content in staging; `received` what it was found to be."""

    task_id: str = ""
    method: dict[str, Any] = {}
    stores: list[str] = []
    all_must_succeed: bool = True
    staged: str = ""
    attributes: dict[str, Any] = {}
    plugins_done: int = 0
    received: Received | None = None
    placed: list[tuple[str, str]] = []
    failed: list[str] = []
    why: str = ""
    finished: bool = False

    @property
    def copying(self) -> bool:
        return bool(self.method["name"] == COPY_IMAGE)


class ImportImage(Saga):
    kind = "image.import"
    steps: ClassVar[list[str]] = ["bring", "prepare", "inspect", "place", "finish"]
    deadline_s = 24 * 3600
    Kept = ImportKept

    async def bring(self, s: Run) -> Outcome:
        return await in_turn(s, self._bring)

    async def _bring(self, s: Run, row: Any) -> Outcome:
        """Content from elsewhere into staging; what was staged, or is in a store, is there."""
        limit_bytes = await s.read(staged.limit_of, row)
        if s.kept.method["name"] == WEB_DOWNLOAD:
            async with sources.from_web(s, s.kept.method["uri"], limit_bytes) as source:
                await staged.write(s, source.chunks, source.length, limit_bytes)
        elif s.kept.method["name"] == GLANCE_DOWNLOAD:
            async with sources.from_glance(s, s.kept.method) as source:
                s.kept.attributes = source.attributes
                await staged.write(s, source.chunks, source.length, limit_bytes)
        return None

    async def prepare(self, s: Run) -> Outcome:
        return await in_turn(s, self._prepare)

    async def _prepare(self, s: Run, row: Any) -> Outcome:
        """One plug-in a commit: each makes another content of what is staged, or leaves it."""
        wanted = s.ctx.core.settings.image.import_plugins
        if s.kept.copying or s.kept.plugins_done >= len(wanted):
            return None
        name = wanted[s.kept.plugins_done]
        await plugins.run(s, row, name)
        s.kept.plugins_done += 1
        return Again(0) if s.kept.plugins_done < len(wanted) else None

    async def undo_prepare(self, s: Run) -> None:
        await conversion.clear(s)

    async def inspect(self, s: Run) -> Outcome:
        return await in_turn(s, self._inspect)

    async def _inspect(self, s: Run, row: Any) -> Outcome:
        """What the content really is, before any store has it."""
        if s.kept.copying:
            # A location that nobody hashed can't be copied with care.
            if row.sha512 is None:
                raise Abort(f"The content of image {row.id} has no hash of ours, so a copy can't be verified.")
            s.kept.received = Received(row.size_bytes, row.virtual_size_bytes, row.checksum, row.sha512)
            return None
        s.kept.received = await staged.inspected(s, row)
        return None

    async def place(self, s: Run) -> Outcome:
        return await in_turn(s, self._place)

    async def _place(self, s: Run, row: Any) -> Outcome:
        """One store a commit."""
        through = {name for name, _ in s.kept.placed} | set(s.kept.failed)
        left = [name for name in s.kept.stores if name not in through]
        if not left:
            if not s.kept.placed and s.kept.stores:
                raise Abort(f"No store took the content: {s.kept.why}")
            return None
        try:
            key = await placed_in(s, row, left[0])
        except (StoreFull, StoreAway) as error:
            if s.kept.all_must_succeed:
                raise Abort(f"The store {left[0]} didn't take the content: {error}") from None
            s.kept.why = str(error)
            s.kept.failed = [*s.kept.failed, left[0]]
            s.then(note_failure, s.subject, left[0])
            return Again(0)
        s.then(put, s, left[0], key)
        return Again(0)

    async def finish(self, s: Run) -> Outcome:
        s.then(activate, s)
        return None

    async def undo_place(self, s: Run) -> None:
        # Once the image is active the blobs are its own, and go with it.
        if not s.kept.finished:
            s.then(take_back, s.subject, s.kept.copying, s.kept.placed)
        s.kept.placed = []

    def ended(self, tx: Tx, ctx: Context, s: Run) -> None:
        tasks.end(tx, s.kept.task_id, states.SUCCESS, message_at_end(s))

    def failed(self, tx: Tx, ctx: Context, s: Run) -> None:
        if s.kept.finished:
            # The content is the image's: whoever told us to unwind came too late.
            return self.ended(tx, ctx, s)
        give_up(tx, ctx, s)
        tasks.end(tx, s.kept.task_id, states.FAILURE, s.error)

    cancelled = failed


async def in_turn(s: Run, step: Callable[[Run, Any], Awaitable[Outcome]]) -> Outcome:
    """The step with the image's row, as soon as there is room for one more that moves bytes."""
    row = await staged.image_of(s)
    with staged.turn(s, row.project_id) as mine:
        return await step(s, row) if mine else Again(WAIT_S)


def message_at_end(s: Run) -> str:
    return f"Not in {', '.join(s.kept.failed)}: {s.kept.why}" if s.kept.failed else ""


# ---- placing ---------------------------------------------------------------------------------


async def placed_in(s: Run, row: Any, name: str) -> str:
    """The key of a finished blob in that store. Raises StoreFull, StoreAway, Abort."""
    target = blobs.stores_of(s.ctx.core).get(name)
    key = await staged.begin_blob(s, name)
    async with content.alive(s.ctx, key):
        if not await linked(s, target, key):
            await copied(s, row, target, key)
    return key


async def linked(s: Run, target: BlobStore, key: str) -> bool:
    """Both being files of one disk, the staged file is the blob, without a copy."""
    if s.kept.copying or not isinstance(target, FileStore):
        return False
    path = await blobs.in_thread(staged.place(s).path, s.kept.staged)
    return path is not None and await blobs.in_thread(target.adopt, path, key)


async def copied(s: Run, row: Any, target: BlobStore, key: str) -> None:
    wanted = s.kept.received
    try:
        if s.kept.copying:
            reader = await files.opened(s.ctx, row)
        else:
            reader = await blobs.in_thread(staged.place(s).open, s.kept.staged)
    except (NoSuchBlob, errors.Error) as error:
        raise Abort(f"The content can't be read: {error}") from None
    try:
        writer = await blobs.writer_to(target, key, reader.size_bytes)
        sink = Copy(writer)
        try:
            await read_through(reader, sink, staged.telling(s, f"Copied to {target.name}", reader.size_bytes))
            if sink.hexdigest() != wanted.sha512:
                raise Abort("The content read from the store isn't what its hash says; the copy was given up.")
            await finished(blobs.in_thread(writer.commit))
        finally:
            await asyncio.shield(blobs.in_thread(writer.abort))
    finally:
        await asyncio.shield(blobs.in_thread(reader.close))


class Copy:
    """Writes and hashes what was inspected before."""

    def __init__(self, writer: Any) -> None:
        self._writer, self._sha512 = writer, hashlib.sha512()
        self.size_bytes = 0

    def take(self, chunk: Piece) -> None:
        self.size_bytes += len(chunk)
        self._sha512.update(chunk)
        self._writer.write(chunk)

    def hexdigest(self) -> str:
        return self._sha512.hexdigest()


def put(tx: Tx, ctx: Context, s: Run, name: str, key: str) -> None:
    """The image names the blob of one more store."""
    row = store.find(tx, s.subject, lock=True)
    if row is None:
        raise Abort(f"Image {s.subject} was deleted while it was imported.")
    received = s.kept.received
    used, superfluous = content.complete(tx, name, key, received.sha512, received.size_bytes)
    core = ctx.core
    tx.after_commit(lambda: blobs.discard_soon(core, superfluous))
    importing = without(row.importing, name)
    values: dict[str, Any] = {"importing": importing}
    if s.kept.copying:
        values["locations"] = [*(row.locations or ()), content.location(name, used)]
    store.update(tx, row, **values)
    # Written so that a commit that is run again says the same.
    s.kept.placed = [*(each for each in s.kept.placed if each[0] != name), (name, used)]


def note_failure(tx: Tx, ctx: Context, image_id: str, name: str) -> None:
    row = store.find(tx, image_id, lock=True)
    if row is None:
        raise Abort(f"Image {image_id} was deleted while it was imported.")
    store.update(tx, row, importing=without(row.importing, name, failed=True))


def without(importing: dict[str, Any], name: str, *, failed: bool = False) -> dict[str, Any]:
    return {
        **importing, "stores": [each for each in importing["stores"] if each != name],
        "failed": [*importing["failed"], name] if failed else importing["failed"],
    }


# ---- the end ---------------------------------------------------------------------------------


def activate(tx: Tx, ctx: Context, s: Run) -> None:
    row = store.find(tx, s.subject, lock=True)
    if row is None:
        raise Abort(f"Image {s.subject} was deleted while it was imported.")
    importing = {"task": "", "stores": [], "failed": s.kept.failed}
    if s.kept.copying:
        row = store.update(tx, row, importing=importing)
    else:
        staged.let_go(tx, ctx, [(blobs.STAGING, row.blob)] if row.blob else [])
        locations = [content.location(name, key) for name, key in s.kept.placed]
        before = content.placed_of(row)
        with quotas.ends_work():
            row = files.filled(tx, row, s.kept.received, locations, importing=importing, **attributes(tx, s, row))
        staged.let_go(tx, ctx, before)
    journal.record(tx, "image.import", row)
    # Only here: a commit that fails must leave the blobs the import's own.
    s.kept.finished = True


def attributes(tx: Tx, s: Run, row: Any) -> dict[str, Any]:
    """What the content brought along: formats and properties."""
    told = s.kept.attributes
    values = {name: told[name] for name in ("disk_format", "container_format") if told.get(name)}
    if told.get("properties"):
        properties = {**row.properties, **told["properties"]}
        images.check_properties(s.ctx, properties, had=len(row.properties))
        values["properties"] = properties
        set_terms(tx, row.id, row._replace(properties=properties), before=row)
    return values


def take_back(tx: Tx, ctx: Context, image_id: str, copying: bool, placed: list[tuple[str, str]]) -> None:
    """Blobs that this import placed, from the stores and, where it names them already, from the image. Those of a
    deleted image went with it."""
    if copying:
        row = store.find(tx, image_id, lock=True)
        named = row.locations if row is not None else []
        placed = [each for each in content.placed_of(row) if each in map(tuple, placed)] if row is not None else []
        if placed:
            store.update(tx, row, locations=[
                each for each in named if (each["store"], each.get("blob")) not in placed
            ])
    staged.let_go(tx, ctx, placed)


def give_up(tx: Tx, ctx: Context, s: Run) -> None:
    """The image as it was before the import; what was staged is gone."""
    staged.give_up(tx, s)
    row = store.find(tx, s.subject, lock=True)
    if row is None:
        return
    importing = {"task": "", "stores": [], "failed": sorted({*s.kept.failed, *s.kept.stores})}
    if s.kept.copying:
        row = store.update(tx, row, importing=importing)
    elif row.status == states.IMPORTING:
        staged.let_go(tx, ctx, [(blobs.STAGING, row.blob)] if row.blob else [])
        row = store.move(tx, row, states.IMPORTING, states.QUEUED, blob=None, importing=importing)
    journal.record(tx, "image.import.failed", row)
