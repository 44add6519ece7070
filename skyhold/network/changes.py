# SPDX-License-Identifier: Apache-2.0
"""Telling the data plane that something changed: a row with the change, a bell after the commit.

What is sent to which host is loops/dataplane.py. Marking too much costs a comparison, marking too
little leaves a guest without its network until the next full round: when in doubt, mark.
"""

from __future__ import annotations

from collections.abc import Iterable

from skyhold.core.db.tx import Tx
from skyhold.network.drivers.base import Kind
from skyhold.network.tables import CHANGES

LOOP = "network.dataplane"
ADD = CHANGES.insert()


def mark(tx: Tx, kind: Kind, ids: Iterable[str]) -> None:
    """These objects may differ from what hosts hold, or be gone."""
    rows = [{"kind": kind, "object_id": each} for each in dict.fromkeys(ids) if each]
    if rows:
        tx.execute(ADD, rows)
        loops = tx.ctx.core.loops
        tx.after_commit(lambda: loops.ring(LOOP))
