# SPDX-License-Identifier: Apache-2.0
"""The interface of a store: where the bytes of images are kept.

Stores are its neighbours; tests/drivers/image holds them to the same conformance suite, and which of them a cloud
has is blobs.py. What a store reads and writes, and raises, it shares with whatever else keeps blobs
(core/blobs/base.py). All calls block and are made in threads.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol

from skyhold.core.blobs.base import NoSuchBlob, Piece, Reader, StoreAway, StoreFull, Writer

__all__ = ["BlobStore", "NoSuchBlob", "Piece", "Reader", "StoreAway", "StoreFull", "Writer"]


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
