# SPDX-License-Identifier: Apache-2.0
"""The reshaper: inventories and the allocations against them move to other providers at once.

Ordinary changes are inventories.py and allocations.py. The one thing to know first: what is new is
written before the allocations move and what is gone is deleted after, so nothing in use is ever
without its inventory.
"""

from __future__ import annotations

from skyhold.core import errors
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.http.routes import Routes
from skyhold.core.shapes import Shape, field
from skyhold.placement import allocations, inventories, policy, records
from skyhold.placement.allocations import AllocationsPost
from skyhold.placement.answers import UUID_PATTERN
from skyhold.placement.errors import CONCURRENT_UPDATE, PROVIDER_NOT_FOUND
from skyhold.placement.inventories import InventoriesSet


class Reshaping(Shape):
    inventories: dict[str, InventoriesSet] = field(keys=UUID_PATTERN)
    allocations: dict[str, AllocationsPost] = field(keys=UUID_PATTERN)


routes = Routes()


@routes.post("/reshaper", policy=policy.RESHAPE, since="1.30", body=Reshaping, status=204)
async def reshape(ctx: Context, want: Reshaping) -> None:
    """Reshaper."""
    await ctx.write(move, want)


def move(tx: Tx, ctx: Context, want: Reshaping) -> None:
    """Raises Conflict when a provider changed, something doesn't fit, or what goes is still in use."""
    gone: dict[str, list[str]] = {}
    for provider_id in sorted(want.inventories):
        gone[provider_id] = begin(tx, ctx, provider_id, want.inventories[provider_id])
    if want.allocations:
        allocations.set_all(tx, ctx, want.allocations)
    for provider_id, names in gone.items():
        records.delete_inventories(tx, provider_id, names)


def begin(tx: Tx, ctx: Context, provider_id: str, want: InventoriesSet) -> list[str]:
    """Writes what the provider has afterwards; answers which classes must go in the end."""
    row = records.find_provider(tx, provider_id)
    if row is None:
        raise errors.Invalid(
            f"Resource provider {provider_id} in inventories not found: No resource provider with uuid "
            f"{provider_id} found", code=PROVIDER_NOT_FOUND,
        )
    if row.generation != want.resource_provider_generation:
        raise errors.Conflict(
            f"resource provider generation conflict for provider {provider_id}: actual: {row.generation}, "
            f"given: {want.resource_provider_generation}", code=CONCURRENT_UPDATE,
        )
    wanted = inventories.read_all(tx, ctx, provider_id, want.inventories)
    gone = records.grow_inventories(tx, provider_id, wanted)
    records.advance(tx, row)
    return gone
