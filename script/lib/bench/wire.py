# SPDX-License-Identifier: Apache-2.0
"""The load generator: one kept-alive connection that asks and counts nothing but failures.

It is deliberately bare (`http.client`), so that what is measured is the cloud. A Wire belongs to
one thread; lines that ask from several threads take one for each.
"""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any


@dataclass
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Unexpected(Exception):
    """The cloud answered with an error: no figure can be taken from that."""


class Wire:
    def __init__(self, port: int, token: str = "") -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        self._headers = {"X-Auth-Token": token} if token else {}

    def ask(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> Answer:
        """`body` is made JSON; bytes and iterables of bytes are sent as they are."""
        sent = {**self._headers, **(headers or {})}
        if isinstance(body, dict | list):
            body = json.dumps(body).encode()
            sent.setdefault("Content-Type", "application/json")
        self._request(method, path, body, sent)
        response = self._connection.getresponse()
        answer = Answer(response.status, response.headers, response.read())
        if response.status >= 400:
            raise Unexpected(f"{method} {path}: {response.status} {answer.body[:500]!r}")
        return answer

    def drain(self, path: str) -> int:
        """GET without keeping the body: how many bytes came."""
        self._request("GET", path, None, self._headers)
        response = self._connection.getresponse()
        if response.status >= 400:
            raise Unexpected(f"GET {path}: {response.status}")
        buffer, total = bytearray(1 << 20), 0
        while count := response.readinto(buffer):
            total += count
        return total

    def _request(self, method: str, path: str, body: bytes | Iterable[bytes] | None, headers: dict[str, str]) -> None:
        if self._connection.sock is None:
            self._connection.connect()
            # Head and body are two writes: without this the second waits for the first's acknowledgement.
            self._connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._connection.request(method, path, body, headers)


def per_thread(make: Callable[[], Wire]) -> Callable[[], Wire]:
    """A function that gives every thread its own connection."""
    own = threading.local()

    def wire() -> Wire:
        if not hasattr(own, "wire"):
            own.wire = make()
        return own.wire  # type: ignore[no-any-return]

    return wire
