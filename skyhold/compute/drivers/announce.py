# SPDX-License-Identifier: Apache-2.0
"""Tells whoever listens that a guest changed power without being asked to.

What counts as unasked is each driver's decision; this only carries the news. Changes seen while
nobody listens (a driver finds them when it starts) wait for the first listener.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator

from skyhold.compute.drivers.base import GuestStatus

_BACKLOG = 10_000


class Announcer:
    """One source, any number of listeners; each listener hears everything from when it began."""

    def __init__(self) -> None:
        self._listeners: list[asyncio.Queue[GuestStatus]] = []
        self._unheard: deque[GuestStatus] = deque(maxlen=_BACKLOG)

    def tell(self, status: GuestStatus) -> None:
        if not self._listeners:
            self._unheard.append(status)
        for queue in self._listeners:
            queue.put_nowait(status)

    def listen(self) -> AsyncIterator[GuestStatus]:
        """Listening begins with this call, not with the first `anext`."""
        queue: asyncio.Queue[GuestStatus] = asyncio.Queue()
        while self._unheard:
            queue.put_nowait(self._unheard.popleft())
        self._listeners.append(queue)
        return self._drain(queue)

    async def _drain(self, queue: asyncio.Queue[GuestStatus]) -> AsyncIterator[GuestStatus]:
        try:
            while True:
                yield await queue.get()
        finally:
            self._listeners.remove(queue)
