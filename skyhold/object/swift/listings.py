# SPDX-License-Identifier: Apache-2.0
"""Listings: what may be asked of one, and how it is printed, as lines, JSON or XML.

Which names are in it is logic/listing.py. A listing of nothing is an empty answer where it would be lines, and an
empty list otherwise.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final
from xml.sax.saxutils import escape, quoteattr

import orjson

from skyhold.core import errors
from skyhold.core.context import Context
from skyhold.core.http.routes import Head, Reply
from skyhold.core.shapes import ABSENT, Absent, Shape, field
from skyhold.object.logic.bounds import LISTING
from skyhold.object.logic.listing import Wish
from skyhold.object.swift.heads import YES, text
from skyhold.object.swift.replies import SANDBOX

PLAIN: Final = "text/plain"
KINDS: Final = {"plain": PLAIN, "json": "application/json", "xml": "application/xml"}
SPELLINGS: Final = {media: kind for kind, media in KINDS.items()} | {
    "text/xml": "xml", "*/*": "plain", "text/*": "plain", "application/*": "json",
}
LONG: Final = 100
"""Rows from which reading and printing leave the event loop."""
NOT_XML: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
XML: Final = '<?xml version="1.0" encoding="UTF-8"?>\n'


class ListQuery(Shape, extra="ignore"):
    """Texts as they come: what can't be read counts as not said, as upstream."""

    format: str | Absent = field(optional=True)
    prefix: str | Absent = field(optional=True)
    delimiter: str | Absent = field(optional=True)
    marker: str | Absent = field(optional=True)
    end_marker: str | Absent = field(optional=True)
    limit: str | Absent = field(optional=True)
    reverse: str | Absent = field(optional=True)


class ObjectQuery(ListQuery, extra="ignore"):
    path: str | Absent = field(optional=True)


# ---- what is asked ---------------------------------------------------------------------------


def wish_of(query: Any) -> Wish:
    """Raises PreconditionFailed for more rows than there are in a listing."""
    path = said(getattr(query, "path", ABSENT))
    prefix, delimiter = said(query.prefix) or "", said(query.delimiter) or ""
    if path is not None:
        prefix, delimiter = path.rstrip("/") + "/" if path else "", "/"
    return Wish(
        prefix=prefix, delimiter=delimiter, marker=said(query.marker) or "", end_marker=said(query.end_marker) or "",
        limit=limit_of(said(query.limit)), reverse=(said(query.reverse) or "").lower() in YES, flat=path is not None,
    )


def said(value: Any) -> str | None:
    return None if value is ABSENT else str(value)


def limit_of(value: str | None) -> int:
    if value is None or not (value.isascii() and value.isdigit()):
        return LISTING
    if len(value) > 9 or int(value) > LISTING:
        raise errors.PreconditionFailed(f"Maximum limit is {LISTING}", reason="limit_too_large")
    return int(value)


def kind_of(query: Any, head: Head) -> str:
    """plain, json or xml. Raises NotAcceptable."""
    asked = said(query.format)
    if asked is not None:
        return asked.lower() if asked.lower() in KINDS else "plain"
    accepted = [one for one in map(media_of, text(head.headers.get("accept") or "*/*").split(",")) if one[1] > 0]
    for media, _ in sorted(accepted, key=lambda one: -one[1]):
        if media in SPELLINGS:
            return SPELLINGS[media]
    raise errors.NotAcceptable(f"A listing is {', '.join(KINDS.values())}.")


def media_of(entry: str) -> tuple[str, float]:
    """A media type of an Accept header and its weight."""
    media, *parameters = (part.strip().lower() for part in entry.split(";"))
    weight = next((part[2:] for part in parameters if part.startswith("q=")), "1")
    try:
        return media, float(weight[:8])
    except ValueError:
        return media, 0.0


def read_of(ctx: Context, wish: Wish) -> Callable[..., Awaitable[Any]]:
    return ctx.read_long if wish.limit > LONG else ctx.read


# ---- how it is printed -----------------------------------------------------------------------


async def answer(
    kind: str, rows: Sequence[Any], entry: Callable[[Any], dict[str, Any]], frame: tuple[str, str, str],
    headers: Mapping[str, str],
) -> Reply:
    """`entry` is what JSON says of a row; `frame` the outer element, its name, and the element of a row."""
    if kind == "plain" and not rows:
        return Reply(status=204, headers=headers, content_type=f"{PLAIN}; charset=utf-8")
    if len(rows) > LONG:
        body = await asyncio.to_thread(printed, kind, rows, entry, frame)
    else:
        body = printed(kind, rows, entry, frame)
    return Reply(body, headers={**SANDBOX, **headers}, content_type=f"{KINDS[kind]}; charset=utf-8")


def printed(
    kind: str, rows: Sequence[Any], entry: Callable[[Any], dict[str, Any]], frame: tuple[str, str, str]
) -> bytes:
    if kind == "plain":
        return "".join(f"{row if isinstance(row, str) else row.name}\n" for row in rows).encode()
    entries = [{"subdir": row} if isinstance(row, str) else entry(row) for row in rows]
    if kind == "json":
        return orjson.dumps(entries)
    outer, name, inner = frame
    body = "".join(element(each, inner) for each in entries)
    return f"{XML}<{outer} name={quoteattr(clean(name))}>{body}</{outer}>".encode()


def element(entry: dict[str, Any], inner: str) -> str:
    if "subdir" in entry:
        name = clean(entry["subdir"])
        return f"<subdir name={quoteattr(name)}><name>{escape(name)}</name></subdir>"
    parts = "".join(f"<{key}>{escape(clean(str(value)))}</{key}>" for key, value in entry.items())
    return f"<{inner}>{parts}</{inner}>"


def clean(name: str) -> str:
    """XML has no way to write some characters."""
    return NOT_XML.sub("\ufffd", name)


def iso(moment_us: int) -> str:
    return datetime.fromtimestamp(moment_us // 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%S.") + (
        f"{moment_us % 1_000_000:06d}"
    )
