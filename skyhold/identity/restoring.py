# SPDX-License-Identifier: Apache-2.0
"""The operator's way back in, when nobody can sign in as the administrator any more.

What a new cloud starts with is bootstrap.py. As upstream, an administrator may disable the default domain, the project
`admin` or the user `admin`, lose the password or the role; nobody could undo it by the API. So this asks no token, only
the database: whoever can read its password and the state directory's may do what they like anyway.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from skyhold.core import journal
from skyhold.core.context import Context, internal
from skyhold.identity import password_rules, places, standing, users
from skyhold.identity.auth import events
from skyhold.identity.auth.sessions import void
from skyhold.identity.bootstrap import ADMIN, ensure_all, one
from skyhold.identity.directories import read_only
from skyhold.identity.passwords import passwords
from skyhold.identity.tables import ASSIGNMENTS, PROJECTS, USERS

if TYPE_CHECKING:
    from skyhold.core.app import Core
    from skyhold.core.db.tx import Tx

SECOND_FACTOR = "multi_factor_auth_enabled"


async def restore_access(core: Core, *, password: str) -> list[str]:
    """The user `admin` of the default domain can sign in with this password to its project and to the system; a
    sentence for each thing that was in its way. Safe while the cloud runs, and to repeat.

    Raises Forbidden when a directory keeps the users of the default domain.
    """
    ctx = internal(core)
    known = await ctx.read(known_hash)
    fitting = known is not None and await passwords(core).matches(known, password)
    hashed = await passwords(core).hash(password)
    told: list[str] = await ctx.write(restore, hashed, fitting)
    return told


def known_hash(tx: Tx, ctx: Context) -> str | None:
    row = one(tx, USERS, **ADMIN)
    return row.password_hash if row is not None else None


def restore(tx: Tx, ctx: Context, hashed: str, fitting: bool) -> list[str]:
    """`fitting` is whether the kept password is the one that `hashed` was made of."""
    before = one(tx, USERS, **ADMIN)
    had = roles_of(tx, before)
    # What was deleted is made anew.
    ensure_all(tx, ctx, hashed)
    told = ["The user admin was gone; it is made anew."] if before is None else []
    if before is not None and roles_of(tx, before) != had:
        told.append("The user admin had lost a role; it has it again, in its project and in the system.")
    for store, key in ((places.domains, {"id": places.DEFAULT_DOMAIN_ID}), (places.projects, ADMIN)):
        told += enabled(tx, store, one(tx, PROJECTS, **key).id)
    told += welcomed(tx, ctx, one(tx, USERS, **ADMIN).id, hashed, fitting or before is None)
    void(tx)
    return told


def roles_of(tx: Tx, user: Any) -> int:
    mine = ASSIGNMENTS.c.actor_id == (user.id if user is not None else "")
    return tx.scalar(sa.select(sa.func.count()).select_from(ASSIGNMENTS).where(mine)) or 0


def enabled(tx: Tx, store: Any, id: str) -> list[str]:
    row: Any = store.find(tx, id, lock=True)
    if row.enabled:
        return []
    row = places.change(tx, store, row, enabled=True)
    journal.record(tx, f"{store.kind}.update", row)
    return [f"The {store.kind} {row.name} was disabled; it is enabled."]


def welcomed(tx: Tx, ctx: Context, user_id: str, hashed: str, fitting: bool) -> list[str]:
    row: Any = users.store.find(tx, user_id, lock=True)
    read_only.refuse_change(tx, row.id, "user")
    values: dict[str, Any] = {}
    told = []
    if not row.enabled:
        values["enabled"] = True
        told.append("The user admin was disabled; it is enabled.")
    if not fitting or (row.password_expires_at is not None and row.password_expires_at <= ctx.now):
        values |= {"password_hash": hashed, "password_expires_at": None, "generation": row.generation + 1}
        told.append("The password of admin was another, or had expired; it is the one kept in the state directory.")
    if row.options.get("multi_factor_auth_rules") and row.options.get(SECOND_FACTOR, True):
        values["options"] = row.options | {SECOND_FACTOR: False}
        told.append("The user admin needed several factors; its rules are kept and don't count until they are enabled.")
    if values:
        row = users.store.update(tx, row, **values)
        journal.record(tx, "user.update", row)
    if "generation" in values:
        password_rules.keep(tx, ctx, row.id, hashed, chosen=False)
        events.tell(tx, user_id=row.id)
    standing.welcome_back(tx, ctx, row.id)
    return told
