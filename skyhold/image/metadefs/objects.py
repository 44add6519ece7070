# SPDX-License-Identifier: Apache-2.0
"""Objects: groups of properties that belong together, such as those of one software.

Properties that stand for themselves are properties.py. An update replaces the whole object, as
upstream documents: what isn't told is gone.
"""

from __future__ import annotations

from typing import Any

from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.http.routes import Routes
from skyhold.core.shapes import Absent, Shape, field
from skyhold.image import policy
from skyhold.image.metadefs.children import (
    ChildQuery,
    Children,
    address,
    links,
    namespaces,
    told,
)
from skyhold.image.metadefs.preloaded import present
from skyhold.image.metadefs.shape import Object, ObjectWish, definitions, given, refuse_unknown
from skyhold.image.tables import OBJECTS

objects = Children(OBJECTS, "metadef_object", "Metadata definition object")

# ---- shape ---------------------------------------------------------------------------------


class ObjectList(Shape):
    objects: list[Object]
    first: str
    next: str | Absent = field(optional=True)
    schema: str = "/v2/schemas/metadefs/objects"


def shown(namespace: str, row: Any, prefix: str = "") -> Object:
    """With `prefix` before the names of its properties, as a type of resource carries them."""
    return Object(
        name=row.name, description=given(row.description), required=[prefix + name for name in row.required],
        properties={prefix + name: value for name, value in row.properties.items()},
        created_at=row.created_at, updated_at=row.updated_at, self=address(namespace, "objects", row.name),
    )


# ---- routes --------------------------------------------------------------------------------

routes = Routes()
ALL = "/v2/metadefs/namespaces/{namespace_name}/objects"
ONE = ALL + "/{object_name}"


@routes.get(ALL, policy=policy.GET_OBJECTS, query=ChildQuery, reply=ObjectList)
async def index(ctx: Context, namespace: str, query: ChildQuery) -> ObjectList:
    """List the objects of a namespace."""
    await present(ctx)
    page = await ctx.read(objects.list_page, namespace, query)
    return ObjectList(
        objects=[shown(namespace, row) for row in page.rows], **links(address(namespace, "objects"), told(query), page)
    )


@routes.post(ALL, policy=policy.ADD_OBJECT, body=ObjectWish, reply=Object, status=201)
async def create(ctx: Context, namespace: str, want: ObjectWish) -> Object:
    """Define an object."""
    await present(ctx)
    return shown(namespace, await ctx.write(insert, namespace, want))


@routes.delete(ALL, policy=policy.DELETE_OBJECT)
async def delete_all(ctx: Context, namespace: str) -> None:
    """Remove all objects of a namespace."""
    await present(ctx)
    await ctx.write(objects.remove_all, namespace)


@routes.get(ONE, policy=policy.GET_OBJECT, reply=Object)
async def show(ctx: Context, namespace: str, name: str) -> Object:
    """Show an object."""
    await present(ctx)
    return shown(namespace, await ctx.read(objects.find, namespace, name))


@routes.put(ONE, policy=policy.MODIFY_OBJECT, body=ObjectWish, reply=Object)
async def update(ctx: Context, namespace: str, name: str, want: ObjectWish) -> Object:
    """Replace an object."""
    await present(ctx)
    return shown(namespace, await ctx.write(replace, namespace, name, want))


@routes.delete(ONE, policy=policy.DELETE_OBJECT)
async def delete(ctx: Context, namespace: str, name: str) -> None:
    """Remove an object."""
    await present(ctx)
    await ctx.write(objects.remove, namespace, name)


# ---- operations ----------------------------------------------------------------------------


def insert(tx: Tx, ctx: Context, namespace: str, want: ObjectWish) -> Any:
    return add(tx, ctx, namespaces.get(tx, ctx, namespace), want)


def add(tx: Tx, ctx: Context, namespace: Any, want: ObjectWish) -> Any:
    """Raises Conflict for a name that is taken, Invalid, Forbidden for what is read-only."""
    return objects.insert(tx, ctx, namespace, **values_of(want))


def replace(tx: Tx, ctx: Context, namespace: str, name: str, want: ObjectWish) -> Any:
    parent = namespaces.get(tx, ctx, namespace)
    return objects.update(tx, parent, objects.one(tx, parent, name), **values_of(want))


def values_of(want: ObjectWish) -> dict[str, Any]:
    refuse_unknown(want)
    return {
        "name": want.name, "description": want.description, "required": want.required,
        "properties": definitions(want.properties),
    }
