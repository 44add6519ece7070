# SPDX-License-Identifier: Apache-2.0
"""The rows of volumes: single look-ups, and what other resources ask about them.

Lists are lists.py. Whoever is about to change a volume gets it locked, and says which states allow it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa

from skyhold.core import errors
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.store import Store, locked
from skyhold.volume import states
from skyhold.volume.tables import ATTACHMENTS, SNAPSHOTS, VOLUMES

VOLUMES_STORE = Store(VOLUMES, service="volume", kind="volume", label="Volume", states=states.VOLUME)
SNAPSHOTS_STORE = Store(SNAPSHOTS, service="volume", kind="snapshot", label="Snapshot", states=states.SNAPSHOT)


def get(tx: Tx, ctx: Context, volume_id: str) -> Any:
    return VOLUMES_STORE.get(tx, ctx, volume_id)


def of_ids(tx: Tx, ids: Iterable[str]) -> list[Any]:
    wanted = sorted(set(ids))
    if not wanted:
        return []
    return [VOLUMES_STORE.Row._make(row) for row in tx.all(sa.select(VOLUMES).where(VOLUMES.c.id.in_(wanted)))]


def snapshots_of(tx: Tx, volume_id: str, *, lock: bool = False) -> list[Any]:
    found = sa.select(SNAPSHOTS).where(SNAPSHOTS.c.volume_id == volume_id).order_by(SNAPSHOTS.c.id)
    return [SNAPSHOTS_STORE.Row._make(row) for row in tx.all(locked(found, lock))]


def copied_by(tx: Tx, *, volume_id: str | None = None, snapshot_id: str | None = None) -> str | None:
    """A volume that is just being made of this one, or of this snapshot: its source must stay meanwhile."""
    column, id = (VOLUMES.c.source_volume_id, volume_id) if volume_id else (VOLUMES.c.snapshot_id, snapshot_id)
    found: str | None = tx.scalar(
        sa.select(VOLUMES.c.id).where(column == id, VOLUMES.c.state == states.CREATING).limit(1)
    )
    return found


def need(tx: Tx, volume: Any, allowed: Iterable[str], to_what: str) -> None:
    """Raises Invalid, as upstream, unless the volume is in one of these states; says who holds it."""
    allowed = tuple(allowed)
    if volume.state not in allowed:
        raise errors.Invalid(
            f"Invalid volume: Volume {volume.id} status must be {' or '.join(allowed)} to {to_what}, but current "
            f"status is: {volume.state}.{holders(tx, volume)}", reason="wrong_state", state=volume.state,
        )


def holders(tx: Tx, volume: Any) -> str:
    """A sentence for a refusal: the servers and other hosts that have the volume or are to get it; empty without any.
    They are its own project's, so whoever may know of the volume may know of them."""
    held = sa.select(ATTACHMENTS.c.server_id, ATTACHMENTS.c.host_name).where(ATTACHMENTS.c.volume_id == volume.id)
    found = [
        f"server {row.server_id}" if row.server_id else f"host {row.host_name}"
        for row in tx.all(held.order_by(ATTACHMENTS.c.created_at, ATTACHMENTS.c.id)) if row.server_id or row.host_name
    ]
    return f" It is held by {', '.join(found)}." if found else ""
