# SPDX-License-Identifier: Apache-2.0
"""Every row of every table, to be compared: what an operation that must change nothing is held against.

The one thing to know first: the few columns that beat by themselves (leases, a host's last sign of
life) are named here and left out; a new table is compared in full without being named.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from skyhold.core.context import Context, internal
from skyhold.core.db.columns import metadata
from skyhold.core.db.tx import Tx
from tests.kit.cloud import Cloud

BEATS = {("core_leases", "*"), ("core_journal", "position"), ("compute_hosts", "seen_at"),
         ("compute_hosts", "updated_at"),
         ("volume_pools", "seen_at"), ("volume_pools", "free_bytes")}

Snapshot = dict[str, list[tuple[Any, ...]]]


async def snapshot(cloud: Cloud) -> Snapshot:
    return await internal(cloud.core).read(everything)


def everything(tx: Tx, ctx: Context) -> Snapshot:
    found = {}
    for table in metadata.sorted_tables:
        columns = [column for column in table.c if (table.name, column.name) not in BEATS]
        if (table.name, "*") not in BEATS:
            found[table.name] = sorted(map(tuple, tx.all(sa.select(*columns))), key=repr)
    return found


def difference(before: Snapshot, after: Snapshot) -> dict[str, Any]:
    """Rows by table that one has and the other has not; empty when nothing changed."""
    return {
        name: [row for row in [*rows, *after[name]] if (row in rows) != (row in after[name])]
        for name, rows in before.items() if rows != after[name]
    }
