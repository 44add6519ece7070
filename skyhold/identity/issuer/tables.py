# SPDX-License-Identifier: Apache-2.0
"""The issuer's tables at one glance.

Codes and refresh tokens are kept as digests: whoever reads the database can't use them. All of them name the
generation of their user, so that a new password or disabling voids them.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.schema import SchemaItem

from skyhold.core.db.columns import flag, id_column, json, long_text, micros, number, table, text

CLIENTS = table(
    "identity_oidc_clients",
    id_column(),
    sa.Column("name", text(), nullable=False, unique=True),
    sa.Column("redirect_uris", json(), nullable=False),
    # Null for a public client: it proves itself by PKCE. The secret is random, so a plain digest will do.
    sa.Column("secret_digest", text(64)),
    sa.Column("created_at", micros(), nullable=False),
)

KEYS = table(
    "identity_oidc_keys",
    # The key's id in tokens and in the set of public keys.
    id_column(),
    # The private key in PEM, sealed by the master key.
    sa.Column("sealed", long_text(), nullable=False),
    sa.Column("created_at", micros(), nullable=False),
)


def grant(name: str, *more: SchemaItem) -> sa.Table:
    """What somebody allowed a client: a code, or what follows from it."""
    return table(
        name,
        id_column(),
        sa.Column(
            "client_id", text(64), sa.ForeignKey("identity_oidc_clients.id", ondelete="CASCADE"), nullable=False
        ),
        sa.Column("user_id", text(64), sa.ForeignKey("identity_users.id", ondelete="CASCADE"), nullable=False),
        sa.Column("user_generation", number(), nullable=False),
        sa.Column("scope", text(), nullable=False),
        sa.Column("authenticated_at", micros(), nullable=False),
        sa.Column("ends_at", micros(), nullable=False),
        *more,
        sa.Index(f"{name}_client", "client_id"),
        sa.Index(f"{name}_user", "user_id"),
    )


CODES = grant(
    "identity_oidc_codes",
    sa.Column("redirect_uri", long_text(), nullable=False),
    sa.Column("challenge", text(128)),
    sa.Column("nonce", text()),
)

REFRESH_TOKENS = grant(
    "identity_oidc_refresh_tokens",
    # The code that it all began with: one used twice ends the whole family.
    sa.Column("family", text(64), nullable=False),
    sa.Column("used", flag(), nullable=False),
    sa.Index("identity_oidc_refresh_tokens_family", "family"),
)
