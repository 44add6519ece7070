# SPDX-License-Identifier: Apache-2.0
"""As much of HTTP/1.0 and 1.1 as a metadata service needs, read under tight bounds.

What the pages say is in pages.py; connections and their limits are in server.py. Guests are hostile and
many, so whatever isn't plainly right is refused and the connection closed (RFC 9112).
"""

from __future__ import annotations

import asyncio
import re
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

MAX_HEAD_BYTES = 8192
MAX_BODY_BYTES = 4096
TEXT, JSON = "text/plain; charset=UTF-8", "application/json"
_REQUEST_LINE = re.compile(r"([A-Z]{1,16}) ([!-~]{1,4096}) HTTP/1\.([01])")
_FIELD = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\x00-\x08\x0a-\x1f\x7f]*)")
_REASONS = {
    200: "OK",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    408: "Request Timeout",
    409: "Conflict",
    413: "Content Too Large",
    431: "Request Header Fields Too Large",
    501: "Not Implemented",
    503: "Service Unavailable",
}


class Refused(Exception):
    """The request can't be read; the connection is of no further use."""

    def __init__(self, status: int) -> None:
        super().__init__(_REASONS[status])
        self.status = status


class Request(NamedTuple):
    """`path` is decoded and without its query; `fields` are by lower-case name, the last one winning."""

    method: str
    path: str
    fields: dict[str, str]
    body: bytes
    keep_alive: bool


class Page(NamedTuple):
    status: int
    body: bytes = b""
    content_type: str = TEXT
    more: tuple[tuple[str, str], ...] = ()


async def read(reader: asyncio.StreamReader) -> Request | None:
    """The next request; None at the end of the connection. Raises Refused.

    `reader` must have been made with MAX_HEAD_BYTES as its limit.
    """
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.LimitOverrunError as long:
        raise Refused(431) from long
    except asyncio.IncompleteReadError:
        return None
    method, target, minor, fields = _parse(head)
    keep_alive = _keeps_alive(fields.get("connection", ""), minor)
    return Request(method, _path(target), fields, await _body(reader, fields), keep_alive)


def render(page: Page, *, keep_alive: bool, with_body: bool = True) -> bytes:
    """The response as bytes; without its body for HEAD."""
    lines = [
        f"HTTP/1.1 {page.status} {_REASONS[page.status]}",
        f"Content-Type: {page.content_type}",
        f"Content-Length: {len(page.body)}",
        f"Connection: {'keep-alive' if keep_alive else 'close'}",
        *(f"{name}: {value}" for name, value in page.more),
    ]
    return "\r\n".join([*lines, "", ""]).encode() + (page.body if with_body else b"")


def problem(status: int) -> Page:
    """A page that says no more than its status."""
    return Page(status, f"{status} {_REASONS[status]}\n".encode())


def _parse(head: bytes) -> tuple[str, str, int, dict[str, str]]:
    first, *lines = head[:-4].decode("latin-1").split("\r\n")
    line = _REQUEST_LINE.fullmatch(first)
    if line is None:
        raise Refused(400)
    fields: dict[str, str] = {}
    for text in lines:
        found = _FIELD.fullmatch(text)
        if found is None:
            raise Refused(400)
        name = found[1].lower()
        # Two lengths are how one request is made to look like two.
        if name == "content-length" and fields.get(name, found[2]) != found[2]:
            raise Refused(400)
        fields[name] = found[2].rstrip(" \t")
    return line[1], line[2], int(line[3]), fields


def _path(target: str) -> str:
    if target.startswith("/"):
        return unquote(target.partition("?")[0])
    try:
        parts = urlsplit(target)
    except ValueError as bad:
        raise Refused(400) from bad
    if parts.scheme != "http":
        raise Refused(400)
    return unquote(parts.path) or "/"


def _keeps_alive(connection: str, minor: int) -> bool:
    words = {word.strip().lower() for word in connection.split(",")}
    return "close" not in words and (minor == 1 or "keep-alive" in words)


async def _body(reader: asyncio.StreamReader, fields: dict[str, str]) -> bytes:
    if "transfer-encoding" in fields:
        raise Refused(501)
    length = fields.get("content-length", "0")
    if not re.fullmatch(r"[0-9]{1,18}", length):
        raise Refused(400)
    if int(length) > MAX_BODY_BYTES:
        raise Refused(413)
    try:
        return await reader.readexactly(int(length))
    except asyncio.IncompleteReadError as cut:
        raise Refused(400) from cut
