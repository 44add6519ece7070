# SPDX-License-Identifier: Apache-2.0
"""Loads the providers that the search over trees needs, in three queries whatever their number.

The search itself is logic/candidates.py; requests that one provider must serve alone never come
here (flat.py).
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import orjson
import sqlalchemy as sa

from skyhold.placement.logic.candidates import Provider, Stock
from skyhold.placement.tables import AGGREGATES, INVENTORIES, PROVIDERS
from skyhold.placement.vocabulary import SHARING

if TYPE_CHECKING:
    from skyhold.core.db.tx import Tx


def load(tx: Tx) -> dict[str, Provider]:
    """Every provider by its id."""
    stock: dict[str, dict[str, Stock]] = {}
    for provider_id, name, *numbers in tx.all(STOCK):
        stock.setdefault(provider_id, {})[name] = Stock(*numbers)
    aggregates: dict[str, set[str]] = {}
    for provider_id, aggregate_id in tx.all(MEMBERSHIPS):
        aggregates.setdefault(provider_id, set()).add(aggregate_id)
    return {
        row.id: provider(row, frozenset(aggregates.get(row.id, ())), stock.get(row.id, {}))
        for row in tx.all(PROVIDERS_ALL)
    }


def provider(row: Any, aggregates: frozenset[str], stock: dict[str, Stock]) -> Provider:
    traits = trait_set(row.traits)
    return Provider(
        id=row.id, root_id=row.root_id, parent_id=row.parent_id, traits=traits, aggregates=aggregates, stock=stock,
        sharing=SHARING in traits,
    )


@lru_cache(maxsize=4096)
def trait_set(text: str) -> frozenset[str]:
    """Parsed once for all providers of the same kind."""
    return frozenset(orjson.loads(text))


STOCK = sa.select(
    INVENTORIES.c.provider_id, INVENTORIES.c.resource_class, INVENTORIES.c.capacity, INVENTORIES.c.used,
    INVENTORIES.c.min_unit, INVENTORIES.c.max_unit, INVENTORIES.c.step_size,
).order_by(INVENTORIES.c.provider_id, INVENTORIES.c.resource_class)
MEMBERSHIPS = sa.select(AGGREGATES.c.provider_id, AGGREGATES.c.aggregate_id)
PROVIDERS_ALL = sa.select(PROVIDERS.c.id, PROVIDERS.c.root_id, PROVIDERS.c.parent_id, PROVIDERS.c.traits)
