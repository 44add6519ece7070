# SPDX-License-Identifier: Apache-2.0
"""Placement's data model at one glance.

Standard traits and resource classes are not stored (vocabulary.py has them); only custom ones are.
The one thing to know first: `used` and `capacity` of an inventory are maintained, so that a claim
is one conditional UPDATE and a search for candidates needs no sums; only ledger.py writes `used`.
"""

from __future__ import annotations

import sqlalchemy as sa

from skyhold.core.db.columns import flag, id_column, long_text, micros, number, ref_column, table, text

PROVIDERS = table(
    "placement_providers",
    id_column(),
    sa.Column("name", text(), nullable=False, unique=True),
    sa.Column("generation", number(), nullable=False),
    ref_column("root_id"),
    ref_column("parent_id", nullable=True),
    sa.Column("traits", long_text(), nullable=False),
    sa.Column("created_at", micros(), nullable=False),
    sa.Column("updated_at", micros(), nullable=False),
    sa.Index("placement_providers_root", "root_id"),
    sa.Index("placement_providers_parent", "parent_id"),
)
"""`traits` is a sorted JSON array, the ready fragment of every summary; the rows that searches
filter by are PROVIDER_TRAITS. The root of a tree has itself as `root_id`."""

INVENTORIES = table(
    "placement_inventories",
    sa.Column("resource_class", text(), primary_key=True),
    ref_column("provider_id", primary_key=True),
    sa.Column("total", number(), nullable=False),
    sa.Column("reserved", number(), nullable=False),
    sa.Column("min_unit", number(), nullable=False),
    sa.Column("max_unit", number(), nullable=False),
    sa.Column("step_size", number(), nullable=False),
    sa.Column("allocation_ratio", sa.Double(), nullable=False),
    sa.Column("capacity", number(), nullable=False),
    sa.Column("used", number(), nullable=False),
    sa.Column("updated_at", micros(), nullable=False),
    sa.ForeignKeyConstraint(["provider_id"], ["placement_providers.id"], ondelete="CASCADE"),
    sa.Index("placement_inventories_provider", "provider_id"),
)
"""`capacity` is floor((total - reserved) * allocation_ratio)."""

CONSUMERS = table(
    "placement_consumers",
    id_column(),
    sa.Column("generation", number(), nullable=False),
    ref_column("project_id"),
    ref_column("user_id"),
    sa.Column("consumer_type", text(), nullable=True),
    sa.Column("created_at", micros(), nullable=False),
    sa.Column("updated_at", micros(), nullable=False),
    sa.Index("placement_consumers_owner", "project_id", "user_id"),
)

ALLOCATIONS = table(
    "placement_allocations",
    ref_column("consumer_id", primary_key=True),
    ref_column("provider_id", primary_key=True),
    sa.Column("resource_class", text(), primary_key=True),
    sa.Column("used", number(), nullable=False),
    sa.Column("updated_at", micros(), nullable=False),
    sa.ForeignKeyConstraint(["consumer_id"], ["placement_consumers.id"]),
    sa.ForeignKeyConstraint(["provider_id"], ["placement_providers.id"]),
    sa.Index("placement_allocations_provider", "provider_id", "resource_class"),
)

AGGREGATES = table(
    "placement_aggregates",
    ref_column("provider_id", primary_key=True),
    ref_column("aggregate_id", primary_key=True),
    sa.ForeignKeyConstraint(["provider_id"], ["placement_providers.id"], ondelete="CASCADE"),
    sa.Index("placement_aggregates_members", "aggregate_id", "provider_id"),
)

PROVIDER_TRAITS = table(
    "placement_provider_traits",
    ref_column("provider_id", primary_key=True),
    sa.Column("trait", text(), primary_key=True),
    sa.Column("reported", flag(), nullable=False),
    sa.ForeignKeyConstraint(["provider_id"], ["placement_providers.id"], ondelete="CASCADE"),
    sa.Index("placement_provider_traits_bearers", "trait", "provider_id"),
)
"""`reported` traits come from the machine itself and go when it no longer reports them; the others
were set through the API and are left alone by reports."""

CUSTOM_TRAITS = table(
    "placement_traits",
    sa.Column("name", text(), primary_key=True),
    sa.Column("created_at", micros(), nullable=False),
)

CUSTOM_CLASSES = table(
    "placement_resource_classes",
    sa.Column("name", text(), primary_key=True),
    sa.Column("created_at", micros(), nullable=False),
)
