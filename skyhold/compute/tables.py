# SPDX-License-Identifier: Apache-2.0
"""Compute's data model at one glance.

Column types come from core/db/columns.py; queries are in each resource. Ids of other services
(images, ports, projects) are plain columns, never foreign keys.
"""

from __future__ import annotations

import sqlalchemy as sa

from skyhold.core.db.columns import (
    blob,
    flag,
    id_column,
    json,
    long_text,
    micros,
    number,
    ref_column,
    serial_column,
    table,
    text,
)

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

FLAVORS = table(
    "compute_flavors",
    id_column(),
    sa.Column("name", text(), nullable=False, unique=True),
    sa.Column("description", long_text()),
    sa.Column("vcpus", number(), nullable=False),
    sa.Column("ram_mb", number(), nullable=False),
    sa.Column("disk_gb", number(), nullable=False),
    sa.Column("ephemeral_gb", number(), nullable=False),
    sa.Column("swap_mb", number(), nullable=False),
    sa.Column("rxtx_factor", sa.Float(), nullable=False),
    sa.Column("is_public", flag(), nullable=False),
    sa.Column("disabled", flag(), nullable=False),
    sa.Column("extra_specs", json(), nullable=False),
    sa.Column("created_at", micros(), nullable=False),
    sa.Index("compute_flavors_list", "created_at", "id"),
)

FLAVOR_ACCESS = table(
    "compute_flavor_access",
    sa.Column("flavor_id", text(64), sa.ForeignKey("compute_flavors.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("project_id", text(64), primary_key=True),
)

HOSTS = table(
    "compute_hosts",
    id_column(),
    sa.Column("number", number(), nullable=False, unique=True),
    sa.Column("name", text(), nullable=False),
    sa.Column("enabled", flag(), nullable=False),
    sa.Column("disabled_reason", text()),
    sa.Column("forced_down", flag(), nullable=False),
    sa.Column("connected", flag(), nullable=False),
    sa.Column("seen_at", micros(), nullable=False),
    sa.Column("inventory", json()),
    sa.Column("created_at", micros(), nullable=False),
    sa.Column("updated_at", micros(), nullable=False),
)

SERVERS = table(
    "compute_servers",
    id_column(),
    ref_column("project_id"),
    ref_column("user_id"),
    sa.Column("name", text(), nullable=False),
    sa.Column("hostname", text(), nullable=False),
    sa.Column("description", text()),
    sa.Column("state", text(32), nullable=False),
    sa.Column("task", text(32)),
    sa.Column("power", number(), nullable=False),
    ref_column("host_id", nullable=True),
    sa.Column("image_id", text(64), nullable=False),
    sa.Column("flavor_id", text(64), nullable=False),
    sa.Column("flavor", json(), nullable=False),
    sa.Column("key_name", text()),
    sa.Column("keys", json(), nullable=False),
    sa.Column("user_data", blob()),
    sa.Column("config_drive", flag(), nullable=False),
    sa.Column("metadata", json(), nullable=False),
    sa.Column("properties", json(), nullable=False),
    sa.Column("admin_pass", text(512)),
    sa.Column("availability_zone", text(), nullable=False),
    sa.Column("pinned_zone", text()),
    sa.Column("reservation_id", text(64), nullable=False),
    sa.Column("launch_index", number(), nullable=False),
    sa.Column("access_ip_v4", text(64), nullable=False),
    sa.Column("access_ip_v6", text(64), nullable=False),
    sa.Column("disk_config", text(16), nullable=False),
    sa.Column("locked_by", text(16)),
    sa.Column("locked_reason", text()),
    # Ids of certificates: the image must be signed by one that these vouch for.
    sa.Column("trusted_certs", json()),
    sa.Column("fault", json()),
    sa.Column("revision", number(), nullable=False),
    sa.Column("created_at", micros(), nullable=False),
    sa.Column("updated_at", micros(), nullable=False),
    sa.Column("launched_at", micros()),
    sa.Column("terminated_at", micros()),
    sa.Column("deleted_at", micros()),
    sa.Index("compute_servers_list", "project_id", "created_at", "id"),
    sa.Index("compute_servers_all", "created_at", "id"),
    sa.Index("compute_servers_host", "host_id", "deleted_at"),
    sa.Index("compute_servers_image", "image_id"),
)

SERVER_TAGS = table(
    "compute_server_tags",
    sa.Column("server_id", text(64), sa.ForeignKey("compute_servers.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("tag", text(60), primary_key=True),
)

ACTIONS = table(
    "compute_actions",
    serial_column(),
    sa.Column("server_id", text(64), nullable=False),
    ref_column("project_id"),
    sa.Column("user_id", text(64), nullable=False),
    sa.Column("request_id", text(64), nullable=False),
    sa.Column("action", text(64), nullable=False),
    sa.Column("message", long_text()),
    sa.Column("detail", long_text()),
    sa.Column("started_at", micros(), nullable=False),
    sa.Column("updated_at", micros(), nullable=False),
    sa.Index("compute_actions_server", "server_id", "id"),
    sa.Index("compute_actions_request", "server_id", "request_id"),
)

ACTION_EVENTS = table(
    "compute_action_events",
    serial_column(),
    sa.Column("action_id", number(), nullable=False),
    sa.Column("event", text(64), nullable=False),
    sa.Column("host_id", text(64)),
    sa.Column("started_at", micros(), nullable=False),
    sa.Column("finished_at", micros()),
    sa.Column("result", text(16)),
    sa.Column("detail", long_text()),
    sa.Index("compute_action_events_action", "action_id", "id"),
)

SERVER_GROUPS = table(
    "compute_server_groups",
    id_column(),
    ref_column("project_id"),
    ref_column("user_id"),
    sa.Column("name", text(), nullable=False),
    sa.Column("policy", text(32), nullable=False),
    sa.Column("rules", json(), nullable=False),
    sa.Column("created_at", micros(), nullable=False),
    sa.Index("compute_server_groups_list", "project_id", "created_at", "id"),
)

SERVER_GROUP_MEMBERS = table(
    "compute_server_group_members",
    sa.Column(
        "group_id", text(64), sa.ForeignKey("compute_server_groups.id", ondelete="CASCADE"), primary_key=True
    ),
    sa.Column("server_id", text(64), sa.ForeignKey("compute_servers.id", ondelete="CASCADE"), primary_key=True),
    sa.Index("compute_server_group_members_server", "server_id"),
)

AGGREGATES = table(
    "compute_aggregates",
    id_column(),
    sa.Column("number", number(), nullable=False, unique=True),
    sa.Column("name", text(), nullable=False, unique=True),
    sa.Column("metadata", json(), nullable=False),
    sa.Column("created_at", micros(), nullable=False),
    sa.Column("updated_at", micros()),
)

AGGREGATE_HOSTS = table(
    "compute_aggregate_hosts",
    sa.Column(
        "aggregate_id", text(64), sa.ForeignKey("compute_aggregates.id", ondelete="CASCADE"), primary_key=True
    ),
    sa.Column("host_id", text(64), sa.ForeignKey("compute_hosts.id", ondelete="CASCADE"), primary_key=True),
    sa.Index("compute_aggregate_hosts_host", "host_id"),
)
