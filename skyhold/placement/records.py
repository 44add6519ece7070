# SPDX-License-Identifier: Apache-2.0
"""Rows of providers and what belongs to them: inventories, traits, aggregates.

The REST operations that use these are in the resources, claims in ledger.py. The one thing to know
first: whoever changes a provider calls `advance` once, a compare-and-swap on its generation, so two
writers that saw the same provider can't both win.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import orjson
import sqlalchemy as sa

from skyhold.core import errors, journal
from skyhold.core.store import Store
from skyhold.placement import errors as codes
from skyhold.placement.logic.inventories import Inventory
from skyhold.placement.tables import AGGREGATES, ALLOCATIONS, INVENTORIES, PROVIDER_TRAITS, PROVIDERS

if TYPE_CHECKING:
    from skyhold.core.db.tx import Tx

store = Store(PROVIDERS, service="placement", kind="resource_provider", label="Resource provider")

# ---- providers -----------------------------------------------------------------------------


def find_provider(tx: Tx, provider_id: str, *, lock: bool = True) -> Any | None:
    """The provider's row, locked when writing, or None."""
    return store.find(tx, provider_id, lock=lock and tx.writing)


def get_provider(tx: Tx, provider_id: str) -> Any:
    """The provider's row, locked when writing; NotFound in placement's words."""
    row = find_provider(tx, provider_id)
    if row is None:
        raise codes.no_provider(provider_id)
    return row


def check_generation(row: Any, expected: int) -> None:
    if row.generation != expected:
        raise provider_changed(row.id, f"it is {row.generation}, given was {expected}")


def provider_changed(provider_id: str, why: str = "another request was faster") -> errors.Conflict:
    return errors.Conflict(
        f"resource provider generation conflict for provider {provider_id}: {why}", code=codes.CONCURRENT_UPDATE
    )


def insert_provider(tx: Tx, provider_id: str, name: str, parent: Any | None) -> Any:
    """A provider under `parent`'s row, or a root; Conflict when the name or the id is taken."""
    row = store.add(
        tx, id=provider_id, name=name, generation=0, traits="[]",
        parent_id=parent.id if parent else None, root_id=parent.root_id if parent else provider_id,
    )
    if row is None:
        taken = f"uuid: {provider_id}" if find_provider(tx, provider_id) else f"name: {name}"
        raise errors.Conflict(f"Conflicting resource provider {taken} already exists.", code=codes.DUPLICATE_NAME)
    journal.record(tx, "resource_provider.create", row)
    return row


def rename(tx: Tx, row: Any, name: str) -> Any:
    try:
        with tx.nested():
            row = store.update(tx, row, name=name)
    except sa.exc.IntegrityError:
        raise errors.Conflict(
            f"Conflicting resource provider name: {name} already exists.", code=codes.DUPLICATE_NAME
        ) from None
    journal.record(tx, "resource_provider.update", row)
    return row


def advance(tx: Tx, row: Any) -> int:
    """The next generation, written only if the row is still as it was read; Conflict otherwise."""
    after: int = row.generation + 1
    where = {"the_id": row.id, "expected": row.generation, "after": after, "updated_at": tx.now}
    if tx.changed(ADVANCE, where) != 1:
        raise provider_changed(row.id)
    journal.record(tx, "resource_provider.update", store.find(tx, row.id))
    return after


def delete_provider(tx: Tx, row: Any) -> None:
    """Raises Conflict while it has children or somebody uses it."""
    if child := tx.scalar(sa.select(PROVIDERS.c.id).where(PROVIDERS.c.parent_id == row.id).limit(1)):
        raise errors.Conflict(
            f"Unable to delete parent resource provider {row.id}: It has child resource providers, {child} is one.",
            code=codes.CANNOT_DELETE_PARENT,
        )
    if used := used_classes(tx, row.id):
        raise errors.Conflict(
            f"Unable to delete resource provider {row.id}: Resource provider has allocations of {', '.join(used)}.",
            code=codes.PROVIDER_IN_USE,
        )
    for table in (INVENTORIES, AGGREGATES, PROVIDER_TRAITS):
        tx.execute(table.delete().where(table.c.provider_id == row.id))
    store.delete(tx, row)
    journal.record(tx, "resource_provider.delete", row)


# ---- inventories ---------------------------------------------------------------------------


def inventories_of(tx: Tx, provider_id: str) -> dict[str, Any]:
    """Class name to row, by name."""
    return {row.resource_class: row for row in tx.all(INVENTORIES_OF, {"the_provider": provider_id})}


def merge_inventories(tx: Tx, provider_id: str, wanted: Mapping[str, Inventory]) -> bool:
    """Bring the inventories to `wanted` without taking away what is in use; whether anything changed."""
    present = inventories_of(tx, provider_id)
    changed = _write_inventories(tx, provider_id, present, wanted)
    gone = {name: row for name, row in present.items() if name not in wanted}
    delete_inventories(tx, provider_id, [name for name, row in gone.items() if not row.used])
    for row in gone.values():
        if row.used and row.reserved != row.total:
            closed = Inventory(row.total, row.total, row.min_unit, row.max_unit, row.step_size, row.allocation_ratio)
            tx.execute(UPDATE_INVENTORY, _inventory_values(tx, provider_id, row.resource_class, closed))
            changed = True
    return changed or any(not row.used for row in gone.values())


def replace_inventories(tx: Tx, provider_id: str, wanted: Mapping[str, Inventory]) -> None:
    """Exactly `wanted`; Conflict when something uses a class that would go."""
    present = inventories_of(tx, provider_id)
    gone = [name for name in present if name not in wanted]
    refuse_in_use(provider_id, [name for name in gone if present[name].used])
    delete_inventories(tx, provider_id, gone)
    _write_inventories(tx, provider_id, present, wanted)


def grow_inventories(tx: Tx, provider_id: str, wanted: Mapping[str, Inventory]) -> list[str]:
    """Write `wanted`, delete nothing; the classes that are there besides."""
    present = inventories_of(tx, provider_id)
    _write_inventories(tx, provider_id, present, wanted)
    return [name for name in present if name not in wanted]


def refuse_in_use(provider_id: str, names: Collection[str]) -> None:
    if names:
        raise errors.Conflict(
            f"Inventory for '{', '.join(sorted(names))}' on resource provider '{provider_id}' in use.",
            code=codes.INVENTORY_IN_USE,
        )


def delete_inventories(tx: Tx, provider_id: str, names: Collection[str]) -> None:
    """Only where nothing is used: a claim that came in between makes this a Conflict."""
    if not names:
        return
    statement = INVENTORIES.delete().where(
        INVENTORIES.c.provider_id == provider_id, INVENTORIES.c.resource_class.in_(names),
        INVENTORIES.c.used == 0,
    )
    if tx.changed(statement) != len(names):
        refuse_in_use(provider_id, names)


def put_inventory(tx: Tx, provider_id: str, name: str, wanted: Inventory, *, present: bool) -> None:
    values = _inventory_values(tx, provider_id, name, wanted)
    if present:
        tx.execute(UPDATE_INVENTORY, values)
        return
    values = {key.removeprefix("the_"): value for key, value in values.items()}
    tx.execute(INVENTORIES.insert(), {
        "provider_id": values.pop("provider"), "resource_class": values.pop("class"), "used": 0, **values,
    })


def used_classes(tx: Tx, provider_id: str) -> list[str]:
    statement = sa.select(ALLOCATIONS.c.resource_class).where(ALLOCATIONS.c.provider_id == provider_id).distinct()
    return sorted(row.resource_class for row in tx.all(statement))


def _write_inventories(
    tx: Tx, provider_id: str, present: Mapping[str, Any], wanted: Mapping[str, Inventory]
) -> bool:
    changed = False
    for name in sorted(wanted):
        if name not in present or not _same(present[name], wanted[name]):
            put_inventory(tx, provider_id, name, wanted[name], present=name in present)
            changed = True
    return changed


def _same(row: Any, wanted: Inventory) -> bool:
    most = wanted.total if wanted.max_unit is None else wanted.max_unit
    return (row.total, row.reserved, row.min_unit, row.max_unit, row.step_size, row.allocation_ratio) == (
        wanted.total, wanted.reserved, wanted.min_unit, most, wanted.step_size, wanted.allocation_ratio
    )


def _inventory_values(tx: Tx, provider_id: str, name: str, wanted: Inventory) -> dict[str, Any]:
    return {
        "the_provider": provider_id, "the_class": name, "total": wanted.total, "reserved": wanted.reserved,
        "min_unit": wanted.min_unit, "step_size": wanted.step_size, "capacity": wanted.capacity,
        "max_unit": wanted.total if wanted.max_unit is None else wanted.max_unit,
        "allocation_ratio": wanted.allocation_ratio, "updated_at": tx.now,
    }


# ---- traits --------------------------------------------------------------------------------


def report_traits(tx: Tx, provider_id: str, traits: Iterable[str]) -> bool:
    """What the machine itself reports now; traits set through the API stay. Whether anything changed."""
    present = {row.trait: row.reported for row in tx.all(TRAITS_OF, {"the_provider": provider_id})}
    wanted = set(traits)
    gone = {trait for trait, reported in present.items() if reported} - wanted
    if not gone and wanted <= present.keys():
        return False
    _delete_traits(tx, provider_id, gone)
    _insert_traits(tx, provider_id, wanted - present.keys(), reported=True)
    _render_traits(tx, provider_id, (present.keys() - gone) | wanted)
    return True


def replace_traits(tx: Tx, provider_id: str, traits: Iterable[str]) -> None:
    present = {row.trait for row in tx.all(TRAITS_OF, {"the_provider": provider_id})}
    wanted = set(traits)
    _delete_traits(tx, provider_id, present - wanted)
    _insert_traits(tx, provider_id, wanted - present, reported=False)
    _render_traits(tx, provider_id, wanted)


def _delete_traits(tx: Tx, provider_id: str, traits: Collection[str]) -> None:
    if traits:
        tx.execute(PROVIDER_TRAITS.delete().where(
            PROVIDER_TRAITS.c.provider_id == provider_id, PROVIDER_TRAITS.c.trait.in_(traits)
        ))


def _insert_traits(tx: Tx, provider_id: str, traits: Iterable[str], *, reported: bool) -> None:
    rows = [{"provider_id": provider_id, "trait": trait, "reported": reported} for trait in sorted(traits)]
    if rows:
        tx.execute(PROVIDER_TRAITS.insert(), rows)


def _render_traits(tx: Tx, provider_id: str, traits: Iterable[str]) -> None:
    text = orjson.dumps(sorted(traits)).decode()
    tx.execute(PROVIDERS.update().where(PROVIDERS.c.id == provider_id).values(traits=text))


# ---- aggregates ----------------------------------------------------------------------------


def aggregates_of(tx: Tx, provider_id: str) -> list[str]:
    statement = sa.select(AGGREGATES.c.aggregate_id).where(AGGREGATES.c.provider_id == provider_id)
    return sorted(row.aggregate_id for row in tx.all(statement))


def replace_aggregates(tx: Tx, provider_id: str, wanted: Collection[str]) -> None:
    present = set(aggregates_of(tx, provider_id))
    gone = present.difference(wanted)
    if gone:
        tx.execute(AGGREGATES.delete().where(
            AGGREGATES.c.provider_id == provider_id, AGGREGATES.c.aggregate_id.in_(gone)
        ))
    rows = [{"provider_id": provider_id, "aggregate_id": id} for id in sorted(set(wanted) - present)]
    if rows:
        tx.execute(AGGREGATES.insert(), rows)


ADVANCE = (
    PROVIDERS.update()
    .where(PROVIDERS.c.id == sa.bindparam("the_id"), PROVIDERS.c.generation == sa.bindparam("expected"))
    .values(generation=sa.bindparam("after"), updated_at=sa.bindparam("updated_at"))
)
INVENTORIES_OF = (
    sa.select(INVENTORIES)
    .where(INVENTORIES.c.provider_id == sa.bindparam("the_provider"))
    .order_by(INVENTORIES.c.resource_class)
)
UPDATE_INVENTORY = (
    INVENTORIES.update()
    .where(
        INVENTORIES.c.provider_id == sa.bindparam("the_provider"),
        INVENTORIES.c.resource_class == sa.bindparam("the_class"),
    )
    .values({name: sa.bindparam(name) for name in (
        "total", "reserved", "min_unit", "max_unit", "step_size", "allocation_ratio", "capacity", "updated_at",
    )})
)
TRAITS_OF = (
    sa.select(PROVIDER_TRAITS.c.trait, PROVIDER_TRAITS.c.reported)
    .where(PROVIDER_TRAITS.c.provider_id == sa.bindparam("the_provider"))
)
