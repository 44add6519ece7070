# SPDX-License-Identifier: Apache-2.0
"""Copying a volume at one instant, on its own host.

The row was made with this saga (snapshots.py); if the copy fails it stays in error, to be seen and deleted.
"""

from __future__ import annotations

from typing import Any, ClassVar

from skyhold.core import journal
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.saga.asking import AskKept
from skyhold.core.saga.base import Outcome, Saga
from skyhold.core.saga.runner import Run
from skyhold.volume import states
from skyhold.volume.drivers.base import SnapshotSpec
from skyhold.volume.sagas import asking
from skyhold.volume.volumes.store import SNAPSHOTS_STORE


class CreateSnapshot(Saga):
    kind = "volume.create_snapshot"
    steps: ClassVar[list[str]] = ["copy"]
    deadline_s = 6 * 3600
    Kept = AskKept

    async def copy(self, s: Run) -> Outcome:
        row = await s.read(found, s.subject)
        spec = SnapshotSpec(snapshot_id=row.id, volume_id=row.volume_id)
        return await asking.order(s, row.host_id, "volume_snapshot.ensure", spec)

    async def undo_copy(self, s: Run) -> Outcome:
        row = await s.read(found, s.subject)
        return await asking.remove(s, row.host_id, "snapshot", row.id)

    def ended(self, tx: Tx, ctx: Context, s: Run) -> None:
        settle(tx, s.subject, states.AVAILABLE, "snapshot.create.end", fault=None)

    def failed(self, tx: Tx, ctx: Context, s: Run) -> None:
        settle(tx, s.subject, states.ERROR, "snapshot.create.error", fault=s.error[:1024])


def found(tx: Tx, ctx: Context, snapshot_id: str) -> Any:
    return SNAPSHOTS_STORE.find(tx, snapshot_id)


def settle(tx: Tx, snapshot_id: str, state: str, action: str, **values: Any) -> None:
    row = SNAPSHOTS_STORE.find(tx, snapshot_id, lock=True)
    if row is not None and row.state == states.CREATING:
        journal.record(tx, action, SNAPSHOTS_STORE.move(tx, row, row.state, state, **values))
