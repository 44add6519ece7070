# SPDX-License-Identifier: Apache-2.0
"""Identity beyond users and roles: delegation, federation, limits, directories, policies.

Tables as they were when this was released; what they are now is skyhold/identity/tables.py.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from skyhold.core.db.columns import MARIADB_OPTIONS, flag, json, long_text, micros, number, serial_column, text

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    catalogue()
    limits_and_directories()
    signing_in()
    delegation()
    federation()
    issuer()
    op.add_column("identity_app_credentials", sa.Column("made_with", text(160)))
    op.create_index("identity_app_credentials_made_with", "identity_app_credentials", ["made_with"])


def catalogue() -> None:
    create(
        "identity_endpoint_groups",
        sa.Column("id", text(64), primary_key=True),
        sa.Column("name", text(), nullable=False),
        sa.Column("description", long_text()),
        sa.Column("filters", json(), nullable=False),
        sa.Column("extra", json(), nullable=False),
        sa.Column("created_at", micros(), nullable=False),
    )
    create(
        "identity_policies",
        sa.Column("id", text(64), primary_key=True),
        sa.Column("type", text(), nullable=False),
        sa.Column("blob", long_text(), nullable=False),
        sa.Column("extra", json(), nullable=False),
        sa.Column("created_at", micros(), nullable=False),
    )
    create(
        "identity_project_endpoint_groups",
        sa.Column("project_id", text(64), sa.ForeignKey("identity_projects.id", ondelete="CASCADE"), primary_key=True),
        sa.Column(
            "endpoint_group_id", text(64), sa.ForeignKey("identity_endpoint_groups.id", ondelete="CASCADE"),
            primary_key=True,
        ),
        sa.Index("identity_project_endpoint_groups_group", "endpoint_group_id"),
    )
    create(
        "identity_policy_associations",
        sa.Column("whose", text(64), primary_key=True),
        sa.Column("policy_id", text(64), sa.ForeignKey("identity_policies.id", ondelete="CASCADE"), nullable=False),
        sa.Column("endpoint_id", text(64), sa.ForeignKey("identity_endpoints.id", ondelete="CASCADE")),
        sa.Column("service_id", text(64), sa.ForeignKey("identity_services.id", ondelete="CASCADE")),
        sa.Column("region_id", text(), sa.ForeignKey("identity_regions.id", ondelete="CASCADE")),
        sa.Index("identity_policy_associations_policy", "policy_id"),
    )
    create(
        "identity_project_endpoints",
        sa.Column("project_id", text(64), sa.ForeignKey("identity_projects.id", ondelete="CASCADE"), primary_key=True),
        sa.Column(
            "endpoint_id", text(64), sa.ForeignKey("identity_endpoints.id", ondelete="CASCADE"), primary_key=True,
        ),
        sa.Index("identity_project_endpoints_endpoint", "endpoint_id"),
    )


def limits_and_directories() -> None:
    create(
        "identity_domain_configs",
        sa.Column("id", text(64), sa.ForeignKey("identity_projects.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("options", json(), nullable=False),
        sa.Column("secrets", long_text(), nullable=False),
        sa.Column("created_at", micros(), nullable=False),
    )
    create(
        "identity_id_mappings",
        sa.Column("id", text(64), primary_key=True),
        sa.Column("domain_id", text(64), sa.ForeignKey("identity_projects.id", ondelete="CASCADE"), nullable=False),
        sa.Column("kind", text(8), nullable=False),
        sa.Column("local_id", text(), nullable=False),
        sa.Column("gone", flag(), nullable=False),
        sa.Column("created_at", micros(), nullable=False),
        sa.Index("identity_id_mappings_domain", "domain_id", "kind"),
    )
    create(
        "identity_registered_limits",
        sa.Column("id", text(64), primary_key=True),
        sa.Column("service_id", text(64), sa.ForeignKey("identity_services.id", ondelete="CASCADE"), nullable=False),
        sa.Column("region_id", text(), nullable=False),
        sa.Column("resource_name", text(), nullable=False),
        sa.Column("default_limit", number(), nullable=False),
        sa.Column("description", long_text()),
        sa.Column("created_at", micros(), nullable=False),
        sa.UniqueConstraint("service_id", "region_id", "resource_name", name="identity_registered_limits_what"),
    )
    create(
        "identity_limits",
        sa.Column("id", text(64), primary_key=True),
        sa.Column(
            "registered_limit_id", text(64), sa.ForeignKey("identity_registered_limits.id", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column("holder_id", text(64), sa.ForeignKey("identity_projects.id", ondelete="CASCADE"), nullable=False),
        sa.Column("project_id", text(64)),
        sa.Column("domain_id", text(64)),
        sa.Column("owner_domain_id", text(64), nullable=False),
        sa.Column("resource_limit", number(), nullable=False),
        sa.Column("description", long_text()),
        sa.Column("created_at", micros(), nullable=False),
        sa.UniqueConstraint("holder_id", "registered_limit_id", name="identity_limits_whose"),
        sa.Index("identity_limits_registered", "registered_limit_id"),
    )


def signing_in() -> None:
    create(
        "identity_revocation_events",
        serial_column("id"),
        sa.Column("user_id", text(64)),
        sa.Column("project_id", text(64)),
        sa.Column("domain_id", text(64)),
        sa.Column("audit_id", text(32)),
        sa.Column("audit_chain_id", text(32)),
        sa.Column("revoked_at", micros(), nullable=False),
        sa.Column("forget_at", micros(), nullable=False),
        sa.Index("identity_revocation_events_time", "revoked_at"),
    )
    create(
        "identity_passwords",
        serial_column("id"),
        sa.Column("user_id", text(64), sa.ForeignKey("identity_users.id", ondelete="CASCADE"), nullable=False),
        sa.Column("hash", text(), nullable=False),
        sa.Column("chosen", flag(), nullable=False),
        sa.Column("created_at", micros(), nullable=False),
        sa.Index("identity_passwords_user", "user_id", "id"),
    )
    create(
        "identity_sign_ins",
        sa.Column("user_id", text(64), sa.ForeignKey("identity_users.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("failures", number(), nullable=False),
        sa.Column("failed_at", micros()),
        sa.Column("active_on", number()),
    )
    create(
        "identity_totp_uses",
        sa.Column("user_id", text(64), sa.ForeignKey("identity_users.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("used_step", number(), nullable=False),
        sa.Column("guessed_in", number(), nullable=False),
        sa.Column("guesses", number(), nullable=False),
    )


def delegation() -> None:
    create(
        "identity_consumers",
        sa.Column("id", text(64), primary_key=True),
        sa.Column("description", long_text()),
        sa.Column("secret", long_text(), nullable=False),
        sa.Column("extra", json(), nullable=False),
        sa.Column("created_at", micros(), nullable=False),
    )
    create(
        "identity_nonces",
        sa.Column("digest", text(64), primary_key=True),
        sa.Column("forget_at", micros(), nullable=False),
        sa.Index("identity_nonces_forget", "forget_at"),
    )
    create(
        "identity_access_tokens",
        sa.Column("id", text(64), primary_key=True),
        sa.Column("consumer_id", text(64), sa.ForeignKey("identity_consumers.id", ondelete="CASCADE"), nullable=False),
        sa.Column("user_id", text(64), sa.ForeignKey("identity_users.id", ondelete="CASCADE"), nullable=False),
        sa.Column("project_id", text(64), sa.ForeignKey("identity_projects.id", ondelete="CASCADE"), nullable=False),
        sa.Column("secret", long_text(), nullable=False),
        sa.Column("roles", json(), nullable=False),
        sa.Column("expires_at", micros()),
        sa.Column("created_at", micros(), nullable=False),
        sa.Index("identity_access_tokens_consumer", "consumer_id"),
        sa.Index("identity_access_tokens_user", "user_id"),
    )
    create(
        "identity_credentials",
        sa.Column("id", text(64), primary_key=True),
        sa.Column("user_id", text(64), sa.ForeignKey("identity_users.id", ondelete="CASCADE"), nullable=False),
        sa.Column("project_id", text(64), sa.ForeignKey("identity_projects.id", ondelete="CASCADE")),
        sa.Column("type", text(), nullable=False),
        sa.Column("blob", long_text(), nullable=False),
        sa.Column("access_hash", text(64), unique=True),
        sa.Column("made_with", text(160)),
        sa.Column("extra", json(), nullable=False),
        sa.Column("created_at", micros(), nullable=False),
        sa.Index("identity_credentials_made_with", "made_with"),
        sa.Index("identity_credentials_project", "project_id"),
        sa.Index("identity_credentials_user", "user_id"),
    )
    create(
        "identity_request_tokens",
        sa.Column("id", text(64), primary_key=True),
        sa.Column("consumer_id", text(64), sa.ForeignKey("identity_consumers.id", ondelete="CASCADE"), nullable=False),
        sa.Column("project_id", text(64), sa.ForeignKey("identity_projects.id", ondelete="CASCADE"), nullable=False),
        sa.Column("secret", long_text(), nullable=False),
        sa.Column("verifier_hash", text(64)),
        sa.Column("user_id", text(64), sa.ForeignKey("identity_users.id", ondelete="CASCADE")),
        sa.Column("roles", json()),
        sa.Column("expires_at", micros(), nullable=False),
        sa.Column("created_at", micros(), nullable=False),
        sa.Index("identity_request_tokens_consumer", "consumer_id"),
        sa.Index("identity_request_tokens_expiry", "expires_at"),
    )
    create(
        "identity_trusts",
        sa.Column("id", text(64), primary_key=True),
        sa.Column("trustor_user_id", text(64), sa.ForeignKey("identity_users.id", ondelete="CASCADE"), nullable=False),
        sa.Column("trustee_user_id", text(64), sa.ForeignKey("identity_users.id", ondelete="CASCADE"), nullable=False),
        sa.Column("project_id", text(64), sa.ForeignKey("identity_projects.id", ondelete="CASCADE")),
        sa.Column("impersonation", flag(), nullable=False),
        sa.Column("roles", json(), nullable=False),
        sa.Column("expires_at", micros()),
        sa.Column("remaining_uses", number()),
        sa.Column("used_at", micros()),
        sa.Column("redelegation_count", number(), nullable=False),
        sa.Column("redelegated_trust_id", text(64)),
        sa.Column("made_with", text(160)),
        sa.Column("created_at", micros(), nullable=False),
        sa.Index("identity_trusts_made_with", "made_with"),
        sa.Index("identity_trusts_project", "project_id"),
        sa.Index("identity_trusts_trustee", "trustee_user_id"),
        sa.Index("identity_trusts_trustor", "trustor_user_id"),
    )


def federation() -> None:
    create(
        "identity_mappings",
        sa.Column("id", text(64), primary_key=True),
        sa.Column("rules", json(), nullable=False),
        sa.Column("schema_version", text(8), nullable=False),
        sa.Column("created_at", micros(), nullable=False),
    )
    create(
        "identity_saml_assertions",
        sa.Column("id", text(64), primary_key=True),
        sa.Column("ends_at", micros(), nullable=False),
        sa.Index("identity_saml_assertions_end", "ends_at"),
    )
    create(
        "identity_service_providers",
        sa.Column("id", text(64), primary_key=True),
        sa.Column("enabled", flag(), nullable=False),
        sa.Column("description", long_text()),
        sa.Column("auth_url", text(), nullable=False),
        sa.Column("sp_url", text(), nullable=False),
        sa.Column("relay_state_prefix", text()),
        sa.Column("created_at", micros(), nullable=False),
    )
    create(
        "identity_providers",
        sa.Column("id", text(64), primary_key=True),
        sa.Column("domain_id", text(64), sa.ForeignKey("identity_projects.id", ondelete="CASCADE"), nullable=False),
        sa.Column("description", long_text()),
        sa.Column("enabled", flag(), nullable=False),
        sa.Column("authorization_ttl", number()),
        sa.Column("created_at", micros(), nullable=False),
        sa.UniqueConstraint("domain_id", name="identity_providers_domain"),
    )
    create(
        "identity_expiring_memberships",
        sa.Column("user_id", text(64), sa.ForeignKey("identity_users.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("group_id", text(64), sa.ForeignKey("identity_groups.id", ondelete="CASCADE"), primary_key=True),
        sa.Column(
            "provider_id", text(64), sa.ForeignKey("identity_providers.id", ondelete="CASCADE"), primary_key=True,
        ),
        sa.Column("ends_at", micros(), nullable=False),
        sa.Index("identity_expiring_memberships_group", "group_id"),
        sa.Index("identity_expiring_memberships_provider", "provider_id"),
    )
    create(
        "identity_federated_users",
        sa.Column("id", text(64), primary_key=True),
        sa.Column("user_id", text(64), sa.ForeignKey("identity_users.id", ondelete="CASCADE"), nullable=False),
        sa.Column("provider_id", text(64), sa.ForeignKey("identity_providers.id", ondelete="CASCADE"), nullable=False),
        sa.Column("protocol_id", text(64), nullable=False),
        sa.Column("unique_id", text(), nullable=False),
        sa.Column("created_at", micros(), nullable=False),
        sa.Index("identity_federated_users_provider", "provider_id"),
        sa.Index("identity_federated_users_user", "user_id"),
    )
    create(
        "identity_protocols",
        sa.Column("id", text(64), primary_key=True),
        sa.Column("provider_id", text(64), sa.ForeignKey("identity_providers.id", ondelete="CASCADE"), nullable=False),
        sa.Column("name", text(64), nullable=False),
        sa.Column("mapping_id", text(64), nullable=False),
        sa.Column("remote_id_attribute", text(64)),
        sa.Column("created_at", micros(), nullable=False),
        sa.UniqueConstraint("provider_id", "name", name="identity_protocols_name"),
    )
    create(
        "identity_remote_ids",
        sa.Column("remote_id", text(), primary_key=True),
        sa.Column("provider_id", text(64), sa.ForeignKey("identity_providers.id", ondelete="CASCADE"), nullable=False),
        sa.Index("identity_remote_ids_provider", "provider_id"),
    )


def issuer() -> None:
    create(
        "identity_oidc_clients",
        sa.Column("id", text(64), primary_key=True),
        sa.Column("name", text(), nullable=False, unique=True),
        sa.Column("redirect_uris", json(), nullable=False),
        sa.Column("secret_digest", text(64)),
        sa.Column("created_at", micros(), nullable=False),
    )
    create(
        "identity_oidc_keys",
        sa.Column("id", text(64), primary_key=True),
        sa.Column("sealed", long_text(), nullable=False),
        sa.Column("created_at", micros(), nullable=False),
    )
    create(
        "identity_oidc_codes",
        sa.Column("id", text(64), primary_key=True),
        sa.Column("client_id", text(64), sa.ForeignKey("identity_oidc_clients.id", ondelete="CASCADE"), nullable=False),
        sa.Column("user_id", text(64), sa.ForeignKey("identity_users.id", ondelete="CASCADE"), nullable=False),
        sa.Column("user_generation", number(), nullable=False),
        sa.Column("scope", text(), nullable=False),
        sa.Column("authenticated_at", micros(), nullable=False),
        sa.Column("ends_at", micros(), nullable=False),
        sa.Column("redirect_uri", long_text(), nullable=False),
        sa.Column("challenge", text(128)),
        sa.Column("nonce", text()),
        sa.Index("identity_oidc_codes_client", "client_id"),
        sa.Index("identity_oidc_codes_user", "user_id"),
    )
    create(
        "identity_oidc_refresh_tokens",
        sa.Column("id", text(64), primary_key=True),
        sa.Column("client_id", text(64), sa.ForeignKey("identity_oidc_clients.id", ondelete="CASCADE"), nullable=False),
        sa.Column("user_id", text(64), sa.ForeignKey("identity_users.id", ondelete="CASCADE"), nullable=False),
        sa.Column("user_generation", number(), nullable=False),
        sa.Column("scope", text(), nullable=False),
        sa.Column("authenticated_at", micros(), nullable=False),
        sa.Column("ends_at", micros(), nullable=False),
        sa.Column("family", text(64), nullable=False),
        sa.Column("used", flag(), nullable=False),
        sa.Index("identity_oidc_refresh_tokens_client", "client_id"),
        sa.Index("identity_oidc_refresh_tokens_family", "family"),
        sa.Index("identity_oidc_refresh_tokens_user", "user_id"),
    )


def create(name: str, *items: sa.schema.SchemaItem) -> None:
    op.create_table(name, *items, **MARIADB_OPTIONS)
