# SPDX-License-Identifier: Apache-2.0
"""The one table of this service: webhooks, each with how far it has come in the journal.

The journal itself is core's (core/tables.py). `position` is that of the last event which the receiver
acknowledged or does not want; `fence` grows with each sender that takes a webhook.
"""

from __future__ import annotations

import sqlalchemy as sa

from skyhold.core.db.columns import flag, id_column, json, long_text, micros, number, ref_column, table, text

WEBHOOKS = table(
    "events_webhooks",
    id_column(),
    ref_column("project_id"),
    ref_column("user_id"),
    sa.Column("name", text(), nullable=False),
    sa.Column("url", long_text(), nullable=False),
    sa.Column("secret", long_text(), nullable=False),
    sa.Column("enabled", flag(), nullable=False),
    sa.Column("all_projects", flag(), nullable=False),
    sa.Column("wanted", json(), nullable=False),
    sa.Column("position", number(), nullable=False),
    sa.Column("attempts", number(), nullable=False),
    sa.Column("last_error", long_text()),
    sa.Column("acknowledged_at", micros()),
    sa.Column("due_at", micros(), nullable=False),
    sa.Column("lease_until", micros(), nullable=False),
    sa.Column("fence", number(), nullable=False),
    sa.Column("created_at", micros(), nullable=False),
    sa.Column("updated_at", micros()),
    sa.Index("events_webhooks_list", "project_id", "created_at", "id"),
    sa.Index("events_webhooks_due", "enabled", "due_at"),
)
