# SPDX-License-Identifier: Apache-2.0
"""Removing a snapshot: the bytes from its host, then its row.

A host that is away doesn't hold this up (asking.py). Snapshots that go with their volume are delete.py's.
"""

from __future__ import annotations

from typing import ClassVar

from skyhold.core import journal
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.saga.asking import AskKept
from skyhold.core.saga.base import Outcome, Saga
from skyhold.core.saga.runner import Run
from skyhold.volume import states
from skyhold.volume.sagas import asking
from skyhold.volume.sagas.create_snapshot import found
from skyhold.volume.sagas.delete import forget_snapshot
from skyhold.volume.volumes.store import SNAPSHOTS_STORE


class DeleteSnapshot(Saga):
    kind = "volume.delete_snapshot"
    steps: ClassVar[list[str]] = ["remove"]
    Kept = AskKept

    async def remove(self, s: Run) -> Outcome:
        row = await s.read(found, s.subject)
        return None if row is None else await asking.remove(s, row.host_id, "snapshot", row.id)

    def ended(self, tx: Tx, ctx: Context, s: Run) -> None:
        row = SNAPSHOTS_STORE.find(tx, s.subject, lock=True)
        if row is not None:
            forget_snapshot(tx, row)

    def failed(self, tx: Tx, ctx: Context, s: Run) -> None:
        row = SNAPSHOTS_STORE.find(tx, s.subject, lock=True)
        if row is not None:
            row = SNAPSHOTS_STORE.move(tx, row, row.state, states.ERROR_DELETING, fault=s.error[:1024])
            journal.record(tx, "snapshot.delete.error", row)
