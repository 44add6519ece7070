# SPDX-License-Identifier: Apache-2.0
"""Objects in Swift's protocol: upload, download, copy, what is said of them.

What happens is engine/objects.py, how bytes come in engine/contents.py and out downloads.py. An upload is refused
before its bytes are read wherever its headers suffice.
"""

from __future__ import annotations

from urllib.parse import quote

from skyhold.core import errors
from skyhold.core.context import Context
from skyhold.core.http.routes import Head, Reply, Routes, Stream
from skyhold.object import policy
from skyhold.object.engine import contents, objects
from skyhold.object.engine.objects import Address, Copied, Described, Upload
from skyhold.object.errors import LengthRequired
from skyhold.object.swift import downloads, heads, replies

routes = Routes()


@routes.get(policy.OBJECT, policy=policy.SHOW_OBJECT, guests=True, head=True)
async def download(ctx: Context, project_id: str, container: str, object_name: str, head: Head) -> Reply:
    """Download an object, wholly or some ranges of it."""
    return await downloads.answer(ctx, addressed(head, project_id, container, object_name), head)


@routes.head(policy.OBJECT, policy=policy.SHOW_OBJECT, guests=True, head=True)
async def show_head(ctx: Context, project_id: str, container: str, object_name: str, head: Head) -> Reply:
    """See an object's metadata."""
    return await downloads.without_body(ctx, addressed(head, project_id, container, object_name), head)


@routes.put(policy.OBJECT, policy=policy.WRITE_OBJECT, guests=True, head=True, stream=True, status=201)
async def upload(
    ctx: Context, project_id: str, container: str, object_name: str, head: Head, stream: Stream
) -> Reply:
    """Upload an object, or copy another one."""
    at = addressed(head, project_id, container, object_name)
    source = heads.source(head, project_id)
    if source is not None:
        if stream.length:
            raise errors.Invalid("Copy requests require a zero byte body", reason="body_with_copy")
        return await copied(ctx, source, at, heads.described(head, object_name, guess=False), head)
    if stream.length is None and "chunked" not in (head.headers.get("transfer-encoding") or "").lower():
        raise LengthRequired("Missing Content-Length header.")
    check_none_match(head)
    want = Upload(
        described=heads.described(head, object_name, guess=True), conditions=heads.conditions(head),
        size_bytes=stream.length, etag=heads.etag(head),
    )
    contents.check_size(stream.length or 0, ctx.core.settings.object.size_limit_bytes)
    blob_id = await ctx.write(objects.reserve, at, want)
    async with contents.given_back(ctx, blob_id):
        row = await ctx.write(objects.put, at, want, await contents.write(ctx, blob_id, stream))
    return replies.done(201, replies.of_written(row))


@routes.copy(policy.OBJECT, policy=policy.WRITE_OBJECT, guests=True, head=True, status=201)
async def copy(ctx: Context, project_id: str, container: str, object_name: str, head: Head) -> Reply:
    """Copy an object to the address that the header Destination names."""
    source = addressed(head, project_id, container, object_name)
    at = heads.destination(head, project_id)
    return await copied(ctx, source, at, heads.described(head, at.name, guess=False), head)


@routes.post(policy.OBJECT, policy=policy.CHANGE_OBJECT, guests=True, head=True, status=202)
async def update(ctx: Context, project_id: str, container: str, object_name: str, head: Head) -> Reply:
    """Replace an object's metadata."""
    at = addressed(head, project_id, container, object_name)
    await ctx.write(objects.describe, at, heads.described(head, object_name, guess=False))
    return replies.done(202)


@routes.delete(policy.OBJECT, policy=policy.DELETE_OBJECT, guests=True, head=True)
async def delete(ctx: Context, project_id: str, container: str, object_name: str, head: Head) -> Reply:
    """Delete an object."""
    at = addressed(head, project_id, container, object_name)
    await ctx.write(objects.delete, at, heads.conditions(head))
    return replies.done(204)


def addressed(head: Head, project_id: str, container: str, object_name: str) -> Address:
    heads.check(head)
    return heads.address(project_id, container, object_name)


def check_none_match(head: Head) -> None:
    if (head.headers.get("if-none-match") or "*").strip() != "*":
        raise errors.Invalid("If-None-Match only supports * here.", reason="bad_condition")


async def copied(ctx: Context, source: Address, at: Address, changed: Described, head: Head) -> Reply:
    fresh = heads.is_yes(head, "x-fresh-metadata")
    done: Copied = await ctx.write(objects.copy, source, at, changed, fresh, heads.conditions(head))
    return replies.done(201, replies.of_written(done.made) | heads.prefixed("Object", done.made.metadata) | {
        "X-Copied-From": quote(f"{source.container}/{source.name}"),
        "X-Copied-From-Account": quote(heads.ACCOUNT + source.project_id),
        "X-Copied-From-Last-Modified": replies.http_date(done.source.updated_at),
    })
