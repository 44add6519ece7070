# SPDX-License-Identifier: Apache-2.0
"""The object store's data model at one glance.

Column types come from core/db/columns.py; queries are in engine/. An account is a project, and has a row only once
something was said about it; what an account holds is summed up from its containers, which count for themselves.
"""

from __future__ import annotations

import sqlalchemy as sa

from skyhold.core.db.columns import id_column, json, long_text, micros, number, ref_column, table, text, utf8_key

CONTAINER_NAME_BYTES = 256
OBJECT_NAME_BYTES = 1024

ACCOUNTS = table(
    "object_accounts",
    id_column("project_id"),
    # Lower-case names without their prefix.
    sa.Column("metadata", json(), nullable=False),
    # None: no bound.
    sa.Column("quota_bytes", number()),
    sa.Column("quota_count", number()),
    sa.Column("created_at", micros(), nullable=False),
    sa.Column("updated_at", micros(), nullable=False),
)

CONTAINERS = table(
    "object_containers",
    id_column(),
    ref_column("project_id"),
    sa.Column("name", utf8_key(CONTAINER_NAME_BYTES), nullable=False),
    sa.Column("objects", number(), nullable=False),
    sa.Column("bytes_used", number(), nullable=False),
    sa.Column("metadata", json(), nullable=False),
    # As the owner wrote them, in logic/acl.py's normal form; empty for none.
    sa.Column("read_acl", long_text(), nullable=False),
    sa.Column("write_acl", long_text(), nullable=False),
    sa.Column("quota_bytes", number()),
    sa.Column("quota_count", number()),
    sa.Column("created_at", micros(), nullable=False),
    sa.Column("updated_at", micros(), nullable=False),
    sa.Index("object_containers_name", "project_id", "name", unique=True),
    sa.Index("object_containers_list", "project_id", "created_at", "id"),
)

OBJECTS = table(
    "object_objects",
    id_column(),
    sa.Column("container_id", text(64), sa.ForeignKey("object_containers.id"), nullable=False),
    sa.Column("name", utf8_key(OBJECT_NAME_BYTES), nullable=False),
    sa.Column("blob_id", text(64), sa.ForeignKey("object_blobs.id"), nullable=False),
    sa.Column("size_bytes", number(), nullable=False),
    # MD5 of the content, in hex.
    sa.Column("etag", text(32), nullable=False),
    sa.Column("content_type", long_text(), nullable=False),
    # By lower-case name, without its prefix.
    sa.Column("metadata", json(), nullable=False),
    # Headers of HTTP that are given back as they came.
    sa.Column("headers", json(), nullable=False),
    sa.Column("created_at", micros(), nullable=False),
    sa.Column("updated_at", micros(), nullable=False),
    sa.Index("object_objects_name", "container_id", "name", unique=True),
    sa.Index("object_objects_blob", "blob_id"),
)

BLOBS = table(
    "object_blobs",
    id_column(),
    # How many objects name it; 0 while it is being written.
    sa.Column("refs", number(), nullable=False),
    sa.Column("size_bytes", number()),
    # Whoever writes says so regularly.
    sa.Column("seen_at", micros(), nullable=False),
    sa.Column("created_at", micros(), nullable=False),
    sa.Index("object_blobs_unfinished", "refs", "seen_at"),
)
