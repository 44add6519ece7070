# SPDX-License-Identifier: Apache-2.0
"""The interface of a store: where the bytes of images are kept.

Stores are its neighbours; tests/drivers/image holds them to the same conformance suite, and which of them a cloud
has is blobs.py. All calls block and are made in threads; only `Reader.ready` may be called in the event
loop, because it never waits for a disk.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol


class StoreFull(Exception):
    """No room for what is being written; the text says where and how much is free."""


class NoSuchBlob(Exception):
    """There is nothing under this key."""


class StoreAway(Exception):
    """The store doesn't answer, or refuses us; the text is for the operator."""


class Writer(Protocol):
    """One blob being written; `far` as its store's. It can be seen by nobody until `commit`, and is gone after `abort`;
    `abort` after either is allowed and does nothing."""

    far: bool

    def write(self, piece: bytes) -> None:
        """Append. Raises StoreFull."""

    def commit(self) -> None:
        """Make the blob durable, then visible under its key, in one step. Raises StoreFull, and NoSuchBlob
        when it was deleted while it was written."""

    def abort(self) -> None: ...


class Reader(Protocol):
    """An open blob. When it is deleted meanwhile it can be read to its end, or `read` raises NoSuchBlob or StoreAway:
    never are other bytes read."""

    size_bytes: int
    far: bool

    def ready(self, offset: int, length: int) -> bytes | bytearray | None:
        """What is in memory already, at most `length` bytes; None when that would mean waiting."""

    def read(self, offset: int, length: int) -> bytes:
        """At most `length` bytes, fewer only at the end."""

    def close(self) -> None: ...


class BlobStore(Protocol):
    """Keys look like `<image id>/<upload id>`; what is written under one never changes.

    `kind` is the technology (`file`, `http`, `s3`, `rbd`), `read_only` says that `create` and `delete` are not to be
    called, `far` that reading is so slow that a cache is worth its disk.
    """

    name: str
    kind: str
    read_only: bool
    far: bool

    def create(self, key: str, expected_bytes: int | None = None) -> Writer:
        """Raises StoreFull when `expected_bytes` can't fit."""

    def open(self, key: str) -> Reader:
        """Raises NoSuchBlob."""

    def delete(self, key: str) -> None:
        """Remove the blob, finished or not. Nothing to remove is fine."""

    def path(self, key: str) -> Path | None:
        """The finished blob as a file of this machine, if this store has such a thing."""

    def url(self, key: str) -> str:
        """Where the blob is, as the image's locations tell it. Holds no secret and no path of this machine."""

    def keys(self) -> Iterable[str]:
        """All keys, of unfinished blobs too."""

    def free_bytes(self) -> int | None:
        """Room left, if that is known."""

    def properties(self) -> dict[str, Any]:
        """What an administrator is told of this store."""
