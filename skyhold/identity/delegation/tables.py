# SPDX-License-Identifier: Apache-2.0
"""The tables of rights handed on: credentials, trusts, and what consumers of OAuth1 may do.

Application credentials and their rules stand with the users they belong to (../tables.py). What is made with a
delegated token remembers by `made_with` which delegation that was, and goes with it.
"""

from __future__ import annotations

import sqlalchemy as sa

from skyhold.core.db.columns import flag, id_column, json, long_text, micros, number, table, text

CREDENTIALS = table(
    "identity_credentials",
    id_column(),
    sa.Column("user_id", text(64), sa.ForeignKey("identity_users.id", ondelete="CASCADE"), nullable=False),
    sa.Column("project_id", text(64), sa.ForeignKey("identity_projects.id", ondelete="CASCADE")),
    sa.Column("type", text(), nullable=False),
    # Sealed by the master key (delegation/sealing.py).
    sa.Column("blob", long_text(), nullable=False),
    # SHA-256 of an EC2 key's access: what a signed request is found by. Null for other types.
    sa.Column("access_hash", text(64), unique=True),
    # The delegation whose token made it (delegation/making.py), or null.
    sa.Column("made_with", text(160)),
    sa.Column("extra", json(), nullable=False),
    sa.Column("created_at", micros(), nullable=False),
    sa.Index("identity_credentials_user", "user_id"),
    sa.Index("identity_credentials_project", "project_id"),
    sa.Index("identity_credentials_made_with", "made_with"),
)

TRUSTS = table(
    "identity_trusts",
    id_column(),
    sa.Column("trustor_user_id", text(64), sa.ForeignKey("identity_users.id", ondelete="CASCADE"), nullable=False),
    sa.Column("trustee_user_id", text(64), sa.ForeignKey("identity_users.id", ondelete="CASCADE"), nullable=False),
    sa.Column("project_id", text(64), sa.ForeignKey("identity_projects.id", ondelete="CASCADE")),
    sa.Column("impersonation", flag(), nullable=False),
    # Ids of roles. When the trustor lost one of them, the trust gives nothing any more.
    sa.Column("roles", json(), nullable=False),
    sa.Column("expires_at", micros()),
    # Null for any number. A trust at 0 is there for the tokens that it gave, and shown to nobody.
    sa.Column("remaining_uses", number()),
    sa.Column("used_at", micros()),
    # How many more times it may be passed on; 0 for not at all.
    sa.Column("redelegation_count", number(), nullable=False),
    sa.Column("redelegated_trust_id", text(64)),
    sa.Column("made_with", text(160)),
    sa.Column("created_at", micros(), nullable=False),
    sa.Index("identity_trusts_trustor", "trustor_user_id"),
    sa.Index("identity_trusts_trustee", "trustee_user_id"),
    sa.Index("identity_trusts_project", "project_id"),
    sa.Index("identity_trusts_made_with", "made_with"),
)

CONSUMERS = table(
    "identity_consumers",
    id_column(),
    sa.Column("description", long_text()),
    # Sealed by the master key, as all secrets of OAuth1: signatures are checked with them.
    sa.Column("secret", long_text(), nullable=False),
    sa.Column("extra", json(), nullable=False),
    sa.Column("created_at", micros(), nullable=False),
)

REQUEST_TOKENS = table(
    "identity_request_tokens",
    id_column(),
    sa.Column("consumer_id", text(64), sa.ForeignKey("identity_consumers.id", ondelete="CASCADE"), nullable=False),
    sa.Column("project_id", text(64), sa.ForeignKey("identity_projects.id", ondelete="CASCADE"), nullable=False),
    sa.Column("secret", long_text(), nullable=False),
    # Null until somebody authorizes it.
    sa.Column("verifier_hash", text(64)),
    sa.Column("user_id", text(64), sa.ForeignKey("identity_users.id", ondelete="CASCADE")),
    sa.Column("roles", json()),
    sa.Column("expires_at", micros(), nullable=False),
    sa.Column("created_at", micros(), nullable=False),
    sa.Index("identity_request_tokens_consumer", "consumer_id"),
    sa.Index("identity_request_tokens_expiry", "expires_at"),
)

ACCESS_TOKENS = table(
    "identity_access_tokens",
    id_column(),
    sa.Column("consumer_id", text(64), sa.ForeignKey("identity_consumers.id", ondelete="CASCADE"), nullable=False),
    sa.Column("user_id", text(64), sa.ForeignKey("identity_users.id", ondelete="CASCADE"), nullable=False),
    sa.Column("project_id", text(64), sa.ForeignKey("identity_projects.id", ondelete="CASCADE"), nullable=False),
    sa.Column("secret", long_text(), nullable=False),
    sa.Column("roles", json(), nullable=False),
    sa.Column("expires_at", micros()),
    sa.Column("created_at", micros(), nullable=False),
    sa.Index("identity_access_tokens_user", "user_id"),
    sa.Index("identity_access_tokens_consumer", "consumer_id"),
)

NONCES = table(
    # Of signed requests that were seen: each counts once. Hashed, for they are as long as clients like.
    "identity_nonces",
    sa.Column("digest", text(64), primary_key=True),
    sa.Column("forget_at", micros(), nullable=False),
    sa.Index("identity_nonces_forget", "forget_at"),
)
