# SPDX-License-Identifier: Apache-2.0
"""Properties: single keys that a resource may carry, and what their values may be.

Their form is `Definition` of shape.py; properties grouped into objects are objects.py. The one thing to
know first: a namespace may be associated with a type of resource under a prefix, and `resource_type` in a
query says that names are told with it.
"""

from __future__ import annotations

from typing import Any

from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.http.routes import Routes
from skyhold.core.shapes import Shape
from skyhold.image import policy
from skyhold.image.metadefs.children import Children, namespaces
from skyhold.image.metadefs.preloaded import present
from skyhold.image.metadefs.resource_types import prefix_of
from skyhold.image.metadefs.shape import Definition, NamedDefinition, definition
from skyhold.image.tables import PROPERTIES

properties = Children(PROPERTIES, "metadef_property", "Metadata definition property")

# ---- shape ---------------------------------------------------------------------------------


class PropertyQuery(Shape, extra="ignore"):
    resource_type: str | None = None


class PropertyDict(Shape):
    properties: dict[str, Any]


def shown(row: Any, name: str | None = None) -> dict[str, Any]:
    return {"name": name or row.name, **row.definition}


# ---- routes --------------------------------------------------------------------------------

routes = Routes()
ALL = "/v2/metadefs/namespaces/{namespace_name}/properties"
ONE = ALL + "/{property_name}"


@routes.get(ALL, policy=policy.GET_PROPERTIES, reply=PropertyDict)
async def index(ctx: Context, namespace: str) -> PropertyDict:
    """List the properties of a namespace."""
    await present(ctx)
    return PropertyDict(properties={row.name: shown(row) for row in await ctx.read(list_all, namespace)})


@routes.post(ALL, policy=policy.ADD_PROPERTY, body=NamedDefinition, status=201)
async def create(ctx: Context, namespace: str, want: NamedDefinition) -> dict[str, Any]:
    """Define a property."""
    await present(ctx)
    return shown(await ctx.write(insert, namespace, want))


@routes.delete(ALL, policy=policy.REMOVE_PROPERTY)
async def delete_all(ctx: Context, namespace: str) -> None:
    """Remove all properties of a namespace."""
    await present(ctx)
    await ctx.write(properties.remove_all, namespace)


@routes.get(ONE, policy=policy.GET_PROPERTY, query=PropertyQuery)
async def show(ctx: Context, namespace: str, name: str, query: PropertyQuery) -> dict[str, Any]:
    """Show a property; with `resource_type` it is asked for by the name that such a resource carries."""
    await present(ctx)
    return shown(await ctx.read(find, namespace, name, query.resource_type), name)


@routes.put(ONE, policy=policy.MODIFY_PROPERTY, body=NamedDefinition)
async def update(ctx: Context, namespace: str, name: str, want: NamedDefinition) -> dict[str, Any]:
    """Replace a property."""
    await present(ctx)
    return shown(await ctx.write(replace, namespace, name, want))


@routes.delete(ONE, policy=policy.REMOVE_PROPERTY)
async def delete(ctx: Context, namespace: str, name: str) -> None:
    """Remove a property."""
    await present(ctx)
    await ctx.write(properties.remove, namespace, name)


# ---- operations ----------------------------------------------------------------------------


def insert(tx: Tx, ctx: Context, namespace: str, want: NamedDefinition) -> Any:
    return add(tx, ctx, namespaces.get(tx, ctx, namespace), want.name, want)


def add(tx: Tx, ctx: Context, namespace: Any, name: str, want: Definition) -> Any:
    """Raises Conflict for a name that is taken."""
    return properties.insert(tx, ctx, namespace, name=name, definition=definition(want))


def replace(tx: Tx, ctx: Context, namespace: str, name: str, want: NamedDefinition) -> Any:
    parent = namespaces.get(tx, ctx, namespace)
    row = properties.one(tx, parent, name)
    return properties.update(tx, parent, row, name=want.name, definition=definition(want))


# ---- queries -------------------------------------------------------------------------------


def find(tx: Tx, ctx: Context, namespace: str, name: str, resource_type: str | None) -> Any:
    """Raises NotFound, also for a name without the prefix that the type of resource has here."""
    parent = namespaces.get(tx, ctx, namespace)
    prefix = prefix_of(tx, parent, resource_type)
    if not name.startswith(prefix):
        raise properties.not_found(parent, name)
    return properties.one(tx, parent, name.removeprefix(prefix))


def list_all(tx: Tx, ctx: Context, namespace: str) -> list[Any]:
    return properties.all(tx, namespaces.get(tx, ctx, namespace))
