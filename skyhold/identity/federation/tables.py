# SPDX-License-Identifier: Apache-2.0
"""Federation's tables at one glance.

The users themselves are rows of identity's own (../tables.py). What is kept of an identity provider's
protocol in settings (a client's secret, a certificate) is no row: protocols.py says where it is.
"""

from __future__ import annotations

import sqlalchemy as sa

from skyhold.core.db.columns import flag, id_column, json, long_text, micros, number, ref_column, table, text

PROVIDERS = table(
    "identity_providers",
    id_column(),
    # A domain belongs to one identity provider at most: its users are that provider's word.
    sa.Column(
        "domain_id", text(64), sa.ForeignKey("identity_projects.id", ondelete="CASCADE"), nullable=False
    ),
    sa.Column("description", long_text()),
    sa.Column("enabled", flag(), nullable=False),
    # Minutes that a group membership lasts beyond the token it came with; null for the cloud's setting.
    sa.Column("authorization_ttl", number()),
    sa.Column("created_at", micros(), nullable=False),
    sa.UniqueConstraint("domain_id", name="identity_providers_domain"),
)

REMOTE_IDS = table(
    "identity_remote_ids",
    sa.Column("remote_id", text(255), primary_key=True),
    sa.Column(
        "provider_id", text(64), sa.ForeignKey("identity_providers.id", ondelete="CASCADE"), nullable=False
    ),
    sa.Index("identity_remote_ids_provider", "provider_id"),
)

MAPPINGS = table(
    "identity_mappings",
    id_column(),
    sa.Column("rules", json(), nullable=False),
    sa.Column("schema_version", text(8), nullable=False),
    sa.Column("created_at", micros(), nullable=False),
)

PROTOCOLS = table(
    "identity_protocols",
    # `name` is what the API calls id: it is unique within its provider only.
    id_column(),
    sa.Column(
        "provider_id", text(64), sa.ForeignKey("identity_providers.id", ondelete="CASCADE"), nullable=False
    ),
    sa.Column("name", text(64), nullable=False),
    # No foreign key: upstream lets a mapping go that is in use, and signing in then fails.
    ref_column("mapping_id"),
    sa.Column("remote_id_attribute", text(64)),
    sa.Column("created_at", micros(), nullable=False),
    sa.UniqueConstraint("provider_id", "name", name="identity_protocols_name"),
)

SERVICE_PROVIDERS = table(
    "identity_service_providers",
    id_column(),
    sa.Column("enabled", flag(), nullable=False),
    sa.Column("description", long_text()),
    sa.Column("auth_url", text(255), nullable=False),
    sa.Column("sp_url", text(255), nullable=False),
    sa.Column("relay_state_prefix", text(255)),
    sa.Column("created_at", micros(), nullable=False),
)

FEDERATED_USERS = table(
    "identity_federated_users",
    # A digest of the three that follow: together they are longer than a key may be.
    id_column(),
    sa.Column("user_id", text(64), sa.ForeignKey("identity_users.id", ondelete="CASCADE"), nullable=False),
    sa.Column(
        "provider_id", text(64), sa.ForeignKey("identity_providers.id", ondelete="CASCADE"), nullable=False
    ),
    sa.Column("protocol_id", text(64), nullable=False),
    sa.Column("unique_id", text(255), nullable=False),
    sa.Column("created_at", micros(), nullable=False),
    sa.Index("identity_federated_users_user", "user_id"),
    sa.Index("identity_federated_users_provider", "provider_id"),
)

EXPIRING_MEMBERSHIPS = table(
    "identity_expiring_memberships",
    sa.Column("user_id", text(64), sa.ForeignKey("identity_users.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("group_id", text(64), sa.ForeignKey("identity_groups.id", ondelete="CASCADE"), primary_key=True),
    sa.Column(
        "provider_id", text(64), sa.ForeignKey("identity_providers.id", ondelete="CASCADE"), primary_key=True
    ),
    # The membership counts until then: a later sign-in moves it on.
    sa.Column("ends_at", micros(), nullable=False),
    sa.Index("identity_expiring_memberships_group", "group_id"),
    sa.Index("identity_expiring_memberships_provider", "provider_id"),
)

SAML_ASSERTIONS = table(
    "identity_saml_assertions",
    # A digest of issuer and id: each is taken once, and remembered until nobody would take it any more.
    id_column(),
    sa.Column("ends_at", micros(), nullable=False),
    sa.Index("identity_saml_assertions_end", "ends_at"),
)
