# SPDX-License-Identifier: Apache-2.0
"""Brings a database to the schema of this program: made whole when empty, else migrated.

The steps between releases are in skyhold/migrations; tables themselves are declared by each
service. A fresh database is made from the declarations at once, without loading Alembic, because
a cloud must be ready in seconds.
"""

from __future__ import annotations

import sqlalchemy as sa

from skyhold.core.db.columns import metadata
from skyhold.core.db.engine import Database
from skyhold.core.tables import SCHEMA

HEAD = "0005"
"""The newest revision in skyhold/migrations/versions."""


class WrongSchema(Exception):
    """The database is of another release: says what to do."""


async def prepare_schema(db: Database) -> None:
    """Raises WrongSchema when `skyhold migrate` must run first, or the database is newer than we are."""
    await db.alter(prepare)


def prepare(conn: sa.Connection) -> None:
    version = found(conn)
    if version is not None and version < HEAD:
        raise WrongSchema(
            f"The database has schema {version}, this program needs {HEAD}: run `skyhold migrate`."
        )
    if version is not None and version > HEAD:
        raise WrongSchema(
            f"The database has schema {version} and this program only knows {HEAD}: "
            "use the newer program that migrated it."
        )
    make(conn, version or HEAD)


def found(conn: sa.Connection) -> str | None:
    """The schema's revision; None for an empty database."""
    if not sa.inspect(conn).has_table(SCHEMA.name):
        return None
    version: str | None = conn.execute(sa.select(SCHEMA.c.version_num)).scalar()
    return version


def make(conn: sa.Connection, version: str) -> None:
    """All tables that aren't there yet, and the revision they make up."""
    metadata.create_all(conn)
    if conn.execute(sa.select(SCHEMA.c.version_num)).first() is None:
        conn.execute(SCHEMA.insert(), {"version_num": version})
