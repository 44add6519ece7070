# SPDX-License-Identifier: Apache-2.0
"""Volumes as rows, without a host that holds them: for tests that count queries.

Stories make theirs through the API.
"""

from __future__ import annotations

from typing import Any

from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.volume import attachments, pools, states
from skyhold.volume.drivers.base import VolumePool
from skyhold.volume.volumes.store import SNAPSHOTS_STORE, VOLUMES_STORE


def add_volume(tx: Tx, ctx: Context, owner: Any, name: str, type_id: str) -> Any:
    """One in use, in a pool of its own, and its snapshot, which is answered; something went wrong with both."""
    host_id = ctx.new_id()
    pools.keep(tx, ctx, host_id, name, VolumePool(backend="fake", total_bytes=0, free_bytes=0))
    whose = {"project_id": owner.project_id, "user_id": owner.user_id}
    volume = VOLUMES_STORE.insert(
        tx, id=ctx.new_id(), **whose, name=name, size_gib=1, state=states.IN_USE, host_id=host_id, type_id=type_id,
        availability_zone=pools.ZONE, bootable=False, metadata={}, fault="Its host is on fire.",
    )
    attachments.store.insert(
        tx, id=ctx.new_id(), **whose, volume_id=volume.id, state=states.ATTACHED, of_compute=False, mode="rw",
        delete_on_termination=False, attached_at=tx.now,
    )
    return SNAPSHOTS_STORE.insert(
        tx, id=ctx.new_id(), **whose, volume_id=volume.id, name=name, size_gib=1, state=states.AVAILABLE,
        host_id=host_id, metadata={}, fault="Its host is on fire.",
    )
