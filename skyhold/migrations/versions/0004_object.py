# SPDX-License-Identifier: Apache-2.0
"""The object store's accounts, containers, objects and their bytes; delegations that are revoked."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from skyhold.core.db.columns import MARIADB_OPTIONS, json, long_text, micros, number, text, utf8_key

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    accounts_and_containers()
    objects()
    op.add_column("identity_revocation_events", sa.Column("ground", text(32)))
    op.add_column("identity_revocation_events", sa.Column("ground_id", text(64)))


def accounts_and_containers() -> None:
    create(
        "object_accounts",
        sa.Column("project_id", text(64), primary_key=True),
        sa.Column("metadata", json(), nullable=False),
        sa.Column("quota_bytes", number()),
        sa.Column("quota_count", number()),
        sa.Column("created_at", micros(), nullable=False),
        sa.Column("updated_at", micros(), nullable=False),
    )
    create(
        "object_containers",
        sa.Column("id", text(64), primary_key=True),
        sa.Column("project_id", text(64), nullable=False),
        sa.Column("name", utf8_key(256), nullable=False),
        sa.Column("objects", number(), nullable=False),
        sa.Column("bytes_used", number(), nullable=False),
        sa.Column("metadata", json(), nullable=False),
        sa.Column("read_acl", long_text(), nullable=False),
        sa.Column("write_acl", long_text(), nullable=False),
        sa.Column("quota_bytes", number()),
        sa.Column("quota_count", number()),
        sa.Column("created_at", micros(), nullable=False),
        sa.Column("updated_at", micros(), nullable=False),
        sa.Index("object_containers_name", "project_id", "name", unique=True),
        sa.Index("object_containers_list", "project_id", "created_at", "id"),
    )


def objects() -> None:
    create(
        "object_blobs",
        sa.Column("id", text(64), primary_key=True),
        sa.Column("refs", number(), nullable=False),
        sa.Column("size_bytes", number()),
        sa.Column("seen_at", micros(), nullable=False),
        sa.Column("created_at", micros(), nullable=False),
        sa.Index("object_blobs_unfinished", "refs", "seen_at"),
    )
    create(
        "object_objects",
        sa.Column("id", text(64), primary_key=True),
        sa.Column("container_id", text(64), sa.ForeignKey("object_containers.id"), nullable=False),
        sa.Column("name", utf8_key(1024), nullable=False),
        sa.Column("blob_id", text(64), sa.ForeignKey("object_blobs.id"), nullable=False),
        sa.Column("size_bytes", number(), nullable=False),
        sa.Column("etag", text(32), nullable=False),
        sa.Column("content_type", long_text(), nullable=False),
        sa.Column("metadata", json(), nullable=False),
        sa.Column("headers", json(), nullable=False),
        sa.Column("created_at", micros(), nullable=False),
        sa.Column("updated_at", micros(), nullable=False),
        sa.Index("object_objects_name", "container_id", "name", unique=True),
        sa.Index("object_objects_blob", "blob_id"),
    )


def create(name: str, *items: sa.schema.SchemaItem) -> None:
    op.create_table(name, *items, **MARIADB_OPTIONS)
