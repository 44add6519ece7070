# SPDX-License-Identifier: Apache-2.0
"""Image's data model at one glance.

Column types come from core/db/columns.py; queries are in each resource. The row of an image holds
everything that is printed of it; `image_terms` exists only so that tags and properties can be
searched by.
"""

from __future__ import annotations

import sqlalchemy as sa

from skyhold.core.db.columns import flag, id_column, json, long_text, micros, number, ref_column, table, text


def within_namespace() -> sa.Column[str]:
    namespace = sa.ForeignKey("image_metadef_namespaces.id", ondelete="CASCADE")
    return sa.Column("namespace_id", text(64), namespace, nullable=False)


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

# ---- metadata definitions --------------------------------------------------------------------

NAMESPACES = table(
    "image_metadef_namespaces",
    id_column(),
    ref_column("project_id", nullable=True),
    sa.Column("namespace", text(80), nullable=False),
    sa.Column("display_name", text(80)),
    sa.Column("description", text(500)),
    sa.Column("visibility", text(16), nullable=False),
    sa.Column("protected", flag(), nullable=False),
    sa.Column("created_at", micros(), nullable=False),
    sa.Column("updated_at", micros(), nullable=False),
    sa.Index("image_metadef_namespaces_name", "namespace", unique=True),
    sa.Index("image_metadef_namespaces_list", "project_id", "created_at", "id"),
)

OBJECTS = table(
    "image_metadef_objects",
    id_column(),
    within_namespace(),
    sa.Column("name", text(80), nullable=False),
    sa.Column("description", long_text()),
    sa.Column("required", json(), nullable=False),
    # By name: definitions of properties, as metadefs/shape.py has them.
    sa.Column("properties", json(), nullable=False),
    sa.Column("created_at", micros(), nullable=False),
    sa.Column("updated_at", micros(), nullable=False),
    sa.Index("image_metadef_objects_name", "namespace_id", "name", unique=True),
)

PROPERTIES = table(
    "image_metadef_properties",
    id_column(),
    within_namespace(),
    sa.Column("name", text(80), nullable=False),
    sa.Column("definition", json(), nullable=False),
    sa.Column("created_at", micros(), nullable=False),
    sa.Column("updated_at", micros(), nullable=False),
    sa.Index("image_metadef_properties_name", "namespace_id", "name", unique=True),
)

TAGS = table(
    "image_metadef_tags",
    id_column(),
    within_namespace(),
    sa.Column("name", text(80), nullable=False),
    sa.Column("created_at", micros(), nullable=False),
    sa.Column("updated_at", micros(), nullable=False),
    sa.Index("image_metadef_tags_name", "namespace_id", "name", unique=True),
)

RESOURCE_TYPES = table(
    "image_metadef_resource_types",
    sa.Column("name", text(80), primary_key=True),
    sa.Column("created_at", micros(), nullable=False),
    sa.Column("updated_at", micros(), nullable=False),
)

ASSOCIATIONS = table(
    "image_metadef_associations",
    id_column(),
    within_namespace(),
    sa.Column("name", text(80), sa.ForeignKey("image_metadef_resource_types.name"), nullable=False),
    sa.Column("prefix", text(80)),
    sa.Column("properties_target", text(80)),
    sa.Column("created_at", micros(), nullable=False),
    sa.Column("updated_at", micros(), nullable=False),
    sa.Index("image_metadef_associations_name", "namespace_id", "name", unique=True),
    sa.Index("image_metadef_associations_type", "name", "namespace_id"),
)
