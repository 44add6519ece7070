# SPDX-License-Identifier: Apache-2.0
"""Allocations: what a consumer uses, of which providers.

Booking them is ledger.py; usages.py shows the sums. The one thing to know first: setting the
allocations of several consumers is one transaction in which all that is given up is given up first,
so resources move from one consumer to another without ever being free in between.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from msgspec import structs

from skyhold.core import errors
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.http.routes import Reply, Routes
from skyhold.core.shapes import ABSENT, Absent, Shape, field
from skyhold.placement import ledger, policy, records, versions, vocabulary
from skyhold.placement.answers import UUID_PATTERN, answer, latest
from skyhold.placement.errors import CONCURRENT_UPDATE
from skyhold.placement.ledger import Change, Consumer
from skyhold.placement.tables import ALLOCATIONS, CONSUMERS, PROVIDERS

UNKNOWN_OWNER = "00000000-0000-0000-0000-000000000000"
"""The project and user of allocations made before 1.8, which named neither."""
UNKNOWN_TYPE = "unknown"

# ---- shape ---------------------------------------------------------------------------------


class ProviderRef(Shape):
    uuid: str = field(format="uuid")


class ListedResources(Shape):
    resource_provider: ProviderRef
    resources: dict[str, int] = field(min=1, min_items=1, keys=vocabulary.WORD_PATTERN)


class Resources(Shape):
    resources: dict[str, int] = field(min=1, min_items=1, keys=vocabulary.WORD_PATTERN)
    generation: int | Absent = field(default=ABSENT)


class Owned(Shape):
    project_id: str = field(since="1.8", min=1, max=64)
    user_id: str = field(since="1.8", min=1, max=64)
    consumer_generation: int | None = field(since="1.28")
    mappings: dict[str, list[str]] | Absent = field(
        since="1.34", optional=True, min_items=1, format="uuid", keys="^[a-zA-Z0-9_-]{0,64}$"
    )
    consumer_type: str = field(since="1.38", min=1, max=255, pattern=vocabulary.WORD_PATTERN)


class AllocationsPut(Owned):
    listed: list[ListedResources] = field("allocations", until="1.11", min_items=1)
    some: dict[str, Resources] = field("allocations", since="1.12", until="1.27", min_items=1, keys=UUID_PATTERN)
    allocations: dict[str, Resources] = field(since="1.28", keys=UUID_PATTERN)


class AllocationsPost(Owned):
    allocations: dict[str, Resources] = field(keys=UUID_PATTERN)


class OfProvider(Shape):
    resources: dict[str, int]
    generation: int


class OfConsumer(Shape):
    allocations: dict[str, OfProvider]
    project_id: str | Absent = field(default=ABSENT, since="1.12")
    user_id: str | Absent = field(default=ABSENT, since="1.12")
    consumer_generation: int | Absent = field(default=ABSENT, since="1.28")
    consumer_type: str | Absent = field(default=ABSENT, since="1.38")


class ByConsumer(Shape):
    resources: dict[str, int]
    consumer_generation: int = field(since="1.28")


class AtProvider(Shape):
    allocations: dict[str, ByConsumer]
    resource_provider_generation: int


# ---- routes --------------------------------------------------------------------------------

routes = Routes()
PATH = "/allocations/{consumer_uuid}"


@routes.get(PATH, policy=policy.ALLOCATIONS_LIST, reply=OfConsumer)
async def show(ctx: Context, consumer_uuid: str) -> Reply:
    """List allocations."""
    body, modified_us = await ctx.read(of_consumer, consumer_uuid)
    return answer(ctx, body, modified_us=modified_us)


@routes.put(PATH, policy=policy.ALLOCATIONS_UPDATE, body=AllocationsPut, status=204)
async def update(ctx: Context, consumer_uuid: str, want: AllocationsPut) -> None:
    """Update allocations."""
    await ctx.write(set_all, {consumer_uuid: want})


@routes.post(
    "/allocations", policy=policy.ALLOCATIONS_MANAGE, since="1.13", body=dict[str, AllocationsPost], status=204
)
async def manage(ctx: Context, want: dict[str, AllocationsPost]) -> None:
    """Manage allocations."""
    if not want:
        raise errors.Invalid("JSON does not validate: {} does not have enough properties")
    await ctx.write(set_all, want)


@routes.delete(PATH, policy=policy.ALLOCATIONS_DELETE)
async def delete(ctx: Context, consumer_uuid: str) -> None:
    """Delete allocations."""
    await ctx.write(remove, consumer_uuid)


@routes.get("/resource_providers/{uuid}/allocations", policy=policy.PROVIDER_ALLOCATIONS, reply=AtProvider)
async def of_provider(ctx: Context, uuid: str) -> Reply:
    """List resource provider allocations."""
    body, modified_us = await ctx.read(at_provider, uuid)
    return answer(ctx, body, modified_us=modified_us)


# ---- operations ----------------------------------------------------------------------------

Wanted = Mapping[str, AllocationsPut | AllocationsPost]


def set_all(tx: Tx, ctx: Context, wanted: Wanted) -> None:
    """Each consumer uses exactly what is wanted of it, or nothing has changed.

    Raises Conflict when a consumer's generation is another or something doesn't fit, Invalid for ids
    and classes that don't exist.
    """
    wanted = named_once(wanted)
    amounts = {consumer_id: read_amounts(want) for consumer_id, want in wanted.items()}
    classes = {name for of in amounts.values() for resources in of.values() for name in resources}
    if unknown := vocabulary.unknown_classes(tx, classes):
        raise errors.Invalid(f"Unable to allocate inventory: No such resource class {unknown[0]}.")
    changes = [
        change for consumer_id in sorted(wanted)
        if (change := opened(tx, ctx, consumer_id, wanted[consumer_id], amounts[consumer_id]))
    ]
    ledger.replace_all(tx, changes)
    for change in changes:
        if not change.wanted:
            ledger.forget_consumer(tx, change.consumer.id)


def named_once(wanted: Wanted) -> Wanted:
    """By the one spelling of each id that is kept; Invalid for a consumer that is there in two."""
    found = {read_id(consumer_id): want for consumer_id, want in wanted.items()}
    if len(found) < len(wanted):
        raise errors.Invalid("JSON does not validate: the same consumer is named more than once")
    return found


def opened(
    tx: Tx, ctx: Context, consumer_id: str, want: AllocationsPut | AllocationsPost, amounts: ledger.Amounts
) -> Change | None:
    """What becomes of one consumer, its row locked; None when it isn't there and shall use nothing.
    Conflict when its generation is another than the request says."""
    wanted = owner(ctx, consumer_id, want)
    known = ledger.find_consumer(tx, wanted.id)
    if ctx.version >= versions.CONSUMER_GENERATION:
        now = known.generation if known else None
        if want.consumer_generation != now:
            raise generation_conflict("null" if now is None else now, want.consumer_generation)
    if known is None:
        return Change(ledger.insert_consumer(tx, wanted), amounts, new=True) if amounts else None
    if ctx.version < versions.CONSUMER_TYPES:
        wanted = structs.replace(wanted, consumer_type=known.consumer_type)
    return Change(ledger.update_consumer(tx, known, wanted), amounts)


def owner(ctx: Context, consumer_id: str, want: AllocationsPut | AllocationsPost) -> Consumer:
    named = ctx.version >= versions.OWNER_REQUIRED
    return Consumer(
        id=consumer_id, project_id=want.project_id if named else UNKNOWN_OWNER,
        user_id=want.user_id if named else UNKNOWN_OWNER,
        consumer_type=want.consumer_type if ctx.version >= versions.CONSUMER_TYPES else None,
    )


def remove(tx: Tx, ctx: Context, consumer_id: str) -> None:
    consumer = consumer_of(tx, consumer_id)
    if consumer is None:
        raise errors.NotFound(f"No allocations for consumer '{consumer_id}'")
    ledger.replace_all(tx, [Change(consumer, {})])
    ledger.forget_consumer(tx, consumer.id)


def read_amounts(want: AllocationsPut | AllocationsPost) -> dict[str, dict[str, int]]:
    """provider -> class -> amount, from whichever form the version has."""
    if isinstance(want, AllocationsPut) and isinstance(want.listed, list):
        return {each.resource_provider.uuid.lower(): each.resources for each in want.listed}
    by_provider = want.some if isinstance(want, AllocationsPut) and isinstance(want.some, dict) else want.allocations
    return {provider_id.lower(): each.resources for provider_id, each in by_provider.items()}


def read_id(text: str) -> str:
    try:
        return str(uuid.UUID(text))
    except ValueError:
        raise errors.Invalid(f"Malformed consumer_uuid: {text[:100]}") from None


def consumer_of(tx: Tx, text: str) -> Consumer | None:
    """In whichever spelling the id is given; nobody has one that isn't any."""
    try:
        return ledger.find_consumer(tx, str(uuid.UUID(text)))
    except ValueError:
        return None


def generation_conflict(expected: object, got: object) -> errors.Conflict:
    return errors.Conflict(
        f"consumer generation conflict - expected {expected} but got {got}", code=CONCURRENT_UPDATE
    )


# ---- queries -------------------------------------------------------------------------------


def of_consumer(tx: Tx, ctx: Context, consumer_id: str) -> tuple[OfConsumer, int | None]:
    """What one consumer uses; nobody's id is an error here, it just uses nothing."""
    consumer = consumer_of(tx, consumer_id)
    if consumer is None:
        return OfConsumer(allocations={}), None
    rows = tx.all(OF_CONSUMER, {"the_id": consumer.id})
    resources: dict[str, dict[str, int]] = {}
    for row in rows:
        resources.setdefault(row.provider_id, {})[row.resource_class] = row.used
    generations = {row.provider_id: row.generation for row in rows}
    body = OfConsumer(
        allocations={
            id: OfProvider(resources=amounts, generation=generations[id]) for id, amounts in resources.items()
        },
        project_id=consumer.project_id, user_id=consumer.user_id, consumer_generation=consumer.generation,
        consumer_type=consumer.consumer_type or UNKNOWN_TYPE,
    )
    return body, latest(row.updated_at for row in rows)


def at_provider(tx: Tx, ctx: Context, provider_id: str) -> tuple[AtProvider, int | None]:
    provider = records.get_provider(tx, provider_id)
    resources: dict[str, dict[str, int]] = {}
    rows: list[Any] = list(tx.all(AT_PROVIDER, {"the_id": provider_id}))
    for row in rows:
        resources.setdefault(row.consumer_id, {})[row.resource_class] = row.used
    generations = {row.consumer_id: row.generation for row in rows}
    body = AtProvider(
        allocations={
            id: ByConsumer(resources=amounts, consumer_generation=generations[id]) for id, amounts in resources.items()
        },
        resource_provider_generation=provider.generation,
    )
    return body, latest(row.updated_at for row in rows)


OF_CONSUMER = (
    sa.select(
        ALLOCATIONS.c.provider_id, ALLOCATIONS.c.resource_class, ALLOCATIONS.c.used, ALLOCATIONS.c.updated_at,
        PROVIDERS.c.generation,
    )
    .join(PROVIDERS, PROVIDERS.c.id == ALLOCATIONS.c.provider_id)
    .where(ALLOCATIONS.c.consumer_id == sa.bindparam("the_id"))
    .order_by(ALLOCATIONS.c.provider_id, ALLOCATIONS.c.resource_class)
)
AT_PROVIDER = (
    sa.select(
        ALLOCATIONS.c.consumer_id, ALLOCATIONS.c.resource_class, ALLOCATIONS.c.used, ALLOCATIONS.c.updated_at,
        CONSUMERS.c.generation,
    )
    .join(CONSUMERS, CONSUMERS.c.id == ALLOCATIONS.c.consumer_id)
    .where(ALLOCATIONS.c.provider_id == sa.bindparam("the_id"))
    .order_by(ALLOCATIONS.c.consumer_id, ALLOCATIONS.c.resource_class)
)
