# SPDX-License-Identifier: Apache-2.0
"""Links, as every answer of identity carries them.

The address is the cloud's public one, not the one a client came by: a proxy in between must not
show through.
"""

from __future__ import annotations

from urllib.parse import urlencode

from skyhold.core.context import Context


def base(ctx: Context) -> str:
    shelf = ctx.core.shelf
    found: str | None = shelf.get("identity.links")
    if found is None:
        found = shelf["identity.links"] = f"{ctx.core.settings.public_url}/identity/v3"
    return found


def to(ctx: Context, path: str) -> dict[str, str]:
    return {"self": f"{base(ctx)}/{path}"}


def of_list(
    ctx: Context, path: str, following: dict[str, str] | None = None
) -> dict[str, str | None]:
    """`following` is the query of the next page, if there is one."""
    after = f"{base(ctx)}/{path}?{urlencode(following)}" if following else None
    return {"next": after, "self": f"{base(ctx)}/{path}", "previous": None}
