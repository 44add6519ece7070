# SPDX-License-Identifier: Apache-2.0
"""Signing in with a password that a directory knows, and nobody here.

Which domains have a directory is known.py, what is written down of a user then reflecting.py. Nothing is
written before the directory has said yes, and it is never asked with an empty password.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from skyhold.core.context import Context, internal
from skyhold.identity import standing
from skyhold.identity.auth import shape
from skyhold.identity.auth.proof import denied
from skyhold.identity.auth.subjects import DOMAIN_IDS, UserView, domain_meant, user_with_id
from skyhold.identity.directories import reflecting
from skyhold.identity.directories.known import Connected, directories
from skyhold.identity.drivers.base import Person
from skyhold.identity.logic.directory import public_id
from skyhold.identity.tables import ID_MAPPINGS, USERS

if TYPE_CHECKING:
    from skyhold.core.db.tx import Tx

M = ID_MAPPINGS.c


async def by_directory(ctx: Context, given: shape.PasswordUser) -> UserView | None:
    """The user whose password it is; None when the user isn't one of a directory.

    Raises Unauthorized for a wrong password or a disabled user, Unavailable.
    """
    known = await directories(ctx.core).all(ctx)
    if not known:
        return None
    where = await ctx.read(meant, given)
    connected = known.get(where[0]) if where else None
    if where is None or connected is None:
        return None
    local_id = where[1]
    asked = {"local_id": local_id} if local_id is not None else {"name": given.name}
    person = await connected.ask(connected.directory.person(**asked))
    await demand_password(ctx, connected, person, given.password)
    assert person is not None
    teams = await connected.ask(connected.directory.teams_of(person))
    inner = internal(ctx.core, ctx.request_id)
    user_id = await inner.write(reflecting.signed_in, connected.domain_id, person, teams)
    user = None if user_id is None else await ctx.read(view, user_id)
    if user is None:
        raise denied()
    await standing.succeeded(ctx, user)
    return user


def meant(tx: Tx, ctx: Context, given: shape.PasswordUser) -> tuple[str, str | None] | None:
    """(domain, local id or None for the name in it); None for a user of our own, or nobody's reference."""
    if given.id is not None:
        row = tx.first(sa.select(M.domain_id, M.local_id).where(M.id == given.id, M.kind == "user"))
        return None if row is None else (row.domain_id, row.local_id)
    if given.name is None or given.domain is None:
        return None
    by, domain = domain_meant(given.domain)
    domain_id = tx.scalar(DOMAIN_IDS[by], {"domain": domain})
    mine = sa.select(USERS.c.id).where(
        USERS.c.domain_id == domain_id, USERS.c.name == given.name, USERS.c.id.not_in(sa.select(M.id))
    )
    return None if domain_id is None or tx.first(mine) is not None else (domain_id, None)


async def demand_password(ctx: Context, connected: Connected, person: Person | None, password: str) -> None:
    """Wrong guesses of somebody who was here before count as those of our own users do."""
    if person is None or not person.enabled:
        raise denied()
    user = await ctx.read(view, public_id(connected.domain_id, "user", person.local_id))
    if user is not None:
        await standing.demand(ctx, user)
    if not await connected.ask(connected.directory.matches(person, password)):
        if user is not None:
            await standing.failed(ctx, user)
        raise denied()


def view(tx: Tx, ctx: Context, user_id: str) -> UserView | None:
    return user_with_id(tx, user_id)
