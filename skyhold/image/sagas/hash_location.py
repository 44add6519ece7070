# SPDX-License-Identifier: Apache-2.0
"""Reading what is at a location: its hash, its real size, and whether it is what the image claims to be.

Giving locations is locations.py. An image that waits for a promised hash becomes active when it was kept, and queued
again when not; one that was active at once stays so. Only content that was found to be of its format gets a virtual
size, and only with our own hash does a host boot from it.
"""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar, Final

from skyhold.core import errors, journal
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.saga.base import Abort, Again, Kept, Outcome, Saga
from skyhold.core.saga.runner import Run
from skyhold.image import blobs, locations, quotas, signatures, states, tasks
from skyhold.image.drivers.base import NoSuchBlob, Piece, StoreAway
from skyhold.image.images.store import store
from skyhold.image.imports import staged
from skyhold.image.intake import Intake, Received, read_through
from skyhold.image.logic.inspection import Inspection, Refused
from skyhold.image.logic.signing import Unverified

WAIT_S: Final = 0.5


class HashKept(Kept, kw_only=True):
    task_id: str = ""
    place: str = ""
    url: str = ""
    algorithm: str = ""
    value: str = ""
    received: Received | None = None
    refused: str = ""
    settled: bool = False


class HashLocation(Saga):
    kind = "image.hash_location"
    steps: ClassVar[list[str]] = ["read", "settle"]
    deadline_s = 24 * 3600
    Kept = HashKept

    async def read(self, s: Run) -> Outcome:
        row = await staged.image_of(s)
        with staged.turn(s, row.project_id) as mine:
            return await self._read(s, row) if mine else Again(WAIT_S)

    async def _read(self, s: Run, row: Any) -> Outcome:
        settings = s.ctx.core.settings.image
        verifier = await verifier_of(s, row)
        look = Look(Inspection(row.disk_format, row.container_format, settings.virtual_size_limit_bytes))
        other = s.kept.algorithm if s.kept.algorithm not in ("", "sha512") else ""
        intake = Intake(look, None, settings.size_limit_bytes, other, verifier)
        try:
            reader = await blobs.in_thread(blobs.stores_of(s.ctx.core).get(s.kept.place).open, s.kept.url)
            try:
                await read_through(reader, intake, staged.telling(s, "Hashed", reader.size_bytes))
            finally:
                await asyncio.shield(blobs.in_thread(reader.close))
            received = await blobs.in_thread(intake.finish)
        except (NoSuchBlob, StoreAway) as error:
            raise Abort(f"The location can't be read: {error}") from None
        except Unverified as refused:
            raise Abort(str(refused)) from None
        s.kept.received, s.kept.refused = received, look.refused
        if not look.refused:
            s.kept.received = Received(
                received.size_bytes, look.virtual_size_bytes, received.checksum, received.sha512, received.other
            )
        return None

    async def settle(self, s: Run) -> Outcome:
        found = s.kept.received
        if s.kept.value and s.kept.value != (found.other or found.sha512):
            raise Abort(f"The content at {s.kept.url} doesn't have the {s.kept.algorithm} that was promised.")
        s.then(settled, s, found)
        return None

    def ended(self, tx: Tx, ctx: Context, s: Run) -> None:
        tasks.end(tx, s.kept.task_id, states.SUCCESS, s.kept.refused)

    def failed(self, tx: Tx, ctx: Context, s: Run) -> None:
        if s.kept.settled:
            # The image has its hash: whoever told us to unwind came too late.
            return self.ended(tx, ctx, s)
        row = store.find(tx, s.subject, lock=True)
        if row is not None and row.status == states.IMPORTING:
            row = store.move(tx, row, states.IMPORTING, states.QUEUED)
            journal.record(tx, "image.locations.failed", row)
        tasks.end(tx, s.kept.task_id, states.FAILURE, s.error)

    cancelled = failed


async def verifier_of(s: Run, row: Any) -> signatures.Verifier | None:
    try:
        return await signatures.verifier(s.ctx, row.properties)
    except errors.Invalid as refused:
        raise Abort(refused.message) from None


class Look:
    """Inspects in place of writing; what it refuses is told, since the bytes are not ours and nobody opens them
    without a host having inspected them itself."""

    far = False

    def __init__(self, inspection: Inspection) -> None:
        self._inspection = inspection
        self.virtual_size_bytes: int | None = None
        self.refused = ""

    def write(self, piece: Piece) -> None:
        self._try(lambda: self._inspection.feed(piece))

    def commit(self) -> None:
        self.virtual_size_bytes = self._try(self._inspection.conclude)

    def abort(self) -> None:
        """Nothing is kept."""

    def _try(self, act: Any) -> Any:
        if self.refused:
            return None
        try:
            return act()
        except Refused as refused:
            self.refused = str(refused)
            return None


def settled(tx: Tx, ctx: Context, s: Run, found: Received) -> None:
    row = store.find(tx, s.subject, lock=True)
    if row is None:
        raise staged.deleted(s.subject)
    other = s.kept.algorithm if s.kept.algorithm not in ("", "sha512") else None
    known = {
        "checksum": found.checksum, "sha512": found.sha512, "virtual_size_bytes": found.virtual_size_bytes,
        "hash_algo": other, "hash_value": found.other if other else None,
    }
    with quotas.ends_work():
        if row.status == states.IMPORTING:
            row = locations.activated(tx, row, found.size_bytes, row.locations, **known)
        else:
            row = store.update(tx, row, size_bytes=found.size_bytes, **known)
    journal.record(tx, "image.locations.hashed", row)
    s.kept.settled = True
