# SPDX-License-Identifier: Apache-2.0
"""Signing in with a time-based one-time password, whose seed is a credential of type `totp`.

How codes are made is logic/one_time.py, where seeds are kept delegation/credentials.py. A code is good once
(RFC 6238, 5.2), and of a user's guesses only a few count in each step of thirty seconds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from skyhold.core.context import Context, internal
from skyhold.core.store import Store
from skyhold.identity import standing
from skyhold.identity.auth import shape
from skyhold.identity.auth.proof import Proof, denied, fresh, missing
from skyhold.identity.auth.subjects import UserView, named_user
from skyhold.identity.delegation import sealing
from skyhold.identity.delegation.tables import CREDENTIALS
from skyhold.identity.logic import one_time
from skyhold.identity.tables import TOTP_USES

if TYPE_CHECKING:
    from skyhold.core.db.tx import Tx

KIND = "totp"
MOST_GUESSES = 5
"""In one step. With a million codes of which two are good, an attacker needs months even so."""

store = Store(TOTP_USES, service="identity", kind="totp_use", key="user_id")


async def prove(ctx: Context, identity: shape.Identity) -> Proof:
    if identity.totp is None:
        raise missing(KIND)
    given = identity.totp.user
    user = await ctx.read(find, given)
    if user is None:
        raise denied()
    await standing.demand(ctx, user)
    # Also in a dry run: a code that was looked at is used up.
    if not await internal(ctx.core, ctx.request_id).write(use, user.id, given.passcode):
        await standing.failed(ctx, user)
        raise denied()
    await standing.succeeded(ctx, user)
    return fresh(ctx, user, KIND)


def find(tx: Tx, ctx: Context, given: shape.UserRef) -> UserView | None:
    return named_user(tx, given)


def use(tx: Tx, ctx: Context, user_id: str, given: str) -> bool:
    """Whether this is a code of the user's that wasn't used yet; it is now."""
    seeds = seeds_of(tx, ctx, user_id)
    if not seeds:
        return False
    now = one_time.step_of(ctx.now)
    row = standing.ensured(tx, store, user_id, guessed_in=now, guesses=0, used_step=-1)
    guesses = row.guesses if row.guessed_in == now else 0
    if guesses >= MOST_GUESSES:
        return False
    oldest = max(row.used_step + 1, now - ctx.core.settings.identity.totp_previous_windows)
    found = [one_time.matching_step(seed, given, range(oldest, now + 1)) for seed in seeds]
    step = max((each for each in found if each is not None), default=None)
    if step is None:
        store.update(tx, row, guessed_in=now, guesses=guesses + 1)
        return False
    store.update(tx, row, used_step=step)
    return True


def seeds_of(tx: Tx, ctx: Context, user_id: str) -> list[bytes]:
    c = CREDENTIALS.c
    rows = tx.all(sa.select(c.blob).where(c.user_id == user_id, c.type == KIND))
    found = [one_time.seed_of(sealing.unseal(ctx, row.blob)) for row in rows]
    return [seed for seed in found if seed is not None]
