# SPDX-License-Identifier: Apache-2.0
"""Giving a role to a user or a group in a place, checking and taking it.

What roles amount to is grants.py. Who may give what is asked about actor, place and role together,
as rows say they are. A role taken away takes along the application credentials made with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa

from skyhold.core import errors, journal
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.shapes import Page
from skyhold.core.store import Store
from skyhold.identity import groups, links, permits, places, roles, users
from skyhold.identity.auth.sessions import void
from skyhold.identity.delegation.rows import app_credentials, discard_rows, discard_tail
from skyhold.identity.grants import SYSTEM_ID
from skyhold.identity.tables import APP_CREDENTIALS, ASSIGNMENTS, MEMBERSHIPS, ROLES


class Place(NamedTuple):
    """What one kind of address is about."""

    target: str
    actor: str
    inherited: bool


class Named(NamedTuple):
    """The rows that one address names."""

    place: Place
    target_id: str
    actor: Any
    role: Any

    @property
    def where(self) -> sa.ColumnElement[bool]:
        a = ASSIGNMENTS.c
        same = [
            a.target_type == self.place.target,
            a.actor_id == self.actor.id, a.target_id == self.target_id, a.inherited.is_(self.place.inherited)
        ]
        return sa.and_(*same) if self.role is None else sa.and_(*same, a.role_id == self.role.id)


store = Store(ASSIGNMENTS, service="identity", kind="assignment", label="Assignment", key="target_id")


def give(tx: Tx, ctx: Context, place: Place, ids: Sequence[str]) -> None:
    """What was given already stays given."""
    named = look_up(tx, ctx, place, ids)
    refuse_foreign_role(tx, named)
    if tx.first(sa.select(ASSIGNMENTS.c.role_id).where(named.where)) is not None:
        return
    values = {
        "actor_id": named.actor.id, "target_id": named.target_id, "role_id": named.role.id,
        "inherited": place.inherited, "actor_type": place.actor, "target_type": place.target,
    }
    if not tx.add(ASSIGNMENTS, values):
        if tx.first(sa.select(ASSIGNMENTS.c.role_id).where(named.where)) is None:
            raise permits.gone_meanwhile("assignment")
        return
    void(tx)
    record(tx, "assignment.create", named)


def take(tx: Tx, ctx: Context, place: Place, ids: Sequence[str]) -> None:
    named = look_up(tx, ctx, place, ids)
    if not tx.changed(ASSIGNMENTS.delete().where(named.where)):
        raise no_grant(named)
    forget_app_credentials(tx, named)
    void(tx)
    record(tx, "assignment.delete", named)


def check(tx: Tx, ctx: Context, place: Place, ids: Sequence[str]) -> None:
    named = look_up(tx, ctx, place, ids)
    if tx.first(sa.select(ASSIGNMENTS.c.role_id).where(named.where)) is None:
        raise no_grant(named)


def list_roles(tx: Tx, ctx: Context, place: Place, ids: Sequence[str]) -> Page:
    named = look_up(tx, ctx, place, ids)
    mine = sa.select(ASSIGNMENTS.c.role_id).where(named.where)
    rows = tx.all(sa.select(*ROLES.c).where(ROLES.c.id.in_(mine)).order_by(ROLES.c.name))
    return Page([roles.view(ctx, row) for row in rows], links.of_list(ctx, address(named)))


# ---- what the address names ----------------------------------------------------------------


def look_up(tx: Tx, ctx: Context, place: Place, ids: Sequence[str]) -> Named:
    """The rows, after the route's rule was asked about them all. Ids come in the address's order."""
    rest = list(ids)
    target_id = SYSTEM_ID if place.target == "system" else rest.pop(0)
    actor_id = rest.pop(0)
    role_id = rest.pop(0) if rest else None
    actors = users.store if place.actor == "user" else groups.store
    kind = places.domains if place.target == "domain" else places.projects
    # What a grant names must still be there when the grant is.
    target = None if place.target == "system" else kind.find(tx, target_id, lock="stay")
    actor = actors.find(tx, actor_id, lock="stay")
    role = None if role_id is None else roles.store.find(tx, role_id, lock="stay")
    assert ctx.rule is not None
    permits.demand(ctx, ctx.rule, policy_target(place, target, actor, role))
    if actor is None:
        raise actors.not_found(actor_id)
    if role_id is not None and role is None:
        raise roles.store.not_found(role_id)
    if target is None and place.target != "system":
        raise kind.not_found(target_id)
    return Named(place, target_id, actor, role)


def policy_target(place: Place, target: Any, actor: Any, role: Any) -> dict[str, Any]:
    found: dict[str, Any] = {
        "target.role.domain_id": (role.domain_id or None) if role else None,
        "target.role.name": role.name if role else None,
    }
    if actor is not None:
        found |= {f"target.{place.actor}.id": actor.id, f"target.{place.actor}.domain_id": actor.domain_id}
    if target is not None:
        found[f"target.{place.target}.id"] = target.id
        found[f"target.{place.target}.domain_id"] = target.domain_id or target.id
    return found


def refuse_foreign_role(tx: Tx, named: Named) -> None:
    """A domain's own role is only given within the domain."""
    own = named.role.domain_id
    if not own:
        return
    place = places.projects.find(tx, named.target_id)
    if place is None or (place.domain_id or place.id) != own:
        raise errors.Forbidden("A role of a domain can only be given in that domain.")


def forget_app_credentials(tx: Tx, named: Named) -> None:
    """Those that were made for the project with this role, by whoever has lost it."""
    if named.place.target == "system":
        return
    c = APP_CREDENTIALS.c
    owners = [named.actor.id]
    if named.place.actor == "group":
        m = MEMBERSHIPS.c
        owners = [row.user_id for row in tx.all(sa.select(m.user_id).where(m.group_id == named.actor.id))]
    rows = tx.all(sa.select(*c).where(c.user_id.in_(owners), c.project_id == named.target_id))
    gone = [app_credentials.Row._make(row) for row in rows if named.role.id in row.roles]
    discard_tail(tx, discard_rows(tx, "app_cred_id", gone))


def record(tx: Tx, action: str, named: Named) -> None:
    row = store.Row(
        actor_id=named.actor.id, target_id=named.target_id, role_id=named.role.id,
        inherited=named.place.inherited, actor_type=named.place.actor, target_type=named.place.target,
    )
    journal.record(tx, action, row, project_id=named.target_id if named.place.target == "project" else None)


def address(named: Named) -> str:
    place = named.place
    target = "system" if place.target == "system" else f"{place.target}s/{named.target_id}"
    path = f"{target}/{place.actor}s/{named.actor.id}/roles"
    return f"OS-INHERIT/{path}/inherited_to_projects" if place.inherited else path


def no_grant(named: Named) -> errors.NotFound:
    return errors.NotFound(
        f"Could not find role assignment with role: {named.role.id}, user or group: {named.actor.id}, "
        f"project, domain, or system: {named.target_id}.", kind="assignment",
    )
