# SPDX-License-Identifier: Apache-2.0
"""Users, projects and domains as tokens see them: only those that are enabled, in a domain that is.

Their resources are users.py, projects/ and domains.py. `generation` is the sum over all rows that
one depends on, so that a token made before any of them was disabled can be told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import sqlalchemy as sa

from skyhold.core import errors
from skyhold.identity.auth import shape
from skyhold.identity.tables import PROJECTS, USERS

if TYPE_CHECKING:
    from skyhold.core.db.tx import Tx


class UserView(NamedTuple):
    id: str
    name: str
    domain_id: str
    domain_name: str
    generation: int
    password_expires_at: int | None
    password_hash: str | None
    default_project_id: str | None
    options: dict[str, Any] = {}
    created_at: int = 0


class PlaceView(NamedTuple):
    """A project or a domain; of a domain, `domain_id` and `domain_name` are its own."""

    id: str
    name: str
    domain_id: str
    domain_name: str
    is_domain: bool
    parent_id: str | None
    generation: int


DOMAINS = PROJECTS.alias("domain")
USER = (
    sa.select(
        USERS.c.id, USERS.c.name, USERS.c.domain_id, DOMAINS.c.name.label("domain_name"),
        (USERS.c.generation + DOMAINS.c.generation).label("generation"), USERS.c.password_expires_at,
        USERS.c.password_hash, USERS.c.default_project_id, USERS.c.options, USERS.c.created_at,
    )
    .join(DOMAINS, DOMAINS.c.id == USERS.c.domain_id)
    .where(USERS.c.enabled.is_(True), DOMAINS.c.enabled.is_(True))
)
OWN_DOMAIN = sa.case((PROJECTS.c.domain_id == "", PROJECTS.c.id), else_=PROJECTS.c.domain_id)
PLACE = (
    sa.select(
        PROJECTS.c.id, PROJECTS.c.name, DOMAINS.c.id.label("domain_id"), DOMAINS.c.name.label("domain_name"),
        PROJECTS.c.is_domain, PROJECTS.c.parent_id,
        (PROJECTS.c.generation + DOMAINS.c.generation).label("generation"),
    )
    .join(DOMAINS, DOMAINS.c.id == OWN_DOMAIN)
    .where(PROJECTS.c.enabled.is_(True), DOMAINS.c.enabled.is_(True))
)

# Built once: putting a statement together takes longer than SQLite takes to answer it.
IS_DOMAIN = PROJECTS.c.domain_id == ""
DOMAIN_IDS = {
    name: sa.select(PROJECTS.c.id).where(IS_DOMAIN, PROJECTS.c[name] == sa.bindparam("domain"))
    for name in ("id", "name")
}
"""The one domain that is meant, by how it is named."""

USER_BY_ID = USER.where(USERS.c.id == sa.bindparam("id"))
USER_NAMED = {
    by: USER.where(USERS.c.name == sa.bindparam("name"), USERS.c.domain_id.in_(ids)) for by, ids in DOMAIN_IDS.items()
}
PLACE_BY_ID = PLACE.where(PROJECTS.c.id == sa.bindparam("id"))
PROJECT_BY_ID = PLACE_BY_ID.where(sa.not_(IS_DOMAIN))
PROJECT_NAMED = {
    by: PLACE.where(PROJECTS.c.name == sa.bindparam("name"), PROJECTS.c.domain_id.in_(ids))
    for by, ids in DOMAIN_IDS.items()
}
DOMAIN_NAMED = {by: PLACE.where(PROJECTS.c.id.in_(ids)) for by, ids in DOMAIN_IDS.items()}


def user_with_id(tx: Tx, id: str) -> UserView | None:
    """An enabled user of an enabled domain."""
    return user_by(tx, USER_BY_ID, id=id)


def place_with_id(tx: Tx, id: str) -> PlaceView | None:
    """An enabled project of an enabled domain, or an enabled domain."""
    return place_by(tx, PLACE_BY_ID, id=id)


def project_with_id(tx: Tx, id: str) -> PlaceView | None:
    """An enabled project of an enabled domain; no domain, though it may act as a project."""
    return place_by(tx, PROJECT_BY_ID, id=id)


def user_by(tx: Tx, statement: sa.Select[Any], **named: str) -> UserView | None:
    row = tx.first(statement, named)
    return None if row is None else UserView._make(row)


def place_by(tx: Tx, statement: sa.Select[Any], **named: str) -> PlaceView | None:
    row = tx.first(statement, named)
    return None if row is None else PlaceView._make(row)


def named_user(tx: Tx, given: shape.UserRef) -> UserView | None:
    """Raises Invalid when the reference names nobody at all."""
    if given.id is not None:
        return user_with_id(tx, given.id)
    if given.name is None or given.domain is None:
        raise errors.Invalid("Expecting to find id, or name and domain, in user. The server could not comply "
                             "with the request since it is either malformed or otherwise incorrect.")
    by, domain = domain_meant(given.domain)
    return user_by(tx, USER_NAMED[by], name=given.name, domain=domain)


def named_project(tx: Tx, name: str, given: shape.DomainRef) -> PlaceView | None:
    by, domain = domain_meant(given)
    return place_by(tx, PROJECT_NAMED[by], name=name, domain=domain)


def named_domain(tx: Tx, given: shape.DomainRef) -> PlaceView | None:
    by, domain = domain_meant(given)
    return place_by(tx, DOMAIN_NAMED[by], domain=domain)


def domain_meant(given: shape.DomainRef) -> tuple[str, str]:
    """Whether it is told by id or name, and which. Raises Invalid when the reference names none at all."""
    if given.id is not None:
        return "id", given.id
    if given.name is not None:
        return "name", given.name
    raise errors.Invalid("Expecting to find id or name in domain. The server could not comply with the "
                         "request since it is either malformed or otherwise incorrect.")
