# SPDX-License-Identifier: Apache-2.0
"""A trust as a scope: who may ask for it, and counting its uses.

Making trusts is delegation/trusts.py; what a token for one then allows is grounds.py. A use is counted in the
transaction that makes the token, so of many at once no more succeed than there are uses.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from skyhold.core import errors
from skyhold.core.context import Context
from skyhold.identity.auth.proof import Proof, denied
from skyhold.identity.auth.subjects import PlaceView, place_with_id, user_with_id
from skyhold.identity.delegation.tables import TRUSTS

if TYPE_CHECKING:
    from skyhold.core.db.tx import Tx

USE = (
    TRUSTS.update()
    .where(TRUSTS.c.id == sa.bindparam("trust"), TRUSTS.c.remaining_uses > 0)
    .values(remaining_uses=TRUSTS.c.remaining_uses - 1, used_at=sa.bindparam("now"))
)


def take(tx: Tx, ctx: Context, proof: Proof, trust_id: str) -> tuple[Any, PlaceView | None]:
    """The trust, with one use less, and its project. Raises Unauthorized where there is none (any more),
    Forbidden for whom it isn't meant for."""
    row = tx.first(sa.select(*TRUSTS.c).where(TRUSTS.c.id == trust_id))
    if row is None or row.remaining_uses == 0 or (row.expires_at is not None and row.expires_at <= ctx.now):
        raise gone(trust_id)
    if row.trustee_user_id != proof.user_id:
        raise errors.Forbidden("User is not a trustee.", reason="not_trustee")
    if user_with_id(tx, row.trustor_user_id) is None:
        raise errors.Forbidden("Trustor is disabled.", reason="trustor_disabled")
    place = None
    if row.project_id is not None:
        place = place_with_id(tx, row.project_id)
        if place is None:
            raise denied()
    if row.remaining_uses is not None and not tx.changed(USE, {"trust": row.id, "now": ctx.now}):
        raise gone(trust_id)
    return row, place


def gone(trust_id: str) -> errors.Unauthorized:
    return errors.Unauthorized(f"Could not find trust: {trust_id}.", reason="no_trust")
