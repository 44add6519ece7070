# SPDX-License-Identifier: Apache-2.0
"""Keypairs: the public keys that a user puts into servers.

How a key reaches a guest is the metadata's business (compute/drivers/instance_tree.py). A keypair
belongs to a user, not to a project, and is named, not numbered: `/os-keypairs/{name}`.
"""

from __future__ import annotations

import asyncio
import re
from typing import Any

from skyhold.compute import policy, versions
from skyhold.compute.links import next_links, page_size
from skyhold.compute.logic import keys
from skyhold.compute.quotas import QUOTA
from skyhold.compute.tables import KEYPAIRS
from skyhold.core import errors, journal
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.http.routes import Reply, Routes
from skyhold.core.shapes import Absent, Page, Shape, TimeMicros, collection, envelope, field
from skyhold.core.store import Store

NAME = re.compile(r"[a-zA-Z0-9_\- ]+")
WIDE_NAME = re.compile(r"[a-zA-Z0-9_\- @.]+")

# ---- shape ---------------------------------------------------------------------------------


class KeypairCreate(Shape):
    name: str = field(min=1, max=255, pattern=r"^[^\x00-\x1f]+$")
    type: str = field(since="2.2", enum=("ssh", "x509"), default="ssh")
    public_key: str = field(until="2.91", default="")
    imported_key: str = field("public_key", since="2.92", min=1)
    user_id: str | None = field(since="2.10", default=None, max=64)


class KeypairBrief(Shape):
    name: str
    public_key: str
    fingerprint: str
    type: str = field(since="2.2")


class KeypairListed(Shape):
    keypair: KeypairBrief


class KeypairCreated(Shape):
    name: str
    public_key: str
    fingerprint: str
    user_id: str
    type: str = field(since="2.2")
    private_key: str | Absent = field(optional=True, until="2.91")


class Keypair(KeypairBrief):
    user_id: str
    id: int
    created_at: TimeMicros
    deleted: bool = False
    deleted_at: str | None = None
    updated_at: str | None = None


class KeypairQuery(Shape, extra="ignore"):
    user_id: str | None = field(since="2.10", default=None)
    limit: int | None = field(since="2.35", min=0, default=None)
    marker: str | None = field(since="2.35", default=None)


# ---- routes --------------------------------------------------------------------------------

routes = Routes()


@routes.get(
    "/v2.1/os-keypairs", policy=policy.KEYPAIRS_INDEX, query=KeypairQuery,
    reply=collection("keypairs", KeypairListed, links="keypairs_links"),
)
async def index(ctx: Context, query: KeypairQuery) -> Page:
    """List keypairs."""
    return await ctx.read(list_page, query)


@routes.post(
    "/v2.1/os-keypairs", policy=policy.KEYPAIRS_CREATE,
    body=envelope("keypair", KeypairCreate), reply=envelope("keypair", KeypairCreated),
)
async def create(ctx: Context, want: KeypairCreate) -> Reply:
    """Create or import a keypair."""
    given = want.public_key or want.imported_key
    # Making an RSA key takes a tenth of a second: not in the event loop.
    made = keys.Pair("", given) if given else await asyncio.to_thread(keys.generate, want.type)
    row = await ctx.write(insert, want, made.public_key)
    answer = KeypairCreated(
        name=row.name, public_key=row.public_key, fingerprint=row.fingerprint, user_id=row.user_id,
        type=row.type, **({"private_key": made.private_key} if made.private_key else {}),
    )
    return Reply(answer, status=201 if ctx.version >= versions.KEYPAIR_TYPES else 200)


@routes.get(
    "/v2.1/os-keypairs/{keypair_name}", policy=policy.KEYPAIRS_SHOW, query=KeypairQuery,
    reply=envelope("keypair", Keypair),
)
async def show(ctx: Context, name: str, query: KeypairQuery) -> Keypair:
    """Show a keypair."""
    row = await ctx.read(named, name, query.user_id)
    return Keypair(
        id=number_of(row.id), name=row.name, public_key=row.public_key, fingerprint=row.fingerprint, type=row.type,
        user_id=row.user_id, created_at=row.created_at,
    )


def number_of(id: str) -> int:
    """Upstream shows a keypair's id as an integer, which nothing can be asked by: a part of ours will do."""
    return int(id.replace("-", "")[:8], 16) >> 1


@routes.delete("/v2.1/os-keypairs/{keypair_name}", policy=policy.KEYPAIRS_DELETE, query=KeypairQuery)
async def delete(ctx: Context, name: str, query: KeypairQuery) -> Reply:
    """Delete a keypair."""
    await ctx.write(remove, name, query.user_id)
    return Reply(status=204 if ctx.version >= versions.KEYPAIR_TYPES else 202)


# ---- operations ----------------------------------------------------------------------------

def insert(tx: Tx, ctx: Context, want: KeypairCreate, public_key: str) -> Any:
    """Raises Invalid for a key that isn't one, Conflict for a name taken, OverQuota."""
    owner = want.user_id or ctx.user_id
    ctx.demand(policy.KEYPAIRS_CREATE, {"user_id": owner})
    check_name(ctx, want.name)
    fingerprint = keys.fingerprint(public_key, want.type)
    # Counted for the user, and limited by the project that the user works in, as upstream.
    QUOTA.take_under(tx, ctx.project_id, owner, key_pairs=1)
    row = store.add(
        tx, id=ctx.new_id(), user_id=owner, name=want.name, type=want.type,
        fingerprint=fingerprint, public_key=public_key,
    )
    if row is None:
        raise errors.Conflict(f"Key pair '{want.name}' already exists.")
    journal.record(tx, "keypair.create", row)
    return row


def check_name(ctx: Context, name: str) -> None:
    """Letters, digits, spaces, `_` and `-`; since 2.92 also `@` and `.`, as in Nova."""
    wider = ctx.version >= versions.KEYPAIR_IMPORT_ONLY
    if not (WIDE_NAME if wider else NAME).fullmatch(name):
        more = ", '@' and '.'" if wider else ""
        raise errors.Invalid(
            "Keypair data is invalid: Keypair name contains unsafe characters; letters, digits, spaces, "
            f"'_' and '-'{more} are allowed."
        )


def remove(tx: Tx, ctx: Context, name: str, user_id: str | None) -> None:
    row = named(tx, ctx, name, user_id)
    store.delete(tx, row)
    QUOTA.give(tx, row.user_id, key_pairs=1)
    journal.record(tx, "keypair.delete", row)


# ---- queries -------------------------------------------------------------------------------

store = Store(KEYPAIRS, service="compute", kind="keypair", label="Keypair")


def named(tx: Tx, ctx: Context, name: str, user_id: str | None = None) -> Any:
    """The caller's keypair of that name; an administrator may ask for another user's."""
    rows = store.page(tx, ctx, filters=[("user_id", "eq", user_id or ctx.user_id), ("name", "eq", name)])
    if not rows:
        raise errors.NotFound(f"Keypair {name} not found for user {user_id or ctx.user_id}")
    return rows[0]


def list_page(tx: Tx, ctx: Context, query: KeypairQuery) -> Page:
    owner = ("user_id", "eq", query.user_id or ctx.user_id)
    marker = marker_of(tx, ctx, query)
    size = page_size(ctx, query.limit) if ctx.version >= versions.KEYPAIR_PAGES else None
    rows = store.page(tx, ctx, filters=[owner], sort=[("name", "asc")], limit=size, marker=marker)
    asked = {"limit": query.limit, "user_id": query.user_id}
    following = next_links(ctx, "os-keypairs", asked, size or 0, [row.name for row in rows])
    return Page([KeypairListed(keypair=KeypairBrief(
        name=row.name, public_key=row.public_key, fingerprint=row.fingerprint, type=row.type,
    )) for row in rows], following)


def marker_of(tx: Tx, ctx: Context, query: KeypairQuery) -> str | None:
    if not query.marker:
        return None
    try:
        return str(named(tx, ctx, query.marker, query.user_id).id)
    except errors.NotFound:
        raise errors.Invalid(f"marker [{query.marker[:100]}] not found", reason="marker_not_found") from None
