# SPDX-License-Identifier: Apache-2.0
"""Images in several stores, their imports and definitions; servers that trust certificates.

Where the content of older images is, the image service writes down at its first start (image/content.py).
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from skyhold.core.db.columns import MARIADB_OPTIONS, flag, json, long_text, micros, number, text

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    bytes_of_images()
    definitions()
    op.add_column("compute_servers", sa.Column("trusted_certs", json()))
    op.add_column("image_images", sa.Column("hash_algo", text(16)))
    op.add_column("image_images", sa.Column("hash_value", text(128)))
    op.add_column("image_images", sa.Column("locations", json()))
    op.add_column("image_images", sa.Column("staged_bytes", number()))
    op.add_column("image_images", sa.Column("importing", json()))
    # No batch: SQLite would make the table anew, and dropping the old one takes the rows that refer to it along.
    op.drop_column("image_images", "upload_seen_at")


def bytes_of_images() -> None:
    create(
        "image_blobs",
        sa.Column("id", text(160), primary_key=True),
        sa.Column("store", text(64), nullable=False),
        sa.Column("sha512", text(128)),
        sa.Column("size_bytes", number()),
        sa.Column("refs", number(), nullable=False),
        sa.Column("seen_at", micros(), nullable=False),
        sa.Column("writer_id", text(64), nullable=False),
        sa.Column("created_at", micros(), nullable=False),
        sa.UniqueConstraint("store", "sha512", name="image_blobs_content"),
        sa.Index("image_blobs_unfinished", "refs", "seen_at"),
        sa.Index("image_blobs_writer", "writer_id"),
    )
    create(
        "image_tasks",
        sa.Column("id", text(64), primary_key=True),
        sa.Column("project_id", text(64), nullable=False),
        sa.Column("user_id", text(64), nullable=False),
        sa.Column("image_id", text(64)),
        sa.Column("type", text(32), nullable=False),
        sa.Column("status", text(16), nullable=False),
        sa.Column("input", json(), nullable=False),
        sa.Column("result", json()),
        sa.Column("message", text(1024), nullable=False),
        sa.Column("request_id", text(64), nullable=False),
        sa.Column("expires_at", micros()),
        sa.Column("created_at", micros(), nullable=False),
        sa.Column("updated_at", micros(), nullable=False),
        sa.Index("image_tasks_all", "created_at", "id"),
        sa.Index("image_tasks_expired", "expires_at"),
        sa.Index("image_tasks_image", "image_id"),
        sa.Index("image_tasks_list", "project_id", "created_at", "id"),
    )
    create(
        "image_cached",
        sa.Column("site", text(64), primary_key=True),
        sa.Column("image_id", text(64), sa.ForeignKey("image_images.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("sha512", text(128)),
        sa.Column("size_bytes", number()),
        sa.Column("hits", number(), nullable=False),
        sa.Column("used_at", micros()),
        sa.Column("created_at", micros(), nullable=False),
        sa.Column("updated_at", micros(), nullable=False),
        sa.Index("image_cached_image", "image_id"),
        sa.Index("image_cached_used", "site", "used_at"),
    )


def definitions() -> None:
    create(
        "image_metadef_namespaces",
        sa.Column("id", text(64), primary_key=True),
        sa.Column("project_id", text(64)),
        sa.Column("namespace", text(80), nullable=False),
        sa.Column("display_name", text(80)),
        sa.Column("description", text(500)),
        sa.Column("visibility", text(16), nullable=False),
        sa.Column("protected", flag(), nullable=False),
        sa.Column("created_at", micros(), nullable=False),
        sa.Column("updated_at", micros(), nullable=False),
        sa.Index("image_metadef_namespaces_list", "project_id", "created_at", "id"),
        sa.Index("image_metadef_namespaces_name", "namespace", unique=True),
    )
    create(
        "image_metadef_resource_types",
        sa.Column("name", text(80), primary_key=True),
        sa.Column("created_at", micros(), nullable=False),
        sa.Column("updated_at", micros(), nullable=False),
    )
    create(
        "image_metadef_associations",
        sa.Column("id", text(64), primary_key=True),
        sa.Column(
            "namespace_id", text(64), sa.ForeignKey("image_metadef_namespaces.id", ondelete="CASCADE"), nullable=False,
        ),
        sa.Column("name", text(80), sa.ForeignKey("image_metadef_resource_types.name"), nullable=False),
        sa.Column("prefix", text(80)),
        sa.Column("properties_target", text(80)),
        sa.Column("created_at", micros(), nullable=False),
        sa.Column("updated_at", micros(), nullable=False),
        sa.Index("image_metadef_associations_name", "namespace_id", "name", unique=True),
        sa.Index("image_metadef_associations_type", "name", "namespace_id"),
    )
    create(
        "image_metadef_objects",
        sa.Column("id", text(64), primary_key=True),
        sa.Column(
            "namespace_id", text(64), sa.ForeignKey("image_metadef_namespaces.id", ondelete="CASCADE"), nullable=False,
        ),
        sa.Column("name", text(80), nullable=False),
        sa.Column("description", long_text()),
        sa.Column("required", json(), nullable=False),
        sa.Column("properties", json(), nullable=False),
        sa.Column("created_at", micros(), nullable=False),
        sa.Column("updated_at", micros(), nullable=False),
        sa.Index("image_metadef_objects_name", "namespace_id", "name", unique=True),
    )
    create(
        "image_metadef_properties",
        sa.Column("id", text(64), primary_key=True),
        sa.Column(
            "namespace_id", text(64), sa.ForeignKey("image_metadef_namespaces.id", ondelete="CASCADE"), nullable=False,
        ),
        sa.Column("name", text(80), nullable=False),
        sa.Column("definition", json(), nullable=False),
        sa.Column("created_at", micros(), nullable=False),
        sa.Column("updated_at", micros(), nullable=False),
        sa.Index("image_metadef_properties_name", "namespace_id", "name", unique=True),
    )
    create(
        "image_metadef_tags",
        sa.Column("id", text(64), primary_key=True),
        sa.Column(
            "namespace_id", text(64), sa.ForeignKey("image_metadef_namespaces.id", ondelete="CASCADE"), nullable=False,
        ),
        sa.Column("name", text(80), nullable=False),
        sa.Column("created_at", micros(), nullable=False),
        sa.Column("updated_at", micros(), nullable=False),
        sa.Index("image_metadef_tags_name", "namespace_id", "name", unique=True),
    )


def create(name: str, *items: sa.schema.SchemaItem) -> None:
    op.create_table(name, *items, **MARIADB_OPTIONS)
