# SPDX-License-Identifier: Apache-2.0
"""The interface of a store: where the bytes of images are kept.

Stores are drivers/file.py and drivers/fake.py; tests/unit/image holds them to the same conformance
suite. All calls block and are made in threads; only `Reader.ready` may be called in the event
loop, because it never waits for a disk.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Protocol


class StoreFull(Exception):
    """No room for what is being written; the text says where and how much is free."""


class NoSuchBlob(Exception):
    """There is nothing under this key."""


class Writer(Protocol):
    """One blob being written. It can be seen by nobody until `commit`, and is gone after `abort`;
    `abort` after either is allowed and does nothing."""

    def write(self, piece: bytes) -> None:
        """Append. Raises StoreFull."""

    def commit(self) -> None:
        """Make the blob durable, then visible under its key, in one step. Raises StoreFull, and NoSuchBlob
        when it was deleted while it was written."""

    def abort(self) -> None: ...


class Reader(Protocol):
    """An open blob: it can be read to its end even when it is deleted meanwhile."""

    size_bytes: int

    def ready(self, offset: int, length: int) -> bytes | bytearray | None:
        """What is in memory already, at most `length` bytes; None when that would mean waiting."""

    def read(self, offset: int, length: int) -> bytes:
        """At most `length` bytes, fewer only at the end."""

    def close(self) -> None: ...


class BlobStore(Protocol):
    """Keys look like `<image id>/<upload id>`: an image has at most one blob, made by one upload."""

    name: str

    def create(self, key: str, expected_bytes: int | None = None) -> Writer:
        """Raises StoreFull when `expected_bytes` can't fit."""

    def open(self, key: str) -> Reader:
        """Raises NoSuchBlob."""

    def delete(self, key: str) -> None:
        """Remove the blob, finished or not. Nothing to remove is fine."""

    def path(self, image_id: str) -> Path | None:
        """The image's finished blob as a file of this machine, if this store has such a thing."""

    def keys(self) -> Iterable[str]:
        """All keys, of unfinished blobs too."""

    def free_bytes(self) -> int | None:
        """Room left, if that is known."""
