# SPDX-License-Identifier: Apache-2.0
"""Identity's data model at one glance.

Column types come from core/db/columns.py; queries are in each resource. What hands rights on, federation and the issuer
have tables of their own (delegation/, federation/, issuer/). A domain is a row of the projects' table with
`is_domain`, as in Keystone: ids are shared, and a domain may act as a project.
"""

from __future__ import annotations

import sqlalchemy as sa

from skyhold.core.db.columns import (
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

PROJECTS = table(
    "identity_projects",
    id_column(),
    sa.Column("name", text(), nullable=False),
    # Empty for a domain, so that the names of domains are unique as well.
    ref_column("domain_id"),
    ref_column("parent_id", nullable=True),
    sa.Column("is_domain", flag(), nullable=False),
    sa.Column("enabled", flag(), nullable=False),
    sa.Column("description", long_text(), nullable=False),
    sa.Column("extra", json(), nullable=False),
    sa.Column("options", json(), nullable=False),
    # For showing; identity_project_tags holds the same for finding. projects/tags.py writes both.
    sa.Column("tags", json(), nullable=False),
    # Part of every token for it (auth/payload.py): raising it voids them all. Disabling does.
    sa.Column("generation", number(), nullable=False),
    sa.Column("created_at", micros(), nullable=False),
    sa.UniqueConstraint("domain_id", "name", name="identity_projects_name"),
    sa.Index("identity_projects_parent", "parent_id"),
)

PROJECT_TAGS = table(
    "identity_project_tags",
    sa.Column(
        "project_id", text(64), sa.ForeignKey("identity_projects.id", ondelete="CASCADE"), primary_key=True
    ),
    sa.Column("name", text(), primary_key=True),
    sa.Index("identity_project_tags_name", "name"),
)

USERS = table(
    "identity_users",
    id_column(),
    ref_column("domain_id"),
    sa.Column("name", text(), nullable=False),
    sa.Column("enabled", flag(), nullable=False),
    sa.Column("default_project_id", text(64)),
    sa.Column("password_hash", text(255)),
    sa.Column("password_expires_at", micros()),
    sa.Column("extra", json(), nullable=False),
    sa.Column("options", json(), nullable=False),
    # Part of every token of the user: raising it voids them all. A new password and disabling do.
    sa.Column("generation", number(), nullable=False),
    sa.Column("created_at", micros(), nullable=False),
    sa.UniqueConstraint("domain_id", "name", name="identity_users_name"),
    sa.Index("identity_users_by_name", "name"),
)

PASSWORDS = table(
    "identity_passwords",
    # The current one and those before it, as far back as none may be used again; the last is the current one.
    serial_column(),
    sa.Column("user_id", text(64), sa.ForeignKey("identity_users.id", ondelete="CASCADE"), nullable=False),
    sa.Column("hash", text(255), nullable=False),
    # Chosen by its user; others may be changed at once.
    sa.Column("chosen", flag(), nullable=False),
    sa.Column("created_at", micros(), nullable=False),
    sa.Index("identity_passwords_user", "user_id", "id"),
)

SIGN_INS = table(
    "identity_sign_ins",
    # Beside the user, so that signing in doesn't hold up what is done to users. Only with [security_compliance].
    sa.Column("user_id", text(64), sa.ForeignKey("identity_users.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("failures", number(), nullable=False),
    sa.Column("failed_at", micros()),
    # Midnight of the last day with a success.
    sa.Column("active_on", micros()),
)

TOTP_USES = table(
    "identity_totp_uses",
    sa.Column("user_id", text(64), sa.ForeignKey("identity_users.id", ondelete="CASCADE"), primary_key=True),
    # Steps of thirty seconds since 1970: the last whose code was used, and the last that was guessed in.
    sa.Column("used_step", number(), nullable=False),
    sa.Column("guessed_in", number(), nullable=False),
    sa.Column("guesses", number(), nullable=False),
)

GROUPS = table(
    "identity_groups",
    id_column(),
    ref_column("domain_id"),
    sa.Column("name", text(), nullable=False),
    sa.Column("description", long_text(), nullable=False),
    sa.Column("extra", json(), nullable=False),
    sa.Column("created_at", micros(), nullable=False),
    sa.UniqueConstraint("domain_id", "name", name="identity_groups_name"),
)

MEMBERSHIPS = table(
    "identity_memberships",
    sa.Column("user_id", text(64), sa.ForeignKey("identity_users.id", ondelete="CASCADE"), primary_key=True),
    sa.Column(
        "group_id", text(64), sa.ForeignKey("identity_groups.id", ondelete="CASCADE"), primary_key=True
    ),
    sa.Index("identity_memberships_group", "group_id"),
)

ROLES = table(
    "identity_roles",
    id_column(),
    sa.Column("name", text(), nullable=False),
    # Empty for the roles of the whole cloud.
    ref_column("domain_id"),
    sa.Column("description", long_text(), nullable=True),
    sa.Column("extra", json(), nullable=False),
    sa.Column("options", json(), nullable=False),
    sa.Column("created_at", micros(), nullable=False),
    sa.UniqueConstraint("domain_id", "name", name="identity_roles_name"),
)

IMPLIED_ROLES = table(
    "identity_implied_roles",
    sa.Column("prior_id", text(64), sa.ForeignKey("identity_roles.id", ondelete="CASCADE"), primary_key=True),
    sa.Column(
        "implied_id", text(64), sa.ForeignKey("identity_roles.id", ondelete="CASCADE"), primary_key=True
    ),
)

ASSIGNMENTS = table(
    "identity_assignments",
    sa.Column("actor_id", text(64), primary_key=True),
    sa.Column("target_id", text(64), primary_key=True),
    sa.Column("role_id", text(64), sa.ForeignKey("identity_roles.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("inherited", flag(), primary_key=True),
    # project, domain or system; the id of the system is "all". A domain may also act as a project.
    sa.Column("target_type", text(8), primary_key=True),
    sa.Column("actor_type", text(8), nullable=False),
    sa.Index("identity_assignments_target", "target_id"),
)

REGIONS = table(
    "identity_regions",
    sa.Column("id", text(255), primary_key=True),
    sa.Column("parent_region_id", text(255)),
    sa.Column("description", long_text(), nullable=False),
    sa.Column("extra", json(), nullable=False),
    sa.Column("created_at", micros(), nullable=False),
)

SERVICES = table(
    "identity_services",
    id_column(),
    sa.Column("type", text(), nullable=False),
    sa.Column("name", text(), nullable=True),
    sa.Column("description", long_text(), nullable=True),
    sa.Column("enabled", flag(), nullable=False),
    sa.Column("extra", json(), nullable=False),
    sa.Column("created_at", micros(), nullable=False),
)

ENDPOINTS = table(
    "identity_endpoints",
    id_column(),
    sa.Column(
        "service_id", text(64), sa.ForeignKey("identity_services.id", ondelete="CASCADE"), nullable=False
    ),
    sa.Column("region_id", text(255), sa.ForeignKey("identity_regions.id")),
    sa.Column("interface", text(8), nullable=False),
    sa.Column("url", long_text(), nullable=False),
    sa.Column("enabled", flag(), nullable=False),
    sa.Column("extra", json(), nullable=False),
    sa.Column("created_at", micros(), nullable=False),
    sa.Index("identity_endpoints_service", "service_id"),
)

APP_CREDENTIALS = table(
    "identity_app_credentials",
    id_column(),
    sa.Column("user_id", text(64), sa.ForeignKey("identity_users.id", ondelete="CASCADE"), nullable=False),
    ref_column("project_id"),
    sa.Column("name", text(), nullable=False),
    sa.Column("description", long_text(), nullable=True),
    sa.Column("secret_hash", text(255), nullable=False),
    sa.Column("unrestricted", flag(), nullable=False),
    sa.Column("expires_at", micros()),
    # Ids of roles. What the owner no longer has is no longer given (auth/validate.py).
    sa.Column("roles", json(), nullable=False),
    # Ids of access rules, or null for no limit.
    sa.Column("access_rules", json()),
    # The delegation whose token made it (delegation/making.py), or null.
    sa.Column("made_with", text(160)),
    sa.Column("created_at", micros(), nullable=False),
    sa.UniqueConstraint("user_id", "name", name="identity_app_credentials_name"),
    sa.Index("identity_app_credentials_made_with", "made_with"),
    sa.Index("identity_app_credentials_project", "project_id"),
)

ACCESS_RULES = table(
    "identity_access_rules",
    id_column(),
    sa.Column("user_id", text(64), sa.ForeignKey("identity_users.id", ondelete="CASCADE"), nullable=False),
    sa.Column("service", text(), nullable=False),
    sa.Column("method", text(16), nullable=False),
    sa.Column("path", text(255), nullable=False),
    sa.Column("created_at", micros(), nullable=False),
    sa.Index("identity_access_rules_user", "user_id"),
)

REVOCATIONS = table(
    "identity_revocations",
    serial_column(),
    # A token, or with `chain` all tokens that were rescoped from one.
    sa.Column("audit_id", text(32), nullable=False),
    sa.Column("chain", flag(), nullable=False),
    sa.Column("revoked_at", micros(), nullable=False),
    # When the last of these tokens would have ended by itself.
    sa.Column("forget_at", micros(), nullable=False),
    sa.Index("identity_revocations_audit", "audit_id"),
)

REVOCATION_EVENTS = table(
    "identity_revocation_events",
    # For showing alone: what voids a token is REVOCATIONS and the generations of users and projects.
    serial_column(),
    # One of these is set: whose or which tokens are void.
    sa.Column("user_id", text(64)),
    sa.Column("project_id", text(64)),
    sa.Column("domain_id", text(64)),
    sa.Column("audit_id", text(32)),
    sa.Column("audit_chain_id", text(32)),
    # Or a delegation, by the name that the event has for it, alone or together with its user and project.
    sa.Column("ground", text(32)),
    sa.Column("ground_id", text(64)),
    sa.Column("revoked_at", micros(), nullable=False),
    sa.Column("forget_at", micros(), nullable=False),
    sa.Index("identity_revocation_events_time", "revoked_at"),
)

REGISTERED_LIMITS = table(
    "identity_registered_limits",
    id_column(),
    sa.Column(
        "service_id", text(64), sa.ForeignKey("identity_services.id", ondelete="CASCADE"), nullable=False
    ),
    # Empty for a limit of no region, so that there is only one of them.
    sa.Column("region_id", text(255), nullable=False),
    sa.Column("resource_name", text(), nullable=False),
    sa.Column("default_limit", number(), nullable=False),
    sa.Column("description", long_text(), nullable=True),
    sa.Column("created_at", micros(), nullable=False),
    sa.UniqueConstraint("service_id", "region_id", "resource_name", name="identity_registered_limits_what"),
)

LIMITS = table(
    "identity_limits",
    id_column(),
    sa.Column(
        "registered_limit_id", text(64), sa.ForeignKey("identity_registered_limits.id", ondelete="CASCADE"),
        nullable=False,
    ),
    # Whom it binds: a project or a domain. The two columns below say the same for look-ups.
    sa.Column(
        "holder_id", text(64), sa.ForeignKey("identity_projects.id", ondelete="CASCADE"), nullable=False
    ),
    ref_column("project_id", nullable=True),
    ref_column("domain_id", nullable=True),
    # The domain that the holder is in, or is: its readers see the limit.
    ref_column("owner_domain_id"),
    sa.Column("resource_limit", number(), nullable=False),
    sa.Column("description", long_text(), nullable=True),
    sa.Column("created_at", micros(), nullable=False),
    sa.UniqueConstraint("holder_id", "registered_limit_id", name="identity_limits_whose"),
    sa.Index("identity_limits_registered", "registered_limit_id"),
)

POLICIES = table(
    "identity_policies",
    id_column(),
    sa.Column("type", text(), nullable=False),
    # Whatever the services that ask for it understand; nothing here reads it.
    sa.Column("blob", long_text(), nullable=False),
    sa.Column("extra", json(), nullable=False),
    sa.Column("created_at", micros(), nullable=False),
)

POLICY_ASSOCIATIONS = table(
    "identity_policy_associations",
    # A hash of the three columns it is about, so that each has one policy (endpoint_policies.py).
    sa.Column("whose", text(64), primary_key=True),
    sa.Column("policy_id", text(64), sa.ForeignKey("identity_policies.id", ondelete="CASCADE"), nullable=False),
    sa.Column("endpoint_id", text(64), sa.ForeignKey("identity_endpoints.id", ondelete="CASCADE")),
    sa.Column("service_id", text(64), sa.ForeignKey("identity_services.id", ondelete="CASCADE")),
    sa.Column("region_id", text(255), sa.ForeignKey("identity_regions.id", ondelete="CASCADE")),
    sa.Index("identity_policy_associations_policy", "policy_id"),
)

ENDPOINT_GROUPS = table(
    "identity_endpoint_groups",
    id_column(),
    sa.Column("name", text(), nullable=False),
    sa.Column("description", long_text(), nullable=True),
    # service_id, region_id and interface: an endpoint that has all that are given is in the group.
    sa.Column("filters", json(), nullable=False),
    sa.Column("extra", json(), nullable=False),
    sa.Column("created_at", micros(), nullable=False),
)

# A project that stands in one of the next two sees in its catalogue what they name, and nothing else.
PROJECT_ENDPOINTS = table(
    "identity_project_endpoints",
    sa.Column(
        "project_id", text(64), sa.ForeignKey("identity_projects.id", ondelete="CASCADE"), primary_key=True
    ),
    sa.Column(
        "endpoint_id", text(64), sa.ForeignKey("identity_endpoints.id", ondelete="CASCADE"), primary_key=True
    ),
    sa.Index("identity_project_endpoints_endpoint", "endpoint_id"),
)

PROJECT_ENDPOINT_GROUPS = table(
    "identity_project_endpoint_groups",
    sa.Column(
        "project_id", text(64), sa.ForeignKey("identity_projects.id", ondelete="CASCADE"), primary_key=True
    ),
    sa.Column(
        "endpoint_group_id", text(64), sa.ForeignKey("identity_endpoint_groups.id", ondelete="CASCADE"),
        primary_key=True,
    ),
    sa.Index("identity_project_endpoint_groups_group", "endpoint_group_id"),
)

DOMAIN_CONFIGS = table(
    "identity_domain_configs",
    # The domain's own id.
    sa.Column("id", text(64), sa.ForeignKey("identity_projects.id", ondelete="CASCADE"), primary_key=True),
    # {group: {option: value}}, without the options that are secret.
    sa.Column("options", json(), nullable=False),
    # The same of the secret ones as JSON, sealed by the master key.
    sa.Column("secrets", long_text(), nullable=False),
    sa.Column("created_at", micros(), nullable=False),
)

ID_MAPPINGS = table(
    "identity_id_mappings",
    # The public id, made of the other columns: an entry that comes back has it again (directories/).
    id_column(),
    sa.Column("domain_id", text(64), sa.ForeignKey("identity_projects.id", ondelete="CASCADE"), nullable=False),
    sa.Column("kind", text(8), nullable=False),
    sa.Column("local_id", text(255), nullable=False),
    # No longer in its directory: the row of the user or group stays, with its assignments, but nobody sees it.
    sa.Column("gone", flag(), nullable=False),
    sa.Column("created_at", micros(), nullable=False),
    sa.Index("identity_id_mappings_domain", "domain_id", "kind"),
)
