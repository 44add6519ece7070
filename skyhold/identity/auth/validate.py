# SPDX-License-Identifier: Apache-2.0
"""From a token to what it allows: user, scope, roles and limits, read from the database.

Remembering the answer is sessions.py, printing it body.py. Nothing is believed that can have
changed since the token was made: that the user and the scope are enabled, that there are roles.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec
import sqlalchemy as sa

from skyhold.core import errors
from skyhold.core.context import Context, Credentials
from skyhold.identity import grants
from skyhold.identity.auth.payload import Token
from skyhold.identity.tables import ACCESS_RULES, APP_CREDENTIALS, PROJECTS, REVOCATIONS, USERS

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


class PlaceView(NamedTuple):
    """A project or a domain; of a domain, `domain_id` and `domain_name` are its own."""

    id: str
    name: str
    domain_id: str
    domain_name: str
    is_domain: bool
    parent_id: str | None
    generation: int


class AppCredView(NamedTuple):
    id: str
    name: str
    unrestricted: bool
    expires_at: int | None
    access_rules: tuple[tuple[str, str, str, str], ...] | None
    """(id, service, method, path)"""


class Valid(msgspec.Struct, frozen=True, kw_only=True):
    """A token that counts. `roles` are (id, name), with those implied, without those of domains."""

    token: Token
    user: UserView
    place: PlaceView | None
    roles: tuple[tuple[str, str], ...]
    app_cred: AppCredView | None = None

    def credentials(self, text: str) -> Credentials:
        token, user, place = self.token, self.user, self.place
        project = place if token.scope == "project" else None
        domain = place if token.scope == "domain" else None
        rules = self.app_cred.access_rules if self.app_cred else None
        return Credentials(
            user_id=user.id, user_name=user.name, user_domain_id=user.domain_id,
            project_id=project and project.id, project_name=project and project.name,
            project_domain_id=project and project.domain_id,
            domain_id=domain and domain.id, domain_name=domain and domain.name,
            system_scope="all" if token.scope == "system" else None, scope=token.scope,
            roles=frozenset(name for _, name in self.roles), token=text, audit_id=token.audit_id,
            expires_at=token.expires_at, app_cred_id=token.app_cred_id,
            access_rules=None if rules is None else tuple((s, m, p) for _, s, m, p in rules),
        )


def read(tx: Tx, ctx: Context, token: Token) -> Valid:
    """Raises NotFound when the token doesn't count: expired, revoked, or its ground is gone."""
    if token.expires_at <= ctx.now:
        raise void("it has expired")
    if revoked(tx, token):
        raise void("it was revoked")
    user = user_by(tx, USERS.c.id == token.user_id)
    if user is None or user.generation != token.user_generation:
        raise void("its user is gone, disabled, or has a new password")
    place, roles = None, ()
    if token.scope in ("project", "domain"):
        place = place_by(tx, PROJECTS.c.id == token.scope_id)
        if place is None or place.generation != token.scope_generation:
            raise void(f"its {token.scope} is gone or disabled")
    if token.scope != "unscoped":
        roles = roles_in(tx, token, place)
    return limited(tx, ctx, Valid(token=token, user=user, place=place, roles=roles))


def roles_in(tx: Tx, token: Token, place: PlaceView | None) -> tuple[tuple[str, str], ...]:
    roles = grants.effective(tx, token.user_id, token.scope, place)
    if not roles:
        raise void(f"its user has no role in that {token.scope}")
    return roles


def limited(tx: Tx, ctx: Context, valid: Valid) -> Valid:
    """What an application credential leaves of it: never more than its owner has."""
    if valid.token.app_cred_id is None:
        return valid
    row = tx.first(sa.select(*APP_CREDENTIALS.c).where(APP_CREDENTIALS.c.id == valid.token.app_cred_id))
    if row is None or (row.expires_at is not None and row.expires_at <= ctx.now):
        raise void("its application credential is gone or has expired")
    if row.user_id != valid.user.id or valid.place is None or row.project_id != valid.place.id:
        raise void("its application credential is for another project")
    held = set(valid.roles)
    roles = tuple(role for role in grants.expand(tx, row.roles) if role in held)
    if not roles:
        raise void("its application credential has no role left")
    view = AppCredView(row.id, row.name, row.unrestricted, row.expires_at, access_rules(tx, row.access_rules))
    return msgspec.structs.replace(valid, roles=roles, app_cred=view)


def access_rules(tx: Tx, ids: list[str] | None) -> tuple[tuple[str, str, str, str], ...] | None:
    """A rule that was deleted allows nothing; None (no list at all) is no limit."""
    if ids is None:
        return None
    rules = ACCESS_RULES.c
    rows = tx.all(sa.select(rules.id, rules.service, rules.method, rules.path).where(rules.id.in_(ids)))
    return tuple(tuple(row) for row in rows)  # type: ignore[misc]


def revoked(tx: Tx, token: Token) -> bool:
    first = token.chain_id or token.audit_id
    statement = sa.select(REVOCATIONS.c.id).where(sa.or_(
        sa.and_(REVOCATIONS.c.audit_id == token.audit_id, REVOCATIONS.c.chain.is_(False)),
        sa.and_(REVOCATIONS.c.audit_id == first, REVOCATIONS.c.chain.is_(True)),
    ))
    return tx.first(statement.limit(1)) is not None


DOMAINS = PROJECTS.alias("domain")
USER = (
    sa.select(
        USERS.c.id, USERS.c.name, USERS.c.domain_id, DOMAINS.c.name.label("domain_name"),
        (USERS.c.generation + DOMAINS.c.generation).label("generation"), USERS.c.password_expires_at,
        USERS.c.password_hash, USERS.c.default_project_id,
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


def void(why: str) -> errors.NotFound:
    return errors.NotFound(f"This token is not valid: {why}.", reason="token_void")
