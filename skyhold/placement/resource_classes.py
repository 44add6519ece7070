# SPDX-License-Identifier: Apache-2.0
"""Resource classes: the kinds of things that can be counted; standard ones, and custom ones.

The standard names come from vocabulary.py and are never stored. A class is known by its name
everywhere; renaming one (until 1.6) rewrites that name in inventories and allocations.
"""

from __future__ import annotations

import sqlalchemy as sa

from skyhold.core import errors
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.http.routes import Reply, Routes
from skyhold.core.shapes import Shape, field
from skyhold.placement import policy, vocabulary
from skyhold.placement.answers import PREFIX, answer
from skyhold.placement.tables import ALLOCATIONS, CUSTOM_CLASSES, INVENTORIES

# ---- shape ---------------------------------------------------------------------------------


class ClassNamed(Shape):
    name: str = field(min=1, max=255, pattern=vocabulary.CUSTOM_PATTERN)


class ResourceClass(Shape):
    name: str
    links: list[dict[str, str]]


class ResourceClasses(Shape):
    resource_classes: list[ResourceClass]


# ---- routes --------------------------------------------------------------------------------

routes = Routes()


@routes.get("/resource_classes", policy=policy.CLASSES_LIST, since="1.2", reply=ResourceClasses)
async def index(ctx: Context) -> Reply:
    """List resource classes."""
    names = await ctx.read(listed)
    return answer(ctx, ResourceClasses(resource_classes=[view(name) for name in names]))


@routes.post("/resource_classes", policy=policy.CLASSES_CREATE, since="1.2", body=ClassNamed, status=201)
async def create(ctx: Context, want: ClassNamed) -> Reply:
    """Create resource class."""
    if not await ctx.write(ensure, want.name):
        raise errors.Conflict(f"Conflicting resource class already exists: {want.name}")
    return Reply(status=201, headers={"Location": url(want.name)})


@routes.get("/resource_classes/{name}", policy=policy.CLASSES_SHOW, since="1.2", reply=ResourceClass)
async def show(ctx: Context, name: str) -> Reply:
    """Show resource class."""
    return answer(ctx, view(name), modified_us=await ctx.read(made_at, name))


@routes.put(
    "/resource_classes/{name}", policy=policy.CLASSES_UPDATE, since="1.2", until="1.6", body=ClassNamed,
    reply=ResourceClass,
)
async def update(ctx: Context, name: str, want: ClassNamed) -> ResourceClass:
    """Rename a resource class."""
    await ctx.write(rename, name, want.name)
    return view(want.name)


@routes.put("/resource_classes/{name}", policy=policy.CLASSES_UPDATE, since="1.7")
async def put(ctx: Context, name: str) -> Reply:
    """Update resource class."""
    new = await ctx.write(ensure, name)
    return Reply(status=201 if new else 204, headers={"Location": url(name)})


@routes.delete("/resource_classes/{name}", policy=policy.CLASSES_DELETE, since="1.2")
async def delete(ctx: Context, name: str) -> None:
    """Delete resource class."""
    await ctx.write(remove, name)


def url(name: str) -> str:
    return f"{PREFIX}/resource_classes/{name}"


def view(name: str) -> ResourceClass:
    return ResourceClass(name=name, links=[{"rel": "self", "href": url(name)}])


# ---- operations ----------------------------------------------------------------------------


def ensure(tx: Tx, ctx: Context, name: str) -> bool:
    """Whether the class is new; Invalid for a name that custom classes can't have."""
    if not vocabulary.is_custom(name):
        raise errors.Invalid(
            f"JSON does not validate: '{name[:255]}' does not match '{vocabulary.CUSTOM_PATTERN}'"
        )
    return bool(vocabulary.learn_classes(tx, [name]))


def rename(tx: Tx, ctx: Context, name: str, wanted: str) -> None:
    if name in vocabulary.standard_classes():
        raise errors.Invalid(f"Cannot update standard resource class {name}")
    made_at(tx, ctx, name)
    if not vocabulary.unknown_classes(tx, [wanted]):
        raise errors.Conflict(f"Resource class already exists: {wanted}")
    tx.execute(CUSTOM_CLASSES.update().where(CUSTOM_CLASSES.c.name == name).values(name=wanted))
    for table in (INVENTORIES, ALLOCATIONS):
        tx.execute(table.update().where(table.c.resource_class == name).values(resource_class=wanted))
    vocabulary.record(tx, "delete", vocabulary.CLASSES, name)
    vocabulary.record(tx, "create", vocabulary.CLASSES, wanted)


def remove(tx: Tx, ctx: Context, name: str) -> None:
    if name in vocabulary.standard_classes():
        raise errors.Invalid(f"Error in delete resource class: Cannot delete standard resource class {name}.")
    if tx.first(sa.select(CUSTOM_CLASSES.c.name).where(CUSTOM_CLASSES.c.name == name).with_for_update()) is None:
        raise errors.NotFound(f"No such resource class {name}.")
    if user := tx.scalar(sa.select(INVENTORIES.c.provider_id).where(INVENTORIES.c.resource_class == name).limit(1)):
        raise errors.Conflict(
            "Error in delete resource class: Cannot delete resource class "
            f"{name}. Class is in use in inventory of provider {user}."
        )
    tx.execute(CUSTOM_CLASSES.delete().where(CUSTOM_CLASSES.c.name == name))
    vocabulary.record(tx, "delete", vocabulary.CLASSES, name)


# ---- queries -------------------------------------------------------------------------------


def listed(tx: Tx, ctx: Context) -> list[str]:
    """Standard classes first, in their order, then custom ones by name."""
    custom = tx.all(sa.select(CUSTOM_CLASSES.c.name).order_by(CUSTOM_CLASSES.c.name))
    return [*vocabulary.standard_classes(), *(row.name for row in custom)]


def made_at(tx: Tx, ctx: Context, name: str) -> int:
    if name in vocabulary.standard_classes():
        return ctx.now
    row = tx.first(sa.select(CUSTOM_CLASSES.c.created_at).where(CUSTOM_CLASSES.c.name == name))
    if row is None:
        raise errors.NotFound(f"No such resource class {name}.")
    return int(row.created_at)
