# SPDX-License-Identifier: Apache-2.0
"""Tags: single words that a resource may carry.

Keys with values are properties.py. The one thing to know first: defining several at once replaces those
that are there, unless the header X-Openstack-Append says True.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from skyhold.core import errors
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
    refuse_twice,
    told,
)
from skyhold.image.metadefs.preloaded import present
from skyhold.image.metadefs.shape import Tag, TagName, TagsWish, TagWish, check_name, refuse_unknown
from skyhold.image.tables import TAGS

APPEND = "X-Openstack-Append"

tags = Children(TAGS, "metadef_tag", "Metadata definition tag")

# ---- shape ---------------------------------------------------------------------------------


class TagList(Shape):
    tags: list[Tag]
    first: str
    next: str | Absent = field(optional=True)
    schema: str = "/v2/schemas/metadefs/tags"


class TagNames(Shape):
    tags: list[TagName]


def shown(row: Any) -> Tag:
    return Tag(name=row.name, created_at=row.created_at, updated_at=row.updated_at)


# ---- routes --------------------------------------------------------------------------------

routes = Routes()
ALL = "/v2/metadefs/namespaces/{namespace_name}/tags"
ONE = ALL + "/{tag_name}"


@routes.get(ALL, policy=policy.GET_TAGS, query=ChildQuery, reply=TagList)
async def index(ctx: Context, namespace: str, query: ChildQuery) -> TagList:
    """List the tags of a namespace."""
    await present(ctx)
    page = await ctx.read(tags.list_page, namespace, query)
    return TagList(
        tags=[shown(row) for row in page.rows], **links(address(namespace, "tags"), told(query), page)
    )


@routes.post(ALL, policy=policy.ADD_TAGS, body=TagsWish, headers=(APPEND,), reply=TagNames, status=201)
async def create_several(
    ctx: Context, namespace: str, want: TagsWish, headers: Mapping[str, str | None]
) -> TagNames:
    """Define several tags, in the place of those that are there or beside them."""
    await present(ctx)
    await ctx.write(insert_several, namespace, want, wants_append(headers[APPEND]))
    return TagNames(tags=[TagName(name=tag.name) for tag in want.tags])


@routes.delete(ALL, policy=policy.DELETE_TAGS)
async def delete_all(ctx: Context, namespace: str) -> None:
    """Remove all tags of a namespace."""
    await present(ctx)
    await ctx.write(tags.remove_all, namespace)


@routes.get(ONE, policy=policy.GET_TAG, reply=Tag)
async def show(ctx: Context, namespace: str, name: str) -> Tag:
    """Show a tag."""
    await present(ctx)
    return shown(await ctx.read(tags.find, namespace, name))


@routes.post(ONE, policy=policy.ADD_TAG, reply=Tag, status=201)
async def create(ctx: Context, namespace: str, name: str) -> Tag:
    """Define a tag."""
    await present(ctx)
    return shown(await ctx.write(insert, namespace, name))


@routes.put(ONE, policy=policy.MODIFY_TAG, body=TagWish, reply=Tag)
async def update(ctx: Context, namespace: str, name: str, want: TagWish) -> Tag:
    """Rename a tag."""
    await present(ctx)
    return shown(await ctx.write(rename, namespace, name, want))


@routes.delete(ONE, policy=policy.DELETE_TAG)
async def delete(ctx: Context, namespace: str, name: str) -> None:
    """Remove a tag."""
    await present(ctx)
    await ctx.write(tags.remove, namespace, name)


# ---- operations ----------------------------------------------------------------------------


def wants_append(header: str | None) -> bool:
    if header is None or header.lower() == "false":
        return False
    if header.lower() == "true":
        return True
    raise errors.Invalid(f"{APPEND} is either True or False.")


def insert(tx: Tx, ctx: Context, namespace: str, name: str) -> Any:
    check_name(name)
    return tags.insert(tx, ctx, namespaces.get(tx, ctx, namespace), name=name)


def insert_several(tx: Tx, ctx: Context, namespace: str, want: TagsWish, append: bool) -> None:
    parent = namespaces.get(tx, ctx, namespace)
    if not append:
        tags.clear(tx, parent)
    add_all(tx, ctx, parent, want.tags)


def add_all(tx: Tx, ctx: Context, namespace: Any, wishes: list[TagWish]) -> None:
    """Raises Conflict for a name that is taken or given twice."""
    for wish in wishes:
        refuse_unknown(wish)
    refuse_twice((wish.name for wish in wishes), "Tag")
    for wish in wishes:
        tags.insert(tx, ctx, namespace, name=wish.name)


def rename(tx: Tx, ctx: Context, namespace: str, name: str, want: TagWish) -> Any:
    refuse_unknown(want)
    parent = namespaces.get(tx, ctx, namespace)
    return tags.update(tx, parent, tags.one(tx, parent, name), name=want.name)
