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
    # Set only when a location was given with a hash of another algorithm than ours.
    sa.Column("hash_algo", text(16)),
    sa.Column("hash_value", text(128)),
    # Where the bytes are, in the order given: [{"store": …, "blob": key}] of ours, [{"store": …, "url": …}] of others'.
    sa.Column("locations", json()),
    # The blob that an upload or an import is writing for it, or that was staged: new for every attempt.
    sa.Column("blob", text(160)),
    # How much of it waits for its import.
    sa.Column("staged_bytes", number()),
    # Of the last import: {"task": id, "stores": [still to come], "failed": [...]}.
    sa.Column("importing", json()),
    sa.Column("created_at", micros(), nullable=False),
    sa.Column("updated_at", micros(), nullable=False),
    sa.Index("image_images_list", "project_id", "created_at", "id"),
    sa.Index("image_images_all", "created_at", "id"),
    sa.Index("image_images_visibility", "visibility", "created_at", "id"),
    sa.Index("image_images_name", "name"),
    sa.Index("image_images_status", "status"),
    sa.Index("image_images_blob", "blob"),
)

BLOBS = table(
    "image_blobs",
    # The key in its store.
    sa.Column("id", text(160), primary_key=True),
    sa.Column("store", text(64), nullable=False),
    # Null until the content is complete; then a store holds it once, however many images are made of it.
    sa.Column("sha512", text(128)),
    sa.Column("size_bytes", number()),
    # How many images name it; 0 while it is being written.
    sa.Column("refs", number(), nullable=False),
    # Whoever writes says so regularly.
    sa.Column("seen_at", micros(), nullable=False),
    # The upload or saga that writes it: its next attempt takes this one's place.
    sa.Column("writer_id", text(64), nullable=False),
    sa.Column("created_at", micros(), nullable=False),
    sa.UniqueConstraint("store", "sha512", name="image_blobs_content"),
    sa.Index("image_blobs_unfinished", "refs", "seen_at"),
    sa.Index("image_blobs_writer", "writer_id"),
)

TASKS = table(
    "image_tasks",
    id_column(),
    ref_column("project_id"),
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
    sa.Index("image_tasks_list", "project_id", "created_at", "id"),
    sa.Index("image_tasks_all", "created_at", "id"),
    sa.Index("image_tasks_image", "image_id"),
    sa.Index("image_tasks_expired", "expires_at"),
)

CACHED = table(
    "image_cached",
    # The cache's name: "" is the cloud's own, others are of cache sites.
    sa.Column("site", text(64), primary_key=True),
    sa.Column("image_id", text(64), sa.ForeignKey("image_images.id", ondelete="CASCADE"), primary_key=True),
    # Null while the image still waits for being cached.
    sa.Column("sha512", text(128)),
    sa.Column("size_bytes", number()),
    sa.Column("hits", number(), nullable=False),
    sa.Column("used_at", micros()),
    sa.Column("created_at", micros(), nullable=False),
    sa.Column("updated_at", micros(), nullable=False),
    sa.Index("image_cached_image", "image_id"),
    sa.Index("image_cached_used", "site", "used_at"),
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
