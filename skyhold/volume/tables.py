# SPDX-License-Identifier: Apache-2.0
"""Volume's data model at one glance.

Column types come from core/db/columns.py; queries are in each resource. Ids of other services (images,
servers, projects, hosts) are plain columns, never foreign keys. An attachment is the one row about a volume in
a server, for compute as for this service.
"""

from __future__ import annotations

import sqlalchemy as sa

from skyhold.core.db.columns import flag, id_column, json, micros, number, ref_column, table, text

TYPES = table(
    "volume_types",
    id_column(),
    sa.Column("name", text(), nullable=False, unique=True),
    sa.Column("description", text()),
    sa.Column("extra_specs", json(), nullable=False),
    sa.Column("created_at", micros(), nullable=False),
    sa.Column("updated_at", micros()),
    sa.Index("volume_types_list", "created_at", "id"),
)

POOLS = table(
    "volume_pools",
    # The host's id: it has one pool.
    id_column(),
    sa.Column("name", text(), nullable=False),
    sa.Column("enabled", flag(), nullable=False),
    sa.Column("disabled_reason", text()),
    sa.Column("backend", text(64), nullable=False),
    sa.Column("total_bytes", number(), nullable=False),
    sa.Column("free_bytes", number(), nullable=False),
    sa.Column("seen_at", micros(), nullable=False),
    sa.Column("created_at", micros(), nullable=False),
)

VOLUMES = table(
    "volume_volumes",
    id_column(),
    ref_column("project_id"),
    ref_column("user_id"),
    sa.Column("name", text()),
    sa.Column("description", text()),
    sa.Column("size_gib", number(), nullable=False),
    # What an extension under way makes of it: it is counted already.
    sa.Column("growing_gib", number()),
    sa.Column("state", text(32), nullable=False),
    # Why it is in error, for its owner.
    sa.Column("fault", text(1024)),
    ref_column("host_id", nullable=True),
    sa.Column("type_id", text(64), sa.ForeignKey("volume_types.id"), nullable=False),
    sa.Column("availability_zone", text(), nullable=False),
    sa.Column("bootable", flag(), nullable=False),
    sa.Column("metadata", json(), nullable=False),
    # Of the image it was made from, and what was set since.
    sa.Column("image_metadata", json()),
    ref_column("image_id", nullable=True),
    ref_column("snapshot_id", nullable=True),
    ref_column("source_volume_id", nullable=True),
    sa.Column("created_at", micros(), nullable=False),
    sa.Column("updated_at", micros()),
    sa.Index("volume_volumes_list", "project_id", "created_at", "id"),
    sa.Index("volume_volumes_host", "host_id"),
    sa.Index("volume_volumes_type", "type_id"),
    sa.Index("volume_volumes_source", "source_volume_id"),
    sa.Index("volume_volumes_snapshot", "snapshot_id"),
)

SNAPSHOTS = table(
    "volume_snapshots",
    id_column(),
    ref_column("project_id"),
    ref_column("user_id"),
    sa.Column("volume_id", text(64), sa.ForeignKey("volume_volumes.id"), nullable=False),
    sa.Column("name", text()),
    sa.Column("description", text()),
    sa.Column("size_gib", number(), nullable=False),
    sa.Column("state", text(32), nullable=False),
    sa.Column("fault", text(1024)),
    ref_column("host_id"),
    sa.Column("metadata", json(), nullable=False),
    sa.Column("created_at", micros(), nullable=False),
    sa.Column("updated_at", micros()),
    sa.Index("volume_snapshots_list", "project_id", "created_at", "id"),
    sa.Index("volume_snapshots_volume", "volume_id"),
    sa.Index("volume_snapshots_host", "host_id"),
)

ATTACHMENTS = table(
    "volume_attachments",
    id_column(),
    ref_column("project_id"),
    ref_column("user_id"),
    sa.Column("volume_id", text(64), sa.ForeignKey("volume_volumes.id"), nullable=False),
    ref_column("server_id", nullable=True),
    sa.Column("state", text(32), nullable=False),
    # Compute made it for a server of its own: only compute ends it.
    sa.Column("of_compute", flag(), nullable=False),
    sa.Column("mode", text(8), nullable=False),
    sa.Column("device", text()),
    ref_column("host_id", nullable=True),
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

REMAINS = table(
    "volume_remains",
    # Of the volume or snapshot that is gone, while its host could not be told, and of that host (sagas/asking.py).
    id_column(),
    ref_column("host_id"),
    sa.Column("kind", text(16), nullable=False),
    sa.Column("created_at", micros(), nullable=False),
    sa.Index("volume_remains_host", "host_id"),
)
