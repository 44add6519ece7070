# SPDX-License-Identifier: Apache-2.0
"""The listening server: uvicorn with bounds that hold before anything is authenticated.

What answers is core/http/mount.py's Front. Stock uvicorn takes a header of any size and waits
for ever for its end; this protocol bounds both, and drops a client that passes them.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import httptools
import structlog
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from skyhold.core.http.body import CHUNK_BYTES, CONNECTED, LONG_BODY, WELCOME
from skyhold.core.http.caller import CERTIFICATE
from skyhold.core.http.long_body import LEAST_BYTES, LongBody

if TYPE_CHECKING:
    from skyhold.core.app import Core

log = structlog.get_logger("http")

HEAD_TOO_LARGE = b"431 Request Header Fields Too Large"
HEAD_TOO_SLOW = b"408 Request Timeout"
PIPELINED = 64
"""Requests that may wait on one connection while an earlier one is answered: no client in use sends two."""
SMALL_BODY_BYTES = 64 * 1024
CUT_OFF_S = 1.0
"""What a request that was cut off at the end of the program gets to give back what it holds."""
CUT_OFF = (
    b'{"error":{"code":503,"title":"Service Unavailable","reason":"stopping","message":"The cloud was stopped before '
    b'this was finished. Look at what is there, and try again when it is back."}}'
)
GATHERED_S = 0.005
"""A piece of a long body waits so long for the next ones: each hand-over costs as much as copying it."""


class Deadline:
    """Something that happens unless it is called off in time; starting it anew calls off what was meant before."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._timer: asyncio.TimerHandle | None = None

    def start(self, seconds: float, act: Callable[..., object], *arguments: object) -> None:
        self.stop()
        self._timer = self._loop.call_later(seconds, act, *arguments)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class BoundedProtocol(HttpToolsProtocol):
    """Counts the bytes of a request that are no body and the time its head takes to arrive, and waits only so
    long for a client that doesn't read its answer. Bodies are bounded where they are read (body.py)."""

    def __init__(self, header_limit_bytes: int, timeout_s: float, **given: Any) -> None:
        super().__init__(**given)
        self._header_limit_bytes, self._timeout_s = header_limit_bytes, timeout_s
        self._head_due, self._reading_due, self._next_due = (Deadline(self.loop) for _ in range(3))
        self._in_head = self._stopping = False
        self._bytes_beside_bodies = 0
        self._gathered_due = Deadline(self.loop)
        self._pieces: list[bytes] = []
        self._gathered_bytes = self._body_bytes = 0
        self._long_body: LongBody | None = None
        self._requests = 0

    # ---- what the connection does ------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._begin_head()

    def connection_lost(self, exc: Exception | None) -> None:
        for due in (self._head_due, self._reading_due, self._next_due):
            due.stop()
        self._forget_pieces()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        # Heads, but also what surrounds a body's chunks and follows the last: none of it is ever handed on.
        self._bytes_beside_bodies += len(data)
        super().data_received(data)
        if self._bytes_beside_bodies > self._header_limit_bytes:
            self._refuse(HEAD_TOO_LARGE)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._reading_due.start(self._timeout_s, self.transport.abort)

    def resume_writing(self) -> None:
        self._reading_due.stop()
        super().resume_writing()

    def shutdown(self) -> None:
        self._stopping = True
        super().shutdown()

    # ---- what the parser finds ---------------------------------------------------------------

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if not self._in_head:
            # A further request on this connection, perhaps behind one that is still answered.
            self._begin_head()

    def on_header(self, name: bytes, value: bytes) -> None:
        # A chunked body may be followed by fields of its own: nobody asked for them, and they are no head.
        if self._in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        total = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        self._end_head()
        if total > self._header_limit_bytes or len(self.pipeline) >= PIPELINED:
            self._refuse(HEAD_TOO_LARGE)
        if self.transport.is_closing():
            return
        transport = self.transport
        # ASGI servers may put keys of their own into a scope; its type can't know them.
        scope = cast(dict[str, Any], self.scope)
        if (tls := transport.get_extra_info("ssl_object")) is not None:
            scope[CERTIFICATE] = lambda: tls.getpeercert(binary_form=True)
        scope[CONNECTED] = lambda: not transport.is_closing()
        scope[WELCOME] = lambda: not transport.is_closing() and not self._stopping
        self._requests += 1
        scope[LONG_BODY] = partial(self._long_body_of, self._requests)
        self._body_bytes = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Short bodies are handed over as they come, long ones about 1 MiB at a time."""
        self._bytes_beside_bodies = 0
        if self.transport.is_closing():
            return
        self._pieces.append(body)
        self._gathered_bytes += len(body)
        self._body_bytes += len(body)
        if self._body_bytes <= SMALL_BODY_BYTES or self._gathered_bytes >= CHUNK_BYTES:
            self._hand_over()
        elif len(self._pieces) == 1:
            self._gathered_due.start(GATHERED_S, self._hand_over)

    def on_message_complete(self) -> None:
        if not self.transport.is_closing() and self.cycle is not None:
            if self._pieces:
                self._hand_over()
            super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._long_body is not None:
            self._long_body.discard()
        if self.pipeline:
            # Uvicorn reads on after each answer, and would queue faster than it answers.
            self.flow.pause_reading()
        elif self.timeout_keep_alive_task is not None and not self._in_head:
            # Uvicorn stops waiting for the next request with any byte, be it of a body that nobody wants any more.
            self._next_due.start(self.timeout_keep_alive, self.timeout_keep_alive_handler)

    # ---- bodies ------------------------------------------------------------------------------

    def _hand_over(self) -> None:
        body = b"".join(self._pieces)
        self._forget_pieces()
        if not self.cycle.body:
            # As it is: added to what is there it would be copied, and once more when it is taken.
            cast(Any, self.cycle).body, body = body, b""
        super().on_body(body)

    def _forget_pieces(self) -> None:
        self._gathered_due.stop()
        self._pieces, self._gathered_bytes = [], 0

    def _long_body_of(self, request: int, start: bytes) -> LongBody | None:
        """All of this request's body from `start` on, which came first; None where the parser may as well read it."""
        cycle, transport = cast(Any, self.cycle), self.transport
        if request != self._requests or not cycle.more_body or transport.is_closing():
            return None
        if self.parser.should_upgrade() or transport.get_extra_info("ssl_object") is not None:
            return None
        left_bytes = length_of(self.headers) - self._body_bytes
        if left_bytes < LEAST_BYTES:
            return None
        early = b"".join((start, cycle.body, *self._pieces))
        self._forget_pieces()
        cycle.body = bytearray()
        self._long_body = LongBody(self, early, left_bytes)
        return self._long_body

    def long_body_ended(self) -> None:
        """The connection is read as before. The parser still waits for the body: another takes its place."""
        self._long_body = None
        self._bytes_beside_bodies = 0
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self.transport.set_protocol(self)
        super().on_message_complete()

    # ---- heads -------------------------------------------------------------------------------

    def _begin_head(self) -> None:
        self._in_head, self._bytes_beside_bodies = True, 0
        self._next_due.stop()
        self._head_due.start(self._timeout_s, self._refuse, HEAD_TOO_SLOW)

    def _end_head(self) -> None:
        self._in_head, self._bytes_beside_bodies = False, 0
        self._head_due.stop()

    def _refuse(self, status: bytes) -> None:
        """Say so and hang up; only hang up while an earlier request is answered, for it would be taken for that."""
        self._end_head()
        if self.transport.is_closing():
            return
        if self.cycle is None or self.cycle.response_complete:
            self.transport.write(b"HTTP/1.1 " + status + b"\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
        self.transport.close()


def length_of(headers: list[tuple[bytes, bytes]]) -> int:
    """Of a body whose length was said; the parser has seen to it that this is one number, and not chunked as well."""
    return next((int(value) for name, value in headers if name == b"content-length"), 0)


class Server(uvicorn.Server):
    """Ends with a signal and keeps it: stock uvicorn raises it anew as soon as the last request has ended, and the
    process would die of it with everything else still at work."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.told: list[int] = []

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        with super().capture_signals():
            yield
            self.told, self._captured_signals = self._captured_signals, []

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Uvicorn cancels requests whose time is over, and doesn't wait: they have to give back what they hold while
        there is a database."""
        await super().shutdown(sockets)
        if self.server_state.tasks:
            await asyncio.wait(set(self.server_state.tasks), timeout=CUT_OFF_S)


def cut_off_in_order(app: Any) -> Any:
    """Only the server cancels what it runs, when the program ends and the time of requests is over. Whoever has no
    answer yet is told so; one that has begun is broken off."""

    async def run(scope: Any, receive: Any, send: Any) -> None:
        try:
            await app(scope, receive, send)
        except asyncio.CancelledError:
            log.warning("a request was cut off by the end of the program", path=scope["path"])
            if scope["type"] == "http":
                # A second start is refused: the first part of an answer was sent.
                with suppress(RuntimeError):
                    await send({"type": "http.response.start", "status": 503, "headers": [
                        (b"content-type", b"application/json"), (b"content-length", b"%d" % len(CUT_OFF)),
                    ]})
                    await send({"type": "http.response.body", "body": CUT_OFF})

    return run


def make_server(core: Core, app: Any, **options: Any) -> Server:
    """A server for `app`; run it with `await server.serve(sockets=[…])`. Afterwards `told` are the signals it ended by,
    for whoever called it to die of."""
    http = core.settings.http
    protocol = partial(BoundedProtocol, http.header_limit_bytes, http.slow_client_timeout_s)
    config = uvicorn.Config(
        cut_off_in_order(app), http=cast(type[asyncio.Protocol], protocol),
        ws="websockets-sansio", loop="none", lifespan="off", access_log=False, log_config=None,
        # Who asks is said by the token, and where we are by a setting: no header of a proxy is believed.
        proxy_headers=False, server_header=False, timeout_keep_alive=75, timeout_graceful_shutdown=10,
        # A browser takes an answer for what it is called, never for a page that a tenant wrote.
        headers=[("X-Content-Type-Options", "nosniff")], **options,
    )
    return Server(config)
