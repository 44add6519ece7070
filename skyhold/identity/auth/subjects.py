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


def user_by(tx: Tx, *clauses: sa.ColumnElement[bool]) -> UserView | None:
    """An enabled user of an enabled domain."""
    row = tx.first(USER.where(*clauses))
    return None if row is None else UserView._make(row)


def place_by(tx: Tx, *clauses: sa.ColumnElement[bool]) -> PlaceView | None:
    """An enabled project of an enabled domain, or an enabled domain."""
    row = tx.first(PLACE.where(*clauses))
    return None if row is None else PlaceView._make(row)


def named_user(tx: Tx, given: shape.UserRef) -> UserView | None:
    """Raises Invalid when the reference names nobody at all."""
    if given.id is not None:
        return user_by(tx, USERS.c.id == given.id)
    if given.name is None or given.domain is None:
        raise errors.Invalid("Expecting to find id, or name and domain, in user. The server could not comply "
                             "with the request since it is either malformed or otherwise incorrect.")
    return user_by(tx, USERS.c.name == given.name, USERS.c.domain_id.in_(domain_ids(given.domain)))


def domain_ids(given: shape.DomainRef) -> Any:
    """A subquery of the one domain that is meant."""
    if given.id is None and given.name is None:
        raise errors.Invalid("Expecting to find id or name in domain. The server could not comply with the "
                             "request since it is either malformed or otherwise incorrect.")
    by = PROJECTS.c.id == given.id if given.id is not None else PROJECTS.c.name == given.name
    return sa.select(PROJECTS.c.id).where(PROJECTS.c.domain_id == "", by)
