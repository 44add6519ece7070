# SPDX-License-Identifier: Apache-2.0
"""Images that stay where they are on the web, read through the cloud's one outbound client.

The interface is drivers/base.py; a key is a whole URL here. Nothing is ever written or deleted, and every request
passes the rules of core/outbound.py again, because what a name means may have changed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import AbstractAsyncContextManager, suppress
from pathlib import Path
from typing import Any

from skyhold.core import errors
from skyhold.core.outbound import Outbound, Streaming
from skyhold.image.drivers.base import NoSuchBlob, StoreAway, Writer

MOST_BYTES = 2**63 - 1
STALL_S = 30.0


class HttpStore:
    kind = "http"
    read_only = True
    far = True

    def __init__(self, outbound: Outbound, name: str = "http") -> None:
        self._outbound, self.name = outbound, name

    def create(self, key: str, expected_bytes: int | None = None) -> Writer:
        raise StoreAway(f"The store {self.name} is read-only.")

    def open(self, key: str) -> HttpReader:
        return HttpReader(self._outbound, key)

    def delete(self, key: str) -> None:
        """What is on the web is not ours to remove."""

    def path(self, key: str) -> Path | None:
        return None

    def url(self, key: str) -> str:
        return key

    def keys(self) -> Iterable[str]:
        return ()

    def free_bytes(self) -> int | None:
        return None

    def properties(self) -> dict[str, Any]:
        return {}


class HttpReader:
    """Reads forward over one request, and makes another, with a Range, when it is asked for another place.

    It has an event loop of its own that only runs inside its calls, since those are made in threads.
    """

    far = True

    def __init__(self, outbound: Outbound, url: str) -> None:
        self._outbound, self._url = outbound, url.partition("#")[0]
        self._loop = asyncio.new_event_loop()
        self._answer: AbstractAsyncContextManager[Streaming] | None = None
        self._chunks: AsyncIterator[bytes] = nothing()
        self._rest = b""
        self._at = 0
        try:
            self.size_bytes: int = self._run(self._size())
        except BaseException:
            self.close()
            raise

    def ready(self, offset: int, length: int) -> bytes | None:
        return None

    def read(self, offset: int, length: int) -> bytes:
        return self._run(self._read(offset, length)) if offset < self.size_bytes else b""

    def close(self) -> None:
        if not self._loop.is_closed():
            with suppress(Exception):
                self._loop.run_until_complete(self._end())
            self._loop.close()

    def _run(self, work: Any) -> Any:
        try:
            return self._loop.run_until_complete(work)
        except errors.Error as error:
            raise StoreAway(f"{self._url}: {error.message}") from None

    async def _size(self) -> int:
        """Asked for by HEAD: some servers give a length there alone. Those that know no HEAD tell it with GET."""
        answer = await self._outbound.request("HEAD", self._url, timeout_s=STALL_S)
        if answer.status in (404, 410):
            raise NoSuchBlob(f"There is nothing at {self._url}.")
        length = answer.headers.get("Content-Length", "")
        if answer.status == 200 and length.isdigit():
            return int(length)
        return await self._begin(0)

    async def _begin(self, offset: int) -> int:
        """Makes the answer stand at `offset`; how long the content is by what it says."""
        await self._end()
        told = {"Range": f"bytes={offset}-"} if offset else {}
        self._answer = self._outbound.stream(
            "GET", self._url, headers=told, stall_s=STALL_S, limit_bytes=MOST_BYTES
        )
        found = await self._answer.__aenter__()
        if found.status in (404, 410):
            raise NoSuchBlob(f"There is nothing at {self._url}.")
        if found.status != (206 if offset else 200):
            raise StoreAway(f"{self._url} answered {found.status}.")
        self._chunks, self._rest, self._at = found.chunks, b"", offset
        length = found.headers.get("Content-Length", "")
        if not length.isdigit() and not hasattr(self, "size_bytes"):
            raise StoreAway(f"{self._url} doesn't say how long it is.")
        return offset + int(length or 0)

    async def _read(self, offset: int, length: int) -> bytes:
        if offset != self._at or self._answer is None:
            await self._begin(offset)
        parts, wanted = [], length
        while wanted:
            piece = self._rest or await anext(self._chunks, b"")
            if not piece:
                break
            parts.append(piece[:wanted])
            self._rest = piece[wanted:]
            wanted -= len(parts[-1])
        found = b"".join(parts)
        self._at += len(found)
        return found

    async def _end(self) -> None:
        answer, self._answer = self._answer, None
        if answer is not None:
            await answer.__aexit__(None, None, None)


async def nothing() -> AsyncIterator[bytes]:
    for none in list[bytes]():
        yield none
