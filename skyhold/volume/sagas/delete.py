# SPDX-License-Identifier: Apache-2.0
"""Removing a volume and whatever snapshots go with it: the bytes from their host, then the rows, in one commit.

A host that is away doesn't hold this up (asking.py), so delete always ends.
"""

from __future__ import annotations

from typing import Any, ClassVar

import sqlalchemy as sa

from skyhold.core import journal
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.saga.asking import AskKept
from skyhold.core.saga.base import Outcome, Saga
from skyhold.core.saga.runner import Run
from skyhold.volume import states
from skyhold.volume.quotas import QUOTA
from skyhold.volume.sagas import asking
from skyhold.volume.tables import ATTACHMENTS
from skyhold.volume.volumes.store import SNAPSHOTS_STORE, VOLUMES_STORE, snapshots_of


class DeleteVolume(Saga):
    kind = "volume.delete"
    steps: ClassVar[list[str]] = ["remove_snapshots", "remove"]
    Kept = AskKept

    async def remove_snapshots(self, s: Run) -> Outcome:
        for snapshot in await s.read(lambda tx, ctx: snapshots_of(tx, s.subject)):
            outcome = await asking.remove(s, snapshot.host_id, "snapshot", snapshot.id)
            if outcome is not None:
                return outcome
        return None

    async def remove(self, s: Run) -> Outcome:
        volume = await s.read(found, s.subject)
        if volume is None or volume.host_id is None:
            return None
        return await asking.remove(s, volume.host_id, "volume", s.subject)

    def ended(self, tx: Tx, ctx: Context, s: Run) -> None:
        forget(tx, s.subject)

    def failed(self, tx: Tx, ctx: Context, s: Run) -> None:
        """Not removed in all that time: it may be deleted again."""
        volume = VOLUMES_STORE.find(tx, s.subject, lock=True)
        if volume is not None:
            volume = VOLUMES_STORE.move(tx, volume, volume.state, states.ERROR_DELETING, fault=s.error[:1024])
            journal.record(tx, "volume.delete.error", volume)
            for snapshot in snapshots_of(tx, s.subject):
                SNAPSHOTS_STORE.move(tx, snapshot, snapshot.state, states.ERROR_DELETING, fault=s.error[:1024])


def found(tx: Tx, ctx: Context, volume_id: str) -> Any:
    return VOLUMES_STORE.find(tx, volume_id)


def forget(tx: Tx, volume_id: str) -> None:
    """Attachments, snapshots and quota go with the volume."""
    volume = VOLUMES_STORE.find(tx, volume_id, lock=True)
    if volume is None:
        return
    for snapshot in snapshots_of(tx, volume_id):
        forget_snapshot(tx, snapshot)
    tx.execute(ATTACHMENTS.delete().where(ATTACHMENTS.c.volume_id == sa.bindparam("gone")), {"gone": volume_id})
    VOLUMES_STORE.delete(tx, volume)
    QUOTA.give(tx, volume.project_id, volumes=1, gigabytes=volume.growing_gib or volume.size_gib)
    journal.record(tx, "volume.delete.end", volume)


def forget_snapshot(tx: Tx, snapshot: Any) -> None:
    SNAPSHOTS_STORE.delete(tx, snapshot)
    QUOTA.give(tx, snapshot.project_id, snapshots=1, gigabytes=snapshot.size_gib)
    journal.record(tx, "snapshot.delete.end", snapshot)
