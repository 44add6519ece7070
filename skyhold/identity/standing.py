# SPDX-License-Identifier: Apache-2.0
"""Who may sign in at all: users that are locked out after wrong guesses, or weren't seen for too long.

What a password must be like is password_rules.py; loops/inactivity.py disables whom nobody has seen. All of it
is off, and costs nothing, unless [security_compliance] asks for it. A wrong guess counts even in a dry run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import structlog

from skyhold.core import errors
from skyhold.core.context import Context, internal
from skyhold.core.settings.sections import SecurityCompliance
from skyhold.core.store import Store
from skyhold.identity.auth.subjects import UserView
from skyhold.identity.tables import SIGN_INS

if TYPE_CHECKING:
    from skyhold.core.db.tx import Tx

log = structlog.get_logger("sign-in")

DAY_US = 86_400 * 1_000_000

store = Store(SIGN_INS, service="identity", kind="sign_in", key="user_id")


def rules(ctx: Context) -> SecurityCompliance:
    return ctx.core.settings.security_compliance


def watched(ctx: Context) -> bool:
    return bool(rules(ctx).lockout_failure_attempts or rules(ctx).disable_user_account_days_inactive)


# ---- signing in ----------------------------------------------------------------------------


async def demand(ctx: Context, user: UserView) -> None:
    """Raises Unauthorized for a user that is locked out or was away for too long."""
    if watched(ctx):
        check(ctx, user, await ctx.read(row_of, user.id))


async def failed(ctx: Context, user: UserView) -> None:
    """One more wrong guess."""
    if counted(ctx, user):
        await internal(ctx.core, ctx.request_id).write(count_failure, user.id)


async def succeeded(ctx: Context, user: UserView) -> None:
    """Forget earlier guesses; Unauthorized when guesses at the same time have locked the user out."""
    if not watched(ctx):
        return
    row = await ctx.read(row_of, user.id)
    check(ctx, user, row)
    if row is None or row.failures or row.active_on != today(ctx):
        await internal(ctx.core, ctx.request_id).write(count_success, user)


def check(ctx: Context, user: UserView, row: Any) -> None:
    if counted(ctx, user) and row is not None and is_locked(ctx, row):
        raise errors.Unauthorized(f"The account is locked for user: {user.id}.", reason="account_locked")
    if is_away(ctx, user.options, user.created_at if row is None else row.active_on or user.created_at):
        raise errors.Unauthorized("The request you have made requires authentication.", reason="denied")


def counted(ctx: Context, user: UserView) -> bool:
    return bool(rules(ctx).lockout_failure_attempts) and not user.options.get("ignore_lockout_failure_attempts")


def is_locked(ctx: Context, row: Any) -> bool:
    if row.failures < rules(ctx).lockout_failure_attempts:
        return False
    duration_us = rules(ctx).lockout_duration_s * 1_000_000
    return not duration_us or row.failed_at + duration_us > ctx.now


def is_away(ctx: Context, options: dict[str, Any], seen_at: int) -> bool:
    days = rules(ctx).disable_user_account_days_inactive
    return bool(days) and not options.get("ignore_user_inactivity") and today(ctx) - seen_at >= days * DAY_US


def today(ctx: Context) -> int:
    return ctx.now // DAY_US * DAY_US


# ---- rows ----------------------------------------------------------------------------------


def row_of(tx: Tx, ctx: Context, user_id: str) -> Any:
    return store.find(tx, user_id)


def count_failure(tx: Tx, ctx: Context, user_id: str) -> None:
    """A lock that is over starts the count anew."""
    row = ensured(tx, store, user_id, failures=0)
    over = row.failures >= rules(ctx).lockout_failure_attempts and not is_locked(ctx, row)
    row = store.update(tx, row, failures=1 if over else row.failures + 1, failed_at=ctx.now)
    if is_locked(ctx, row):
        log.warning("user is locked out", user=user_id, failures=row.failures)


def count_success(tx: Tx, ctx: Context, user: UserView) -> None:
    row = ensured(tx, store, user.id, failures=0)
    check(ctx, user, row)
    store.update(tx, row, failures=0, failed_at=None, active_on=today(ctx))


def ensured(tx: Tx, store: Store, user_id: str, **first: Any) -> Any:
    """The user's row in this store, locked; made with the values of `first` if there is none. A user removed
    meanwhile can't sign in: Unauthorized."""
    row = store.find(tx, user_id, lock=True)
    if row is None:
        # Somebody else's sign-in may be first, or the user gone: the next look tells.
        store.add(tx, user_id=user_id, **first)
        row = store.find(tx, user_id, lock=True)
    if row is None:
        raise errors.Unauthorized("The request you have made requires authentication.", reason="denied")
    return row


def welcome_back(tx: Tx, ctx: Context, user_id: str) -> None:
    """An administrator enabled the user: no guess counts any more, and the days away start anew."""
    if watched(ctx):
        store.update(tx, ensured(tx, store, user_id, failures=0), failures=0, failed_at=None, active_on=today(ctx))
