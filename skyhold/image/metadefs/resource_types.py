# SPDX-License-Identifier: Apache-2.0
"""Types of resources that carry properties, and which namespaces are meant for which of them.

What a namespace defines is in the modules beside this one. A type comes into being with the first
association that names it, and no operation removes it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa

from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.http.routes import Routes
from skyhold.core.shapes import Shape, Time
from skyhold.image import policy
from skyhold.image.metadefs.children import Children, namespaces
from skyhold.image.metadefs.preloaded import present
from skyhold.image.metadefs.shape import Association, AssociationWish, given, refuse_unknown
from skyhold.image.tables import ASSOCIATIONS, RESOURCE_TYPES

associations = Children(ASSOCIATIONS, "metadef_resource_type", "Association with")

# ---- shape ---------------------------------------------------------------------------------


class ResourceType(Shape):
    name: str
    created_at: Time
    updated_at: Time


class ResourceTypeList(Shape):
    resource_types: list[ResourceType]


class AssociationList(Shape):
    resource_type_associations: list[Association]


def shown(row: Any) -> Association:
    return Association(
        name=row.name, prefix=given(row.prefix), properties_target=given(row.properties_target),
        created_at=row.created_at, updated_at=row.updated_at,
    )


# ---- routes --------------------------------------------------------------------------------

routes = Routes()
ALL = "/v2/metadefs/namespaces/{namespace_name}/resource_types"


@routes.get("/v2/metadefs/resource_types", policy=policy.LIST_RESOURCE_TYPES, reply=ResourceTypeList)
async def types(ctx: Context) -> ResourceTypeList:
    """List the types of resources."""
    await present(ctx)
    rows = await ctx.read(list_types)
    return ResourceTypeList(resource_types=[
        ResourceType(name=row.name, created_at=row.created_at, updated_at=row.updated_at) for row in rows
    ])


@routes.get(ALL, policy=policy.GET_RESOURCE_TYPE, reply=AssociationList)
async def index(ctx: Context, namespace: str) -> AssociationList:
    """List the types of resources that a namespace is meant for."""
    await present(ctx)
    rows = await ctx.read(list_all, namespace)
    return AssociationList(resource_type_associations=[shown(row) for row in rows])


@routes.post(ALL, policy=policy.ADD_ASSOCIATION, body=AssociationWish, reply=Association, status=201)
async def create(ctx: Context, namespace: str, want: AssociationWish) -> Association:
    """Say that a namespace is meant for a type of resource."""
    await present(ctx)
    return shown(await ctx.write(insert, namespace, want))


@routes.delete(ALL + "/{resource_type}", policy=policy.REMOVE_ASSOCIATION)
async def delete(ctx: Context, namespace: str, name: str) -> None:
    """Say that it no longer is."""
    await present(ctx)
    await ctx.write(associations.remove, namespace, name)


# ---- operations ----------------------------------------------------------------------------


def insert(tx: Tx, ctx: Context, namespace: str, want: AssociationWish) -> Any:
    return add(tx, ctx, namespaces.get(tx, ctx, namespace), want)


def add(tx: Tx, ctx: Context, namespace: Any, want: AssociationWish) -> Any:
    """Raises Conflict for an association that is there."""
    refuse_unknown(want)
    know(tx, want.name)
    return associations.insert(
        tx, ctx, namespace, name=want.name, prefix=want.prefix, properties_target=want.properties_target
    )


def know(tx: Tx, name: str) -> None:
    """Make the type, unless there is one."""
    if tx.first(sa.select(RESOURCE_TYPES.c.name).where(RESOURCE_TYPES.c.name == name)) is not None:
        return
    # Another transaction may be first; one row of that name is all that is wanted.
    tx.add(RESOURCE_TYPES, {"name": name, "created_at": tx.now, "updated_at": tx.now})


# ---- queries -------------------------------------------------------------------------------


def list_types(tx: Tx, ctx: Context) -> list[Any]:
    return list(tx.all(sa.select(RESOURCE_TYPES).order_by(RESOURCE_TYPES.c.name)))


def list_all(tx: Tx, ctx: Context, namespace: str) -> list[Any]:
    return associations.all(tx, namespaces.get(tx, ctx, namespace))


def of_each(tx: Tx, namespace_ids: Iterable[str]) -> dict[str, list[Any]]:
    """The associations of many namespaces, in one query."""
    chosen = ASSOCIATIONS.c.namespace_id.in_(list(namespace_ids))
    rows = tx.all(sa.select(ASSOCIATIONS).where(chosen).order_by(ASSOCIATIONS.c.created_at, ASSOCIATIONS.c.name))
    found: dict[str, list[Any]] = defaultdict(list)
    for row in rows:
        found[row.namespace_id].append(row)
    return found


def prefix_of(tx: Tx, namespace: Any, resource_type: str | None) -> str:
    """What names of properties begin with on such a resource; nothing where that isn't known."""
    if resource_type is None:
        return ""
    rows = associations.all(tx, namespace)
    return next((row.prefix for row in rows if row.name == resource_type and row.prefix), "")
