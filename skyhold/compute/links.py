# SPDX-License-Identifier: Apache-2.0
"""The links in compute's documents: to oneself, and to the next page of a list.

Which rows a page holds is each resource's store. Links name version 2.1 of the API whatever
microversion was asked for, and no project.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

from skyhold.core.context import Context
from skyhold.core.shapes import ABSENT


def base(ctx: Context) -> str:
    return ctx.core.settings.public_url + "/compute"


def links(ctx: Context, kind: str, id: str) -> list[dict[str, str]]:
    """`self` with the version, `bookmark` without."""
    tail = f"{kind}/{quote(id)}"
    return [
        {"rel": "self", "href": f"{base(ctx)}/v2.1/{tail}"},
        {"rel": "bookmark", "href": f"{base(ctx)}/{tail}"},
    ]


def page_size(ctx: Context, asked: int | None) -> int:
    most = ctx.core.settings.compute.max_limit
    return most if asked is None else min(asked, most)


def next_links(ctx: Context, path: str, query: Mapping[str, Any], size: int, ids: list[str]) -> Any:
    """The link to what follows a full page of these ids; None when the page wasn't full."""
    if size == 0 or len(ids) < size:
        return None
    kept = {name: value for name, value in query.items() if value not in (None, ABSENT, [])}
    asked = urlencode({**kept, "marker": ids[-1]}, doseq=True)
    return [{"rel": "next", "href": f"{base(ctx)}/v2.1/{path}?{asked}"}]
