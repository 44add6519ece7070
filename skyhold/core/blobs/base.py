# SPDX-License-Identifier: Apache-2.0
"""What a blob is to whoever writes and reads it, and what can go wrong with it.

Blobs as files are file.py, other stores are each service's drivers; how streams pass is flow.py. All calls block
and are made in threads; only `Reader.ready` may be called in the event loop, because it never waits for a disk.
"""

from __future__ import annotations

from typing import Protocol

Piece = bytes | bytearray | memoryview
"""Of some content. Unless it is `bytes` it may be lent: whoever is handed one and keeps it makes a copy."""


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

    def write(self, piece: Piece) -> None:
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
