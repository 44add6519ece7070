# SPDX-License-Identifier: Apache-2.0
"""A long body of known length: the socket fills two large buffers in turn, past the parser.

Short bodies, chunked ones and those of encrypted connections pass through the parser (server.py); who asks for this is
body.py. While it stands in for the connection's protocol it takes exactly what is left of the body, so that the next
request finds its first byte where it belongs.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Final

from skyhold.core.http.body import client_gone, too_slow, two_buffers

if TYPE_CHECKING:
    from skyhold.core.http.server import BoundedProtocol

LEAST_BYTES: Final = 512 * 1024
"""What is left of a body must be worth two buffers."""
NOTHING: Final = memoryview(b"")
NOWHERE: Final = memoryview(bytearray(256 * 1024))
"""Where bytes go that nobody wants any more."""


class LongBody(asyncio.BufferedProtocol):
    """What was read already is `early`, `left_bytes` are to come. Reads only while somebody waits for a piece."""

    def __init__(self, http: BoundedProtocol, early: bytes, left_bytes: int) -> None:
        self._http, self._transport, self._loop = http, http.transport, http.loop
        self._early, self._left_bytes = memoryview(early), left_bytes
        self._room = NOTHING
        self._waiting: asyncio.Future[None] | None = None
        self._gone = self._unwanted = False
        self._heard_s = 0.0
        # Whoever lets uvicorn read on, for whatever reason, must not do so where there is no room.
        http.flow.resume_reading()
        self._transport.pause_reading()
        self._transport.set_protocol(self)

    async def pieces(self, stall_s: float) -> AsyncIterator[memoryview]:
        """Of 1 MiB each but for the last, and only lent: overwritten when the one after the next is asked for.

        Raises TooSlow when nothing comes for `stall_s`, Invalid when the client went away.
        """
        # One for all: a timer for each piece would cost as much as copying it.
        watch = asyncio.create_task(self._watch(stall_s))
        try:
            for buffer in two_buffers():
                piece = buffer[:len(self._early) + self._left_bytes]
                if not piece:
                    return
                await self._fill(piece)
                yield piece
        finally:
            watch.cancel()

    def discard(self) -> None:
        """The request is answered: what is left of its body is for nobody."""
        self._unwanted = True
        self._transport.resume_reading()

    async def _fill(self, piece: memoryview) -> None:
        here = min(len(piece), len(self._early))
        piece[:here] = self._early[:here]
        self._early = self._early[here:] or NOTHING
        self._room = piece[here:]
        if not self._room:
            return
        if self._gone:
            raise client_gone()
        self._heard_s = self._loop.time()
        self._waiting = self._loop.create_future()
        self._transport.resume_reading()
        try:
            await self._waiting
        finally:
            self._waiting = None

    async def _watch(self, stall_s: float) -> None:
        while True:
            now_s = self._loop.time()
            due_s = self._heard_s + stall_s if self._waiting is not None else now_s + stall_s
            if due_s <= now_s:
                self._tell(too_slow(stall_s))
                return
            await asyncio.sleep(due_s - now_s)

    def _tell(self, error: Exception | None = None) -> None:
        if self._waiting is None or self._waiting.done():
            return
        if error is None:
            self._waiting.set_result(None)
        else:
            self._waiting.set_exception(error)

    # ---- what the connection does ------------------------------------------------------------

    def get_buffer(self, sizehint: int) -> memoryview:
        return NOWHERE[:self._left_bytes] if self._unwanted else self._room

    def buffer_updated(self, nbytes: int) -> None:
        self._left_bytes -= nbytes
        if self._left_bytes == 0:
            self._http.long_body_ended()
        if self._unwanted:
            return
        self._heard_s = self._loop.time()
        self._room = self._room[nbytes:]
        if not self._room:
            if self._left_bytes:
                self._transport.pause_reading()
            self._tell()

    def connection_lost(self, exc: Exception | None) -> None:
        self._gone = True
        self._tell(client_gone())
        self._http.connection_lost(exc)

    def pause_writing(self) -> None:
        self._http.pause_writing()

    def resume_writing(self) -> None:
        self._http.resume_writing()
