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
from skyhold.identity.auth import events
from skyhold.identity.auth.payload import SECOND_US, Token
from skyhold.identity.auth.sessions import void
from skyhold.identity.tables import REVOCATIONS

if TYPE_CHECKING:
    from skyhold.core.db.tx import Tx

store = Store(REVOCATIONS, service="identity", kind="token", label="Token", key="audit_id")


def revoke(tx: Tx, ctx: Context, token: Token, chain: bool = False) -> None:
    """Void this token, or with `chain` also all that share its origin."""
    audit_id = (token.chain_id or token.audit_id) if chain else token.audit_id
    # Services may ask for a token for a while after its end, and a revoked one must not come back then.
    forget_at = token.expires_at + ctx.core.settings.identity.allow_expired_window_s * SECOND_US
    values = {"audit_id": audit_id, "chain": chain, "revoked_at": ctx.now, "forget_at": forget_at}
    tx.execute(REVOCATIONS.insert(), values)
    void(tx)
    events.tell(tx, **{"audit_chain_id" if chain else "audit_id": audit_id})
    journal.record(tx, "token.revoke", store.Row(id=0, **values))


def forget(tx: Tx, ctx: Context) -> int:
    """Drop entries of tokens that have ended by themselves; a loop's work."""
    events.forget(tx, ctx)
    return tx.changed(REVOCATIONS.delete().where(REVOCATIONS.c.forget_at <= ctx.now))
