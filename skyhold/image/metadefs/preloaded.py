# SPDX-License-Identifier: Apache-2.0
"""The definitions that every cloud starts with: definitions/*.yaml, each the body of a namespace's creation.

They are loaded by the first request about metadata definitions, because most starts have none. Types of
resources can't be removed, so that there are any says that loading has been done: what an administrator
deleted or changed afterwards stays as it is.
"""

from __future__ import annotations

import asyncio
from functools import cache
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa

from skyhold.core import context
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.image.tables import ASSOCIATIONS, NAMESPACES, OBJECTS, PROPERTIES, RESOURCE_TYPES

FOLDER: Final = Path(__file__).with_name("definitions")
SHELF: Final = "image.metadefs"

Bodies = list[dict[str, Any]]


async def present(ctx: Context) -> None:
    """Afterwards the definitions have been loaded, now or long ago."""
    core = ctx.core
    if core.shelf.get(SHELF):
        return
    own = context.internal(core)
    if not await own.read(some_type):
        await own.write(load, await asyncio.to_thread(bodies))
    core.shelf[SHELF] = True


@cache
def bodies() -> Bodies:
    import yaml

    safe: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return [safe(path.read_bytes()).get_single_data() for path in sorted(FOLDER.glob("*.yaml"))]


def some_type(tx: Tx, ctx: Context) -> bool:
    return tx.first(sa.select(RESOURCE_TYPES.c.name).limit(1)) is not None


def load(tx: Tx, ctx: Context, found: Bodies) -> None:
    """A statement for each table. The definitions are no event: the journal doesn't tell of them."""
    if some_type(tx, ctx):
        return
    try:
        with tx.nested():
            insert(tx, ctx, found)
    except sa.exc.IntegrityError:
        # Another process was first.
        return


def insert(tx: Tx, ctx: Context, found: Bodies) -> None:
    at = {"created_at": tx.now, "updated_at": tx.now}
    ids = {body["namespace"]: ctx.new_id() for body in found}

    def inside(key: str) -> list[tuple[str, Any]]:
        return [(ids[body["namespace"]], each) for body in found for each in body.get(key, ())]

    names = {each["name"] for _, each in inside("resource_type_associations")}
    tx.execute(RESOURCE_TYPES.insert(), [{"name": name, **at} for name in sorted(names)])
    tx.execute(NAMESPACES.insert(), [
        {
            "id": ids[body["namespace"]], "namespace": body["namespace"], "display_name": body["display_name"],
            "description": body["description"], "visibility": "public", "protected": True, **at,
        }
        for body in found
    ])
    tx.execute(ASSOCIATIONS.insert(), [
        {
            "id": ctx.new_id(), "namespace_id": namespace_id, "name": each["name"], "prefix": each.get("prefix"),
            "properties_target": each.get("properties_target"), **at,
        }
        for namespace_id, each in inside("resource_type_associations")
    ])
    tx.execute(OBJECTS.insert(), [
        {
            "id": ctx.new_id(), "namespace_id": namespace_id, "name": each["name"],
            "description": each["description"], "required": [], "properties": each["properties"], **at,
        }
        for namespace_id, each in inside("objects")
    ])
    tx.execute(PROPERTIES.insert(), [
        {
            "id": ctx.new_id(), "namespace_id": ids[body["namespace"]], "name": name, "definition": definition, **at,
        }
        for body in found for name, definition in body.get("properties", {}).items()
    ])
