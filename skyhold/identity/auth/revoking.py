# SPDX-License-Identifier: Apache-2.0
"""Taking back single tokens: an entry a token, until the token would have ended by itself.

Everything else that voids tokens (a new password, disabling, a role taken away) needs no entry: see
payload.py on generations, and validate.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from skyhold.core import journal
from skyhold.core.context import Context
from skyhold.core.store import Store
from skyhold.identity.auth.payload import Token
from skyhold.identity.auth.sessions import void
from skyhold.identity.tables import REVOCATIONS

if TYPE_CHECKING:
    from skyhold.core.db.tx import Tx

store = Store(REVOCATIONS, service="identity", kind="token", label="Token", key="audit_id")


def revoke(tx: Tx, ctx: Context, token: Token, chain: bool = False) -> None:
    """Void this token, or with `chain` also all that share its origin."""
    audit_id = (token.chain_id or token.audit_id) if chain else token.audit_id
    values = {"audit_id": audit_id, "chain": chain, "revoked_at": ctx.now, "forget_at": token.expires_at}
    tx.execute(REVOCATIONS.insert(), values)
    void(tx)
    journal.record(tx, "token.revoke", store.Row(id=0, **values))


def forget(tx: Tx, ctx: Context) -> int:
    """Drop entries of tokens that have ended by themselves; a loop's work."""
    return tx.changed(REVOCATIONS.delete().where(REVOCATIONS.c.forget_at <= ctx.now))
