# SPDX-License-Identifier: Apache-2.0
"""What the control processes of one cloud on one machine say to each other: bells, and their meters.

What a bell means is loops.py's, app.py's and saga/runner.py's, and a verb to a host is bus.py's. A bell is a word in a
datagram that may be lost: whoever should have heard it looks by itself a little later.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from skyhold.core import metrics

WORD_BYTES = 256
PATIENCE_S = 2.0
"""One that is paused doesn't answer; who asks for meters waits no longer."""


class Siblings:
    """Process `number` of `many`. The sockets are in `place`, which nobody else may enter."""

    def __init__(self, place: Path, number: int, many: int) -> None:
        self._bell, self._meters = place / f"bell-{number}", place / f"meters-{number}"
        others = [other for other in range(1, many + 1) if other != number]
        self._bells = [str(place / f"bell-{other}") for other in others]
        self._asked = {other: place / f"meters-{other}" for other in others}
        self._number = number
        self._hearing: dict[str, Callable[[], object]] = {}
        self._ear: socket.socket | None = None
        self._server: asyncio.Server | None = None

    def on(self, word: str, hear: Callable[[], object]) -> None:
        """Call `hear()` when a sibling says that word: once for many that came together."""
        self._hearing[word] = hear

    def tell(self, word: str) -> None:
        """Say it to all others; never waits, and nobody may be there."""
        if self._ear is None:
            return
        for path in self._bells:
            # It isn't there, or has so many words to hear already that it looks anyway.
            with suppress(OSError):
                self._ear.sendto(word.encode(), path)

    async def start(self) -> None:
        if not self._bells:
            return
        self._bell.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        for path in (self._bell, self._meters):
            path.unlink(missing_ok=True)
        self._ear = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        before = os.umask(0o177)
        try:
            self._ear.bind(str(self._bell))
            self._server = await asyncio.start_unix_server(self._answer, self._meters)
        finally:
            os.umask(before)
        asyncio.get_running_loop().add_reader(self._ear, self._hear)

    async def stop(self) -> None:
        if self._ear is None or self._server is None:
            return
        asyncio.get_running_loop().remove_reader(self._ear)
        self._ear.close()
        self._ear = None
        self._server.close()
        for path in (self._bell, self._meters):
            path.unlink(missing_ok=True)

    async def meters(self) -> dict[int, bytes]:
        """What each process has counted, by its number, as metrics.py packs it; of those that answer."""
        numbers = list(self._asked)
        told = await asyncio.gather(*[ask(self._asked[number]) for number in numbers])
        others = {number: counted for number, counted in zip(numbers, told, strict=True) if counted}
        return {self._number: metrics.pack()} | others

    def _hear(self) -> None:
        words = set()
        with suppress(OSError):
            while self._ear is not None:
                words.add(self._ear.recv(WORD_BYTES).decode(errors="replace"))
        for word in words:
            if (hear := self._hearing.get(word)) is not None:
                hear()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Whoever connects is told the meters."""
        try:
            writer.write(metrics.pack())
            await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()


async def ask(path: Path) -> bytes:
    """Nothing from one that doesn't answer."""
    try:
        async with asyncio.timeout(PATIENCE_S):
            reader, writer = await asyncio.open_unix_connection(path)
            try:
                return await reader.read()
            finally:
                writer.close()
    except (OSError, TimeoutError):
        # Its absence from the meters says so already, to whoever watches them.
        return b""
