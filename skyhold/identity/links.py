# SPDX-License-Identifier: Apache-2.0
"""Links, as every answer of identity carries them.

The address is the cloud's public one, not the one a client came by: a proxy in between must not
show through.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlencode

from skyhold.core.context import Context
from skyhold.core.shapes import Shape, named

Query = Mapping[str, str | list[str]]


def base(ctx: Context) -> str:
    shelf = ctx.core.shelf
    found: str | None = shelf.get("identity.links")
    if found is None:
        found = shelf["identity.links"] = f"{ctx.core.settings.public_url}/identity/v3"
    return found


def to(ctx: Context, path: str) -> dict[str, str]:
    return {"self": f"{base(ctx)}/{path}"}


def of_list(
    ctx: Context, path: str, query: Query | None = None, following: dict[str, str] | None = None
) -> dict[str, str | None]:
    """`query` is the one that the list answers, `following` what is new in that of the next page, if there is one."""
    here, query = f"{base(ctx)}/{path}", query or {}
    after = f"{here}?{urlencode({**query, **following}, doseq=True)}" if following else None
    return {"next": after, "self": f"{here}?{urlencode(query, doseq=True)}" if query else here, "previous": None}


def asked(query: Shape) -> Query:
    """What was asked, under the names and as the texts it came with."""
    told = {name: str(value) for name, value in named(query) if value is not None}
    return {**told, **getattr(query, "extra", {})}
