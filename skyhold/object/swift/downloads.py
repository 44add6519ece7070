# SPDX-License-Identifier: Apache-2.0
"""How an object's bytes go out: whole, one range, several ranges, or not at all.

Which bytes a header means is logic/ranges.py, when none are sent logic/conditions.py. The content that is opened is
the one the headers are of: what replaces it meanwhile is another blob.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Final

import structlog

from skyhold.core import errors
from skyhold.core.blobs.base import NoSuchBlob, Reader
from skyhold.core.blobs.flow import READ_BYTES, in_pool, pieces_of
from skyhold.core.context import Context
from skyhold.core.http.routes import Head, Reply
from skyhold.object.engine import contents, objects
from skyhold.object.engine.objects import Address
from skyhold.object.logic import ranges
from skyhold.object.logic.conditions import judged, moment, seconds
from skyhold.object.logic.ranges import Part
from skyhold.object.swift import heads, replies

log = structlog.get_logger("object")

LOOKS: Final = 3
"""An object that is replaced between the look-up and the opening is looked up again."""


async def answer(ctx: Context, at: Address, head: Head) -> Reply:
    """Raises NotFound, PreconditionFailed, RangeUnsatisfiable."""
    for _ in range(LOOKS):
        row = await ctx.read(objects.show, at, heads.referrer(head))
        if (early := unsent(row, head)) is not None:
            return early
        parts = asked(row, head)
        try:
            if row.size_bytes <= READ_BYTES and len(parts) < 2:
                return at_once(row, await contents.read(ctx.core, row.blob_id), parts)
            return sent(ctx, row, await contents.opened(ctx.core, row.blob_id), parts)
        except NoSuchBlob:
            continue
    log.error("an object has lost its content", object=row.id, blob=row.blob_id)
    raise errors.NotFound("The content of this object is not on the disk.", reason="content_lost")


async def without_body(ctx: Context, at: Address, head: Head) -> Reply:
    row = await ctx.read(objects.show, at, heads.referrer(head))
    return unsent(row, head) or Reply(
        headers=replies.of_object(row), length=row.size_bytes, content_type=heads.latin(row.content_type)
    )


def unsent(row: Any, head: Head) -> Reply | None:
    """The answer to who has it already. Raises PreconditionFailed for who takes it for something else."""
    verdict = judged(heads.conditions(head), row.etag, row.updated_at)
    if verdict == "failed":
        raise errors.PreconditionFailed("The object isn't what the request takes it for.")
    if verdict == "same":
        return Reply(status=304, headers={"Etag": row.etag, "Last-Modified": replies.http_date(row.updated_at)})
    return None


def asked(row: Any, head: Head) -> list[Part]:
    wanted = head.headers.get("if-range")
    if wanted is not None and wanted.strip('"') != row.etag and moment(wanted) != seconds(row.updated_at):
        return []
    return ranges.parts(head.headers.get("range"), row.size_bytes)


def at_once(row: Any, content: bytes, parts: list[Part]) -> Reply:
    """A small content, or the one part of it that was asked for."""
    headers, kind = replies.of_object(row), heads.latin(row.content_type)
    if not parts:
        return Reply(content, headers=headers, content_type=kind)
    start, end = parts[0]
    headers["Content-Range"] = content_range(parts[0], row.size_bytes)
    return Reply(content[start:end], status=206, headers=headers, content_type=kind)


def content_range(part: Part, size_bytes: int) -> str:
    start, end = part
    return f"bytes {start}-{end - 1}/{size_bytes}"


def sent(ctx: Context, row: Any, reader: Reader, parts: list[Part]) -> Reply:
    headers, kind, size = replies.of_object(row), heads.latin(row.content_type), row.size_bytes
    if not parts:
        return Reply(whole(reader, 0, size), headers=headers, length=size, content_type=kind)
    if len(parts) == 1:
        (start, end), = parts
        headers["Content-Range"] = content_range(parts[0], size)
        return Reply(whole(reader, start, end), status=206, headers=headers, length=end - start, content_type=kind)
    boundary = ctx.new_id().replace("-", "")
    openings = [ranges.opening(part, size, row.content_type, boundary) for part in parts]
    length = sum(len(opening) + end - start + 2 for opening, (start, end) in zip(openings, parts, strict=True))
    return Reply(
        several(reader, parts, openings, ranges.closing(boundary)), status=206, headers=headers,
        length=length + len(ranges.closing(boundary)), content_type=f"multipart/byteranges;boundary={boundary}",
    )


async def whole(reader: Reader, start: int, end: int) -> AsyncIterator[bytes | bytearray]:
    try:
        async for piece in pieces_of(reader, start, end, contents.POOL):
            yield piece
    finally:
        await closed(reader)


async def several(
    reader: Reader, parts: list[Part], openings: list[bytes], closing: bytes
) -> AsyncIterator[bytes | bytearray]:
    try:
        for (start, end), opening in zip(parts, openings, strict=True):
            yield opening
            async for piece in pieces_of(reader, start, end, contents.POOL):
                yield piece
            yield b"\r\n"
        yield closing
    finally:
        await closed(reader)


async def closed(reader: Reader) -> None:
    await asyncio.shield(in_pool(contents.POOL, reader.close))
