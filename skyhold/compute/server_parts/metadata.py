# SPDX-License-Identifier: Apache-2.0
"""A server's metadata: words its owner gave it, which the guest can read too.

How they reach the guest is servers/announce.py. They are kept in the server's row, so a change locks
it, and two changes at once both count.
"""

from __future__ import annotations

from typing import Any

from skyhold.compute import policy, states
from skyhold.compute.quotas import QUOTA
from skyhold.compute.servers import announce, ops
from skyhold.compute.servers.store import SERVERS_STORE
from skyhold.core import errors, journal
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.http.routes import Routes
from skyhold.core.shapes import Shape, field

KEY = r"^[a-zA-Z0-9-_:. ]{1,255}$"
CHANGEABLE = (states.ACTIVE, states.PAUSED, states.SUSPENDED, states.STOPPED)

# ---- shape ---------------------------------------------------------------------------------


class Metadata(Shape):
    metadata: dict[str, str] = field(keys=KEY, max=255)


class Item(Shape):
    meta: dict[str, str] = field(keys=KEY, max=255, min_items=1, max_items=1)


# ---- routes --------------------------------------------------------------------------------

routes = Routes()
PATH = "/v2.1/servers/{server_id}/metadata"


@routes.get(PATH, policy=policy.METADATA_INDEX)
async def index(ctx: Context, server_id: str) -> Any:
    """List a server's metadata."""
    return {"metadata": await ctx.read(metadata_of, server_id)}


@routes.post(PATH, policy=policy.METADATA_CREATE, body=Metadata)
async def create(ctx: Context, server_id: str, want: Metadata) -> Any:
    """Add items to a server's metadata, or change them."""
    return {"metadata": await ctx.write(merge, server_id, want.metadata)}


@routes.put(PATH, policy=policy.METADATA_REPLACE, body=Metadata)
async def replace(ctx: Context, server_id: str, want: Metadata) -> Any:
    """Replace a server's metadata."""
    return {"metadata": await ctx.write(set_all, server_id, want.metadata)}


@routes.get(PATH + "/{key}", policy=policy.METADATA_SHOW)
async def show(ctx: Context, server_id: str, key: str) -> Any:
    """Show one item of a server's metadata."""
    return {"meta": {key: await ctx.read(item_of, server_id, key)}}


@routes.put(PATH + "/{key}", policy=policy.METADATA_UPDATE, body=Item)
async def update(ctx: Context, server_id: str, key: str, want: Item) -> Any:
    """Set one item of a server's metadata."""
    if key not in want.meta:
        raise errors.Invalid("Request body and URI mismatch")
    await ctx.write(merge, server_id, want.meta)
    return {"meta": want.meta}


@routes.delete(PATH + "/{key}", policy=policy.METADATA_DELETE)
async def delete(ctx: Context, server_id: str, key: str) -> None:
    """Delete an item of a server's metadata."""
    await ctx.write(drop, server_id, key)


# ---- operations ----------------------------------------------------------------------------


def metadata_of(tx: Tx, ctx: Context, server_id: str) -> dict[str, str]:
    return dict(SERVERS_STORE.get(tx, ctx, server_id).metadata)


def item_of(tx: Tx, ctx: Context, server_id: str, key: str) -> str:
    kept = metadata_of(tx, ctx, server_id)
    if key not in kept:
        raise errors.NotFound("Metadata item was not found")
    return kept[key]


def merge(tx: Tx, ctx: Context, server_id: str, given: dict[str, str]) -> dict[str, str]:
    server = changeable(tx, ctx, server_id, "update metadata")
    return keep(tx, ctx, server, {**server.metadata, **given})


def set_all(tx: Tx, ctx: Context, server_id: str, given: dict[str, str]) -> dict[str, str]:
    return keep(tx, ctx, changeable(tx, ctx, server_id, "update metadata"), given)


def drop(tx: Tx, ctx: Context, server_id: str, key: str) -> None:
    server = changeable(tx, ctx, server_id, "delete metadata")
    if key not in server.metadata:
        raise errors.NotFound("Metadata item was not found")
    keep(tx, ctx, server, {name: value for name, value in server.metadata.items() if name != key})


def changeable(tx: Tx, ctx: Context, server_id: str, verb: str) -> Any:
    """The server, locked; Conflict while it is locked by its owner or being built."""
    server = SERVERS_STORE.get(tx, ctx, server_id)
    ops.refuse_locked(ctx, server, verb)
    if server.state not in CHANGEABLE:
        raise errors.Conflict(
            f"Cannot '{verb}' instance {server.id} while it is in vm_state {server.state}", state=server.state
        )
    return server


def keep(tx: Tx, ctx: Context, server: Any, metadata: dict[str, str]) -> dict[str, str]:
    """Raises OverQuota for more items than the server's project may have."""
    limit = QUOTA.limits(tx, server.project_id)["metadata_items"]
    if len(server.metadata) < len(metadata) > limit >= 0:
        raise errors.OverQuota(
            f"Maximum number of metadata items exceeds {limit}: used {len(server.metadata)} of {limit}, "
            f"requested {len(metadata)} in all.",
            resource="metadata_items", used=len(server.metadata), limit=limit, asked=len(metadata),
        )
    server = SERVERS_STORE.update(tx, server, metadata=metadata)
    journal.record(tx, "server.metadata.update", server)
    announce.push_metadata(tx, ctx, server)
    return metadata
