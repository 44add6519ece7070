# SPDX-License-Identifier: Apache-2.0
"""Secrets that must be read again (to check a signature): sealed by the master key at rest.

Secrets that are only compared are hashed instead (identity/passwords.py). After a rotation of the master
key `run` seals every column in SEALED anew; what changed meanwhile has the new key already.
"""

from __future__ import annotations

import sqlalchemy as sa

from skyhold.core import errors
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.identity.delegation.tables import ACCESS_TOKENS, CONSUMERS, CREDENTIALS, REQUEST_TOKENS
from skyhold.identity.issuer.tables import KEYS
from skyhold.identity.tables import DOMAIN_CONFIGS

SEALED = [
    CREDENTIALS.c.blob, DOMAIN_CONFIGS.c.secrets, KEYS.c.sealed, CONSUMERS.c.secret, REQUEST_TOKENS.c.secret,
    ACCESS_TOKENS.c.secret,
]


def seal(ctx: Context, secret: str) -> str:
    return ctx.core.keyring.seal(secret.encode())


def unseal(ctx: Context, sealed: str) -> str:
    """Raises Unavailable when no key opens it: the operator may still bring one back."""
    try:
        return ctx.core.keyring.open(sealed).decode()
    except ValueError:
        raise errors.Unavailable(
            "A secret kept here can't be opened with any of this cloud's keys: its operator brings the key back "
            "from a backup, or it is deleted and made anew.", reason="unopened",
        ) from None


async def run(ctx: Context) -> list[str]:
    return await ctx.write(reseal)


def reseal(tx: Tx, ctx: Context) -> list[str]:
    """Where something stands that can't be opened: one such secret keeps no other from being sealed anew."""
    unopened = []
    for column in SEALED:
        replace = (
            column.table.update()
            .where(column.table.c.id == sa.bindparam("row"), column == sa.bindparam("before"))
            .values({column.name: sa.bindparam("after")})
        )
        for row in tx.all(sa.select(column.table.c.id, column.label("sealed"))):
            try:
                after = ctx.core.keyring.reseal(row.sealed)
            except ValueError:
                unopened.append(f"{column} of {row.id}")
            else:
                tx.execute(replace, {"row": row.id, "before": row.sealed, "after": after})
    return unopened
