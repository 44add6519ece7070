# SPDX-License-Identifier: Apache-2.0
"""What other services may ask of placement: providers, rooms, claims.

The REST API over the same rows is in the resources beside this file; claims are booked by
ledger.py. The one thing to know first: every function runs inside the caller's transaction, so a
claim and the server it is for are committed together or not at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
import sqlalchemy as sa

from skyhold.placement import ledger, records, vocabulary
from skyhold.placement.candidates.flat import fitting
from skyhold.placement.candidates.trees import trait_set
from skyhold.placement.ledger import Change, Consumer, DoesNotFit
from skyhold.placement.logic.inventories import Inventory
from skyhold.placement.tables import AGGREGATES, ALLOCATIONS, INVENTORIES, PROVIDERS

if TYPE_CHECKING:
    from skyhold.core.context import Context
    from skyhold.core.db.tx import Tx

__all__ = [
    "Inventory", "Room", "RoomOf", "allocations", "candidates", "claim", "release", "remove_provider",
    "rooms", "set_provider",
]


class RoomOf(msgspec.Struct, frozen=True):
    """One class of a provider's resources; free is floor((total - reserved) * allocation_ratio) - used."""

    total: int
    reserved: int
    allocation_ratio: float
    min_unit: int
    max_unit: int
    step_size: int
    used: int


class Room(msgspec.Struct, frozen=True):
    provider_id: str
    name: str
    inventories: dict[str, RoomOf]
    traits: frozenset[str]
    aggregates: frozenset[str]


def set_provider(
    tx: Tx, ctx: Context, *, provider_id: str, name: str, inventories: dict[str, Inventory], traits: list[str]
) -> None:
    """Make the root provider, or bring it to this; writes only what changed.

    An inventory that is no longer reported but still used stays, with nothing left to claim.
    Traits that an operator set through the API stay. Raises core.errors.Conflict when the name
    belongs to another provider.
    """
    row = records.find_provider(tx, provider_id)
    if row is None:
        row = records.insert_provider(tx, provider_id, name, None)
    elif row.name != name:
        records.rename(tx, row, name)
    vocabulary.learn_classes(tx, inventories)
    vocabulary.learn_traits(tx, traits)
    changed = records.merge_inventories(tx, provider_id, inventories)
    changed = records.report_traits(tx, provider_id, traits) or changed
    if changed:
        records.advance(tx, row)


def remove_provider(tx: Tx, ctx: Context, provider_id: str) -> None:
    """Raises Conflict while something uses it or it has children; nothing happens when it isn't there."""
    row = records.find_provider(tx, provider_id)
    if row is not None:
        records.delete_provider(tx, row)


def rooms(tx: Tx, ctx: Context, ids: Iterable[str] | None = None) -> list[Room]:
    """Providers with their inventories, traits and aggregates, by id; three queries for any number."""
    wanted = None if ids is None else list(ids)
    inventories: dict[str, dict[str, RoomOf]] = {}
    for provider_id, name, *numbers in tx.all(_of(ROOM_INVENTORIES, INVENTORIES.c.provider_id, wanted)):
        inventories.setdefault(provider_id, {})[name] = RoomOf(*numbers)
    aggregates: dict[str, set[str]] = {}
    for provider_id, aggregate_id in tx.all(_of(ROOM_AGGREGATES, AGGREGATES.c.provider_id, wanted)):
        aggregates.setdefault(provider_id, set()).add(aggregate_id)
    return [
        Room(id, name, inventories.get(id, {}), trait_set(traits), frozenset(aggregates.get(id, ())))
        for id, name, traits in tx.all(_of(ROOM_PROVIDERS, PROVIDERS.c.id, wanted))
    ]


def candidates(
    tx: Tx, ctx: Context, resources: dict[str, int], *, required: Sequence[str] = (),
    forbidden: Sequence[str] = (), limit: int | None = None,
) -> list[str]:
    """Ids of providers that could serve all of `resources` alone, in one query, ordered by id.

    Classes of which nothing is asked for don't count.
    """
    asked = {name: amount for name, amount in resources.items() if amount}
    return fitting(tx, asked, required=required, forbidden=forbidden, limit=limit)


def claim(
    tx: Tx, ctx: Context, *, consumer_id: str, provider_id: str, resources: dict[str, int], project_id: str,
    user_id: str, consumer_type: str | None = "INSTANCE",
) -> bool:
    """Let the consumer use exactly `resources` of this provider, instead of whatever it used before.

    False, with nothing changed, when they no longer fit (capacity, min_unit, max_unit, step_size) or
    the provider or an inventory is gone.
    """
    wanted = {provider_id: {name: amount for name, amount in resources.items() if amount}}
    consumer = Consumer(id=consumer_id, project_id=project_id, user_id=user_id, consumer_type=consumer_type)
    known = ledger.find_consumer(tx, consumer_id)
    try:
        with tx.nested():
            opened = ledger.update_consumer(tx, known, consumer) if known else ledger.insert_consumer(tx, consumer)
            ledger.replace_all(tx, [Change(opened, wanted, new=known is None)])
    except (DoesNotFit, ledger.NotThere):
        return False
    return True


def release(tx: Tx, ctx: Context, consumer_id: str) -> None:
    """The consumer uses nothing any more and is forgotten; nothing happens when it isn't known."""
    consumer = ledger.find_consumer(tx, consumer_id)
    if consumer is not None:
        ledger.replace_all(tx, [Change(consumer, {})])
        ledger.forget_consumer(tx, consumer_id)


def allocations(tx: Tx, ctx: Context, consumer_ids: Iterable[str]) -> dict[str, dict[str, dict[str, int]]]:
    """consumer -> provider -> class -> amount, in one query; who uses nothing is left out."""
    return ledger.held(tx, consumer_ids)


def consumers_of(tx: Tx, ctx: Context, *provider_ids: str) -> list[str]:
    """Ids of all that use something of these providers: what hosts must account for."""
    statement = sa.select(ALLOCATIONS.c.consumer_id).where(ALLOCATIONS.c.provider_id.in_(provider_ids)).distinct()
    return sorted(row.consumer_id for row in tx.all(statement))


def _of(statement: Any, column: Any, ids: list[str] | None) -> Any:
    return statement if ids is None else statement.where(column.in_(ids))


ROOM_PROVIDERS = sa.select(PROVIDERS.c.id, PROVIDERS.c.name, PROVIDERS.c.traits).order_by(PROVIDERS.c.id)
ROOM_INVENTORIES = sa.select(
    INVENTORIES.c.provider_id, INVENTORIES.c.resource_class, INVENTORIES.c.total, INVENTORIES.c.reserved,
    INVENTORIES.c.allocation_ratio, INVENTORIES.c.min_unit, INVENTORIES.c.max_unit, INVENTORIES.c.step_size,
    INVENTORIES.c.used,
)
ROOM_AGGREGATES = sa.select(AGGREGATES.c.provider_id, AGGREGATES.c.aggregate_id)
