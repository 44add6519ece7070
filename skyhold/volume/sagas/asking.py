# SPDX-License-Identifier: Apache-2.0
"""How volume's sagas ask a host, and what becomes of bytes on a host that can't be asked.

Steps and undo are in each saga's own file. A host that is away never holds up a deletion: what it still has is
noted in `volume_remains` and removed when it is back (loops/remains.py).
"""

from __future__ import annotations

from typing import Any

import msgspec

from skyhold.core.bus import Failed, HostUnreachable, Working
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.saga import asking
from skyhold.core.saga.base import Again, Outcome
from skyhold.core.saga.runner import Run
from skyhold.volume.drivers.base import SnapshotRef, VolumeRef
from skyhold.volume.tables import REMAINS

KEY_LENGTH = 64
"""Of a key there may be as much: the id and enough of the host's to tell one from another."""


async def order(s: Run, host_id: str, verb: str, body: object) -> Outcome:
    """Have a host do it, as core/saga/asking.py says."""
    return asking.done(await asking.ask(s, host_id, verb, body, of="volume"))


async def remove(s: Run, host_id: str, kind: str, id: str) -> Outcome:
    """Have the bytes of a volume or a snapshot gone: now, or when their host is back."""
    verb, wish = removal(kind, id)
    # What isn't the saga's own subject has no fence of this saga.
    subject = None if id == s.subject else ""
    answer: Any = None
    try:
        answer = await s.call(host_id, verb, wish, subject=subject)
    except HostUnreachable:
        s.then(remember, host_id, kind, id)
    if isinstance(answer, Failed):
        raise RuntimeError(f"{verb} of {id}: {answer.text}")
    return Again(asking.POLL_S) if isinstance(answer, Working) else None


def removal(kind: str, id: str) -> tuple[str, msgspec.Struct]:
    if kind == "snapshot":
        return "volume_snapshot.absent", SnapshotRef(snapshot_id=id)
    return "volume.absent", VolumeRef(volume_id=id)


def remember(tx: Tx, ctx: Context, host_id: str, kind: str, id: str) -> None:
    """Of one that was begun on a host that went away, and made on another that is away now, both have something."""
    key = f"{id}@{host_id}"[:KEY_LENGTH]
    if tx.first(REMAINS.select().where(REMAINS.c.id == key)) is None:
        tx.execute(REMAINS.insert(), {"id": key, "host_id": host_id, "kind": kind, "created_at": tx.now})


def what_remains(row: Any) -> str:
    """The id of the volume or snapshot that a row of `volume_remains` is about; an earlier release wrote it alone."""
    return str(row.id).partition("@")[0]
