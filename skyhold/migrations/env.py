# SPDX-License-Identifier: Apache-2.0
"""What Alembic runs for each of its commands: the metadata, and the connection it is given.

Who calls it is upgrade.py, which opens the database as the program does. Column types are compared, so
that a forgotten migration shows in tests/unit/core/test_schema.py.
"""

from __future__ import annotations

from alembic import context

from skyhold.core.db.columns import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    compare_type=True,
    # SQLite can't alter a column: Alembic makes the table anew and copies it.
    render_as_batch=True,
    transaction_per_migration=True,
)
with context.begin_transaction():
    context.run_migrations()
