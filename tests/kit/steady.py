# SPDX-License-Identifier: Apache-2.0
"""An event loop whose clock stands still while the machine does: what tests give seconds to is work, not the machine.

How long tests wait for what must come is tests/kit/patience.py. Other clocks (`time.monotonic`, the databases') go on
as they do, so this is not for what has leases. The one thing to know first: after a real pause every timer is due at
once, a server's bound of 0.4 s and the client's next byte alike, and which goes first is chance. Here a pause never
happened, for everything in this loop.
"""

from __future__ import annotations

import asyncio
import math
import selectors
import time
from collections.abc import Callable
from typing import Any

PAUSE_S = 0.2
"""What takes longer than this, where nothing should, is the machine's doing."""


class Watch:
    """A clock without its pauses, in seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lost_s = 0.0
        self._seen = clock()

    def now(self) -> float:
        self._pass(0.0)
        return self._seen - self._lost_s

    def waited(self, timeout_s: float | None, in_vain: bool) -> None:
        """Somebody waited this long at most, for something that came unless it was in vain."""
        self._pass(math.inf if timeout_s is None else timeout_s, in_vain)

    def _pass(self, meant_s: float, in_vain: bool = True) -> None:
        now = self._clock()
        if (took_s := now - self._seen) > meant_s + PAUSE_S:
            # What came may have come at once, whatever was due afterwards.
            self._lost_s += took_s - (meant_s if in_vain else 0.0)
        self._seen = now


class Selector(selectors.DefaultSelector):
    def __init__(self, watch: Watch) -> None:
        super().__init__()
        self._watch = watch

    def select(self, timeout: float | None = None) -> Any:
        self._watch.now()
        found = super().select(timeout)
        self._watch.waited(timeout, in_vain=not found)
        return found


class SteadyLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._watch = Watch()
        super().__init__(Selector(self._watch))

    def time(self) -> float:
        return self._watch.now()


def pytest_asyncio_loop_factories(config: Any, item: Any) -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """For the conftest.py of a folder whose tests are to run in such loops."""
    return {"steady": SteadyLoop}
