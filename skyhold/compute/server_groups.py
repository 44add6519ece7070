# SPDX-License-Identifier: Apache-2.0
"""Server groups: servers that should share a host, or should not.

A server joins when it is created (`join`); which hosts are left for it is asked while it is placed
(`hosts_of`), and decided by logic/scheduling.py. A deleted server is no longer a member.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from skyhold.compute import policy
from skyhold.compute.links import page_size
from skyhold.compute.quotas import QUOTA
from skyhold.compute.tables import SERVER_GROUP_MEMBERS, SERVER_GROUPS, SERVERS
from skyhold.core import errors, journal
from skyhold.core.context import Context
from skyhold.core.db.among import among
from skyhold.core.db.tx import Tx
from skyhold.core.http.routes import Routes
from skyhold.core.shapes import ABSENT, Absent, JsonObject, LooseInt, Name, Shape, collection, envelope, field
from skyhold.core.store import Store
from skyhold.core.wire.kinds import INT64_MAX

HARD = ("anti-affinity", "affinity")
POLICIES = (*HARD, "soft-anti-affinity", "soft-affinity")

# ---- shape ---------------------------------------------------------------------------------


class Rules(Shape):
    max_server_per_host: LooseInt | Absent = field(optional=True, min=1, max=2**31 - 1)


class Create(Shape):
    name: Name
    hard: list[str] = field("policies", until="2.14", enum=HARD, min_items=1, max_items=1, default_factory=list)
    policies: list[str] = field(
        since="2.15", until="2.63", enum=POLICIES, min_items=1, max_items=1, default_factory=list
    )
    policy: str | Absent = field(since="2.64", enum=POLICIES, optional=True)
    rules: Rules | Absent = field(since="2.64", optional=True)

    @property
    def chosen(self) -> str:
        """The policy, whatever the version calls it; Invalid when there is none."""
        named = [*self.hard, *self.policies] + ([] if self.policy is ABSENT else [self.policy])
        if not named:
            raise errors.Invalid("Invalid input for field/attribute server_group. A policy is a required property")
        return named[0]


class Group(Shape):
    id: str
    name: str
    members: list[str]
    policies: list[str] = field(until="2.63")
    metadata: JsonObject = field(until="2.63", default_factory=dict)
    policy: str = field(since="2.64")
    rules: JsonObject = field(since="2.64")
    project_id: str = field(since="2.13")
    user_id: str = field(since="2.13")


class GroupQuery(Shape, extra="ignore"):
    all_projects: str | None = None
    limit: int | None = field(min=0, default=None)
    offset: int = field(min=0, default=0)


ONE = envelope("server_group", Group)

# ---- routes --------------------------------------------------------------------------------

routes = Routes()
PATH = "/v2.1/os-server-groups"


@routes.get(PATH, policy=policy.GROUPS_INDEX, query=GroupQuery, reply=collection("server_groups", Group))
async def index(ctx: Context, query: GroupQuery) -> list[Group]:
    """List server groups."""
    return await ctx.read(list_page, query)


@routes.post(PATH, policy=policy.GROUPS_CREATE, body=envelope("server_group", Create), reply=ONE)
async def create(ctx: Context, want: Create) -> Group:
    """Create a server group."""
    return await ctx.write(insert, want)


@routes.get(PATH + "/{group_id}", policy=policy.GROUPS_SHOW, reply=ONE)
async def show(ctx: Context, group_id: str) -> Group:
    """Show a server group."""
    return await ctx.read(show_one, group_id)


@routes.delete(PATH + "/{group_id}", policy=policy.GROUPS_DELETE)
async def delete(ctx: Context, group_id: str) -> None:
    """Delete a server group; its servers stay."""
    await ctx.write(remove, group_id)


# ---- operations ----------------------------------------------------------------------------


def list_page(tx: Tx, ctx: Context, query: GroupQuery) -> list[Group]:
    """By age. The groups of all projects only for those who may see them; others see their own."""
    everyone = query.all_projects is not None and ctx.allows(policy.GROUPS_ALL)
    filters = [] if everyone else [("project_id", "eq", ctx.project_id)]
    # Both together must be a number that databases know.
    size = min(page_size(ctx, query.limit) + query.offset, INT64_MAX)
    rows = store.page(
        tx, ctx, filters=filters, sort=[("created_at", "asc"), ("id", "asc")], limit=size,
        may=policy.GROUPS_ALL if everyone else None,
    )[query.offset :]
    return printed(tx, rows)


def show_one(tx: Tx, ctx: Context, group_id: str) -> Group:
    return printed(tx, [store.get(tx, ctx, group_id)])[0]


def insert(tx: Tx, ctx: Context, want: Create) -> Group:
    """Raises OverQuota, Invalid for rules that the policy has no use for."""
    rules = {} if want.rules is ABSENT else {"max_server_per_host": want.rules.max_server_per_host}
    if rules and want.chosen != "anti-affinity":
        raise errors.Invalid("Only anti-affinity policy supports rules.")
    QUOTA.take(tx, ctx.project_id, server_groups=1)
    row = store.insert(
        tx, id=ctx.new_id(), project_id=ctx.project_id, user_id=ctx.user_id, name=want.name,
        policy=want.chosen, rules={name: value for name, value in rules.items() if value is not ABSENT},
    )
    journal.record(tx, "server_group.create", row)
    return printed(tx, [row])[0]


def remove(tx: Tx, ctx: Context, group_id: str) -> None:
    row = store.get(tx, ctx, group_id)
    tx.execute(SERVER_GROUP_MEMBERS.delete().where(SERVER_GROUP_MEMBERS.c.group_id == row.id))
    store.delete(tx, row)
    QUOTA.give(tx, row.project_id, server_groups=1)
    journal.record(tx, "server_group.delete", row)


# ---- for servers ---------------------------------------------------------------------------


def join(tx: Tx, ctx: Context, group_id: str, server_ids: Sequence[str]) -> None:
    """New servers become members. Raises Invalid for a group that isn't the caller's, OverQuota."""
    try:
        row = store.get(tx, ctx, group_id, may=policy.GROUPS_SHOW)
    except errors.NotFound:
        raise errors.Invalid(f"Instance group {group_id[:64]} could not be found.") from None
    limit = QUOTA.limits(tx, row.project_id)["server_group_members"]
    used = len(members(tx, [row.id]).get(row.id, []))
    if 0 <= limit < used + len(server_ids):
        raise errors.OverQuota(
            f"Quota exceeded, too many servers in group: requested {len(server_ids)}, but already used {used} "
            f"of {limit}.",
            resource="server_group_members", used=used, limit=limit, asked=len(server_ids),
        )
    tx.execute(SERVER_GROUP_MEMBERS.insert(), [{"group_id": row.id, "server_id": id} for id in server_ids])


GROUPS_OF = sa.select(SERVER_GROUP_MEMBERS.c.server_id, SERVER_GROUP_MEMBERS.c.group_id).where(
    among(SERVER_GROUP_MEMBERS.c.server_id, "ids")
)


def groups_of(tx: Tx, ctx: Context, server_ids: Sequence[str]) -> dict[str, list[str]]:
    """Group ids by server, whoever asks; one query for any number."""
    found: dict[str, list[str]] = {}
    for server_id, group_id in tx.all(GROUPS_OF, {"ids": list(server_ids)}):
        found.setdefault(server_id, []).append(group_id)
    return found


def hosts_of(tx: Tx, ctx: Context, server_id: str) -> list[tuple[str, int, dict[str, int]]]:
    """For each group of the server: its policy, how many members one host may have (0: as the policy
    says), and how many other members each host has, by host id."""
    m, other = SERVER_GROUP_MEMBERS.c, SERVER_GROUP_MEMBERS.alias().c
    g, s = SERVER_GROUPS.c, SERVERS.c
    statement = (
        sa.select(g.id, g.policy, g.rules, s.host_id)
        .select_from(
            SERVER_GROUP_MEMBERS.join(SERVER_GROUPS, g.id == m.group_id)
            .outerjoin(other.group_id.table, sa.and_(other.group_id == g.id, other.server_id != server_id))
            .outerjoin(SERVERS, sa.and_(s.id == other.server_id, s.deleted_at.is_(None)))
        )
        .where(m.server_id == server_id)
    )
    group_ids = groups_of(tx, ctx, [server_id]).get(server_id, [])
    if not group_ids:
        return []
    for group_id in group_ids if tx.writing else []:
        # Two members that are placed at once must see each other: one waits here for the other.
        store.find(tx, group_id, lock=True)
    groups: dict[str, tuple[str, int, dict[str, int]]] = {}
    for row in tx.all(statement):
        most = int(row.rules.get("max_server_per_host", 0))
        _, _, counts = groups.setdefault(row.id, (row.policy, most, {}))
        if row.host_id is not None:
            counts[row.host_id] = counts.get(row.host_id, 0) + 1
    return list(groups.values())


# ---- queries -------------------------------------------------------------------------------

store = Store(SERVER_GROUPS, service="compute", kind="server_group", label="Instance group")


def printed(tx: Tx, rows: Sequence[Any]) -> list[Group]:
    inside = members(tx, [row.id for row in rows])
    return [
        Group(
            id=row.id, name=row.name, members=inside.get(row.id, []), policies=[row.policy], policy=row.policy,
            rules=row.rules, project_id=row.project_id, user_id=row.user_id,
        )
        for row in rows
    ]


def members(tx: Tx, group_ids: Sequence[str]) -> dict[str, list[str]]:
    """Living members by group, the oldest first."""
    m = SERVER_GROUP_MEMBERS.c
    statement = (
        sa.select(m.group_id, m.server_id)
        .join(SERVERS, SERVERS.c.id == m.server_id)
        .where(m.group_id.in_(list(group_ids)), SERVERS.c.deleted_at.is_(None))
        .order_by(SERVERS.c.created_at, SERVERS.c.id)
    )
    found: dict[str, list[str]] = {}
    for row in tx.all(statement):
        found.setdefault(row.group_id, []).append(row.server_id)
    return found
