# SPDX-License-Identifier: Apache-2.0
"""A store that takes no bytes until it is told to: for what is true while an upload is under way, however long.

The fake without a bar is skyhold/image/drivers/fake.py.
"""

from __future__ import annotations

import threading

from skyhold.image.drivers.base import Piece
from skyhold.image.drivers.fake import FakeStore, FakeWriter
from tests.kit.patience import PATIENCE_S


class HeldStore(FakeStore):
    """`go_on` lifts the bar, for good."""

    def __init__(self, name: str = "memory") -> None:
        super().__init__(name=name)
        self.go_on = threading.Event()

    def create(self, key: str, expected_bytes: int | None = None) -> FakeWriter:
        super().create(key, expected_bytes)
        writer = self._parts[key] = HeldWriter(self, key, self.go_on)
        return writer


class HeldWriter(FakeWriter):
    def __init__(self, store: HeldStore, key: str, go_on: threading.Event) -> None:
        super().__init__(store, key)
        self._go_on = go_on

    def write(self, piece: Piece) -> None:
        assert self._go_on.wait(PATIENCE_S), "nobody let the store go on"
        super().write(piece)
