# SPDX-License-Identifier: Apache-2.0
"""Usages: how much of each class is used of a provider, or by a project and its users.

Single allocations are allocations.py. A provider's usages are the maintained columns of its
inventories; a project's are summed over its consumers.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from skyhold.core import errors
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.http.routes import Reply, Routes
from skyhold.core.shapes import ABSENT, Absent, Shape, field
from skyhold.placement import policy, records, versions
from skyhold.placement.allocations import UNKNOWN_TYPE
from skyhold.placement.answers import Pairs, answer, refuse_unknown
from skyhold.placement.tables import ALLOCATIONS, CONSUMERS

# ---- shape ---------------------------------------------------------------------------------


class ProviderUsages(Shape):
    resource_provider_generation: int
    usages: dict[str, int]


class Usages(Shape):
    by_class: dict[str, int] | Absent = field("usages", until="1.37", default=ABSENT)
    by_type: dict[str, dict[str, int]] | Absent = field("usages", since="1.38", default=ABSENT)


# ---- routes --------------------------------------------------------------------------------

routes = Routes()


@routes.get("/resource_providers/{uuid}/usages", policy=policy.PROVIDER_USAGES, reply=ProviderUsages)
async def of_provider(ctx: Context, uuid: str) -> Reply:
    """List resource provider usages."""
    return answer(ctx, await ctx.read(provider_usages, uuid))


@routes.get("/usages", policy=policy.TOTAL_USAGES, since="1.9", query=Pairs, reply=Usages)
async def of_project(ctx: Context, query: Pairs) -> Reply:
    """List usages."""
    allowed = ["project_id", "user_id"]
    grouped = ctx.version >= versions.CONSUMER_TYPES
    refuse_unknown(query.extra, [*allowed, "consumer_type"] if grouped else allowed)
    wanted = {name: texts[0] for name, texts in query.extra.items()}
    refuse_bad(wanted)
    ctx.demand(policy.TOTAL_USAGES, {"project_id": wanted["project_id"]})
    read = by_type if grouped else by_class
    return answer(ctx, await ctx.read(read, wanted))


def refuse_bad(wanted: dict[str, str]) -> None:
    if "project_id" not in wanted:
        raise errors.Invalid("Invalid query string parameters: 'project_id' is a required property")
    for name, text in wanted.items():
        if not 1 <= len(text) <= 255:
            raise errors.Invalid(f"Invalid query string parameters: '{name}' must have 1 to 255 characters")


# ---- queries -------------------------------------------------------------------------------


def provider_usages(tx: Tx, ctx: Context, provider_id: str) -> ProviderUsages:
    row = records.get_provider(tx, provider_id)
    used = {name: stock.used for name, stock in records.inventories_of(tx, provider_id).items()}
    return ProviderUsages(resource_provider_generation=row.generation, usages=used)


def by_class(tx: Tx, ctx: Context, wanted: dict[str, str]) -> Usages:
    statement = sa.select(ALLOCATIONS.c.resource_class, sa.func.sum(ALLOCATIONS.c.used))
    rows = tx.all(of_owner(statement, wanted).group_by(ALLOCATIONS.c.resource_class))
    return Usages(by_class={name: int(used) for name, used in rows})


def by_type(tx: Tx, ctx: Context, wanted: dict[str, str]) -> Usages:
    """consumer type -> class -> amount, and `consumer_count`; `consumer_type=all` makes one of all types."""
    asked = wanted.get("consumer_type")
    together = asked == "all"
    types = [] if together else [CONSUMERS.c.consumer_type]
    counted = of_owner(sa.select(*types, sa.func.count(ALLOCATIONS.c.consumer_id.distinct())), wanted)
    summed = of_owner(sa.select(*types, ALLOCATIONS.c.resource_class, sa.func.sum(ALLOCATIONS.c.used)), wanted)
    found: dict[str, dict[str, int]] = {}
    for *kind, name, used in tx.all(summed.group_by(*types, ALLOCATIONS.c.resource_class)):
        found.setdefault(type_name(kind), {})[name] = int(used)
    for *kind, count in tx.all(counted.group_by(*types) if types else counted):
        if count:
            found[type_name(kind)]["consumer_count"] = count
    return Usages(by_type=found)


def type_name(kind: list[Any]) -> str:
    return (kind[0] or UNKNOWN_TYPE) if kind else "all"


def of_owner(statement: Any, wanted: dict[str, str]) -> Any:
    statement = statement.join_from(ALLOCATIONS, CONSUMERS, CONSUMERS.c.id == ALLOCATIONS.c.consumer_id)
    statement = statement.where(CONSUMERS.c.project_id == wanted["project_id"])
    if "user_id" in wanted:
        statement = statement.where(CONSUMERS.c.user_id == wanted["user_id"])
    kind = wanted.get("consumer_type", "all")
    if kind == UNKNOWN_TYPE:
        return statement.where(CONSUMERS.c.consumer_type.is_(None))
    return statement if kind == "all" else statement.where(CONSUMERS.c.consumer_type == kind)
