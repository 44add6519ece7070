# SPDX-License-Identifier: Apache-2.0
"""Compute's data model at one glance.

Column types come from core/db/columns.py; queries are in each resource. Ids of other services
(images, ports, projects) are plain columns, never foreign keys.
"""

from __future__ import annotations

import sqlalchemy as sa

from skyhold.core.db.columns import id_column, long_text, micros, ref_column, table, text

KEYPAIRS = table(
    "compute_keypairs",
    id_column(),
    ref_column("user_id"),
    sa.Column("name", text(), nullable=False),
    sa.Column("type", text(16), nullable=False),
    sa.Column("fingerprint", text(128), nullable=False),
    sa.Column("public_key", long_text(), nullable=False),
    sa.Column("created_at", micros(), nullable=False),
    sa.UniqueConstraint("user_id", "name", name="compute_keypairs_name"),
    sa.Index("compute_keypairs_list", "user_id", "created_at", "id"),
)

