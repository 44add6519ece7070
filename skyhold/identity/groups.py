# SPDX-License-Identifier: Apache-2.0
"""Groups: users that get the same roles, and who belongs to them.

Giving roles is assignments/. A role given to a group is its members' from that moment, also in tokens
they already have.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from skyhold.core import errors, journal
from skyhold.core.context import INTERNAL, Context
from skyhold.core.db.tx import Tx
from skyhold.core.http.routes import Routes
from skyhold.core.policy.rules import Rule
from skyhold.core.shapes import ABSENT, Absent, JsonObject, OpenShape, Page, TimeMicrosZ, collection, envelope, field
from skyhold.core.store import Store
from skyhold.identity import links, permits, places, policy, users
from skyhold.identity.auth.sessions import void
from skyhold.identity.directories import freshness, read_only
from skyhold.identity.federation.tables import EXPIRING_MEMBERSHIPS
from skyhold.identity.listing import NamedQuery, page
from skyhold.identity.shapes import ID, NAME, extra_of, given
from skyhold.identity.tables import ASSIGNMENTS, GROUPS, MEMBERSHIPS
from skyhold.identity.unique import duplicate, once

# ---- shape ---------------------------------------------------------------------------------


class GroupCreate(OpenShape):
    name: str = field(min=1, max=64, pattern=NAME)
    domain_id: str | None = field(default=None, min=1, max=64, pattern=ID)
    description: str | None = field(default="")


class GroupChange(OpenShape, min_fields=1):
    name: str | Absent = field(optional=True, min=1, max=64, pattern=NAME)
    domain_id: str | Absent | None = field(optional=True)
    description: str | Absent | None = field(optional=True)


class Group(OpenShape):
    id: str
    name: str
    domain_id: str
    description: str
    links: JsonObject
    membership_expires_at: TimeMicrosZ | Absent | None = field(optional=True)


class GroupQuery(NamedQuery):
    domain_id: str | None = field(default=None)


# ---- routes --------------------------------------------------------------------------------

routes = Routes()
ONE = envelope("group", Group)
MANY = collection("groups", Group, links="links")
MEMBER = "/v3/groups/{group_id}/users/{user_id}"


@routes.get("/v3/groups", policy=policy.LIST_GROUPS, query=GroupQuery, reply=MANY)
async def index(ctx: Context, query: GroupQuery) -> Page:
    """List groups."""
    await freshness.freshen_asked(ctx, "group", query.domain_id)
    return await ctx.read(list_page, query)


@routes.post(
    "/v3/groups", policy=policy.CREATE_GROUP, body=envelope("group", GroupCreate), reply=ONE, status=201
)
async def create(ctx: Context, want: GroupCreate) -> Group:
    """Create a group."""
    return await ctx.write(insert, want)


@routes.get("/v3/groups/{group_id}", policy=policy.GET_GROUP, reply=ONE)
async def show(ctx: Context, group_id: str) -> Group:
    """Show a group."""
    await freshness.freshen_one(ctx, store, group_id)
    return view(ctx, await ctx.read(store.get, group_id))


@routes.patch(
    "/v3/groups/{group_id}", policy=policy.UPDATE_GROUP, body=envelope("group", GroupChange), reply=ONE
)
async def update(ctx: Context, group_id: str, want: GroupChange) -> Group:
    """Change a group."""
    return await ctx.write(change, group_id, want)


@routes.delete("/v3/groups/{group_id}", policy=policy.DELETE_GROUP)
async def delete(ctx: Context, group_id: str) -> None:
    """Delete a group."""
    await ctx.write(remove, group_id)


@routes.get(
    "/v3/groups/{group_id}/users", policy=policy.LIST_USERS_IN_GROUP, query=users.UserQuery, reply=users.MANY
)
async def members(ctx: Context, group_id: str, query: users.UserQuery) -> Page:
    """List a group's members."""
    await freshness.freshen_one(ctx, store, group_id)
    return await ctx.read(list_members, group_id, query)


@routes.get("/v3/users/{user_id}/groups", policy=policy.LIST_GROUPS_FOR_USER, query=GroupQuery, reply=MANY)
async def of_user(ctx: Context, user_id: str, query: GroupQuery) -> Page:
    """List the groups of a user."""
    await freshness.freshen_one(ctx, users.store, user_id)
    return await ctx.read(list_of_user, user_id, query)


@routes.put(MEMBER, policy=policy.ADD_USER_TO_GROUP, status=204)
async def add(ctx: Context, group_id: str, user_id: str) -> None:
    """Add a user to a group."""
    await ctx.write(join, group_id, user_id)


@routes.head(MEMBER, policy=policy.CHECK_USER_IN_GROUP, status=204)
async def check(ctx: Context, group_id: str, user_id: str) -> None:
    """Check whether a user is in a group."""
    await ctx.read(check_member, group_id, user_id, policy.CHECK_USER_IN_GROUP)


@routes.get(MEMBER, policy=policy.CHECK_USER_IN_GROUP, status=204)
async def check_too(ctx: Context, group_id: str, user_id: str) -> None:
    """Check whether a user is in a group."""
    await ctx.read(check_member, group_id, user_id, policy.CHECK_USER_IN_GROUP)


@routes.delete(MEMBER, policy=policy.REMOVE_USER_FROM_GROUP)
async def drop(ctx: Context, group_id: str, user_id: str) -> None:
    """Remove a user from a group."""
    await ctx.write(leave, group_id, user_id)


# ---- operations ----------------------------------------------------------------------------


def insert(tx: Tx, ctx: Context, want: GroupCreate) -> Group:
    """Raises Conflict for a name that is taken in the domain."""
    domain_id = want.domain_id or permits.own_domain(ctx)
    permits.demand(ctx, policy.CREATE_GROUP, {"target.group.domain_id": domain_id})
    places.domain(tx, domain_id)
    read_only.refuse_new(tx, domain_id, "group")
    with once(tx, taken(want.name)):
        row = store.insert(
            tx, id=permits.hex_id(ctx), domain_id=domain_id, name=want.name,
            description=want.description or "", extra=extra_of(want),
        )
    journal.record(tx, "group.create", row)
    return view(ctx, row)


def change(tx: Tx, ctx: Context, group_id: str, want: GroupChange) -> Group:
    row = store.get(tx, ctx, group_id)
    read_only.refuse_change(tx, row.id, "group")
    if want.domain_id is not ABSENT and want.domain_id != row.domain_id:
        raise errors.Invalid("Cannot change Domain ID.")
    values = given(name=want.name, description=want.description)
    if "description" in values:
        values["description"] = values["description"] or ""
    with once(tx, taken(want.name)):
        row = store.update(tx, row, **values, extra=row.extra | extra_of(want))
    journal.record(tx, "group.update", row)
    return view(ctx, row)


def remove(tx: Tx, ctx: Context, group_id: str) -> None:
    row = store.get(tx, ctx, group_id)
    read_only.refuse_change(tx, row.id, "group")
    remove_row(tx, row)
    void(tx)


def remove_row(tx: Tx, row: Any) -> None:
    tx.execute(ASSIGNMENTS.delete().where(ASSIGNMENTS.c.actor_id == row.id))
    store.delete(tx, row)
    journal.record(tx, "group.delete", row)


def join(tx: Tx, ctx: Context, group_id: str, user_id: str) -> None:
    """Somebody who is a member already stays one."""
    group, user = pair(tx, ctx, group_id, user_id, policy.ADD_USER_TO_GROUP)
    read_only.refuse_change(tx, group.id, "group")
    if is_member(tx, group.id, user.id):
        return
    if not tx.add(MEMBERSHIPS, {"group_id": group.id, "user_id": user.id}):
        if not is_member(tx, group.id, user.id):
            raise permits.gone_meanwhile("membership")
        return
    void(tx)
    journal.record(tx, "group.add_user", group)


def leave(tx: Tx, ctx: Context, group_id: str, user_id: str) -> None:
    group, user = pair(tx, ctx, group_id, user_id, policy.REMOVE_USER_FROM_GROUP)
    read_only.refuse_change(tx, group.id, "group")
    m = MEMBERSHIPS.c
    if not tx.changed(MEMBERSHIPS.delete().where(m.group_id == group.id, m.user_id == user.id)):
        raise no_member(group_id, user_id)
    void(tx)
    journal.record(tx, "group.remove_user", group)


def check_member(tx: Tx, ctx: Context, group_id: str, user_id: str, rule: Rule) -> None:
    group, user = pair(tx, ctx, group_id, user_id, rule)
    if not is_member(tx, group.id, user.id):
        raise no_member(group_id, user_id)


# ---- queries -------------------------------------------------------------------------------

store = Store(
    GROUPS, service="identity", kind="group", label="Group",
    targets={"target.group.domain_id": "domain_id", "target.group.id": "id"},
    alive=GROUPS.c.id.not_in(read_only.GONE),
)


def view(ctx: Context, row: Any, **more: Any) -> Group:
    return Group(
        id=row.id, name=row.name, domain_id=row.domain_id, description=row.description,
        links=links.to(ctx, f"groups/{row.id}"), extra=row.extra, **more,
    )


def list_page(tx: Tx, ctx: Context, query: GroupQuery) -> Page:
    return page(tx, ctx, store, query, "groups", view, equal=["name", "domain_id"])


def list_members(tx: Tx, ctx: Context, group_id: str, query: users.UserQuery) -> Page:
    store.get(tx, ctx, group_id)
    inside = sa.select(MEMBERSHIPS.c.user_id).where(MEMBERSHIPS.c.group_id == group_id)
    u = users.store
    return page(
        tx, everyone(ctx), u, query, f"groups/{group_id}/users", users.view, equal=["name", "domain_id"],
        flags=["enabled"], where=[u.table.c.id.in_(inside)],
    )


def list_of_user(tx: Tx, ctx: Context, user_id: str, query: GroupQuery) -> Page:
    users.store.get(tx, ctx, user_id)
    inside = sa.select(MEMBERSHIPS.c.group_id).where(MEMBERSHIPS.c.user_id == user_id)
    until = expiring(tx, user_id)
    return page(
        tx, everyone(ctx), store, query, f"users/{user_id}/groups",
        lambda ctx, row: view(ctx, row, membership_expires_at=until.get(row.id)), equal=["name", "domain_id"],
        where=[sa.or_(GROUPS.c.id.in_(inside), GROUPS.c.id.in_(list(until)))],
    )


def expiring(tx: Tx, user_id: str) -> dict[str, int | None]:
    """Until when by group, of those that an identity provider put the user in and nobody else."""
    e, m = EXPIRING_MEMBERSHIPS.c, MEMBERSHIPS.c
    lasting = sa.select(m.group_id).where(m.user_id == user_id)
    rows = tx.all(sa.select(e.group_id, sa.func.max(e.ends_at)).where(
        e.user_id == user_id, e.ends_at > tx.now, e.group_id.not_in(lasting)
    ).group_by(e.group_id))
    return {row[0]: row[1] for row in rows}


def everyone(ctx: Context) -> Context:
    """The right was decided on the group or the user; its list isn't narrowed once more."""
    return ctx.derive(INTERNAL)


def pair(tx: Tx, ctx: Context, group_id: str, user_id: str, rule: Rule) -> tuple[Any, Any]:
    """Group and user, after asking whether `rule` allows it for both."""
    group, user = store.find(tx, group_id, lock="stay"), users.store.find(tx, user_id, lock="stay")
    permits.demand(ctx, rule, {
        "target.group.domain_id": group.domain_id if group else None,
        "target.user.domain_id": user.domain_id if user else None,
    })
    if group is None:
        raise store.not_found(group_id)
    if user is None:
        raise users.store.not_found(user_id)
    return group, user


def is_member(tx: Tx, group_id: str, user_id: str) -> bool:
    m = MEMBERSHIPS.c
    return tx.first(sa.select(m.user_id).where(m.group_id == group_id, m.user_id == user_id)) is not None


def no_member(group_id: str, user_id: str) -> errors.NotFound:
    return errors.NotFound(f"User '{user_id}' not found in group '{group_id}'.", kind="membership")


def taken(name: object) -> errors.Conflict:
    return duplicate("group", f"Duplicate entry found with name {name} in the same domain")
