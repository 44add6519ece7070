# SPDX-License-Identifier: Apache-2.0
"""What all answers of placement have in common: when they were modified, and where things are.

Bodies are made by each resource. The one thing to know first: since 1.15 every answer that shows
something says `last-modified` and `cache-control: no-cache`, with the present where no row says more.
"""

from __future__ import annotations

from collections.abc import Iterable
from email.utils import formatdate
from typing import Any

from skyhold.core.context import Context
from skyhold.core.errors import Invalid
from skyhold.core.http.routes import Reply
from skyhold.core.shapes import OpenShape, field
from skyhold.placement import versions

PREFIX = "/placement"
UUID_PATTERN = r"^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$"


class Pairs(OpenShape):
    """A query of which all pairs are kept: name -> texts, in `extra`."""

    extra: dict[str, list[str]] = field(default_factory=dict)


def answer(
    ctx: Context, body: Any = None, *, modified_us: int | None = None, status: int | None = None,
    location: str | None = None, content_type: str | None = None,
) -> Reply:
    headers = {}
    if ctx.version >= versions.MODIFIED_HEADERS:
        headers = {
            "Last-Modified": formatdate((modified_us or ctx.now) / 1e6, usegmt=True), "Cache-Control": "no-cache",
        }
    if location:
        headers["Location"] = location
    return Reply(body, status=status, headers=headers, content_type=content_type)


def latest(moments: Iterable[int]) -> int | None:
    return max(moments, default=None)


def provider_url(provider_id: str, *parts: str) -> str:
    return "/".join((f"{PREFIX}/resource_providers/{provider_id}", *parts))


def refuse_unknown(pairs: dict[str, list[str]], allowed: Iterable[str]) -> None:
    for name, texts in pairs.items():
        if name not in allowed:
            raise Invalid(
                "Invalid query string parameters: Additional properties are not allowed "
                f"('{name[:100]}' was unexpected)"
            )
        if len(texts) > 1:
            raise Invalid(f"Query parameter '{name}' was given more than once; only one is allowed.")
