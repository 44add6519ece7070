# SPDX-License-Identifier: Apache-2.0
"""Resource providers: whatever has resources to give, in trees.

Their inventories, traits and aggregates are resources of their own beside this file; rows are
written by records.py. The one thing to know first: a tree is known by its root's id on every
provider, so moving a provider to another parent rewrites that id in all below it.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from skyhold.core import errors, journal
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.http.routes import Reply, Routes
from skyhold.core.shapes import Absent, Shape, field
from skyhold.core.versions import Version
from skyhold.placement import policy, records, versions, vocabulary
from skyhold.placement.answers import Pairs, answer, latest, provider_url
from skyhold.placement.candidates.flat import narrowed
from skyhold.placement.logic import asking
from skyhold.placement.tables import PROVIDERS

# ---- shape ---------------------------------------------------------------------------------


class ProviderCreate(Shape):
    name: str = field(max=200)
    uuid: str = field(format="uuid-or-hex", default="")
    parent_provider_uuid: str | None = field(since="1.14", format="uuid-or-hex", default=None)


class ProviderUpdate(Shape):
    name: str = field(max=200)
    parent_provider_uuid: str | Absent | None = field(since="1.14", format="uuid-or-hex", optional=True)


class Provider(Shape):
    uuid: str
    name: str
    generation: int
    parent_provider_uuid: str | None = field(since="1.14")
    root_provider_uuid: str = field(since="1.14")
    links: list[dict[str, str]]


LINKS = (
    ("self", Version(1, 0)), ("inventories", Version(1, 0)), ("usages", Version(1, 0)),
    ("aggregates", versions.AGGREGATES), ("traits", versions.TRAITS), ("allocations", versions.ALLOCATION_LINK),
)
FILTERS = {
    "name": Version(1, 0), "uuid": Version(1, 0), "member_of": Version(1, 3), "resources": Version(1, 4),
    "in_tree": Version(1, 14), "required": Version(1, 18),
}

# ---- routes --------------------------------------------------------------------------------

routes = Routes()


class ProviderList(Shape):
    resource_providers: list[Provider]


@routes.get("/resource_providers", policy=policy.PROVIDERS_LIST, query=Pairs, reply=ProviderList)
async def index(ctx: Context, query: Pairs) -> Reply:
    """List resource providers."""
    rows = await ctx.read(listed, query.extra)
    body = ProviderList(resource_providers=[view(row, ctx.version) for row in rows])
    return answer(ctx, body, modified_us=latest(row.updated_at for row in rows))


@routes.post("/resource_providers", policy=policy.PROVIDERS_CREATE, body=ProviderCreate, reply=Provider)
async def create(ctx: Context, want: ProviderCreate) -> Reply:
    """Create resource provider."""
    row = await ctx.write(insert, want)
    if ctx.version < versions.CREATED_PROVIDER_SHOWN:
        return Reply(status=201, headers={"Location": provider_url(row.id)})
    return answer(ctx, view(row, ctx.version), modified_us=row.updated_at, location=provider_url(row.id))


@routes.get("/resource_providers/{uuid}", policy=policy.PROVIDERS_SHOW, reply=Provider)
async def show(ctx: Context, uuid: str) -> Reply:
    """Show resource provider."""
    row = await ctx.read(one, uuid)
    return answer(ctx, view(row, ctx.version), modified_us=row.updated_at)


@routes.put("/resource_providers/{uuid}", policy=policy.PROVIDERS_UPDATE, body=ProviderUpdate, reply=Provider)
async def update(ctx: Context, uuid: str, want: ProviderUpdate) -> Reply:
    """Update resource provider."""
    row = await ctx.write(change, uuid, want)
    return answer(ctx, view(row, ctx.version), modified_us=row.updated_at)


@routes.delete("/resource_providers/{uuid}", policy=policy.PROVIDERS_DELETE)
async def delete(ctx: Context, uuid: str) -> None:
    """Delete resource provider."""
    await ctx.write(remove, uuid)


def view(row: Any, version: Version) -> Provider:
    return Provider(
        uuid=row.id, name=row.name, generation=row.generation, parent_provider_uuid=row.parent_id,
        root_provider_uuid=row.root_id, links=[
            {"rel": rel, "href": provider_url(row.id, *([] if rel == "self" else [rel]))}
            for rel, since in LINKS if version >= since
        ],
    )


# ---- operations ----------------------------------------------------------------------------


def insert(tx: Tx, ctx: Context, want: ProviderCreate) -> Any:
    """Raises Conflict for a name or id taken, Invalid for a parent that isn't there."""
    provider_id = str(uuid.UUID(want.uuid)) if want.uuid else ctx.new_id()
    parent = None
    if want.parent_provider_uuid:
        parent = records.find_provider(tx, str(uuid.UUID(want.parent_provider_uuid)))
        if parent is None:
            raise errors.Invalid(
                f'Unable to create resource provider "{want.name}", {provider_id}: '
                "parent provider UUID does not exist."
            )
    return records.insert_provider(tx, provider_id, want.name, parent)


def change(tx: Tx, ctx: Context, provider_id: str, want: ProviderUpdate) -> Any:
    row = records.get_provider(tx, provider_id)
    wanted_parent = want.parent_provider_uuid
    if isinstance(wanted_parent, str):
        move_under(tx, ctx, row, str(uuid.UUID(wanted_parent)))
    elif wanted_parent is None and row.parent_id is not None:
        if ctx.version < versions.REPARENTING:
            raise unsaved(row.id, "un-parenting a provider is not currently allowed.")
        set_parent(tx, row, None, row.id)
    row = records.get_provider(tx, provider_id)
    return row if row.name == want.name else records.rename(tx, row, want.name)


def move_under(tx: Tx, ctx: Context, row: Any, parent_id: str) -> None:
    if parent_id == row.parent_id:
        return
    if row.parent_id is not None and ctx.version < versions.REPARENTING:
        raise unsaved(row.id, "re-parenting a provider is not currently allowed.")
    if parent_id == row.id:
        raise unsaved(row.id, "parent provider UUID cannot be same as UUID.")
    parent = records.find_provider(tx, parent_id)
    if parent is None:
        raise unsaved(row.id, "parent provider UUID does not exist.")
    if parent_id in below(tx, row):
        raise unsaved(row.id, "creating loop in the provider tree is not allowed.")
    set_parent(tx, row, parent_id, parent.root_id)


def set_parent(tx: Tx, row: Any, parent_id: str | None, root_id: str) -> None:
    moved = [row.id, *below(tx, row)]
    while moved:
        tx.execute(PROVIDERS.update().where(PROVIDERS.c.id.in_(moved)).values(root_id=root_id, updated_at=tx.now))
        # Who put a child below one of these at this moment had it locked, and is done: it comes along.
        left_behind = PROVIDERS.c.parent_id.in_(moved) & (PROVIDERS.c.root_id != root_id)
        moved = [child.id for child in tx.all(sa.select(PROVIDERS.c.id).where(left_behind))]
    journal.record(tx, "resource_provider.update", records.store.update(tx, row, parent_id=parent_id, root_id=root_id))


def remove(tx: Tx, ctx: Context, provider_id: str) -> None:
    records.delete_provider(tx, records.get_provider(tx, provider_id))


def unsaved(provider_id: str, why: str) -> errors.Invalid:
    return errors.Invalid(f"Unable to save resource provider {provider_id}: {why}")


# ---- queries -------------------------------------------------------------------------------


def one(tx: Tx, ctx: Context, provider_id: str) -> Any:
    return records.get_provider(tx, provider_id)


def below(tx: Tx, row: Any) -> set[str]:
    """Ids of all descendants."""
    tree = tx.all(sa.select(PROVIDERS.c.id, PROVIDERS.c.parent_id).where(PROVIDERS.c.root_id == row.root_id))
    found: set[str] = set()
    layer = {row.id}
    while layer := {id for id, parent_id in tree if parent_id in layer}:
        found |= layer
    return found


def listed(tx: Tx, ctx: Context, pairs: Mapping[str, list[str]]) -> list[Any]:
    """Rows that fulfil all filters, by id."""
    allowed = [name for name, since in FILTERS.items() if ctx.version >= since]
    group = asking.read_filter(pairs, ctx.version, allowed)
    refuse_unknown_words(tx, group)
    statement = sa.select(PROVIDERS).order_by(PROVIDERS.c.id)
    if (name := asking.single(pairs, "name")) is not None:
        statement = statement.where(PROVIDERS.c.name == name)
    if (given := asking.single(pairs, "uuid")) is not None:
        statement = statement.where(PROVIDERS.c.id == asking.read_uuid(given, "uuid"))
    return list(tx.all(narrowed(statement, group)))


def refuse_unknown_words(tx: Tx, group: asking.Group | asking.Request) -> None:
    """Names of classes and traits in a query must exist."""
    classes = group.classes if isinstance(group, asking.Request) else group.resources
    if unknown := vocabulary.unknown_classes(tx, classes):
        raise errors.Invalid(f"Invalid resource class in resources parameter: No such resource class {unknown[0]}.")
    if unknown := vocabulary.unknown_traits(tx, group.traits):
        raise errors.Invalid(f"No such trait(s): {', '.join(unknown)}.")
