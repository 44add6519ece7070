# SPDX-License-Identifier: Apache-2.0
"""Growing a volume on its host; its new size is shown once the host says that it has it.

The additional gigabytes were taken when this began (volumes/ops.py) and are given back if it fails. What has grown on
its host is not shrunk again, for that could cut off data: then the volume has its new size, even if the saga was told
to unwind in that very moment.
"""

from __future__ import annotations

from typing import Any, ClassVar

from skyhold.core.bus import HostUnreachable, Working
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.saga.asking import POLL_S, AskKept
from skyhold.core.saga.base import Again, Outcome, Saga
from skyhold.core.saga.runner import Run
from skyhold.volume import describing, states
from skyhold.volume.drivers.base import VolumeStatus
from skyhold.volume.pools import GIB
from skyhold.volume.quotas import QUOTA
from skyhold.volume.sagas import asking
from skyhold.volume.sagas.create import settle
from skyhold.volume.sagas.delete import found
from skyhold.volume.volumes.store import VOLUMES_STORE


class ExtendKept(AskKept, kw_only=True):
    grown: bool = False
    """Found while unwinding."""


class ExtendVolume(Saga):
    kind = "volume.extend"
    steps: ClassVar[list[str]] = ["grow"]
    deadline_s = 3600
    Kept = ExtendKept

    async def grow(self, s: Run) -> Outcome:
        volume = await s.read(found, s.subject)
        return await asking.order(s, volume.host_id, "volume.ensure", await s.read(describing.grown_volume, s.subject))

    async def undo_grow(self, s: Run) -> Outcome:
        volume = await s.read(found, s.subject)
        try:
            answer = await s.call(volume.host_id, "volume.ensure", await s.read(describing.ungrown_volume, s.subject))
        except HostUnreachable:
            return None
        if isinstance(answer, Working):
            return Again(POLL_S)
        s.kept.grown = isinstance(answer, VolumeStatus) and answer.size_bytes >= (volume.growing_gib or 0) * GIB
        return None

    def ended(self, tx: Tx, ctx: Context, s: Run) -> None:
        volume = VOLUMES_STORE.expect(tx, s.subject, lock=True)
        grown = volume.growing_gib or volume.size_gib
        settle(tx, s.subject, states.AVAILABLE, "volume.extend.end", size_gib=grown, growing_gib=None)

    def failed(self, tx: Tx, ctx: Context, s: Run) -> None:
        if s.kept.grown:
            return self.ended(tx, ctx, s)
        give_back(tx, s)
        settle(tx, s.subject, states.ERROR_EXTENDING, "volume.extend.error", growing_gib=None, fault=s.error[:1024])

    def cancelled(self, tx: Tx, ctx: Context, s: Run) -> None:
        """It is being deleted, and gives all of its gigabytes back then."""


def give_back(tx: Tx, s: Any) -> None:
    volume = VOLUMES_STORE.find(tx, s.subject, lock=True)
    if volume is not None and volume.growing_gib is not None and volume.state != states.DELETING:
        QUOTA.give(tx, volume.project_id, gigabytes=volume.growing_gib - volume.size_gib)
