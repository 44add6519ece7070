# SPDX-License-Identifier: Apache-2.0
"""Brings a database to this program's schema: what `skyhold migrate` does.

A program that starts only checks (core/schema.py), so that start-up never imports Alembic. Run it once,
from one machine, before the new program starts; it may be run again at any time.
"""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

from skyhold.core import schema
from skyhold.core.db.engine import Database

HERE = Path(__file__).parent


async def migrate(db: Database, scripts: Path = HERE) -> list[str]:
    """The revisions applied, oldest first; a database without a schema is made whole instead.

    Every service's tables must be imported by now. A step that fails leaves what came before it done.
    """
    found: str | None = await db.alter(schema.found)
    if found is None:
        await db.alter(lambda conn: schema.make(conn, script_directory(scripts).get_current_head() or schema.HEAD))
        return []
    await db.alter(lambda conn: command.upgrade(config(scripts, conn), "head"))
    return [
        revision.revision
        for revision in reversed(list(script_directory(scripts).iterate_revisions("head", found)))
    ]


def script_directory(scripts: Path = HERE) -> ScriptDirectory:
    return ScriptDirectory.from_config(config(scripts))


def config(scripts: Path, connection: sa.Connection | None = None) -> Config:
    made = Config()
    made.set_main_option("script_location", str(scripts))
    made.set_main_option("path_separator", "os")
    made.attributes["connection"] = connection
    return made
