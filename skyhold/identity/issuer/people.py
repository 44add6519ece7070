# SPDX-License-Identifier: Apache-2.0
"""What the issuer says of a user, by the scopes that a client was allowed.

Signing it is signing.py. A user that is disabled, or whose generation has moved on, is nobody any more.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from skyhold.core.db.tx import Tx
from skyhold.identity.auth.subjects import UserView, user_with_id
from skyhold.identity.tables import GROUPS, MEMBERSHIPS, USERS

MOST_GROUPS = 200


def present(tx: Tx, user_id: str, generation: int) -> UserView | None:
    user = user_with_id(tx, user_id)
    return user if user is not None and user.generation == generation else None


def said_of(tx: Tx, user: UserView, scopes: set[str]) -> dict[str, Any]:
    claims: dict[str, Any] = {"sub": user.id}
    if "profile" in scopes:
        claims |= {"preferred_username": user.name, "name": user.name, "openstack_user_domain": user.domain_name}
    if "email" in scopes:
        row = tx.first(sa.select(USERS.c.extra).where(USERS.c.id == user.id))
        email = row.extra.get("email") if row is not None else None
        # Nobody here has verified it, so nobody there may take it for proof.
        claims |= {"email": email, "email_verified": False} if isinstance(email, str) else {}
    if "groups" in scopes:
        claims["groups"] = groups_of(tx, user.id)
    return claims


def groups_of(tx: Tx, user_id: str) -> list[str]:
    m = MEMBERSHIPS.c
    rows = tx.all(
        sa.select(GROUPS.c.name).join(MEMBERSHIPS, m.group_id == GROUPS.c.id).where(m.user_id == user_id)
        .order_by(GROUPS.c.name).limit(MOST_GROUPS)
    )
    return [row.name for row in rows]
