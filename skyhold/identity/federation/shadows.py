# SPDX-License-Identifier: Apache-2.0
"""Users that exist here because an identity provider spoke of them, and what its word gives them.

What it said is read by ../logic/mapping.py, and arrivals.py puts both together. Such a user is a row like any
other, without a password; by which name the provider knows it stands in a table of its own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa

from skyhold.core import errors, journal
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.identity import permits, places, users
from skyhold.identity.auth.sessions import void
from skyhold.identity.federation.identities import LONGEST, key_of, link
from skyhold.identity.federation.tables import EXPIRING_MEMBERSHIPS, FEDERATED_USERS
from skyhold.identity.logic.mapping import Domain, Group, Project
from skyhold.identity.tables import ASSIGNMENTS, GROUPS, PROJECTS, ROLES, USERS

MINUTE_US = 60_000_000


def ensure(
    tx: Tx, ctx: Context, provider_id: str, protocol_id: str, unique_id: str, *, name: str, email: str | None,
    domain_id: str,
) -> Any:
    """The user's row, made when first seen and brought up to date else."""
    if not 1 <= len(unique_id) <= LONGEST:
        raise errors.Unauthorized(f"The mapping gives an id longer than {LONGEST} characters, or none.")
    row = known(tx, provider_id, protocol_id, unique_id)
    if row is None:
        row = make(tx, ctx, provider_id, protocol_id, unique_id, name, email, domain_id)
    return brought_up(tx, row, name, unique_id, email)


def known(tx: Tx, provider_id: str, protocol_id: str, unique_id: str) -> Any:
    """Operators who enter users beforehand may write the id as it is, or quoted as upstream keeps it."""
    keys = [key_of(provider_id, protocol_id, each) for each in (unique_id, quote(unique_id))]
    f = FEDERATED_USERS.c
    found = tx.first(sa.select(f.user_id).where(f.id.in_(keys)).limit(1))
    return None if found is None else users.store.find(tx, found.user_id, lock=True)


def make(
    tx: Tx, ctx: Context, provider_id: str, protocol_id: str, unique_id: str, name: str, email: str | None,
    domain_id: str,
) -> Any:
    """Two first sign-ins at once make one user: the second finds what the first made."""
    user_id = permits.hex_id(ctx)
    try:
        with tx.nested():
            row = users.store.insert(
                tx, id=user_id, domain_id=domain_id, name=free_name(tx, domain_id, name, unique_id), enabled=True,
                extra={"email": email} if email else {}, options={}, generation=0,
            )
            link(tx, user_id, provider_id, protocol_id, unique_id)
    except sa.exc.IntegrityError:
        row = known(tx, provider_id, protocol_id, unique_id)
        if row is None:
            raise permits.gone_meanwhile("user") from None
        return row
    journal.record(tx, "user.create", row)
    return row


def brought_up(tx: Tx, row: Any, name: str, unique_id: str, email: str | None) -> Any:
    """What the provider says of a person now counts; a row that says the same already isn't touched."""
    values: dict[str, Any] = {}
    if row.name not in (name, longer_name(name, unique_id)):
        values["name"] = free_name(tx, row.domain_id, name, unique_id)
    if email and row.extra.get("email") != email:
        values["extra"] = {**row.extra, "email": email}
    if not values:
        return row
    row = users.store.update(tx, row, **values)
    void(tx)
    journal.record(tx, "user.update", row)
    return row


def free_name(tx: Tx, domain_id: str, name: str, unique_id: str) -> str:
    """Names are unique in a domain here, and two people may have the same one elsewhere."""
    taken = tx.first(sa.select(USERS.c.id).where(USERS.c.domain_id == domain_id, USERS.c.name == name))
    return name[:LONGEST] if taken is None and len(name) <= LONGEST else longer_name(name, unique_id)


def longer_name(name: str, unique_id: str) -> str:
    mark = hashlib.sha256(unique_id.encode()).hexdigest()[:12]
    return f"{name[: LONGEST - 15]} ({mark})"


# ---- groups ----------------------------------------------------------------------------------


def group_ids(tx: Tx, ids: Iterable[str], named: Iterable[Group], domain_id: str) -> tuple[str, ...]:
    """Those of the groups that are here, held until the commit: as upstream, one that isn't gives nothing."""
    wanted, found = list(ids), set()
    here = sa.select(GROUPS.c.id).with_for_update(read=True, key_share=True)
    if wanted:
        found |= {row.id for row in tx.all(here.where(GROUPS.c.id.in_(wanted)))}
    by_domain: dict[Domain | None, list[str]] = {}
    for group in named:
        by_domain.setdefault(group.domain, []).append(group.name)
    for domain, names in by_domain.items():
        there = domain_of(tx, domain) or (domain_id if domain is None else None)
        rows = tx.all(here.where(GROUPS.c.domain_id == there, GROUPS.c.name.in_(names)))
        found |= {row.id for row in rows}
    return tuple(sorted(found))


def domain_of(tx: Tx, domain: Domain | None) -> str | None:
    if domain is None:
        return None
    p = PROJECTS.c
    by = p.id == domain.id if domain.id is not None else p.name == domain.name
    row = tx.first(sa.select(p.id).where(p.domain_id == "", by))
    return None if row is None else str(row.id)


def belong(tx: Tx, user_id: str, provider_id: str, ids: Sequence[str], ttl_min: int) -> None:
    """The memberships last beyond the token: until `ttl_min` minutes from now. What isn't named any more ends."""
    m = EXPIRING_MEMBERSHIPS.c
    tx.execute(EXPIRING_MEMBERSHIPS.delete().where(m.user_id == user_id, m.provider_id == provider_id))
    if ids and ttl_min:
        ends_at = tx.now + ttl_min * MINUTE_US
        tx.execute(EXPIRING_MEMBERSHIPS.insert(), [
            {"user_id": user_id, "group_id": each, "provider_id": provider_id, "ends_at": ends_at} for each in ids
        ])
    void(tx)


# ---- projects --------------------------------------------------------------------------------


def provide(
    tx: Tx, ctx: Context, user_id: str, wanted: Sequence[Project], domain_id: str, *, follows: bool
) -> None:
    """Projects that aren't there are made; with `follows` the user keeps no role in a project not named."""
    roles = role_ids(tx, {name for project in wanted for name in project.roles})
    given = {
        (project_id, roles[name])
        for project in wanted for project_id in [ensure_project(tx, ctx, project, domain_id)] for name in project.roles
    }
    a = ASSIGNMENTS.c
    rows = tx.all(sa.select(a.target_id, a.role_id).where(
        a.actor_id == user_id, a.target_type == "project", a.inherited.is_(False)
    ))
    held = {(row.target_id, row.role_id) for row in rows}
    for project_id, role_id in sorted(given - held):
        assign(tx, user_id, project_id, role_id)
    for project_id, role_id in sorted(held - given) if follows else ():
        tx.execute(ASSIGNMENTS.delete().where(
            a.actor_id == user_id, a.target_type == "project", a.target_id == project_id, a.role_id == role_id,
            a.inherited.is_(False),
        ))
    if given != held:
        void(tx)


def assign(tx: Tx, user_id: str, project_id: str, role_id: str) -> None:
    # Another sign-in of the same user may be quicker.
    tx.add(ASSIGNMENTS, {
        "actor_id": user_id, "target_id": project_id, "role_id": role_id, "inherited": False,
        "target_type": "project", "actor_type": "user",
    })


def role_ids(tx: Tx, names: set[str]) -> dict[str, str]:
    """Raises Invalid for a role that isn't there: as upstream, roles are the operator's to make."""
    r = ROLES.c
    rows = tx.all(sa.select(r.id, r.name).where(r.domain_id == "", r.name.in_(sorted(names)))) if names else []
    found = {row.name: row.id for row in rows}
    if missing := sorted(names - found.keys()):
        raise errors.Invalid(f"The mapping gives the role {missing[0]!r}, which does not exist.", reason="no_role")
    return found


def ensure_project(tx: Tx, ctx: Context, wanted: Project, domain_id: str) -> str:
    here = domain_id if wanted.domain is None else domain_of(tx, wanted.domain)
    if here is None:
        raise errors.Invalid("The mapping puts a project into a domain that does not exist.", reason="no_domain")
    if not wanted.name.strip() or len(wanted.name) > 64:
        raise errors.Invalid("The mapping names a project with no name, or one of more than 64 characters.")
    p = PROJECTS.c
    by_name = sa.select(p.id).where(p.domain_id == here, p.name == wanted.name)
    found = tx.first(by_name)
    if found is None:
        found = make_project(tx, ctx, here, wanted.name) or tx.first(by_name)
    if found is None:
        raise permits.gone_meanwhile("project")
    return str(found.id)


def make_project(tx: Tx, ctx: Context, domain_id: str, name: str) -> Any:
    """None when another was quicker."""
    try:
        row = places.insert(
            tx, places.projects, id=permits.hex_id(ctx), name=name, domain_id=domain_id, parent_id=domain_id,
            is_domain=False, enabled=True, description="", extra={}, options={}, tags=[],
        )
    except errors.Conflict:
        return None
    journal.record(tx, "project.create", row, project_id=row.id)
    return row


# ---- their end -------------------------------------------------------------------------------


def sign_out(tx: Tx, provider_id: str, protocol_id: str | None = None) -> None:
    """Every token of the users that came by this provider, or by this protocol of it, is void for good."""
    f = FEDERATED_USERS.c
    came = sa.select(f.user_id).where(f.provider_id == provider_id)
    if protocol_id is not None:
        came = came.where(f.protocol_id == protocol_id)
    tx.execute(USERS.update().where(USERS.c.id.in_(came)).values(generation=USERS.c.generation + 1))
    void(tx)
