# SPDX-License-Identifier: Apache-2.0
"""Compares what every inventory says is used with the allocations that use it.

Whether a consumer still exists is asked by the service that knows it (compute/audit.py).
"""

from __future__ import annotations

import sqlalchemy as sa

from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.operator.findings import Finding
from skyhold.placement.tables import ALLOCATIONS, INVENTORIES

KEPT = sa.select(INVENTORIES.c.provider_id, INVENTORIES.c.resource_class, INVENTORIES.c.used)
COUNTED = sa.select(
    ALLOCATIONS.c.provider_id, ALLOCATIONS.c.resource_class, sa.func.sum(ALLOCATIONS.c.used).label("used")
).group_by(ALLOCATIONS.c.provider_id, ALLOCATIONS.c.resource_class)


async def run(ctx: Context) -> list[Finding]:
    return await ctx.read(used_and_allocated)


def used_and_allocated(tx: Tx, ctx: Context) -> list[Finding]:
    kept = {(row.provider_id, row.resource_class): int(row.used) for row in tx.all(KEPT)}
    counted = {(row.provider_id, row.resource_class): int(row.used) for row in tx.all(COUNTED)}
    return [
        Finding(
            "inventory", f"{provider}/{name}",
            f"{kept.get((provider, name), 0)} {name} of provider {provider} are marked as used, but "
            f"{counted.get((provider, name), 0)} are allocated.",
            "Report it as a defect; set `used` in placement_inventories while the cloud is stopped.",
        )
        for provider, name in sorted(kept.keys() | counted.keys())
        if kept.get((provider, name), 0) != counted.get((provider, name), 0)
    ]
