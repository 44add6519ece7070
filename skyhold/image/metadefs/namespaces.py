# SPDX-License-Identifier: Apache-2.0
"""Namespaces: what metadata definitions are grouped by, who sees them, whether they may be deleted.

What is in one is objects.py, properties.py, tags.py and resource_types.py; those that every cloud starts
with are preloaded.py. A namespace is addressed by its name, which is unique in the whole cloud.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import sqlalchemy as sa

from skyhold.core import errors, journal
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.http.routes import Reply, Routes
from skyhold.core.shapes import ABSENT, Absent, Shape, field
from skyhold.image import policy
from skyhold.image.logic.listing import DEFAULT_LIMIT, MOST
from skyhold.image.metadefs import objects, properties, resource_types, tags
from skyhold.image.metadefs.children import ALL, address, namespaces, refuse_protected, refuse_twice
from skyhold.image.metadefs.objects import objects as objects_of
from skyhold.image.metadefs.preloaded import present
from skyhold.image.metadefs.properties import properties as properties_of
from skyhold.image.metadefs.resource_types import associations as associations_of
from skyhold.image.metadefs.shape import (
    VISIBILITIES,
    Namespace,
    NamespaceCreate,
    NamespaceUpdate,
    TagName,
    check_name,
    given,
    refuse_unknown,
)
from skyhold.image.metadefs.tags import tags as tags_of
from skyhold.image.tables import ASSOCIATIONS, NAMESPACES

# ---- shape ---------------------------------------------------------------------------------


class NamespaceQuery(Shape, extra="ignore"):
    limit: int = field(default=DEFAULT_LIMIT, min=0)
    marker: str | None = None
    sort_key: str = field(default="created_at", enum=("namespace", "created_at", "updated_at"))
    sort_dir: str = field(default="desc", enum=("asc", "desc"))
    visibility: str | None = field(default=None, enum=(None, *VISIBILITIES))
    resource_types: str | None = None


class OneQuery(Shape, extra="ignore"):
    resource_type: str | None = None


class NamespaceList(Shape):
    namespaces: list[Namespace]
    first: str
    next: str | Absent = field(optional=True)
    schema: str = "/v2/schemas/metadefs/namespaces"


def shown(row: Any, associations: list[Any], **more: Any) -> Namespace:
    return Namespace(
        namespace=row.namespace, display_name=given(row.display_name), description=given(row.description),
        visibility=row.visibility, protected=row.protected, owner=given(row.project_id), created_at=row.created_at,
        updated_at=row.updated_at, self=address(row.namespace),
        resource_type_associations=[resource_types.shown(each) for each in associations] or ABSENT, **more,
    )


# ---- routes --------------------------------------------------------------------------------

routes = Routes()
ONE = ALL + "/{namespace_name}"


@routes.get(ALL, policy=policy.GET_NAMESPACES, query=NamespaceQuery, reply=NamespaceList)
async def index(ctx: Context, query: NamespaceQuery) -> NamespaceList:
    """List namespaces."""
    await present(ctx)
    return await ctx.read(list_page, query)


@routes.post(ALL, policy=policy.ADD_NAMESPACE, body=NamespaceCreate, reply=Namespace, status=201)
async def create(ctx: Context, want: NamespaceCreate) -> Reply:
    """Create a namespace, with what it defines."""
    await present(ctx)
    made = await ctx.write(insert, want)
    return Reply(made, headers={"Location": f"{ctx.core.settings.public_url}/image{made.self}"})


@routes.get(ONE, policy=policy.GET_NAMESPACE, query=OneQuery, reply=Namespace)
async def show(ctx: Context, name: str, query: OneQuery) -> Namespace:
    """Show a namespace with all that it defines; with `resource_type`, under the names that such has."""
    await present(ctx)
    return await ctx.read(whole, name, query.resource_type)


@routes.put(ONE, policy=policy.MODIFY_NAMESPACE, body=NamespaceUpdate, reply=Namespace)
async def update(ctx: Context, name: str, want: NamespaceUpdate) -> Namespace:
    """Change a namespace's own attributes; those not told get their defaults."""
    await present(ctx)
    return await ctx.write(replace, name, want)


@routes.delete(ONE, policy=policy.DELETE_NAMESPACE)
async def delete(ctx: Context, name: str) -> None:
    """Delete a namespace and all that it defines."""
    await present(ctx)
    await ctx.write(remove, name)


# ---- operations ----------------------------------------------------------------------------


def insert(tx: Tx, ctx: Context, want: NamespaceCreate) -> Namespace:
    """Raises Conflict for a name that is taken, or for something in it that is told twice."""
    row = add(tx, ctx, want, owner_of(want, ctx.project_id or None))
    return everything(tx, row)


def add(tx: Tx, ctx: Context, want: NamespaceCreate, owner: str | None) -> Any:
    refuse_unknown(want)
    row = namespaces.add(tx, id=ctx.new_id(), project_id=owner, **attributes(want))
    if row is None:
        raise taken(want.namespace)
    journal.record(tx, "metadef_namespace.create", row)
    refuse_twice((each.name for each in want.resource_type_associations), "Resource type")
    for association in want.resource_type_associations:
        resource_types.add(tx, ctx, row, association)
    refuse_twice((each.name for each in want.objects), "Object")
    for each in want.objects:
        objects.add(tx, ctx, row, each)
    for name, definition in want.properties.items():
        check_name(name)
        properties.add(tx, ctx, row, name, definition)
    tags.add_all(tx, ctx, row, want.tags)
    return row


def replace(tx: Tx, ctx: Context, name: str, want: NamespaceUpdate) -> Namespace:
    refuse_unknown(want)
    row = namespaces.get(tx, ctx, name)
    try:
        with tx.nested():
            new = namespaces.update(tx, row, project_id=owner_of(want, row.project_id), **attributes(want))
    except sa.exc.IntegrityError:
        raise taken(want.namespace) from None
    journal.record(tx, "metadef_namespace.update", new)
    return shown(new, associations_of.all(tx, new))


def attributes(want: NamespaceUpdate) -> dict[str, Any]:
    return {
        "namespace": want.namespace, "display_name": want.display_name, "description": want.description,
        "visibility": want.visibility, "protected": want.protected,
    }


def owner_of(want: NamespaceUpdate, otherwise: str | None) -> str | None:
    told: Any = want.owner
    return otherwise if told is ABSENT else told


def taken(name: str) -> errors.Conflict:
    return errors.Conflict(f"The metadata definition namespace={name} already exists.")


def remove(tx: Tx, ctx: Context, name: str) -> None:
    """Raises Forbidden while it is protected. What it defines goes with its row."""
    row = namespaces.get(tx, ctx, name)
    refuse_protected(row, f"Namespace {name}")
    namespaces.delete(tx, row)
    journal.record(tx, "metadef_namespace.delete", row)


# ---- queries -------------------------------------------------------------------------------


def list_page(tx: Tx, ctx: Context, query: NamespaceQuery) -> NamespaceList:
    limit = min(query.limit, MOST)
    filters = [("visibility", "eq", query.visibility)] if query.visibility else []
    rows = namespaces.page(
        tx, ctx, filters=filters, sort=[(query.sort_key, query.sort_dir)], limit=limit, marker=query.marker,
        where=[meant_for(query.resource_types)] if query.resource_types else [],
    )
    known = resource_types.of_each(tx, [row.id for row in rows])
    told = {
        name: getattr(query, name) for name in ("limit", "sort_key", "sort_dir", "visibility", "resource_types")
        if getattr(query, name) != getattr(NamespaceQuery(), name)
    }
    return NamespaceList(
        namespaces=[shown(row, known.get(row.id, [])) for row in rows], first=link(told),
        next=link({**told, "marker": rows[-1].namespace}) if rows and len(rows) == limit else ABSENT,
    )


def link(query: dict[str, Any]) -> str:
    return ALL + ("?" + urlencode(query) if query else "")


def meant_for(types: str) -> Any:
    """`types` are separated by commas: any of them will do."""
    named = ASSOCIATIONS.c.name.in_([each.strip() for each in types.split(",")])
    return sa.exists(sa.select(ASSOCIATIONS.c.id).where(ASSOCIATIONS.c.namespace_id == NAMESPACES.c.id, named))


def whole(tx: Tx, ctx: Context, name: str, resource_type: str | None) -> Namespace:
    return everything(tx, namespaces.get(tx, ctx, name), resource_type)


def everything(tx: Tx, row: Any, resource_type: str | None = None) -> Namespace:
    prefix = resource_types.prefix_of(tx, row, resource_type)
    found = {prefix + each.name: each.definition for each in properties_of.all(tx, row)}
    return shown(
        row, associations_of.all(tx, row), properties=found or ABSENT,
        objects=[objects.shown(row.namespace, each, prefix) for each in objects_of.all(tx, row)] or ABSENT,
        tags=[TagName(name=each.name) for each in tags_of.all(tx, row)] or ABSENT,
    )
