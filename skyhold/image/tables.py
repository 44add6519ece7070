# SPDX-License-Identifier: Apache-2.0
"""Image's data model at one glance.

Column types come from core/db/columns.py; queries are in each resource. The row of an image holds
everything that is printed of it; `image_terms` exists only so that tags and properties can be
searched by.
"""

from __future__ import annotations

import sqlalchemy as sa

from skyhold.core.db.columns import flag, id_column, json, micros, number, ref_column, table, text

IMAGES = table(
    "image_images",
    id_column(),
    ref_column("project_id", nullable=True),
    sa.Column("name", text()),
    sa.Column("status", text(32), nullable=False),
    sa.Column("visibility", text(16), nullable=False),
    sa.Column("disk_format", text(32)),
    sa.Column("container_format", text(32)),
    sa.Column("size_bytes", number()),
    sa.Column("virtual_size_bytes", number()),
    sa.Column("min_disk_gb", number(), nullable=False),
    sa.Column("min_ram_mb", number(), nullable=False),
    sa.Column("protected", flag(), nullable=False),
    sa.Column("hidden", flag(), nullable=False),
    sa.Column("checksum", text(32)),
    sa.Column("sha512", text(128)),
    sa.Column("tags", json(), nullable=False),
    sa.Column("properties", json(), nullable=False),
    # Where the bytes are, or are being written: a key of the store, new for every upload.
    sa.Column("blob", text(160)),
    # An upload under way says so regularly; one that has fallen silent has died.
    sa.Column("upload_seen_at", micros()),
    sa.Column("created_at", micros(), nullable=False),
    sa.Column("updated_at", micros(), nullable=False),
    sa.Index("image_images_list", "project_id", "created_at", "id"),
    sa.Index("image_images_all", "created_at", "id"),
    sa.Index("image_images_visibility", "visibility", "created_at", "id"),
    sa.Index("image_images_name", "name"),
    sa.Index("image_images_status", "status"),
    sa.Index("image_images_blob", "blob"),
)

TERMS = table(
    "image_terms",
    sa.Column("image_id", text(64), sa.ForeignKey("image_images.id", ondelete="CASCADE"), primary_key=True),
    # SHA-256 of the tag, or of the property's name and value: values are too long for an index.
    sa.Column("term", text(64), primary_key=True),
    sa.Index("image_terms_term", "term", "image_id"),
)

MEMBERS = table(
    "image_members",
    sa.Column("image_id", text(64), sa.ForeignKey("image_images.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("member_id", text(64), primary_key=True),
    sa.Column("status", text(16), nullable=False),
    sa.Column("created_at", micros(), nullable=False),
    sa.Column("updated_at", micros(), nullable=False),
    sa.Index("image_members_member", "member_id", "status", "image_id"),
)
