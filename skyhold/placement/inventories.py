# SPDX-License-Identifier: Apache-2.0
"""Inventories: how much a provider has of each class, and how it may be taken.

Rows are written by records.py, the arithmetic is logic/inventories.py. The one thing to know first:
every change names the provider's generation and moves it on, so of two writers one is told 409.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import structs

from skyhold.core import errors
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.http.routes import Reply, Routes
from skyhold.core.shapes import ABSENT, Absent, Shape, field
from skyhold.placement import policy, records, versions, vocabulary
from skyhold.placement.answers import answer, latest, provider_url
from skyhold.placement.errors import CONCURRENT_UPDATE
from skyhold.placement.logic.inventories import MAX_INT, Inventory

# ---- shape ---------------------------------------------------------------------------------


class Amounts(Shape):
    resource_provider_generation: int | Absent = field(default=ABSENT)
    total: int = field(min=1, max=MAX_INT)
    reserved: int = field(min=0, max=MAX_INT, default=0)
    min_unit: int = field(min=1, max=MAX_INT, default=1)
    max_unit: int = field(min=1, max=MAX_INT, default=MAX_INT)
    step_size: int = field(min=1, max=MAX_INT, default=1)
    allocation_ratio: float = field(min=0, max=3.40282e38, default=1.0)


class InventoryCreate(Amounts):
    resource_class: str = field(min=1, max=255, pattern=vocabulary.WORD_PATTERN)


class InventoryUpdate(Amounts):
    resource_provider_generation: int


class InventoriesSet(Shape):
    resource_provider_generation: int
    inventories: dict[str, Amounts] = field(keys=vocabulary.WORD_PATTERN)


class Shown(Shape):
    total: int
    reserved: int
    min_unit: int
    max_unit: int
    step_size: int
    allocation_ratio: float
    resource_provider_generation: int | Absent = field(default=ABSENT)


class ShownAll(Shape):
    resource_provider_generation: int
    inventories: dict[str, Shown]


# ---- routes --------------------------------------------------------------------------------

routes = Routes()
PATH = "/resource_providers/{uuid}/inventories"


@routes.get(PATH, policy=policy.INVENTORIES_LIST, reply=ShownAll)
async def index(ctx: Context, uuid: str) -> Reply:
    """List resource provider inventories."""
    return all_of(ctx, *await ctx.read(listed, uuid))


@routes.put(PATH, policy=policy.INVENTORIES_UPDATE, body=InventoriesSet, reply=ShownAll)
async def replace(ctx: Context, uuid: str, want: InventoriesSet) -> Reply:
    """Update resource provider inventories."""
    return all_of(ctx, *await ctx.write(set_all, uuid, want))


@routes.post(PATH, policy=policy.INVENTORIES_CREATE, body=InventoryCreate, reply=Shown, status=201)
async def create(ctx: Context, uuid: str, want: InventoryCreate) -> Reply:
    """Create resource provider inventory."""
    row, generation = await ctx.write(insert, uuid, want)
    location = provider_url(uuid, "inventories", want.resource_class)
    return answer(ctx, shown(row, generation), modified_us=row.updated_at, status=201, location=location)


@routes.delete(PATH, policy=policy.INVENTORIES_DELETE, until="1.4")
async def refuse_delete_all(ctx: Context, uuid: str) -> None:
    """Delete resource provider inventories, before this was possible."""
    allowed = ["GET", "PUT", "POST"]
    raise errors.NotAllowed("Inventories can be deleted at once since microversion 1.5.", allowed=allowed)


@routes.delete(PATH, policy=policy.INVENTORIES_DELETE, since="1.5")
async def delete_all(ctx: Context, uuid: str) -> None:
    """Delete resource provider inventories."""
    await ctx.write(remove_all, uuid)


@routes.get(PATH + "/{resource_class}", policy=policy.INVENTORIES_SHOW, reply=Shown)
async def show(ctx: Context, uuid: str, resource_class: str) -> Reply:
    """Show resource provider inventory."""
    row, generation = await ctx.read(one, uuid, resource_class)
    return answer(ctx, shown(row, generation), modified_us=row.updated_at)


@routes.put(PATH + "/{resource_class}", policy=policy.INVENTORIES_UPDATE, body=InventoryUpdate, reply=Shown)
async def update(ctx: Context, uuid: str, resource_class: str, want: InventoryUpdate) -> Reply:
    """Update resource provider inventory."""
    row, generation = await ctx.write(change, uuid, resource_class, want)
    return answer(ctx, shown(row, generation), modified_us=row.updated_at)


@routes.delete(PATH + "/{resource_class}", policy=policy.INVENTORIES_DELETE)
async def delete(ctx: Context, uuid: str, resource_class: str) -> None:
    """Delete resource provider inventory."""
    await ctx.write(remove, uuid, resource_class)


def shown(row: Any, generation: int | None = None) -> Shown:
    one = Shown(
        total=row.total, reserved=row.reserved, min_unit=row.min_unit, max_unit=row.max_unit,
        step_size=row.step_size, allocation_ratio=row.allocation_ratio,
    )
    return one if generation is None else structs.replace(one, resource_provider_generation=generation)


def all_of(ctx: Context, rows: Mapping[str, Any], generation: int) -> Reply:
    body = ShownAll(
        resource_provider_generation=generation, inventories={name: shown(row) for name, row in rows.items()}
    )
    return answer(ctx, body, modified_us=latest(row.updated_at for row in rows.values()))


# ---- operations ----------------------------------------------------------------------------


def set_all(tx: Tx, ctx: Context, provider_id: str, want: InventoriesSet) -> tuple[dict[str, Any], int]:
    row = records.get_provider(tx, provider_id)
    records.check_generation(row, want.resource_provider_generation)
    inventories = read_all(tx, ctx, provider_id, want.inventories)
    records.replace_inventories(tx, provider_id, inventories)
    return records.inventories_of(tx, provider_id), records.advance(tx, row)


def insert(tx: Tx, ctx: Context, provider_id: str, want: InventoryCreate) -> tuple[Any, int]:
    row = records.get_provider(tx, provider_id)
    if isinstance(want.resource_provider_generation, int):
        records.check_generation(row, want.resource_provider_generation)
    inventories = read_all(tx, ctx, provider_id, {want.resource_class: want})
    if want.resource_class in records.inventories_of(tx, provider_id):
        raise errors.Conflict(
            f"Update conflict: an inventory of {want.resource_class} already exists for {provider_id}.",
            code=CONCURRENT_UPDATE,
        )
    return put(tx, row, want.resource_class, inventories[want.resource_class], present=False)


def change(tx: Tx, ctx: Context, provider_id: str, name: str, want: InventoryUpdate) -> tuple[Any, int]:
    row = records.get_provider(tx, provider_id)
    records.check_generation(row, want.resource_provider_generation)
    inventories = read_all(tx, ctx, provider_id, {name: want})
    if name not in records.inventories_of(tx, provider_id):
        raise errors.Invalid(f"No inventory record with resource class for resource provider {provider_id}: {name}")
    return put(tx, row, name, inventories[name], present=True)


def put(tx: Tx, row: Any, name: str, inventory: Inventory, *, present: bool) -> tuple[Any, int]:
    records.put_inventory(tx, row.id, name, inventory, present=present)
    return records.inventories_of(tx, row.id)[name], records.advance(tx, row)


def remove(tx: Tx, ctx: Context, provider_id: str, name: str) -> None:
    row = records.get_provider(tx, provider_id)
    found = records.inventories_of(tx, provider_id).get(name)
    if found is None:
        raise errors.NotFound(f"No inventory of class {name} found for delete")
    if found.used:
        # Upstream calls this a concurrent update, other than when all inventories are deleted.
        raise errors.Conflict(
            f"Unable to delete inventory of class {name}: Inventory for '{name}' on resource provider "
            f"'{provider_id}' in use.", code=CONCURRENT_UPDATE,
        )
    records.delete_inventories(tx, provider_id, [name])
    records.advance(tx, row)


def remove_all(tx: Tx, ctx: Context, provider_id: str) -> None:
    row = records.get_provider(tx, provider_id)
    records.replace_inventories(tx, provider_id, {})
    records.advance(tx, row)


def read_all(tx: Tx, ctx: Context, provider_id: str, wanted: Mapping[str, Amounts]) -> dict[str, Inventory]:
    """Raises Invalid for a class that doesn't exist or a reservation that leaves nothing."""
    if unknown := vocabulary.unknown_classes(tx, wanted):
        raise errors.Invalid(
            f"Unknown resource class in inventory for resource provider {provider_id}: "
            f"No such resource class {unknown[0]}."
        )
    found = {}
    for name, amounts in wanted.items():
        found[name] = Inventory(
            amounts.total, amounts.reserved, amounts.min_unit, amounts.max_unit, amounts.step_size,
            float(amounts.allocation_ratio),
        )
        least = 0 if ctx.version >= versions.RESERVED_MAY_BE_TOTAL else 1
        if found[name].capacity < least:
            raise errors.Invalid(
                f"Unable to update inventory for resource provider {provider_id}: Invalid inventory for "
                f"'{name}' on resource provider '{provider_id}'. The reserved value is greater than "
                f"{'or equal to ' if least else ''}total."
            )
        if found[name].capacity > 2**62:
            raise errors.Invalid(f"The allocation_ratio of '{name}' makes more than can be counted.")
    return found


# ---- queries -------------------------------------------------------------------------------


def listed(tx: Tx, ctx: Context, provider_id: str) -> tuple[dict[str, Any], int]:
    row = records.get_provider(tx, provider_id)
    return records.inventories_of(tx, provider_id), row.generation


def one(tx: Tx, ctx: Context, provider_id: str, name: str) -> tuple[Any, int]:
    rows, generation = listed(tx, ctx, provider_id)
    if name not in rows:
        raise errors.NotFound(f"No inventory of class {name} for {provider_id}")
    return rows[name], generation
