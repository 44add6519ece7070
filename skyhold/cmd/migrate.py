# SPDX-License-Identifier: Apache-2.0
"""`skyhold migrate`: brings the database to this program's schema, with the cloud stopped.

The steps are skyhold/migrations; a program that finds an older schema says to run this.
"""

from __future__ import annotations

import asyncio

from skyhold.cmd import processes
from skyhold.cmd.progress import Progress
from skyhold.core.settings import Settings


def run(settings: Settings) -> int:
    say = Progress()
    if processes.running(settings, "serve") is not None:
        say.failed("The cloud is running on this database: stop it first with `skyhold down --keep-guests`.")
        return 1
    settings.prepare()
    applied = asyncio.run(migrate(settings))
    for revision in applied:
        say.done(f"Applied {revision}")
    say.done("The database has this program's schema")
    return 0


async def migrate(settings: Settings) -> list[str]:
    from skyhold.cmd.compose import services
    from skyhold.core.db.engine import open_database
    from skyhold.migrations.upgrade import migrate as upgrade

    services()  # Their tables must be known before the schemas are compared.
    db = await open_database(settings.database_url)
    try:
        return await upgrade(db)
    finally:
        await db.close()
