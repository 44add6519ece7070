# SPDX-License-Identifier: Apache-2.0
"""Aggregates: the groups a provider belongs to, known to placement only by their ids.

What a group means (an availability zone, hosts on one storage) is known to whoever made its id;
rows are written by records.py. Since 1.19 setting them names the provider's generation.
"""

from __future__ import annotations

import uuid as uuids
from typing import Annotated, Any

from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.http.routes import Reply, Routes
from skyhold.core.shapes import Shape, Wire, field
from skyhold.placement import policy, records, versions
from skyhold.placement.answers import answer

# ---- shape ---------------------------------------------------------------------------------

IdList = Annotated[list[str], Wire({
    "type": "array", "uniqueItems": True, "items": {"type": "string", "format": "uuid-or-hex"},
})]


class AggregatesSet(Shape):
    aggregates: list[str] = field(format="uuid-or-hex", unique_items=True)
    resource_provider_generation: int


class Aggregates(Shape):
    aggregates: list[str]
    resource_provider_generation: int = field(since="1.19")


# ---- routes --------------------------------------------------------------------------------

routes = Routes()
PATH = "/resource_providers/{uuid}/aggregates"


@routes.get(PATH, policy=policy.AGGREGATES_LIST, since="1.1", reply=Aggregates)
async def index(ctx: Context, uuid: str) -> Reply:
    """List resource provider aggregates."""
    return answer(ctx, await ctx.read(listed, uuid))


@routes.put(PATH, policy=policy.AGGREGATES_UPDATE, since="1.1", until="1.18", body=IdList, reply=Aggregates)
async def replace_list(ctx: Context, uuid: str, ids: list[str]) -> Reply:
    """Update resource provider aggregates, whatever they were."""
    return answer(ctx, await ctx.write(set_all, uuid, ids, None))


@routes.put(PATH, policy=policy.AGGREGATES_UPDATE, since="1.19", body=AggregatesSet, reply=Aggregates)
async def replace(ctx: Context, uuid: str, want: AggregatesSet) -> Reply:
    """Update resource provider aggregates."""
    return answer(ctx, await ctx.write(set_all, uuid, want.aggregates, want.resource_provider_generation))


# ---- operations ----------------------------------------------------------------------------


def set_all(tx: Tx, ctx: Context, provider_id: str, ids: list[str], generation: int | None) -> Aggregates:
    row = records.get_provider(tx, provider_id)
    if generation is not None:
        records.check_generation(row, generation)
    wanted = sorted({str(uuids.UUID(each)) for each in ids})
    records.replace_aggregates(tx, provider_id, wanted)
    # Before 1.19 the generation was left alone, and clients of that age count on it.
    after = records.advance(tx, row) if ctx.version >= versions.AGGREGATE_GENERATION else row.generation
    return Aggregates(aggregates=wanted, resource_provider_generation=after)


def listed(tx: Tx, ctx: Context, provider_id: str) -> Any:
    row = records.get_provider(tx, provider_id)
    return Aggregates(
        aggregates=records.aggregates_of(tx, provider_id), resource_provider_generation=row.generation
    )
