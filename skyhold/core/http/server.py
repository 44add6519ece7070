# SPDX-License-Identifier: Apache-2.0
"""The listening server: uvicorn with bounds that hold before anything is authenticated.

What answers is core/http/mount.py's Front. Stock uvicorn takes a header of any size and waits
for ever for its end; this protocol bounds both, and drops a client that passes them.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from skyhold.core.http.body import CONNECTED, WELCOME
from skyhold.core.http.caller import CERTIFICATE

if TYPE_CHECKING:
    from skyhold.core.app import Core


def bounded_protocol(header_limit_bytes: int, timeout_s: float) -> type[HttpToolsProtocol]:
    class BoundedProtocol(HttpToolsProtocol):
        """Counts the bytes of a request's head and the time it takes to arrive, and waits only so long
        for a client that doesn't read its answer. Bodies are bounded where they are read (body.py)."""

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self._stopping = False
            self._timer: asyncio.TimerHandle | None = None
            self._begin_head()

        def connection_lost(self, exc: Exception | None) -> None:
            self._end_head()
            super().connection_lost(exc)

        def data_received(self, data: bytes) -> None:
            if self._in_head:
                self._head_bytes += len(data)
            super().data_received(data)
            if self._in_head and self._head_bytes > header_limit_bytes:
                self._refuse(b"431 Request Header Fields Too Large")

        def on_message_begin(self) -> None:
            super().on_message_begin()
            if not self._in_head:
                # A further request on this connection, perhaps behind one that is still answered.
                self._begin_head()

        def on_headers_complete(self) -> None:
            total = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
            self._end_head()
            if total > header_limit_bytes:
                self._refuse(b"431 Request Header Fields Too Large")
                return
            transport = self.transport
            # ASGI servers may put keys of their own into a scope; its type can't know them.
            scope = cast(dict[str, Any], self.scope)
            if (tls := transport.get_extra_info("ssl_object")) is not None:
                scope[CERTIFICATE] = lambda: tls.getpeercert(binary_form=True)
            scope[CONNECTED] = lambda: not transport.is_closing()
            scope[WELCOME] = lambda: not transport.is_closing() and not self._stopping
            super().on_headers_complete()

        def on_body(self, body: bytes) -> None:
            if not self.transport.is_closing():
                super().on_body(body)

        def on_message_complete(self) -> None:
            if not self.transport.is_closing() and self.cycle is not None:
                super().on_message_complete()

        def shutdown(self) -> None:
            self._stopping = True
            super().shutdown()

        def pause_writing(self) -> None:
            super().pause_writing()
            self._stop_timer()
            self._timer = self.loop.call_later(timeout_s, self.transport.abort)

        def resume_writing(self) -> None:
            self._stop_timer()
            super().resume_writing()

        def _begin_head(self) -> None:
            self._in_head, self._head_bytes = True, 0
            self._stop_timer()
            self._timer = self.loop.call_later(timeout_s, self._refuse, b"408 Request Timeout")

        def _end_head(self) -> None:
            self._in_head = False
            self._stop_timer()

        def _stop_timer(self) -> None:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None

        def _refuse(self, status: bytes) -> None:
            self._end_head()
            if not self.transport.is_closing():
                self.transport.write(
                    b"HTTP/1.1 " + status + b"\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
                )
                self.transport.close()

    return BoundedProtocol


def make_server(core: Core, app: Any, **options: Any) -> uvicorn.Server:
    """A server for `app`; run it with `await server.serve(sockets=[…])`."""
    http = core.settings.http
    config = uvicorn.Config(
        app, http=bounded_protocol(http.header_limit_bytes, http.slow_client_timeout_s),
        ws="websockets-sansio", loop="none", lifespan="off", access_log=False, log_config=None,
        # Who asks is said by the token, and where we are by a setting: no header of a proxy is believed.
        proxy_headers=False, server_header=False, timeout_keep_alive=75, timeout_graceful_shutdown=10,
        # A browser takes an answer for what it is called, never for a page that a tenant wrote.
        headers=[("X-Content-Type-Options", "nosniff")], **options,
    )
    return uvicorn.Server(config)
