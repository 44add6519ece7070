# SPDX-License-Identifier: Apache-2.0
"""Objects: reserved, written, copied, described, deleted; each change is one transaction.

Bytes are contents.py. A new content is a blob of its own: only when all of it is on the disk does one transaction
let the object name it, in place of what it named before, so nobody ever sees a half of either.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import sqlalchemy as sa

from skyhold.core import errors
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.store import Store, locked
from skyhold.object import policy
from skyhold.object.engine import accounts, containers, contents
from skyhold.object.engine.contents import Received
from skyhold.object.errors import Unprocessable
from skyhold.object.logic.bounds import check_metadata
from skyhold.object.logic.conditions import Conditions, judged
from skyhold.object.logic.listing import Wish, listed
from skyhold.object.tables import OBJECTS

store = Store(OBJECTS, service="object", kind="object", label="Object")

SHARE_TRIES = 8
BY_NAME = sa.select(OBJECTS).where(
    OBJECTS.c.container_id == sa.bindparam("container"), OBJECTS.c.name == sa.bindparam("the_name")
)
LISTED = (OBJECTS.c.name, OBJECTS.c.size_bytes, OBJECTS.c.etag, OBJECTS.c.content_type, OBJECTS.c.updated_at)


class Address(msgspec.Struct, frozen=True):
    project_id: str
    container: str
    name: str


class Described(msgspec.Struct, frozen=True, kw_only=True):
    """What is said of an object beside its content. An empty `content_type` leaves what is there."""

    content_type: str
    metadata: Mapping[str, str]
    headers: Mapping[str, str]


class Upload(msgspec.Struct, frozen=True, kw_only=True):
    """`size_bytes` as far as known before; `etag` what the client says the content has."""

    described: Described
    conditions: Conditions
    size_bytes: int | None = None
    etag: str | None = None


class Copied(msgspec.Struct, frozen=True):
    source: Any
    made: Any


# ---- operations ------------------------------------------------------------------------------


def reserve(tx: Tx, ctx: Context, at: Address, want: Upload) -> str:
    """A blob to write into, for what could be put there now. Raises what `put` would."""
    container = containers.reached(tx, ctx, at.project_id, at.container, policy.WRITE_OBJECT, writing=True)
    check_metadata(want.described.metadata)
    before = find(tx, container.id, at.name)
    check_put(before, want.conditions)
    check_quotas(tx, container, before, want.size_bytes or 0)
    return contents.begin(tx, ctx)


def put(tx: Tx, ctx: Context, at: Address, want: Upload, received: Received) -> Any:
    """The object with its new content. Raises Unprocessable, PreconditionFailed, OverQuota, Gone."""
    if want.etag is not None and want.etag != received.etag:
        raise Unprocessable(f"What came has the ETag {received.etag}, not {want.etag[:80]}.")
    container = containers.reached(tx, ctx, at.project_id, at.container, policy.WRITE_OBJECT, writing=True, lock=True)
    before = find(tx, container.id, at.name, lock=True)
    check_put(before, want.conditions)
    check_quotas(tx, container, before, received.size_bytes)
    contents.keep(tx, received)
    return replaced(tx, container, before, at.name, received, want.described)


def copy(
    tx: Tx, ctx: Context, source: Address, at: Address, changed: Described, fresh: bool, conditions: Conditions
) -> Copied:
    """Two names for one content. `fresh` leaves what was said of the source behind."""
    container = containers.reached(tx, ctx, at.project_id, at.container, policy.WRITE_OBJECT, writing=True, lock=True)
    found = show(tx, ctx, source)
    before = find(tx, container.id, at.name, lock=True)
    check_put(before, conditions)
    for _ in range(SHARE_TRIES):
        if contents.share(tx, found.blob_id):
            break
        # It was just replaced, and what it was is gone.
        found = show(tx, ctx, source)
    else:
        raise missing(source.name)
    check_quotas(tx, container, before, found.size_bytes)
    said = Described(
        content_type=changed.content_type or found.content_type,
        metadata={**({} if fresh else found.metadata), **changed.metadata},
        headers={**({} if fresh else found.headers), **changed.headers},
    )
    check_metadata(said.metadata)
    received = Received(found.blob_id, found.size_bytes, found.etag)
    return Copied(found, replaced(tx, container, before, at.name, received, said))


def show(tx: Tx, ctx: Context, at: Address, referrer: str = "") -> Any:
    container = containers.reached(tx, ctx, at.project_id, at.container, policy.SHOW_OBJECT, referrer=referrer)
    return there(find(tx, container.id, at.name), at.name)


def describe(tx: Tx, ctx: Context, at: Address, said: Described) -> None:
    """All that is said of it is replaced, but for its type where nothing is said of that."""
    container = containers.reached(tx, ctx, at.project_id, at.container, policy.CHANGE_OBJECT, writing=True)
    check_metadata(said.metadata)
    row = there(find(tx, container.id, at.name, lock=True), at.name)
    store.update(
        tx, row, metadata=dict(said.metadata), headers=dict(said.headers),
        content_type=said.content_type or row.content_type,
    )


def delete(tx: Tx, ctx: Context, at: Address, conditions: Conditions) -> None:
    container = containers.reached(tx, ctx, at.project_id, at.container, policy.DELETE_OBJECT, writing=True, lock=True)
    row = there(find(tx, container.id, at.name, lock=True), at.name)
    if judged(conditions, row.etag, row.updated_at) == "failed":
        raise errors.PreconditionFailed("The object isn't what the request takes it for.")
    store.delete(tx, row)
    containers.count(tx, container, -1, -row.size_bytes)
    contents.release(tx, row.blob_id)


def replaced(tx: Tx, container: Any, before: Any, name: str, received: Received, said: Described) -> Any:
    values = {
        "blob_id": received.blob_id, "size_bytes": received.size_bytes, "etag": received.etag,
        "content_type": said.content_type, "metadata": dict(said.metadata), "headers": dict(said.headers),
        "created_at": tx.now, "updated_at": tx.now,
    }
    if before is None:
        containers.count(tx, container, 1, received.size_bytes)
        return store.insert(tx, id=tx.ctx.new_id(), container_id=container.id, name=name, **values)
    containers.count(tx, container, 0, received.size_bytes - before.size_bytes)
    row = store.update(tx, before, **values)
    contents.release(tx, before.blob_id)
    return row


# ---- checks ----------------------------------------------------------------------------------


def check_put(before: Any, asked: Conditions) -> None:
    etag, changed_us = (before.etag, before.updated_at) if before is not None else (None, 0)
    if judged(asked, etag, changed_us) != "go":
        raise errors.PreconditionFailed("The object isn't what the request takes it for.")


def check_quotas(tx: Tx, container: Any, before: Any, size_bytes: int) -> None:
    """Raises OverQuota."""
    more_bytes, more_objects = size_bytes - (before.size_bytes if before else 0), 0 if before else 1
    accounts.over(
        tx, "container", container, container.bytes_used, container.objects, more_bytes, more_objects
    )
    accounts.check_quota(tx, container.project_id, more_bytes, more_objects)


# ---- queries ---------------------------------------------------------------------------------


def find(tx: Tx, container_id: str, name: str, *, lock: bool = False) -> Any:
    statement = locked(BY_NAME, lock) if tx.writing and tx.dialect != "sqlite" else BY_NAME
    row = tx.first(statement, {"container": container_id, "the_name": name})
    return None if row is None else store.Row._make(row)


def there(row: Any, name: str) -> Any:
    if row is None:
        raise missing(name)
    return row


def missing(name: str) -> errors.NotFound:
    return errors.NotFound(f"There is no object {name[:80]!r}.", reason="object_not_found")


def page(
    tx: Tx, ctx: Context, project_id: str, container: str, wish: Wish, referrer: str = ""
) -> tuple[Any, list[Any]]:
    """The container, and its objects by name."""
    row = containers.reached(
        tx, ctx, project_id, container, policy.SHOW_CONTAINER, listing=True, referrer=referrer
    )
    rows = sa.select(*LISTED).where(OBJECTS.c.container_id == row.id)
    return row, listed(wish, containers.fetcher(tx, rows, OBJECTS.c.name, wish.reverse))
