# SPDX-License-Identifier: Apache-2.0
"""Counts the statements that an answer costs. How many are right is in the tests beside this file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from skyhold.core.db.tx import Tx


@pytest.fixture(scope="module")
def counted() -> Iterator[Counter[str]]:
    """Statements by request id: loops and sagas that run meanwhile are not counted in."""
    counts: Counter[str] = Counter()
    patch = pytest.MonkeyPatch()
    real = Tx.execute

    def execute(self: Tx, *args: Any, **kw: Any) -> Any:
        counts[self.ctx.request_id] += 1
        return real(self, *args, **kw)

    patch.setattr(Tx, "execute", execute)
    yield counts
    patch.undo()
