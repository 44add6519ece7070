# SPDX-License-Identifier: Apache-2.0
"""`skyhold migrate`: bring the database to this program's schema, before the program starts.

The steps are skyhold/migrations. Only this command loads Alembic.
"""

from __future__ import annotations

import asyncio

from skyhold.cmd import processes
from skyhold.core.settings.whole import Settings


def run(settings: Settings) -> int:
    """Prints what was done; safe to repeat, and refused while the cloud runs on this database."""
    if processes.running(settings, "serve") is not None:
        print("The cloud is running on this database: stop it first with `skyhold down --keep-guests`.")
        return 1
    applied = asyncio.run(migrate(settings))
    print("\n".join(f"Applied {revision}." for revision in applied) or "The schema is up to date.")
    return 0


async def migrate(settings: Settings) -> list[str]:
    from skyhold.cmd.compose import services
    from skyhold.core.db.engine import open_database
    from skyhold.migrations import upgrade

    # Every service's tables must be known for a database that is still empty.
    services()
    settings.prepare_database()
    db = await open_database(settings.database_url)
    try:
        return await upgrade.migrate(db)
    finally:
        await db.close()
