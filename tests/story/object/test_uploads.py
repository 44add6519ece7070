# SPDX-License-Identifier: Apache-2.0
"""Uploads that go wrong, and contents that are replaced or deleted under a reader: nobody ever sees a half.

What goes right is test_objects.py. Where a disk must be full or a thread slow, the store's own disk is made so.
"""

from __future__ import annotations

import asyncio
import errno
import tracemalloc
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from skyhold.core import errors
from skyhold.core.blobs.file import FileWriter
from skyhold.core.context import internal
from skyhold.core.http.routes import Head, Stream
from skyhold.object.engine import contents
from skyhold.object.engine.objects import Address
from skyhold.object.loops import uploads
from skyhold.object.swift import downloads
from skyhold.object.tables import BLOBS
from tests.kit.patience import until
from tests.story.object.conftest import Account

CONTENT = b"0123456789" * 1000
MIB = 1024 * 1024


async def blobs_of(account: Account) -> tuple[int, int]:
    """Rows of blobs, and files."""
    await asyncio.gather(*contents.GOING)
    rows = await internal(account.cloud.core).read(lambda tx, ctx: len(tx.all(BLOBS.select())))
    files = [path for path in account.cloud.core.settings.objects_dir.rglob("*") if path.is_file()]
    return rows, len(files)


async def test_a_truncated_upload_leaves_the_old_object(account: Account) -> None:
    await account.container()
    await account.put("birds/crow", b"old")
    before = await blobs_of(account)
    for path in ("birds/crow", "birds/raven"):
        broken = await account.put(path, b"only this", 400, content_length="1000")
        assert b"broke off" in broken.body
    assert await blobs_of(account) == before
    assert (await account.get("birds/crow")).body == b"old" and await account.names("birds") == ["crow"]


async def test_a_client_that_goes_away_leaves_nothing(account: Account) -> None:
    await account.container()
    before = await blobs_of(account)
    for length in ("1000", None):
        assert await cut_short(account, length) == 400
    assert await blobs_of(account) == before and await account.names("birds") == []


async def cut_short(account: Account, length: str | None) -> int:
    """The status of a PUT whose client disconnects in the middle; chunked where it has no length."""
    headers = [(b"x-auth-token", str(account.who.token).encode()), (b"content-type", b"x/y")]
    headers.append((b"transfer-encoding", b"chunked") if length is None else (b"content-length", length.encode()))
    events = [{"type": "http.disconnect"}, {"type": "http.request", "body": b"half", "more_body": True}]
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return events.pop()

    async def send(event: Any) -> None:
        sent.append(event)

    path = f"/object-store/v1/AUTH_{account.project_id}/birds/crow"
    await account.who.app({
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "PUT", "scheme": "http",
        "path": path, "raw_path": path.encode(), "root_path": "", "query_string": b"", "headers": headers,
        "server": ("cloud.test", 80), "client": ("127.0.0.1", 1),
    }, receive, send)
    return int(sent[0]["status"])


async def test_an_object_that_is_too_long(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    await account.container()
    core = account.cloud.core
    small = msgspec.structs.replace(core.settings.object, size_limit_bytes=100)
    monkeypatch.setattr(core, "settings", msgspec.structs.replace(core.settings, object=small))
    before = await blobs_of(account)
    assert b"may have 100 bytes" in (await account.put("birds/crow", CONTENT, 413)).body
    await account.put("birds/crow", CONTENT, 413, transfer_encoding="chunked")
    await account.put("birds/crow", CONTENT[:100])
    assert (await account.cloud.client().get("/object-store/info")).json["swift"]["max_file_size"] == 100
    await account.ask("DELETE", "birds/crow", 204)
    assert await blobs_of(account) == before


async def test_a_full_disk_is_507_and_changes_nothing(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    await account.container()
    await account.put("birds/crow", b"old")
    before = await blobs_of(account)

    def full(fd: int, *more: Any) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("skyhold.core.blobs.file.os.write", full)
        assert b"full" in (await account.put("birds/crow", CONTENT, 507)).body
    with monkeypatch.context() as patch:
        patch.setattr(contents.disk(account.cloud.core), "free_bytes", lambda: 10, raising=False)
        await account.put("birds/crow", CONTENT, 507)
    assert await blobs_of(account) == before and (await account.get("birds/crow")).body == b"old"


async def test_a_container_that_goes_during_an_upload(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    await account.container()
    before = await blobs_of(account)
    real = FileWriter.commit

    def slow(self: FileWriter) -> None:
        asyncio.run_coroutine_threadsafe(account.ask("DELETE", "birds", 204), loop).result(10)
        real(self)

    loop = asyncio.get_running_loop()
    monkeypatch.setattr(FileWriter, "commit", slow)
    assert b"no container" in (await account.put("birds/crow", CONTENT, 404)).body
    assert await blobs_of(account) == before


async def test_who_reads_reads_on_while_the_object_is_replaced_or_deleted(account: Account) -> None:
    await account.container()
    content = CONTENT * 100
    for last in ("put", "delete"):
        await account.put("birds/crow", content)
        ctx, at = internal(account.cloud.core), Address(account.project_id, "birds", "crow")
        reading = (await downloads.answer(ctx, at, Head("GET", b"/", {}, []))).body
        first = bytes(await anext(reading))
        await (account.put("birds/crow", b"new") if last == "put" else account.ask("DELETE", "birds/crow", 204))
        await asyncio.gather(*contents.GOING)
        assert len(first) < len(content) and first + b"".join([bytes(piece) async for piece in reading]) == content


async def test_a_dead_upload_is_forgotten_and_its_bytes_go(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a killed process leaves: a row that nothing is heard of, and part of a file."""
    core = account.cloud.core
    ctx = internal(core)
    before = await blobs_of(account)
    blob_id = await ctx.write(contents.begin)
    writer = contents.disk(core).create(contents.key_of(blob_id))
    writer.write(b"half")
    await uploads.run(ctx)
    assert await blobs_of(account) == (before[0] + 1, before[1] + 1), "whoever wrote a moment ago is alive"
    monkeypatch.setattr(contents, "SILENT_S", 0.0)
    await uploads.run(ctx)
    await core.loops.run_once("object.orphans")
    assert await blobs_of(account) == before
    received = contents.Received(blob_id, 4, "")
    with pytest.raises(errors.Gone):
        await ctx.write(lambda tx, ctx: contents.keep(tx, received))
    writer.abort()


async def test_an_upload_says_that_it_is_alive(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contents, "BEAT_S", 0.01)
    ctx = internal(account.cloud.core)
    blob_id = await ctx.write(contents.begin)
    row = BLOBS.select().where(BLOBS.c.id == blob_id)

    async def seen_at() -> int:
        return int(await ctx.read(lambda tx, ctx: tx.all(row)[0].seen_at))

    async def beaten() -> bool:
        return await seen_at() > began

    began = await seen_at()
    with pytest.raises(errors.Conflict):
        async with contents.given_back(ctx, blob_id):
            await until(beaten, "the upload to say so")
            raise errors.Conflict("enough")
    assert await ctx.read(lambda tx, ctx: tx.all(row)) == []


async def test_memory_does_not_grow_with_an_upload(account: Account) -> None:
    ctx, pieces = internal(account.cloud.core), 64
    blob_id = await ctx.write(contents.begin)

    async def chunks() -> AsyncIterator[bytes]:
        for at in range(pieces):
            yield bytes([at]) * MIB

    tracemalloc.start()
    try:
        stream = Stream(chunks=chunks(), length=pieces * MIB, content_type="", headers={})
        received = await contents.write(ctx, blob_id, stream)
        assert tracemalloc.get_traced_memory()[1] < 8 * MIB
    finally:
        tracemalloc.stop()
    assert received.size_bytes == pieces * MIB
    await contents.give_up(ctx, blob_id)
