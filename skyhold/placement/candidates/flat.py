# SPDX-License-Identifier: Apache-2.0
"""Candidates where one provider alone serves everything: a single query, the limit pushed down.

Trees and sharing providers are combined in trees.py, the answer is written by render.py. The one
thing to know first: the statement's form depends only on how many classes, traits and aggregates
are asked for, and is kept for each such form.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from skyhold.placement.logic.asking import Group
from skyhold.placement.tables import AGGREGATES, INVENTORIES, PROVIDER_TRAITS, PROVIDERS
from skyhold.placement.vocabulary import SHARING

if TYPE_CHECKING:
    from skyhold.core.db.tx import Tx


def fitting(
    tx: Tx, resources: Mapping[str, int], *, required: Sequence[str] = (), forbidden: Sequence[str] = (),
    limit: int | None = None,
) -> list[str]:
    """Ids of providers that serve every class of `resources` alone, ordered by id."""
    group = Group(
        resources=dict(resources), required=[frozenset([trait]) for trait in required], forbidden=frozenset(forbidden)
    )
    if not resources:
        everyone = sa.select(PROVIDERS.c.id).order_by(PROVIDERS.c.id).limit(limit)
        return [row.id for row in tx.all(narrowed(everyone, group))]
    return [row[0] for row in fitting_rows(tx, group, limit)]


def fitting_rows(tx: Tx, group: Group, limit: int | None) -> Sequence[Any]:
    """(id, traits as JSON, then capacity and used of each class in the order asked), ordered by id."""
    statement = fitting_statement(
        len(group.resources), len(group.required), bool(group.forbidden), len(group.member_of),
        bool(group.not_member_of), group.in_tree is not None, limit is not None,
    )
    values = binds(group)
    if limit is not None:
        values["the_limit"] = limit
    return tx.execute(statement, values).all()


def other_stock(tx: Tx, asked: Mapping[str, int], ids: Sequence[str]) -> Sequence[Any]:
    """(provider, class, capacity, used) of classes nobody asked for; may tell of further providers too.

    Many ids are asked for as the range they span: a thousand binds cost more than the rows between.
    """
    if not ids:
        return []
    if len(ids) <= FEW:
        return tx.all(OTHER_STOCK_OF_FEW, {"asked": list(asked), "ids": list(ids)})
    return tx.all(OTHER_STOCK, {"asked": list(asked), "first": ids[0], "last": ids[-1]})


def is_flat(tx: Tx) -> bool:
    """Whether no provider is below another and none shares: then one provider must serve everything."""
    return not any(tx.execute(SHAPES).one())


def narrowed(statement: Any, group: Group) -> Any:
    """A statement over providers, with everything the group asks of one provider."""
    for i in range(len(group.resources)):
        served = sa.select(INVENTORIES.c.provider_id).where(*serving(INVENTORIES, i))
        statement = statement.where(PROVIDERS.c.id.in_(served))
    counts = (
        len(group.required), bool(group.forbidden), len(group.member_of), bool(group.not_member_of),
        group.in_tree is not None,
    )
    return statement.where(*conditions(*counts)).params(binds(group))


@lru_cache(maxsize=256)
def fitting_statement(
    classes: int, required: int, forbidden: bool, member_of: int, not_member_of: bool, in_tree: bool, limited: bool
) -> Any:
    stocks = [INVENTORIES.alias(f"inventory_{i}") for i in range(classes)]
    first = stocks[0]
    source = first.join(PROVIDERS, PROVIDERS.c.id == first.c.provider_id)
    for i, stock in enumerate(stocks[1:], 1):
        source = source.join(stock, sa.and_(stock.c.provider_id == first.c.provider_id, *serving(stock, i)))
    columns = [column for stock in stocks for column in (stock.c.capacity, stock.c.used)]
    # The key of inventories is (class, provider): ordered by that, a limit ends the scan early.
    statement = sa.select(PROVIDERS.c.id, PROVIDERS.c.traits, *columns).select_from(source)
    statement = statement.where(*serving(first, 0)).order_by(first.c.provider_id)
    statement = statement.where(*conditions(required, forbidden, member_of, not_member_of, in_tree))
    return statement.limit(sa.bindparam("the_limit", type_=sa.BigInteger())) if limited else statement


def serving(inventory: Any, i: int) -> list[Any]:
    """The inventory is of the i-th class and can serve its amount: the same as logic.inventories.serves."""
    amount = sa.bindparam(f"amount_{i}", type_=sa.BigInteger())
    serves = sa.and_(
        inventory.c.used + amount <= inventory.c.capacity,
        inventory.c.min_unit <= amount,
        inventory.c.max_unit >= amount,
        amount % inventory.c.step_size == 0,
    )
    # PostgreSQL guesses that hardly a row in ten thousand meets all four, and reads and sorts everything. It takes a
    # CASE to be true for every second row, and then stops at the limit.
    return [
        inventory.c.resource_class == sa.bindparam(f"class_{i}", type_=INVENTORIES.c.resource_class.type),
        sa.case((serves, sa.true()), else_=sa.false()),
    ]


def conditions(required: int, forbidden: bool, member_of: int, not_member_of: bool, in_tree: bool) -> list[Any]:
    found: list[Any] = [PROVIDERS.c.id.in_(bearers(f"required_{i}")) for i in range(required)]
    found += [PROVIDERS.c.id.in_(members(f"member_of_{i}")) for i in range(member_of)]
    if forbidden:
        found.append(PROVIDERS.c.id.not_in(bearers("forbidden")))
    if not_member_of:
        found.append(PROVIDERS.c.id.not_in(members("not_member_of")))
    if in_tree:
        named = PROVIDERS.alias("named")
        root = sa.select(named.c.root_id).where(named.c.id == sa.bindparam("in_tree")).scalar_subquery()
        found.append(PROVIDERS.c.root_id == root)
    return found


def binds(group: Group) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for i, (name, amount) in enumerate(group.resources.items()):
        values[f"class_{i}"], values[f"amount_{i}"] = name, amount
    values |= {f"required_{i}": list(some) for i, some in enumerate(group.required)}
    values |= {f"member_of_{i}": list(some) for i, some in enumerate(group.member_of)}
    if group.forbidden:
        values["forbidden"] = list(group.forbidden)
    if group.not_member_of:
        values["not_member_of"] = list(group.not_member_of)
    if group.in_tree is not None:
        values["in_tree"] = group.in_tree
    return values


def bearers(bind: str) -> Any:
    return sa.select(PROVIDER_TRAITS.c.provider_id).where(
        PROVIDER_TRAITS.c.trait.in_(sa.bindparam(bind, expanding=True))
    )


def members(bind: str) -> Any:
    return sa.select(AGGREGATES.c.provider_id).where(
        AGGREGATES.c.aggregate_id.in_(sa.bindparam(bind, expanding=True))
    )


SHAPES = sa.select(
    sa.exists().where(PROVIDERS.c.parent_id.is_not(None)), sa.exists().where(PROVIDER_TRAITS.c.trait == SHARING)
)
FEW = 50
OTHERS = sa.select(
    INVENTORIES.c.provider_id, INVENTORIES.c.resource_class, INVENTORIES.c.capacity, INVENTORIES.c.used
).where(INVENTORIES.c.resource_class.not_in(sa.bindparam("asked", expanding=True)))
OTHER_STOCK_OF_FEW = OTHERS.where(INVENTORIES.c.provider_id.in_(sa.bindparam("ids", expanding=True)))
OTHER_STOCK = OTHERS.where(
    INVENTORIES.c.provider_id >= sa.bindparam("first"), INVENTORIES.c.provider_id <= sa.bindparam("last")
)
