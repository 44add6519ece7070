# SPDX-License-Identifier: Apache-2.0
"""Which servers were made of an image: what the image service asks for its descendants.

Lists that users ask for are lists.py. What is added here at the start is called by image/descendants.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from skyhold.compute.tables import SERVERS
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.image import facade as images

if TYPE_CHECKING:
    from skyhold.core.app import Core


async def at_start(core: Core) -> None:
    images.add_source_of_descendants(core, servers)


def servers(tx: Tx, ctx: Context, image_id: str, project_id: str | None, most: int) -> images.Found:
    there = (SERVERS.c.image_id == image_id) & SERVERS.c.deleted_at.is_(None)
    total = int(tx.scalar(sa.select(sa.func.count()).select_from(SERVERS).where(there)))
    seen = there if project_id is None else there & (SERVERS.c.project_id == project_id)
    chosen = sa.select(SERVERS.c.id, SERVERS.c.name, SERVERS.c.project_id).where(seen)
    rows = tx.all(chosen.order_by(SERVERS.c.created_at.desc(), SERVERS.c.id).limit(most)) if most else []
    shown = [images.Descendant(type="server", id=row.id, name=row.name, project_id=row.project_id) for row in rows]
    return images.Found(shown, total)
