# SPDX-License-Identifier: Apache-2.0
"""A server's tags: short words to find it by, since 2.26.

Listing servers by tags is servers/lists.py. A tag is a row, so adding one that is there already is no
change; the server's row is locked meanwhile, so that fifty stays fifty.
"""

from __future__ import annotations

from urllib.parse import quote

import sqlalchemy as sa

from skyhold.compute import policy
from skyhold.compute.links import base
from skyhold.compute.server_parts.metadata import changeable
from skyhold.compute.servers import store
from skyhold.compute.servers.store import SERVERS_STORE
from skyhold.compute.tables import SERVER_TAGS
from skyhold.core import errors, journal
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.http.routes import Reply, Routes
from skyhold.core.shapes import Shape, field

MOST = 50
MOST_LETTERS = 60

# ---- shape ---------------------------------------------------------------------------------


class Tags(Shape):
    tags: list[str] = field(min=1, max=MOST_LETTERS, pattern=r"^[^,/]*$", max_items=MOST)


# ---- routes --------------------------------------------------------------------------------

routes = Routes()
PATH = "/v2.1/servers/{server_id}/tags"


@routes.get(PATH, since="2.26", policy=policy.TAGS_INDEX, reply=Tags)
async def index(ctx: Context, server_id: str) -> Tags:
    """List a server's tags."""
    return Tags(tags=await ctx.read(tags_of, server_id))


@routes.put(PATH, since="2.26", policy=policy.TAGS_REPLACE, body=Tags, reply=Tags)
async def replace(ctx: Context, server_id: str, want: Tags) -> Tags:
    """Replace a server's tags."""
    return Tags(tags=await ctx.write(set_all, server_id, want.tags))


@routes.delete(PATH, since="2.26", policy=policy.TAGS_DELETE_ALL)
async def delete_all(ctx: Context, server_id: str) -> None:
    """Take all tags from a server."""
    await ctx.write(set_all, server_id, [])


@routes.get(PATH + "/{tag}", since="2.26", status=204, policy=policy.TAGS_SHOW)
async def show(ctx: Context, server_id: str, tag: str) -> None:
    """Ask whether a server has a tag."""
    await ctx.read(require, server_id, tag)


@routes.put(PATH + "/{tag}", since="2.26", policy=policy.TAGS_UPDATE)
async def update(ctx: Context, server_id: str, tag: str) -> Reply:
    """Add a tag to a server."""
    if not await ctx.write(add, server_id, tag):
        return Reply(status=204)
    place = f"{base(ctx)}/v2.1/servers/{server_id}/tags/{quote(tag)}"
    return Reply(status=201, headers={"Location": place})


@routes.delete(PATH + "/{tag}", since="2.26", policy=policy.TAGS_DELETE)
async def delete(ctx: Context, server_id: str, tag: str) -> None:
    """Take a tag from a server."""
    await ctx.write(drop, server_id, tag)


# ---- operations ----------------------------------------------------------------------------


def tags_of(tx: Tx, ctx: Context, server_id: str) -> list[str]:
    server = SERVERS_STORE.get(tx, ctx, server_id)
    return store.tags(tx, ctx, [server.id]).get(server.id, [])


def require(tx: Tx, ctx: Context, server_id: str, tag: str) -> None:
    if tag not in tags_of(tx, ctx, server_id):
        raise no_tag(server_id, tag)


def set_all(tx: Tx, ctx: Context, server_id: str, names: list[str]) -> list[str]:
    server = changeable(tx, ctx, server_id, "update tags")
    tx.execute(SERVER_TAGS.delete().where(SERVER_TAGS.c.server_id == server.id))
    store.put_tags(tx, ctx, server.id, names)
    journal.record(tx, "server.tags.update", server)
    return sorted(set(names))


def add(tx: Tx, ctx: Context, server_id: str, tag: str) -> bool:
    """Whether it is new. Raises Invalid for a tag that can't be one, or for one too many."""
    if len(tag) > MOST_LETTERS:
        raise errors.Invalid(f"Tag '{tag[:100]}' is too long. Maximum length of a tag is {MOST_LETTERS}")
    if not tag or "," in tag or "/" in tag:
        raise errors.Invalid(f"Tag '{tag}' is invalid. It must be a non empty string without ',' or '/'.")
    server = changeable(tx, ctx, server_id, "update tags")
    kept = store.tags(tx, ctx, [server.id]).get(server.id, [])
    if tag in kept:
        return False
    if len(kept) >= MOST:
        raise errors.Invalid(f"The number of tags exceeded the per-server limit {MOST}")
    store.put_tags(tx, ctx, server.id, [tag])
    journal.record(tx, "server.tags.update", server)
    return True


def drop(tx: Tx, ctx: Context, server_id: str, tag: str) -> None:
    server = changeable(tx, ctx, server_id, "delete tags")
    same = sa.and_(SERVER_TAGS.c.server_id == server.id, SERVER_TAGS.c.tag == tag)
    if not tx.changed(SERVER_TAGS.delete().where(same)):
        raise no_tag(server_id, tag)
    journal.record(tx, "server.tags.update", server)


def no_tag(server_id: str, tag: str) -> errors.NotFound:
    return errors.NotFound(f"Server {server_id} has no tag '{tag[:100]}'", kind="tag")
