# SPDX-License-Identifier: Apache-2.0
"""A store in memory that keeps the interface's promises, and can be told to be full or slow.

The interface is drivers/base.py. It is product code for clouds that run on fakes and for tests; its
blobs end with the process.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from skyhold.image.drivers.base import NoSuchBlob, Piece, StoreAway, StoreFull


class FakeStore:
    """`capacity_bytes` bounds all blobs together; `delay_s` is waited before each write; `away` makes it refuse."""

    kind = "memory"
    read_only = False

    def __init__(
        self, capacity_bytes: int | None = None, delay_s: float = 0.0, *, name: str = "memory", far: bool = False
    ) -> None:
        self.capacity_bytes, self.delay_s, self.name, self.far = capacity_bytes, delay_s, name, far
        self.away = False
        self._blobs: dict[str, bytes] = {}
        self._parts: dict[str, FakeWriter] = {}

    def create(self, key: str, expected_bytes: int | None = None) -> FakeWriter:
        self._answer()
        free = self.free_bytes()
        if free is not None and (expected_bytes or 0) > free:
            raise StoreFull(f"The image store has {free} bytes free; this needs {expected_bytes}.")
        if key in self._parts or key in self._blobs:
            raise FileExistsError(key)
        writer = self._parts[key] = FakeWriter(self, key)
        return writer

    def open(self, key: str) -> FakeReader:
        self._answer()
        try:
            return FakeReader(self._blobs[key])
        except KeyError:
            raise NoSuchBlob(f"The image store has nothing under {key}.") from None

    def delete(self, key: str) -> None:
        self._blobs.pop(key, None)
        self._parts.pop(key, None)

    def path(self, key: str) -> Path | None:
        return None

    def url(self, key: str) -> str:
        return f"memory://{self.name}/{key}"

    def properties(self) -> dict[str, Any]:
        return {}

    def _answer(self) -> None:
        if self.away:
            raise StoreAway(f"The store {self.name} doesn't answer.")

    def keys(self) -> list[str]:
        return sorted({*self._blobs, *self._parts})

    def free_bytes(self) -> int | None:
        if self.capacity_bytes is None:
            return None
        used = sum(map(len, self._blobs.values())) + sum(part.size for part in self._parts.values())
        return self.capacity_bytes - used

    def forget_part(self, key: str) -> None:
        self._parts.pop(key, None)

    def publish(self, key: str, content: bytes) -> None:
        if self._parts.pop(key, None) is None:
            raise NoSuchBlob(f"{key} was deleted while it was written.")
        self._blobs[key] = content


class FakeWriter:
    far = False

    def __init__(self, store: FakeStore, key: str) -> None:
        self._store, self._key = store, key
        self._pieces: list[bytes] | None = []
        self.size = 0

    def write(self, piece: Piece) -> None:
        if self._store.delay_s:
            time.sleep(self._store.delay_s)
        free = self._store.free_bytes()
        if free is not None and len(piece) > free:
            raise StoreFull("The image store is full: No space left on device.")
        assert self._pieces is not None
        self._pieces.append(bytes(piece))
        self.size += len(piece)

    def commit(self) -> None:
        assert self._pieces is not None
        self._store.publish(self._key, b"".join(self._pieces))
        self._pieces = None

    def abort(self) -> None:
        if self._pieces is not None:
            self._pieces = None
            self._store.forget_part(self._key)


class FakeReader:
    far = False

    def __init__(self, content: bytes) -> None:
        self._content = content
        self.size_bytes = len(content)

    def ready(self, offset: int, length: int) -> bytes | None:
        return self._content[offset:offset + length] or None

    def read(self, offset: int, length: int) -> bytes:
        return self._content[offset:offset + length]

    def close(self) -> None:
        self._content = b""
