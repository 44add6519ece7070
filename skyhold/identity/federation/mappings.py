# SPDX-License-Identifier: Apache-2.0
"""Mappings: rules from what an identity provider says to users, groups and projects here.

What a rule may say and does is ../logic/mapping.py; protocols.py says which mapping is used. A mapping is
checked as a whole when it is stored.
"""

from __future__ import annotations

from typing import Any

from skyhold.core import journal
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.http.routes import Routes
from skyhold.core.shapes import ABSENT, Absent, JsonObject, Page, Shape, collection, envelope, field
from skyhold.core.store import Store
from skyhold.identity import links
from skyhold.identity.federation import policy
from skyhold.identity.federation.providers import named
from skyhold.identity.federation.tables import MAPPINGS
from skyhold.identity.listing import ListQuery, page
from skyhold.identity.logic import mapping
from skyhold.identity.unique import duplicate, once

# ---- shape ---------------------------------------------------------------------------------


class MappingCreate(Shape, extra="ignore"):
    rules: list[Any] = field(min_items=1, max_items=mapping.MOST_RULES)
    schema_version: str | None = field(default=None)


class MappingChange(Shape, extra="ignore", min_fields=1):
    rules: list[Any] | Absent = field(optional=True, min_items=1, max_items=mapping.MOST_RULES)
    schema_version: str | Absent | None = field(optional=True)


class Mapping(Shape):
    id: str
    rules: list[Any]
    schema_version: str
    links: JsonObject


# ---- routes --------------------------------------------------------------------------------

routes = Routes()
ALL = "/v3/OS-FEDERATION/mappings"
ONE = ALL + "/{mapping_id}"
REPLY = envelope("mapping", Mapping)


@routes.get(ALL, policy=policy.LIST_MAPPINGS, query=ListQuery, reply=collection("mappings", Mapping, links="links"))
async def index(ctx: Context, query: ListQuery) -> Page:
    """List mappings."""
    return await ctx.read(list_page, query)


@routes.put(ONE, policy=policy.CREATE_MAPPING, body=envelope("mapping", MappingCreate), reply=REPLY, status=201)
async def create(ctx: Context, mapping_id: str, want: MappingCreate) -> Mapping:
    """Create a mapping."""
    return await ctx.write(insert, mapping_id, want)


@routes.get(ONE, policy=policy.GET_MAPPING, reply=REPLY)
async def show(ctx: Context, mapping_id: str) -> Mapping:
    """Show a mapping."""
    return view(ctx, await ctx.read(store.get, mapping_id))


@routes.patch(ONE, policy=policy.UPDATE_MAPPING, body=envelope("mapping", MappingChange), reply=REPLY)
async def update(ctx: Context, mapping_id: str, want: MappingChange) -> Mapping:
    """Change a mapping; who signed in by it before keeps what it gave."""
    return await ctx.write(change, mapping_id, want)


@routes.delete(ONE, policy=policy.DELETE_MAPPING)
async def delete(ctx: Context, mapping_id: str) -> None:
    """Delete a mapping; nobody can sign in by protocols that name it."""
    await ctx.write(remove, mapping_id)


# ---- operations ----------------------------------------------------------------------------


def insert(tx: Tx, ctx: Context, mapping_id: str, want: MappingCreate) -> Mapping:
    named(mapping_id, "mapping")
    version = want.schema_version or "1.0"
    mapping.parse(want.rules, version)
    with once(tx, duplicate("mapping", f"Duplicate entry found with ID {mapping_id}")):
        row = store.insert(tx, id=mapping_id, rules=want.rules, schema_version=version)
    journal.record(tx, "mapping.create", row)
    return view(ctx, row)


def change(tx: Tx, ctx: Context, mapping_id: str, want: MappingChange) -> Mapping:
    """Rules and version are checked together, whichever of them is new."""
    row = store.get(tx, ctx, mapping_id)
    rules = row.rules if want.rules is ABSENT else want.rules
    version = row.schema_version if want.schema_version in (ABSENT, None) else want.schema_version
    mapping.parse(rules, version)
    row = store.update(tx, row, rules=rules, schema_version=version)
    journal.record(tx, "mapping.update", row)
    return view(ctx, row)


def remove(tx: Tx, ctx: Context, mapping_id: str) -> None:
    row = store.get(tx, ctx, mapping_id)
    store.delete(tx, row)
    journal.record(tx, "mapping.delete", row)


# ---- queries -------------------------------------------------------------------------------

store = Store(MAPPINGS, service="identity", kind="mapping", label="Mapping")


def view(ctx: Context, row: Any) -> Mapping:
    return Mapping(
        id=row.id, rules=row.rules, schema_version=row.schema_version,
        links=links.to(ctx, f"OS-FEDERATION/mappings/{row.id}"),
    )


def list_page(tx: Tx, ctx: Context, query: ListQuery) -> Page:
    return page(tx, ctx, store, query, "OS-FEDERATION/mappings", view)
