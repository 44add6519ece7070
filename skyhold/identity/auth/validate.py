# SPDX-License-Identifier: Apache-2.0
"""From a token to what it allows: user, scope, roles and limits, read from the database.

Remembering the answer is sessions.py, printing it body.py. Nothing is believed that can have
changed since the token was made: that the user and the scope are enabled, that there are roles.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import sqlalchemy as sa

from skyhold.core.context import Context, Credentials
from skyhold.identity import grants
from skyhold.identity.auth import grounds
from skyhold.identity.auth.bounds import Bound
from skyhold.identity.auth.grounds import gone
from skyhold.identity.auth.payload import SECOND_US, Token
from skyhold.identity.auth.subjects import PlaceView, UserView, place_with_id, user_with_id
from skyhold.identity.tables import REVOCATIONS

if TYPE_CHECKING:
    from skyhold.core.db.tx import Tx

REVOKED = sa.select(REVOCATIONS.c.id).where(sa.or_(
    sa.and_(REVOCATIONS.c.audit_id == sa.bindparam("audit_id"), REVOCATIONS.c.chain.is_(False)),
    sa.and_(REVOCATIONS.c.audit_id == sa.bindparam("first"), REVOCATIONS.c.chain.is_(True)),
)).limit(1)


class Valid(msgspec.Struct, frozen=True, kw_only=True):
    """A token that counts. `roles` are (id, name), with those implied, without those of domains.

    `user` is whom it speaks as; with an impersonating trust not the one who signed in.
    """

    token: Token
    user: UserView
    place: PlaceView | None
    roles: grants.Roles
    bounds: tuple[Bound, ...] = ()
    until: int | None = None
    """When to look again, though nothing is changed: a membership that some role may come from ends then."""

    @property
    def ends_at(self) -> int:
        """When it stops to count: its own end, or that of what it rests on."""
        return min([self.token.expires_at, *(bound.ends_at for bound in self.bounds if bound.ends_at is not None)])

    @property
    def user_generation(self) -> int:
        """Of the user alone, without those whom the token rests on."""
        return self.token.user_generation - grounds.generation(self.bounds)

    def credentials(self, text: str) -> Credentials:
        token, user, place = self.token, self.user, self.place
        project = place if token.scope == "project" else None
        domain = place if token.scope == "domain" else None
        # A token rests on at most one ground with access rules: an application credential.
        rules = next((bound.access_rules for bound in self.bounds if bound.access_rules is not None), None)
        return Credentials(
            user_id=user.id, user_name=user.name, user_domain_id=user.domain_id,
            project_id=project and project.id, project_name=project and project.name,
            project_domain_id=project and project.domain_id,
            domain_id=domain and domain.id, domain_name=domain and domain.name,
            system_scope="all" if token.scope == "system" else None, scope=token.scope,
            roles=frozenset(name for _, name in self.roles), token=text, audit_id=token.audit_id,
            expires_at=token.expires_at, app_cred_id=token.app_cred_id, trust_id=token.trust_id,
            access_token_id=token.access_token_id, ec2_key_id=token.ec2_key_id,
            thumbprint=token.thumbprint, group_ids=token.group_ids,
            may_delegate=all(bound.passes_on for bound in self.bounds),
            access_rules=None if rules is None else tuple((s, m, p) for _, s, m, p in rules),
        )


def read(tx: Tx, ctx: Context, token: Token, late_s: int = 0) -> Valid:
    """Raises NotFound when the token doesn't count: expired, revoked, or its ground is gone. `late_s` is for how
    long after its end it is read all the same."""
    since = ctx.now - late_s * SECOND_US
    if token.expires_at <= since:
        raise gone("it has expired")
    if revoked(tx, token):
        raise gone("it was revoked")
    bounds = tuple(grounds.of_token(tx, ctx, token))
    user = user_with_id(tx, token.user_id)
    if user is None or user.generation + grounds.generation(bounds) != token.user_generation:
        raise gone("its user, or one whom it rests on, is gone, was disabled, or has a new password")
    place = place_of(tx, token)
    for bound in bounds:
        check(bound, token, place, since)
    roles, until = ((), None) if token.scope == "unscoped" else roles_in(tx, token, place, bounds)
    speaks_as = next((bound.speaks_as for bound in bounds if bound.speaks_as is not None), user)
    return Valid(token=token, user=speaks_as, place=place, roles=roles, bounds=bounds, until=until)


def place_of(tx: Tx, token: Token) -> PlaceView | None:
    if token.scope not in ("project", "domain"):
        return None
    place = place_with_id(tx, token.scope_id)
    if place is None or place.generation != token.scope_generation:
        raise gone(f"its {token.scope} is gone or disabled")
    return place


def check(bound: Bound, token: Token, place: PlaceView | None, since: int) -> None:
    if bound.ends_at is not None and bound.ends_at <= since:
        raise gone("what it rests on has expired")
    if bound.project_id is not None and (token.scope != "project" or place is None or place.id != bound.project_id):
        raise gone("what it rests on is for another project")


def roles_in(
    tx: Tx, token: Token, place: PlaceView | None, bounds: tuple[Bound, ...]
) -> tuple[grants.Roles, int | None]:
    """Never more than the holder has there now, and never more than each bound leaves; and until when that is so."""
    holders = {bound.holder.id for bound in bounds if bound.holder is not None} or {token.user_id}
    if len(holders) > 1:
        raise gone("it rests on the rights of two people")
    groups = token.group_ids if holders == {token.user_id} else ()
    given = grants.given(tx, min(holders), token.scope, place, groups)
    held = roles = grants.expand(tx, given.role_ids)
    for bound in bounds:
        if bound.role_ids is not None:
            left = set(grants.expand(tx, bound.role_ids))
            if bound.all_roles and not left <= set(held):
                raise gone("a role that it rests on was taken away")
            roles = tuple(role for role in roles if role in left)
    if not roles:
        raise gone(f"there is no role left for it in that {token.scope}")
    return roles, given.until


def revoked(tx: Tx, token: Token) -> bool:
    named = {"audit_id": token.audit_id, "first": token.chain_id or token.audit_id}
    return tx.first(REVOKED, named) is not None
