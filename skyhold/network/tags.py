# SPDX-License-Identifier: Apache-2.0
"""Tags of every kind of resource: words that a project puts on its things to find them again.

Filtering by them is answers.py. Reading needs the right to see the resource, writing the right to
write it (CVE-2024-53916): the resource is looked up under the tag's own rule, as its owner's.
"""

from __future__ import annotations

from typing import Any

from skyhold.core import errors, journal
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.http.routes import Reply, Routes
from skyhold.core.policy.rules import Rule
from skyhold.core.shapes import Shape, field
from skyhold.core.store import Store
from skyhold.network import floating_ips, networks, policy, routers, security_groups, subnets
from skyhold.network.answers import json_reply
from skyhold.network.ports import store as ports
from skyhold.network.tables import TAGS

MOST_TAGS = 50
LONGEST = 255

TAGGED: dict[str, tuple[Store, str]] = {
    # Collection in the path to its rows and the name its rules carry.
    "networks": (networks.store, "networks"),
    "subnets": (subnets.store, "subnets"),
    "ports": (ports.store, "ports"),
    "routers": (routers.routers_store, "routers"),
    "floatingips": (floating_ips.store, "floatingips"),
    "security-groups": (security_groups.store, "security_groups"),
    "security_groups": (security_groups.store, "security_groups"),
}


class TagsWanted(Shape):
    tags: list[str] = field(max_items=MOST_TAGS, min=1, max=LONGEST)


routes = Routes()


def declare(path: str, store: Store, rules: tuple[Rule, Rule, Rule, Rule]) -> None:
    """The same seven operations for one collection."""
    get, create, update, delete = rules
    base = f"/v2.0/{path}/{{{store.kind}_id}}/tags"

    @routes.get(base, policy=get)
    async def index(ctx: Context, id: str) -> Reply:
        """List a resource's tags."""
        return json_reply({"tags": await ctx.read(read, store, id)})

    @routes.post(base, policy=create, body=TagsWanted, status=200)
    async def add(ctx: Context, id: str, want: TagsWanted) -> Reply:
        """Add several tags."""
        return json_reply({"tags": await ctx.write(put_all, store, id, want.tags, False)})

    @routes.put(base, policy=update, body=TagsWanted)
    async def replace(ctx: Context, id: str, want: TagsWanted) -> Reply:
        """Replace all tags."""
        return json_reply({"tags": await ctx.write(put_all, store, id, want.tags, True)})

    @routes.delete(base, policy=delete)
    async def clear(ctx: Context, id: str) -> None:
        """Remove all tags."""
        await ctx.write(put_all, store, id, [], True)

    @routes.get(base + "/{tag}", policy=get, status=204)
    async def confirm(ctx: Context, id: str, tag: str) -> None:
        """Whether it has this tag."""
        await ctx.read(require, store, id, tag)

    @routes.put(base + "/{tag}", policy=update, status=201)
    async def put(ctx: Context, id: str, tag: str) -> None:
        """Add one tag."""
        await ctx.write(put_all, store, id, [check(tag)], False)

    @routes.delete(base + "/{tag}", policy=delete)
    async def remove(ctx: Context, id: str, tag: str) -> None:
        """Remove one tag."""
        await ctx.write(drop, store, id, tag)


# ---- operations ----------------------------------------------------------------------------


def read(tx: Tx, ctx: Context, store: Store, id: str) -> list[str]:
    return list(store.get(tx, ctx, id).tags)


def require(tx: Tx, ctx: Context, store: Store, id: str, tag: str) -> None:
    if tag not in read(tx, ctx, store, id):
        raise not_tagged(tag)


def put_all(tx: Tx, ctx: Context, store: Store, id: str, tags: list[str], instead: bool) -> list[str]:
    row = store.get(tx, ctx, id)
    wanted = list(dict.fromkeys([*([] if instead else row.tags), *tags]))
    if len(wanted) > MOST_TAGS:
        raise errors.Invalid(f"Invalid input for tags. Reason: a resource has at most {MOST_TAGS} tags.")
    return write(tx, store, row, wanted)


def drop(tx: Tx, ctx: Context, store: Store, id: str, tag: str) -> None:
    row = store.get(tx, ctx, id)
    if tag not in row.tags:
        raise not_tagged(tag)
    write(tx, store, row, [each for each in row.tags if each != tag])


def write(tx: Tx, store: Store, row: Any, wanted: list[str]) -> list[str]:
    if wanted != list(row.tags):
        tx.execute(TAGS.delete().where(TAGS.c.resource_id == row.id))
        if wanted:
            tx.execute(TAGS.insert(), [{"resource_id": row.id, "tag": tag} for tag in wanted])
        journal.record(tx, f"{store.kind}.tags", store.update(tx, row, tags=wanted))
    return wanted


def check(tag: str) -> str:
    if not 0 < len(tag) <= LONGEST or "\x00" in tag:
        raise errors.Invalid(f"Invalid input for tag. Reason: it must have 1 to {LONGEST} characters.")
    return tag


def not_tagged(tag: str) -> errors.NotFound:
    return errors.NotFound(f"Tag {tag[:80]} could not be found.", kind="TagNotFound")


for _path, (_store, _many) in TAGGED.items():
    declare(_path, _store, policy.TAG_RULES[_many])
