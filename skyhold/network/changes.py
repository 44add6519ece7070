# SPDX-License-Identifier: Apache-2.0
"""Telling the data plane that something changed: a row with the change, a bell after the commit.

What is sent to which host is loops/dataplane.py. Marking too much costs a comparison, marking too
little leaves a guest without its network until the next full round: when in doubt, mark.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256

from skyhold.core.db.tx import Tx
from skyhold.network.drivers.base import Kind
from skyhold.network.tables import CHANGES

LOOP = "network.dataplane"
LENT = "Lent"
"""Kind of a row that names a host and a port: others wire the port there themselves, and the loop may never meet it."""
ADD = CHANGES.insert()


def mark(tx: Tx, kind: Kind, ids: Iterable[str]) -> None:
    """These objects may differ from what hosts hold, or be gone."""
    add(tx, [{"kind": kind, "object_id": each} for each in dict.fromkeys(ids) if each])


def lend(tx: Tx, host_id: str, port_ids: Iterable[str]) -> None:
    """Ports bound to this host in this transaction may differ from what hosts hold, as after `mark`, but this host's
    are wired by whoever runs their server."""
    ids = list(port_ids)
    lent = [{"kind": LENT, "object_id": pair(host_id, each)} for each in ids]
    add(tx, [{"kind": "Port", "object_id": each} for each in ids] + lent)


def pair(host_id: str, port_id: str) -> str:
    """What `lend` calls a port on a host: both ids, in as much room as one of them may take."""
    return sha256(f"{host_id} {port_id}".encode()).hexdigest()


def add(tx: Tx, rows: list[dict[str, str]]) -> None:
    if rows:
        tx.execute(ADD, rows)
        loops = tx.ctx.core.loops
        tx.after_commit(lambda: loops.ring(LOOP))
