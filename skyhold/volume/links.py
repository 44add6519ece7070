# SPDX-License-Identifier: Apache-2.0
"""The links in volume's documents: to oneself, and to the next page of a list.

Which rows a page holds is paging.py. Links name version 3 of the API and no project.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

from skyhold.core.context import Context
from skyhold.core.shapes import ABSENT


def base(ctx: Context) -> str:
    return ctx.core.settings.public_url + "/volume"


def links(ctx: Context, kind: str, id: str) -> list[dict[str, str]]:
    """`self` with the version, `bookmark` without."""
    tail = f"{kind}/{quote(id)}"
    return [
        {"rel": "self", "href": f"{base(ctx)}/v3/{tail}"},
        {"rel": "bookmark", "href": f"{base(ctx)}/{tail}"},
    ]


def next_link(ctx: Context, path: str, query: Mapping[str, Any], last_id: str) -> list[dict[str, str]]:
    """To what follows the row of that id."""
    kept = {name: value for name, value in query.items() if value not in (None, ABSENT, []) and name != "offset"}
    return [{"rel": "next", "href": f"{base(ctx)}/v3/{path}?{urlencode({**kept, 'marker': last_id}, doseq=True)}"}]
