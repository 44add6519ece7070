# SPDX-License-Identifier: Apache-2.0
"""The tables of core itself: journal, sagas, quota, epochs, leases and the schema's version.

Services declare theirs in their own tables.py; all share one metadata (core/db/columns.py).
What each table is for is told where it is used: journal.py, quota.py, saga/, loops.py.
"""

from __future__ import annotations

import sqlalchemy as sa

from skyhold.core.db.columns import id_column, json, long_text, micros, number, serial_column, table, text

JOURNAL = table(
    "core_journal",
    serial_column("id"),
    sa.Column("position", sa.BigInteger(), nullable=True, unique=True),
    sa.Column("at", micros(), nullable=False),
    sa.Column("request_id", text(64), nullable=False),
    sa.Column("actor", text(64), nullable=False),
    sa.Column("project_id", text(64), nullable=False),
    sa.Column("service", text(32), nullable=False),
    sa.Column("kind", text(64), nullable=False),
    sa.Column("resource_id", text(64), nullable=False),
    sa.Column("action", text(128), nullable=False),
    sa.Column("state", json()),
    sa.Index("core_journal_project", "project_id", "position"),
    sa.Index("core_journal_request", "request_id"),
    sa.Index("core_journal_resource", "resource_id", "id"),
)

SAGAS = table(
    "core_sagas",
    id_column(),
    sa.Column("kind", text(64), nullable=False),
    sa.Column("subject", text(64), nullable=False),
    sa.Column("lock_name", text(160), unique=True),
    # Also `rewinding:` and the name of a step.
    sa.Column("state", text(80), nullable=False),
    sa.Column("step", text(64), nullable=False),
    sa.Column("round", number(), nullable=False),
    sa.Column("done", json(), nullable=False),
    sa.Column("kept", json(), nullable=False),
    sa.Column("due_at", micros()),
    sa.Column("lease_until", micros(), nullable=False),
    sa.Column("fence", number(), nullable=False),
    sa.Column("signal", text(32), nullable=False),
    sa.Column("attempt", number(), nullable=False),
    sa.Column("deadline_at", micros(), nullable=False),
    sa.Column("parent_id", text(64)),
    sa.Column("then", json()),
    sa.Column("request_id", text(64), nullable=False),
    sa.Column("actor", json(), nullable=False),
    sa.Column("error", long_text()),
    sa.Column("created_at", micros(), nullable=False),
    sa.Column("ended_at", micros()),
    sa.Index("core_sagas_due", "due_at"),
    sa.Index("core_sagas_subject", "subject", "ended_at"),
    sa.Index("core_sagas_request", "request_id"),
)

QUOTA_USAGES = table(
    "core_quota_usages",
    sa.Column("project_id", text(64), primary_key=True),
    sa.Column("resource", text(64), primary_key=True),
    sa.Column("used", number(), nullable=False),
)

QUOTA_LIMITS = table(
    "core_quota_limits",
    sa.Column("project_id", text(64), primary_key=True),
    sa.Column("resource", text(64), primary_key=True),
    sa.Column("maximum", number(), nullable=False),
)

EPOCHS = table(
    "core_epochs",
    sa.Column("name", text(32), primary_key=True),
    sa.Column("value", number(), nullable=False),
)

LEASES = table(
    "core_leases",
    sa.Column("name", text(64), primary_key=True),
    sa.Column("holder", text(64), nullable=False),
    sa.Column("until", micros(), nullable=False),
)

SCHEMA = table(
    # The name and column that Alembic expects, so that it and schema.py share one truth.
    "alembic_version",
    sa.Column("version_num", text(32), primary_key=True),
)
