# SPDX-License-Identifier: Apache-2.0
"""Block storage: types, pools, volumes, snapshots, attachments, and what remains on hosts that were away.

A saga's state holds the step that it rewinds to, which `choose_host` was too long for.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from skyhold.core.db.columns import MARIADB_OPTIONS, flag, json, micros, number, text

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    types_and_pools()
    volumes()
    snapshots()
    attachments()
    create(
        "volume_remains",
        sa.Column("id", text(64), primary_key=True),
        sa.Column("host_id", text(64), nullable=False),
        sa.Column("kind", text(16), nullable=False),
        sa.Column("created_at", micros(), nullable=False),
        sa.Index("volume_remains_host", "host_id"),
    )
    with op.batch_alter_table("core_sagas") as sagas:
        sagas.alter_column("state", existing_type=text(16), type_=text(80), existing_nullable=False)


def types_and_pools() -> None:
    create(
        "volume_types",
        sa.Column("id", text(64), primary_key=True),
        sa.Column("name", text(), nullable=False, unique=True),
        sa.Column("description", text()),
        sa.Column("extra_specs", json(), nullable=False),
        sa.Column("created_at", micros(), nullable=False),
        sa.Column("updated_at", micros()),
        sa.Index("volume_types_list", "created_at", "id"),
    )
    create(
        "volume_pools",
        sa.Column("id", text(64), primary_key=True),
        sa.Column("name", text(), nullable=False),
        sa.Column("enabled", flag(), nullable=False),
        sa.Column("disabled_reason", text()),
        sa.Column("backend", text(64), nullable=False),
        sa.Column("total_bytes", number(), nullable=False),
        sa.Column("free_bytes", number(), nullable=False),
        sa.Column("seen_at", micros(), nullable=False),
        sa.Column("created_at", micros(), nullable=False),
    )


def volumes() -> None:
    create(
        "volume_volumes",
        sa.Column("id", text(64), primary_key=True),
        sa.Column("project_id", text(64), nullable=False),
        sa.Column("user_id", text(64), nullable=False),
        sa.Column("name", text()),
        sa.Column("description", text()),
        sa.Column("size_gib", number(), nullable=False),
        sa.Column("growing_gib", number()),
        sa.Column("state", text(32), nullable=False),
        sa.Column("fault", text(1024)),
        sa.Column("host_id", text(64)),
        sa.Column("type_id", text(64), sa.ForeignKey("volume_types.id"), nullable=False),
        sa.Column("availability_zone", text(), nullable=False),
        sa.Column("bootable", flag(), nullable=False),
        sa.Column("metadata", json(), nullable=False),
        sa.Column("image_metadata", json()),
        sa.Column("image_id", text(64)),
        sa.Column("snapshot_id", text(64)),
        sa.Column("source_volume_id", text(64)),
        sa.Column("created_at", micros(), nullable=False),
        sa.Column("updated_at", micros()),
        sa.Index("volume_volumes_list", "project_id", "created_at", "id"),
        sa.Index("volume_volumes_host", "host_id"),
        sa.Index("volume_volumes_type", "type_id"),
        sa.Index("volume_volumes_source", "source_volume_id"),
        sa.Index("volume_volumes_snapshot", "snapshot_id"),
    )


def snapshots() -> None:
    create(
        "volume_snapshots",
        sa.Column("id", text(64), primary_key=True),
        sa.Column("project_id", text(64), nullable=False),
        sa.Column("user_id", text(64), nullable=False),
        sa.Column("volume_id", text(64), sa.ForeignKey("volume_volumes.id"), nullable=False),
        sa.Column("name", text()),
        sa.Column("description", text()),
        sa.Column("size_gib", number(), nullable=False),
        sa.Column("state", text(32), nullable=False),
        sa.Column("fault", text(1024)),
        sa.Column("host_id", text(64), nullable=False),
        sa.Column("metadata", json(), nullable=False),
        sa.Column("created_at", micros(), nullable=False),
        sa.Column("updated_at", micros()),
        sa.Index("volume_snapshots_list", "project_id", "created_at", "id"),
        sa.Index("volume_snapshots_volume", "volume_id"),
        sa.Index("volume_snapshots_host", "host_id"),
    )


def attachments() -> None:
    create(
        "volume_attachments",
        sa.Column("id", text(64), primary_key=True),
        sa.Column("project_id", text(64), nullable=False),
        sa.Column("user_id", text(64), nullable=False),
        sa.Column("volume_id", text(64), sa.ForeignKey("volume_volumes.id"), nullable=False),
        sa.Column("server_id", text(64)),
        sa.Column("state", text(32), nullable=False),
        sa.Column("of_compute", flag(), nullable=False),
        sa.Column("mode", text(8), nullable=False),
        sa.Column("device", text()),
        sa.Column("host_id", text(64)),
        sa.Column("host_name", text()),
        sa.Column("connector", json()),
        sa.Column("boot_index", number()),
        sa.Column("delete_on_termination", flag(), nullable=False),
        sa.Column("tag", text(64)),
        sa.Column("attached_at", micros()),
        sa.Column("created_at", micros(), nullable=False),
        sa.Column("updated_at", micros()),
        sa.Index("volume_attachments_list", "project_id", "created_at", "id"),
        sa.Index("volume_attachments_volume", "volume_id"),
        sa.Index("volume_attachments_server", "server_id"),
    )


def create(name: str, *items: sa.schema.SchemaItem) -> None:
    op.create_table(name, *items, **MARIADB_OPTIONS)
