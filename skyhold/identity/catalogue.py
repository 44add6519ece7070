# SPDX-License-Identifier: Apache-2.0
"""The catalogue: every enabled endpoint of every enabled service, as tokens carry it.

Services and endpoints are kept in services.py and endpoints.py, which of them a project sees is
endpoint_filter.py. The rows are read once an epoch; a URL that names a project is only shown to tokens
that have one.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from skyhold.core.context import Context
from skyhold.identity import endpoint_filter
from skyhold.identity.auth.sessions import sessions
from skyhold.identity.tables import ENDPOINTS, SERVICES

if TYPE_CHECKING:
    from skyhold.core.db.tx import Tx

Catalogue = list[dict[str, Any]]

SLOT = re.compile(r"[$%]\((?P<name>[a-z_]+)\)s")
ROWS = (
    sa.select(
        ENDPOINTS.c.id, ENDPOINTS.c.interface, ENDPOINTS.c.region_id, ENDPOINTS.c.url,
        SERVICES.c.id.label("service_id"), SERVICES.c.type, SERVICES.c.name,
    )
    .select_from(SERVICES.outerjoin(ENDPOINTS, sa.and_(
        ENDPOINTS.c.service_id == SERVICES.c.id, ENDPOINTS.c.enabled.is_(True),
    )))
    .where(SERVICES.c.enabled.is_(True))
    .order_by(SERVICES.c.type, SERVICES.c.id, ENDPOINTS.c.id)
)


async def catalogue_of(ctx: Context, project_id: str | None, user_id: str, epoch: int) -> Catalogue:
    """Services with their endpoints, for a token with that project (or none) of that user; as of this epoch
    (sessions.py) at least."""
    everything, filtered = await rows(ctx, epoch)
    shown = await ctx.read(endpoint_filter.given_to, project_id) if filtered and project_id else None
    if shown is not None:
        everything = [row for row in everything if row.id in shown]
    return filled(everything, project_id, user_id)


async def rows(ctx: Context, epoch: int) -> tuple[Any, bool]:
    """All of the catalogue, and whether some projects see less of it."""
    keeper = sessions(ctx.core)
    if keeper.catalogue is None or keeper.catalogue[0] != epoch:
        keeper.catalogue = (epoch, await ctx.read(read_rows))
    found: tuple[Any, bool] = keeper.catalogue[1]
    return found


def read_rows(tx: Tx, ctx: Context) -> tuple[Any, bool]:
    return tx.all(ROWS), endpoint_filter.any_given(tx)


def filled(rows: Any, project_id: str | None, user_id: str) -> Catalogue:
    values = {"project_id": project_id, "tenant_id": project_id, "user_id": user_id}
    found: dict[str, dict[str, Any]] = {}
    for row in rows:
        service = found.setdefault(
            row.service_id, {"endpoints": [], "id": row.service_id, "type": row.type, "name": row.name or ""}
        )
        if row.id is not None and (url := address(row.url, values)) is not None:
            service["endpoints"].append({
                "id": row.id, "interface": row.interface, "region_id": row.region_id,
                "url": url, "region": row.region_id,
            })
    return list(found.values())


def address(url: str, values: dict[str, str | None]) -> str | None:
    """The URL with its slots filled, or None when one can't be."""
    if "(" not in url:
        return url
    missing = False

    def fill(match: re.Match[str]) -> str:
        nonlocal missing
        value = values.get(match["name"])
        missing = missing or value is None
        return value or ""

    text = SLOT.sub(fill, url)
    return None if missing else text
