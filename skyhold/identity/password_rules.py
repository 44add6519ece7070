# SPDX-License-Identifier: Apache-2.0
"""What a new password must be like and how long it lasts, as [security_compliance] says.

Hashing is passwords.py; who is locked out or inactive is standing.py. What an administrator sets need only
match the pattern; history and age bind users who choose for themselves, as in Keystone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from skyhold.core import errors
from skyhold.core.context import Context
from skyhold.core.settings.sections import SecurityCompliance
from skyhold.core.settings.whole import SettingsError
from skyhold.identity.passwords import passwords
from skyhold.identity.tables import PASSWORDS

if TYPE_CHECKING:
    from skyhold.core.app import Core
    from skyhold.core.db.tx import Tx

DAY_US = 86_400 * 1_000_000
SECOND_US = 1_000_000

C = PASSWORDS.c


def rules(ctx: Context) -> SecurityCompliance:
    return ctx.core.settings.security_compliance


async def check_pattern(core: Core) -> None:
    """At the start, so that a pattern that can't be read isn't found out by the first user."""
    try:
        re.compile(core.settings.security_compliance.password_regex)
    except re.error as error:
        raise SettingsError(f"security_compliance.password_regex is no regular expression: {error}") from error


def check_strength(ctx: Context, secret: str) -> None:
    """Raises Invalid with the operator's own words."""
    pattern = rules(ctx).password_regex
    if pattern and re.match(pattern, secret) is None:
        words = rules(ctx).password_regex_description or "ask your administrator what a password must be like."
        raise errors.Invalid(f"The password does not match the requirements: {words}", reason="password_requirements")


async def check_history(ctx: Context, secret: str, earlier: Sequence[str]) -> None:
    """`earlier` are hashes; raises Invalid for a password that is among them."""
    for hashed in earlier:
        if await passwords(ctx.core).matches(hashed, secret):
            raise errors.Invalid(
                "The new password cannot be identical to a previous password. The total number which includes the "
                f"new password must be unique is {rules(ctx).unique_last_password_count}.", reason="password_history",
            )


def check_age(tx: Tx, ctx: Context, user_id: str) -> None:
    """Raises Invalid for a password that its user chose too short a time ago."""
    days = rules(ctx).minimum_password_age_days
    row = tx.first(sa.select(C.chosen, C.created_at).where(C.user_id == user_id).order_by(C.id.desc()).limit(1))
    if not days or row is None or not row.chosen:
        return
    left_us = row.created_at + days * DAY_US - ctx.now
    if left_us > 0:
        raise errors.Invalid(
            "You cannot change your password at this time due to the minimum password age. Once you change your "
            f"password, it must be used for {days} day(s) before it can be changed. Please try again in "
            f"{-(-left_us // DAY_US)} day(s) or contact your administrator to reset your password.",
            reason="password_age",
        )


def expires_at(ctx: Context, options: Mapping[str, Any], *, chosen: bool) -> int | None:
    """Microseconds on whole seconds; now for one that must be changed before it is used."""
    now = ctx.now // SECOND_US * SECOND_US
    first = rules(ctx).change_password_upon_first_use and not options.get("ignore_change_password_upon_first_use")
    if first and not chosen:
        return now
    days = rules(ctx).password_expires_days
    return now + days * DAY_US if days and not options.get("ignore_password_expiry") else None


def history(tx: Tx, ctx: Context, user_id: str) -> list[str]:
    """Hashes of the passwords that the user can't choose again, the current one first."""
    count = rules(ctx).unique_last_password_count
    if not count:
        return []
    statement = sa.select(C.hash).where(C.user_id == user_id).order_by(C.id.desc()).limit(count)
    return [row.hash for row in tx.all(statement)]


def keep(tx: Tx, ctx: Context, user_id: str, hashed: str, *, chosen: bool) -> None:
    """Remember a new password, and forget those that nobody will ask for any more."""
    tx.execute(PASSWORDS.insert(), {"user_id": user_id, "hash": hashed, "chosen": chosen, "created_at": ctx.now})
    most = max(1, rules(ctx).unique_last_password_count)
    oldest = tx.scalar(
        sa.select(C.id).where(C.user_id == user_id).order_by(C.id.desc()).offset(most - 1).limit(1)
    )
    if oldest is not None:
        tx.execute(PASSWORDS.delete().where(C.user_id == user_id, C.id < oldest))
