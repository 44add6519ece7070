# SPDX-License-Identifier: Apache-2.0
"""Candidates where one provider alone serves everything: a single query, the limit pushed down.

Trees and sharing providers are combined in trees.py. The one thing to know first: the query joins
the inventory of each class asked for, so its form depends only on how many classes, traits and
aggregates there are, and is kept for each such form.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from skyhold.placement.tables import AGGREGATES, INVENTORIES, PROVIDER_TRAITS, PROVIDERS

if TYPE_CHECKING:
    from skyhold.core.db.tx import Tx


def fitting(
    tx: Tx, resources: Mapping[str, int], *, required: Sequence[str] = (), forbidden: Sequence[str] = (),
    any_of: Sequence[Sequence[str]] = (), member_of: Sequence[Sequence[str]] = (), not_in: Sequence[str] = (),
    tree: str | None = None, limit: int | None = None,
) -> list[str]:
    """Ids of providers that serve every class of `resources` alone, ordered by id.

    `any_of` and `member_of` are lists of sets: one of each set must be there. `tree` is a root's id.
    """
    groups = [*([trait] for trait in required), *any_of]
    statement = fitting_statement(
        len(resources), len(groups), bool(forbidden), len(member_of), bool(not_in), tree is not None,
        limit is not None,
    )
    binds: dict[str, Any] = {"the_limit": limit, "tree": tree, "forbidden": list(forbidden), "not_in": list(not_in)}
    for i, (name, amount) in enumerate(resources.items()):
        binds |= {f"class_{i}": name, f"amount_{i}": amount}
    binds |= {f"traits_{i}": list(group) for i, group in enumerate(groups)}
    binds |= {f"aggregates_{i}": list(group) for i, group in enumerate(member_of)}
    return [row[0] for row in tx.execute(statement, {k: v for k, v in binds.items() if v not in (None, [])})]


@lru_cache(maxsize=256)
def fitting_statement(
    classes: int, traits: int, forbidden: bool, aggregates: int, not_in: bool, tree: bool, limited: bool
) -> Any:
    """The statement for that many of each."""
    source: Any = PROVIDERS
    for i in range(classes):
        source = _join_class(source, i)
    statement = sa.select(PROVIDERS.c.id).select_from(source).order_by(PROVIDERS.c.id)
    for i in range(traits):
        statement = statement.where(PROVIDERS.c.id.in_(_bearers(f"traits_{i}")))
    if forbidden:
        statement = statement.where(PROVIDERS.c.id.not_in(_bearers("forbidden")))
    for i in range(aggregates):
        statement = statement.where(PROVIDERS.c.id.in_(_members(f"aggregates_{i}")))
    if not_in:
        statement = statement.where(PROVIDERS.c.id.not_in(_members("not_in")))
    if tree:
        statement = statement.where(PROVIDERS.c.root_id == sa.bindparam("tree"))
    return statement.limit(sa.bindparam("the_limit")) if limited else statement


def _join_class(source: Any, i: int) -> Any:
    inventory = INVENTORIES.alias(f"inventory_{i}")
    amount = sa.bindparam(f"amount_{i}", type_=sa.BigInteger())
    return source.join(inventory, sa.and_(
        inventory.c.provider_id == PROVIDERS.c.id,
        inventory.c.resource_class == sa.bindparam(f"class_{i}"),
        inventory.c.used + amount <= inventory.c.capacity,
        inventory.c.min_unit <= amount,
        inventory.c.max_unit >= amount,
        amount % inventory.c.step_size == 0,
    ))


def _bearers(bind: str) -> Any:
    return sa.select(PROVIDER_TRAITS.c.provider_id).where(
        PROVIDER_TRAITS.c.trait.in_(sa.bindparam(bind, expanding=True))
    )


def _members(bind: str) -> Any:
    return sa.select(AGGREGATES.c.provider_id).where(
        AGGREGATES.c.aggregate_id.in_(sa.bindparam(bind, expanding=True))
    )
