# SPDX-License-Identifier: Apache-2.0
"""The ledger: the only code that writes allocations and the `used` of inventories.

What a request asks to allocate is read in allocations.py, reshaper.py and facade.py. The one thing
to know first: rows are touched in the order consumer, provider, inventory, each sorted, so that
two claims never wait for one another in a circle, and a claim that doesn't fit changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec
import sqlalchemy as sa

from skyhold.core import errors, journal
from skyhold.core.db.tx import LookAgain
from skyhold.placement.errors import CONCURRENT_UPDATE
from skyhold.placement.tables import ALLOCATIONS, CONSUMERS, INVENTORIES, PROVIDERS

if TYPE_CHECKING:
    from skyhold.core.db.tx import Tx

Amounts = Mapping[str, Mapping[str, int]]
"""provider id -> resource class -> amount."""


class Consumer(msgspec.Struct, frozen=True, kw_only=True):
    """Who uses resources, for whom."""

    id: str
    project_id: str
    user_id: str
    consumer_type: str | None = None
    generation: int = 0


class DoesNotFit(errors.Conflict):
    """`extra`: provider_id, resource_class."""


class NotThere(errors.Invalid):
    """A provider that doesn't exist."""


class Change(msgspec.Struct, frozen=True):
    """A consumer, whose row exists and is locked, and everything it shall use; `new` when the row was
    made in this transaction, so that nothing needs to be looked up."""

    consumer: Consumer
    wanted: Amounts
    new: bool = False


def replace_all(tx: Tx, changes: Sequence[Change]) -> None:
    """Let each consumer use exactly what is wanted, or raise; then the transaction must be rolled back.

    All that is given up is given up before anything is taken. Raises DoesNotFit (also for an
    inventory that isn't there) or NotThere for a provider.
    """
    known = [change.consumer.id for change in changes if not change.new]
    before = held(tx, known) if known else {}
    moves = sorted(
        (move for change in changes for move in _moves(change, before.get(change.consumer.id, {}))),
        key=lambda move: (move.after > move.before, move.provider_id, move.resource_class, move.consumer_id),
    )
    _advance_providers(tx, sorted({move.provider_id for move in moves}))
    _book_all(tx, moves)
    _write_allocations(tx, moves)
    for change in changes:
        journal.record(tx, "allocation.update", Posting(change.consumer, change.wanted))


def held(tx: Tx, consumer_ids: Iterable[str]) -> dict[str, dict[str, dict[str, int]]]:
    """consumer -> provider -> class -> amount, in one query; consumers that use nothing are left out."""
    found: dict[str, dict[str, dict[str, int]]] = {}
    for consumer_id, provider_id, name, used in tx.all(HELD, {"ids": list(consumer_ids)}):
        found.setdefault(consumer_id, {}).setdefault(provider_id, {})[name] = used
    return found


def find_consumer(tx: Tx, consumer_id: str) -> Consumer | None:
    """The consumer, locked when writing."""
    statement = FIND_CONSUMER if tx.dialect == "sqlite" or not tx.writing else LOCK_CONSUMER
    row = tx.first(statement, {"the_id": consumer_id})
    return None if row is None else Consumer(**row._mapping)


def insert_consumer(tx: Tx, consumer: Consumer) -> Consumer:
    """The consumer's first row; Conflict when another request made it while we looked."""
    values = msgspec.structs.asdict(consumer) | {"created_at": tx.now, "updated_at": tx.now, "generation": 1}
    try:
        tx.execute(INSERT_CONSUMER, values)
    except sa.exc.IntegrityError:
        raise consumer_changed(consumer.id) from None
    return msgspec.structs.replace(consumer, generation=1)


def update_consumer(tx: Tx, known: Consumer, wanted: Consumer) -> Consumer:
    """Owner and type as wanted, and the next generation."""
    values = {
        "project_id": wanted.project_id, "user_id": wanted.user_id, "consumer_type": wanted.consumer_type,
        "updated_at": tx.now, "generation": known.generation + 1,
    }
    if tx.changed(UPDATE_CONSUMER, {"the_id": known.id, "expected": known.generation, **values}) != 1:
        raise consumer_changed(known.id)
    return msgspec.structs.replace(wanted, generation=known.generation + 1)


def forget_consumer(tx: Tx, consumer_id: str) -> None:
    tx.execute(DELETE_CONSUMER, {"the_id": consumer_id})


def consumer_changed(consumer_id: str) -> errors.Conflict:
    return errors.Conflict(
        f"consumer generation conflict - consumer {consumer_id} was changed by another request",
        code=CONCURRENT_UPDATE,
    )


class Posting(msgspec.Struct, frozen=True):
    """What the journal keeps of one consumer: everything it uses now."""

    consumer: Consumer
    allocations: Amounts
    store: ClassVar[Any]

    @property
    def id(self) -> str:
        return self.consumer.id

    @property
    def project_id(self) -> str:
        return self.consumer.project_id


class PostingStore:
    """As much of a Store as the journal asks for."""

    service, kind, key = "placement", "allocation", "id"

    @staticmethod
    def public(row: Posting) -> dict[str, Any]:
        return msgspec.structs.asdict(row.consumer) | {"allocations": row.allocations}


Posting.store = PostingStore


def _advance_providers(tx: Tx, provider_ids: list[str]) -> None:
    for provider_id in provider_ids:
        if tx.changed(ADVANCE, {"the_id": provider_id, "updated_at": tx.now}) != 1:
            raise NotThere(f"Allocation for resource provider '{provider_id}' that does not exist.")


class _Move(msgspec.Struct, frozen=True):
    consumer_id: str
    provider_id: str
    resource_class: str
    before: int
    after: int


def _moves(change: Change, before: Amounts) -> Iterator[_Move]:
    """Only what differs; a provider whose amounts stay isn't touched."""
    for provider_id in {*before, *change.wanted}:
        had, wants = before.get(provider_id, {}), change.wanted.get(provider_id, {})
        for name in {*had, *wants}:
            if had.get(name, 0) != wants.get(name, 0):
                yield _Move(change.consumer.id, provider_id, name, had.get(name, 0), wants.get(name, 0))


def _book_all(tx: Tx, moves: Sequence[_Move]) -> None:
    """What a new consumer takes of one provider is booked in one statement, which can't tell what did not fit: then
    each is looked at."""
    first_taken = all(move.before == 0 for move in moves) and len({move.provider_id for move in moves}) == 1
    if tx.careful or not first_taken:
        for move in moves:
            _book(tx, move)
        return
    params: dict[str, Any] = {"the_provider": moves[0].provider_id}
    for i, move in enumerate(moves):
        params |= {f"class_{i}": move.resource_class, f"amount_{i}": move.after}
    if tx.changed(taking(len(moves)), params) != len(moves):
        raise LookAgain


@cache
def taking(many: int) -> sa.Update:
    """A first use of as many classes of one provider."""
    names: list[Any] = [sa.bindparam(f"class_{i}") for i in range(many)]
    amount = sa.case(*[
        (INVENTORIES.c.resource_class == name, sa.bindparam(f"amount_{i}", type_=sa.BigInteger()))
        for i, name in enumerate(names)
    ])
    used = INVENTORIES.c.used + amount
    return INVENTORIES.update().where(
        INVENTORIES.c.provider_id == sa.bindparam("the_provider"), INVENTORIES.c.resource_class.in_(names),
        *units(amount), INVENTORIES.c.capacity >= used,
    ).values(used=used)


def _book(tx: Tx, move: _Move) -> None:
    """Using less is always possible, even of an inventory that has shrunk below what is used."""
    where = {"the_provider": move.provider_id, "the_class": move.resource_class, "delta": move.after - move.before}
    if move.after == 0:
        tx.execute(GIVE, where)
    elif tx.changed(TAKE if move.after > move.before else REDUCE, where | {"amount": move.after}) != 1:
        raise _why_not(tx, move.provider_id, move.resource_class, move.before, move.after)


def _write_allocations(tx: Tx, moves: Sequence[_Move]) -> None:
    for move in moves:
        if move.before:
            _change_allocation(tx, move)
    rows = [{
        "consumer_id": move.consumer_id, "provider_id": move.provider_id, "resource_class": move.resource_class,
        "used": move.after, "updated_at": tx.now,
    } for move in moves if not move.before]
    if rows:
        tx.execute(INSERT_ALLOCATION, rows)


def _change_allocation(tx: Tx, move: _Move) -> None:
    names = {"the_consumer": move.consumer_id, "the_provider": move.provider_id, "the_class": move.resource_class}
    if move.after == 0:
        tx.execute(DELETE_ALLOCATION, names)
    else:
        tx.execute(UPDATE_ALLOCATION, names | {"used": move.after, "updated_at": tx.now})


def _why_not(tx: Tx, provider_id: str, name: str, before: int, after: int) -> DoesNotFit:
    row = tx.first(WHY, {"the_provider": provider_id, "the_class": name})
    if row is None:
        return DoesNotFit(
            f"Unable to allocate inventory: Inventory for '{name}' on resource provider "
            f"'{provider_id}' does not exist.",
            provider_id=provider_id, resource_class=name,
        )
    if row.used + after - before > row.capacity:
        problem = f"the requested amount would exceed the capacity: {row.used - before} of {row.capacity} are used"
    else:
        problem = (
            f"the requested amount {after} violates min_unit={row.min_unit}, max_unit={row.max_unit} "
            f"or step_size={row.step_size}"
        )
    return DoesNotFit(
        f"Unable to allocate inventory: Unable to create allocation for '{name}' on resource provider "
        f"'{provider_id}': {problem}.",
        provider_id=provider_id, resource_class=name,
    )


def units(amount: Any) -> tuple[Any, ...]:
    """That the amount is one that the inventory gives."""
    return INVENTORIES.c.min_unit <= amount, INVENTORIES.c.max_unit >= amount, amount % INVENTORIES.c.step_size == 0


def _at(statement: Any) -> Any:
    return statement.where(
        INVENTORIES.c.provider_id == sa.bindparam("the_provider"),
        INVENTORIES.c.resource_class == sa.bindparam("the_class"),
    )


_AMOUNT = sa.bindparam("amount", type_=sa.BigInteger())
_DELTA = sa.bindparam("delta", type_=sa.BigInteger())
_USED = INVENTORIES.c.used + _DELTA
GIVE = _at(INVENTORIES.update()).values(used=_USED)
REDUCE = GIVE.where(*units(_AMOUNT))
TAKE = REDUCE.where(INVENTORIES.c.capacity >= _USED)
WHY = _at(sa.select(INVENTORIES))

HELD = (
    sa.select(
        ALLOCATIONS.c.consumer_id, ALLOCATIONS.c.provider_id, ALLOCATIONS.c.resource_class, ALLOCATIONS.c.used
    )
    .where(ALLOCATIONS.c.consumer_id.in_(sa.bindparam("ids", expanding=True)))
    .order_by(ALLOCATIONS.c.consumer_id, ALLOCATIONS.c.provider_id, ALLOCATIONS.c.resource_class)
)
FIND_CONSUMER = sa.select(
    CONSUMERS.c.id, CONSUMERS.c.project_id, CONSUMERS.c.user_id, CONSUMERS.c.consumer_type, CONSUMERS.c.generation
).where(CONSUMERS.c.id == sa.bindparam("the_id"))
LOCK_CONSUMER = FIND_CONSUMER.with_for_update()
INSERT_CONSUMER = CONSUMERS.insert()
UPDATE_CONSUMER = (
    CONSUMERS.update()
    .where(CONSUMERS.c.id == sa.bindparam("the_id"), CONSUMERS.c.generation == sa.bindparam("expected"))
    .values({name: sa.bindparam(name) for name in (
        "project_id", "user_id", "consumer_type", "updated_at", "generation",
    )})
)
DELETE_CONSUMER = CONSUMERS.delete().where(CONSUMERS.c.id == sa.bindparam("the_id"))
ADVANCE = (
    PROVIDERS.update()
    .where(PROVIDERS.c.id == sa.bindparam("the_id"))
    .values(generation=PROVIDERS.c.generation + 1, updated_at=sa.bindparam("updated_at"))
)
_ALLOCATION = (
    ALLOCATIONS.c.consumer_id == sa.bindparam("the_consumer"),
    ALLOCATIONS.c.provider_id == sa.bindparam("the_provider"),
    ALLOCATIONS.c.resource_class == sa.bindparam("the_class"),
)
INSERT_ALLOCATION = ALLOCATIONS.insert()
UPDATE_ALLOCATION = (
    ALLOCATIONS.update().where(*_ALLOCATION)
    .values(used=sa.bindparam("used"), updated_at=sa.bindparam("updated_at"))
)
DELETE_ALLOCATION = ALLOCATIONS.delete().where(*_ALLOCATION)
