# SPDX-License-Identifier: Apache-2.0
"""People and groups of a directory as rows of our own, so that all else need not know where they are from.

Asking the directory is freshness.py and signing_in.py; here are only operations on the database. An entry
that is gone keeps its row, disabled and unseen: its assignments count again when it comes back.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
import structlog

from skyhold.core import journal
from skyhold.core.context import Context
from skyhold.core.db.among import among
from skyhold.core.store import Store
from skyhold.identity.auth.sessions import void
from skyhold.identity.drivers.base import Person, Team
from skyhold.identity.logic.directory import public_id
from skyhold.identity.tables import GROUPS, ID_MAPPINGS, MEMBERSHIPS, USERS

if TYPE_CHECKING:
    from skyhold.core.db.tx import Tx

log = structlog.get_logger("directory")

# Unlike those that users and groups are shown from, these know of the ones that are gone as well.
OF_USERS = Store(USERS, service="identity", kind="user", secrets=["password_hash"])
OF_GROUPS = Store(GROUPS, service="identity", kind="group")

BATCH = 100
M = ID_MAPPINGS.c
OF_GROUP = sa.select(MEMBERSHIPS.c.user_id).where(MEMBERSHIPS.c.group_id == sa.bindparam("group"))
MAPPED_OF_USER = sa.select(MEMBERSHIPS.c.group_id).where(
    MEMBERSHIPS.c.user_id == sa.bindparam("user"), MEMBERSHIPS.c.group_id.in_(sa.select(M.id))
)

# ---- one at a time -------------------------------------------------------------------------


def signed_in(tx: Tx, ctx: Context, domain_id: str, person: Person, teams: Sequence[Team]) -> str | None:
    """The user's id, after the row says what the directory says; None when the name is another's here."""
    if not people(tx, ctx, domain_id, [person]):
        return None
    user_id = public_id(domain_id, "user", person.local_id)
    kept = [team for team in teams if group(tx, domain_id, team)]
    wanted = {public_id(domain_id, "group", team.local_id) for team in kept}
    now = {row.group_id for row in tx.all(MAPPED_OF_USER, {"user": user_id})}
    changed = [join(tx, user_id, group_id) for group_id in sorted(wanted - now)]
    changed += [leave(tx, user_id, group_id) for group_id in sorted(now - wanted)]
    if any(changed):
        void(tx)
        journal.record(tx, "user.groups", OF_USERS.find(tx, user_id))
    return user_id


def people(tx: Tx, ctx: Context, domain_id: str, some: Iterable[Person]) -> int:
    """How many of them have a row now that says what the directory says."""
    done = [person(tx, domain_id, each) for each in some]
    if any(done_anew for _, done_anew in done):
        void(tx)
    return sum(there for there, _ in done)


def person(tx: Tx, domain_id: str, given: Person) -> tuple[bool, bool]:
    """(whether it has a row, whether anything about it is new)"""
    id = public_id(domain_id, "user", given.local_id)
    anew = mapping(tx, domain_id, "user", given.local_id)
    values: dict[str, Any] = {
        "name": given.name, "enabled": given.enabled, "extra": dict(given.extra),
        "default_project_id": given.default_project_id,
    }
    row = OF_USERS.find(tx, id, lock=True)
    if row is None:
        made = insert(tx, OF_USERS, id=id, domain_id=domain_id, options={}, generation=0, **values)
        return made, made
    if all(getattr(row, name) == value for name, value in values.items()):
        return True, anew
    if row.enabled and not given.enabled:
        values["generation"] = row.generation + 1
    there = update(tx, OF_USERS, row, **values)
    return there, there


def group(tx: Tx, domain_id: str, given: Team) -> bool:
    """Whether it has a row now; members are another matter."""
    id = public_id(domain_id, "group", given.local_id)
    mapping(tx, domain_id, "group", given.local_id)
    values: dict[str, Any] = {"name": given.name, "description": given.description, "extra": dict(given.extra)}
    row = OF_GROUPS.find(tx, id, lock=True)
    if row is None:
        return insert(tx, OF_GROUPS, id=id, domain_id=domain_id, **values)
    if all(getattr(row, name) == value for name, value in values.items()):
        return True
    return update(tx, OF_GROUPS, row, **values)


def team(tx: Tx, ctx: Context, domain_id: str, given: Team) -> None:
    """The group with exactly these of our users as members."""
    if not group(tx, domain_id, given):
        return
    id = public_id(domain_id, "group", given.local_id)
    members = {public_id(domain_id, "user", local_id) for local_id in given.members}
    now = {row.user_id for row in tx.all(OF_GROUP, {"group": id})}
    changed = [join(tx, user_id, id) for user_id in sorted(members - now)]
    changed += [leave(tx, user_id, id) for user_id in sorted(now - members)]
    if any(changed):
        void(tx)
        journal.record(tx, "group.members", OF_GROUPS.find(tx, id))


def mapping(tx: Tx, domain_id: str, kind: str, local_id: str) -> bool:
    """Whether the entry was unknown, or gone, until now."""
    id = public_id(domain_id, kind, local_id)
    row = tx.first(sa.select(M.gone).where(M.id == id))
    if row is None:
        values = {
            "id": id, "domain_id": domain_id, "kind": kind, "local_id": local_id, "gone": False,
            "created_at": tx.now,
        }
        return tx.add(ID_MAPPINGS, values)
    if row.gone:
        tx.execute(ID_MAPPINGS.update().where(M.id == id).values(gone=False))
    return bool(row.gone)


def insert(tx: Tx, store: Store, **values: Any) -> bool:
    """False for a name that another of the domain has, and for a domain that went meanwhile."""
    row = store.add(tx, **values)
    if row is None:
        if store.find(tx, values["id"]) is not None:
            return True
        log.warning("an entry of a directory is left out: its name is taken", kind=store.kind, id=values["id"])
        return False
    journal.record(tx, f"{store.kind}.create", row)
    return True


def update(tx: Tx, store: Store, row: Any, **values: Any) -> bool:
    try:
        with tx.nested():
            row = store.update(tx, row, **values)
    except sa.exc.IntegrityError:
        log.warning("an entry of a directory is left as it was: its name is taken", kind=store.kind, id=row.id)
        return False
    journal.record(tx, f"{store.kind}.update", row)
    return True


def join(tx: Tx, user_id: str, group_id: str) -> bool:
    """False when it is there by now, or one of the two has no row: a name that was taken."""
    return tx.add(MEMBERSHIPS, {"user_id": user_id, "group_id": group_id})


def leave(tx: Tx, user_id: str, group_id: str) -> bool:
    c = MEMBERSHIPS.c
    return bool(tx.changed(MEMBERSHIPS.delete().where(c.user_id == user_id, c.group_id == group_id)))


# ---- all of them ---------------------------------------------------------------------------


async def everything(ctx: Context, domain_id: str, persons: list[Person], teams: list[Team]) -> None:
    """Row by row what the directory says, in batches, so that others come between; then who is gone.

    Only what differs is written: reading what is there first is one query a kind.
    """
    known = await ctx.read(state, domain_id)
    changed = [each for each in persons if differs(known, domain_id, each)]
    for some in batches(changed):
        await ctx.write(people, domain_id, some)
    for each in teams:
        if team_differs(known, domain_id, each):
            await ctx.write(team, domain_id, each)
    there = {public_id(domain_id, "user", each.local_id) for each in persons}
    there |= {public_id(domain_id, "group", each.local_id) for each in teams}
    for gone in batches(sorted(known["here"] - there)):
        await ctx.write(lose, gone)


def state(tx: Tx, ctx: Context, domain_id: str) -> dict[str, Any]:
    mine = sa.select(M.id).where(M.domain_id == domain_id, M.gone.is_(False))
    here = {row.id for row in tx.all(mine)}
    members: dict[str, set[str]] = {}
    for row in tx.all(sa.select(MEMBERSHIPS.c.group_id, MEMBERSHIPS.c.user_id).where(MEMBERSHIPS.c.group_id.in_(mine))):
        members.setdefault(row.group_id, set()).add(row.user_id)
    u, g = USERS.c, GROUPS.c
    return {
        "here": here, "members": members,
        "users": {row.id: row for row in tx.all(
            sa.select(u.id, u.name, u.enabled, u.extra, u.default_project_id).where(u.id.in_(mine))
        )},
        "groups": {row.id: row for row in tx.all(
            sa.select(g.id, g.name, g.description, g.extra).where(g.id.in_(mine))
        )},
    }


def differs(known: dict[str, Any], domain_id: str, given: Person) -> bool:
    row = known["users"].get(public_id(domain_id, "user", given.local_id))
    said = (given.name, given.enabled, dict(given.extra), given.default_project_id)
    return row is None or (row.name, row.enabled, row.extra, row.default_project_id) != said


def team_differs(known: dict[str, Any], domain_id: str, given: Team) -> bool:
    id = public_id(domain_id, "group", given.local_id)
    row = known["groups"].get(id)
    members = {public_id(domain_id, "user", local_id) for local_id in given.members}
    said = (given.name, given.description, dict(given.extra))
    return row is None or (row.name, row.description, row.extra) != said or known["members"].get(id, set()) != members


def lose(tx: Tx, ctx: Context, ids: Sequence[str]) -> None:
    """Entries that their directory has no more: nobody signs in as them, no token of theirs counts."""
    some = {"ids": list(ids)}
    for store in (OF_USERS, OF_GROUPS):
        for row in tx.all(sa.select(*store.table.c).where(among(store.table.c.id, "ids")), some):
            journal.record(tx, f"{store.kind}.gone", store.Row._make(row))
    tx.execute(ID_MAPPINGS.update().where(among(M.id, "ids")).values(gone=True), some)
    tx.execute(
        USERS.update().where(among(USERS.c.id, "ids")).values(enabled=False, generation=USERS.c.generation + 1), some
    )
    tx.execute(MEMBERSHIPS.delete().where(among(MEMBERSHIPS.c.group_id, "ids")), some)
    tx.execute(MEMBERSHIPS.delete().where(among(MEMBERSHIPS.c.user_id, "ids")), some)
    void(tx)


def strays(tx: Tx, ctx: Context, with_directory: Sequence[str]) -> list[str]:
    """Ids of entries of domains that have no directory any more."""
    statement = sa.select(M.id).where(M.gone.is_(False))
    if with_directory:
        statement = statement.where(M.domain_id.not_in(list(with_directory)))
    return [row.id for row in tx.all(statement)]


def batches(some: Sequence[Any]) -> Iterable[Any]:
    return (some[at : at + BATCH] for at in range(0, len(some), BATCH))
