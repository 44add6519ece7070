# SPDX-License-Identifier: Apache-2.0
"""Brings a database to the schema of this program: made whole when empty, else migrated.

The steps between releases are in skyhold/migrations; tables themselves are declared by each
service. A fresh database is made from the declarations at once, without loading Alembic, because
a cloud must be ready in seconds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from skyhold.core.tables import FACTS

if TYPE_CHECKING:
    from skyhold.core.context import Context
    from skyhold.core.db.engine import Database
    from skyhold.core.db.tx import Tx

HEAD = "0001"


class SchemaTooOld(Exception):
    """The database is of another release: says what to run."""


async def prepare_schema(db: Database, ctx: Context) -> None:
    """Raises SchemaTooOld when `skyhold migrate` must run first."""
    await db.create_all()
    found = await ctx.write(version, HEAD)
    if found != HEAD:
        raise SchemaTooOld(f"The database has schema {found}, this program needs {HEAD}: run `skyhold migrate`.")


def version(tx: Tx, ctx: Context, head: str) -> str:
    """The schema's version, written down as `head` when the database is new."""
    row = tx.first(sa.select(FACTS.c.value).where(FACTS.c.name == "schema"))
    if row is not None:
        return str(row.value)
    tx.execute(FACTS.insert(), {"name": "schema", "value": head, "sealed": False})
    return head
