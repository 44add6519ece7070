# SPDX-License-Identifier: Apache-2.0
"""Security groups: who may talk to the ports that are in them.

Their rules are security_rules.py, what a rule may say logic/security.py. Every project has a group
called `default`, made when the project first needs it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from skyhold.core import errors, journal
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.http.routes import Reply, Routes
from skyhold.core.shapes import Absent, LooseBool, Shape, collection, envelope, field
from skyhold.core.store import Store
from skyhold.network import changes, policy
from skyhold.network import security_rules as rules
from skyhold.network.answers import Collection, Common, Dressed, Query, chunks
from skyhold.network.logic import security as logic
from skyhold.network.ports import store as ports
from skyhold.network.quotas import quota
from skyhold.network.tables import PORT_GROUPS, PORTS, SECURITY_GROUPS, SECURITY_RULES
from skyhold.network.writing import IF_MATCH, check_revision, drop_tags, owner, wanted_columns

DEFAULT = "default"

# ---- shape ---------------------------------------------------------------------------------


class SecurityGroupChange(Shape):
    name: str | Absent = field(optional=True, max=255)
    description: str | Absent = field(optional=True, max=255)
    stateful: LooseBool | Absent = field(optional=True)


class SecurityGroupCreate(Shape):
    name: str = field(default="", max=255)
    description: str = field(default="", max=255)
    stateful: LooseBool = field(default=True)
    project_id: str | Absent = field(optional=True, max=255)
    tenant_id: str | Absent = field(optional=True, max=255)


class SecurityGroup(Common):
    name: str
    description: str
    tags: list[str]
    stateful: bool
    shared: bool
    rules: list[rules.SecurityRule] = field("security_group_rules")


# ---- routes --------------------------------------------------------------------------------

routes = Routes()


@routes.get("/v2.0/security-groups", policy=policy.GET_SECURITY_GROUP, query=Query,
            reply=collection("security_groups", SecurityGroup, links="security_groups_links"))
async def index(ctx: Context, query: Query) -> Reply:
    """List security groups; a project's first look makes its default group."""
    if ctx.project_id and "member" in ctx.creds.roles and await ctx.read(default_id, ctx.project_id) is None:
        await ctx.write(ensure_default, ctx.project_id)
    return await SECURITY_GROUP.index(ctx, query)


@routes.post("/v2.0/security-groups", policy=policy.CREATE_SECURITY_GROUP,
             body=envelope("security_group", SecurityGroupCreate), reply=envelope("security_group", SecurityGroup),
             status=201)
async def create(ctx: Context, want: SecurityGroupCreate) -> Reply:
    """Create a security group that lets everything out and nothing in."""
    return SECURITY_GROUP.made(ctx, await ctx.write(insert, want))


@routes.get("/v2.0/security-groups/{security_group_id}", policy=policy.GET_SECURITY_GROUP, query=Query,
            reply=envelope("security_group", SecurityGroup))
async def show(ctx: Context, id: str, query: Query) -> Reply:
    """Show a security group."""
    return SECURITY_GROUP.show(ctx, await ctx.read(SECURITY_GROUP.get, id), query)


@routes.put("/v2.0/security-groups/{security_group_id}", policy=policy.UPDATE_SECURITY_GROUP,
            body=envelope("security_group", SecurityGroupChange), reply=envelope("security_group", SecurityGroup),
            headers=IF_MATCH)
async def update(ctx: Context, id: str, want: SecurityGroupChange, headers: dict[str, str | None]) -> Reply:
    """Change a security group."""
    return SECURITY_GROUP.show(ctx, await ctx.write(change, id, want, headers))


@routes.delete("/v2.0/security-groups/{security_group_id}", policy=policy.DELETE_SECURITY_GROUP, headers=IF_MATCH)
async def delete(ctx: Context, id: str, headers: dict[str, str | None]) -> None:
    """Delete a security group that no port is in."""
    await ctx.write(remove, id, headers)


# ---- operations ----------------------------------------------------------------------------


def insert(tx: Tx, ctx: Context, want: SecurityGroupCreate) -> Any:
    """Raises Conflict for the name `default`, Forbidden, OverQuota."""
    project = owner(ctx, want)
    policy.require(ctx, policy.CREATE_SECURITY_GROUP.name, {"project_id": project})
    if want.name.lower() == DEFAULT:
        raise errors.Conflict("Default security group already exists.", kind="SecurityGroupDefaultAlreadyExists")
    ensure_default(tx, ctx, project)
    quota.take(tx, project, security_group=1, security_group_rule=len(logic.DEFAULTS))
    row = add_group(tx, ctx, project, want.name, want.description, want.stateful)
    return dress(tx, ctx, [row])[0]


def add_group(
    tx: Tx, ctx: Context, project_id: str, name: str, description: str, stateful: bool = True,
    default_of: str | None = None,
) -> Any:
    row = store.insert(
        tx, id=ctx.new_id(), project_id=project_id, name=name, description=description, tags=[], revision=1,
        stateful=stateful, default_of=default_of,
    )
    texts = logic.DEFAULTS + (logic.same_group(row.id) if default_of else ())
    for text in texts:
        rules.add(tx, ctx, row, text)
    journal.record(tx, "security_group.create", row)
    return row


def ensure_default(tx: Tx, ctx: Context, project_id: str) -> str:
    """The id of the project's default group, made when it isn't there yet."""
    found = default_id(tx, ctx, project_id)
    if found is not None:
        return found
    try:
        with tx.nested():
            row = add_group(tx, ctx, project_id, DEFAULT, "Default security group", default_of=project_id)
    except sa.exc.IntegrityError:
        # Another request of the project was first.
        return str(default_id(tx, ctx, project_id))
    # No project can do without its default group, whatever its quota.
    quota.count(tx, project_id, security_group=1, security_group_rule=4)
    return str(row.id)


DEFAULT_OF = sa.select(SECURITY_GROUPS.c.id).where(SECURITY_GROUPS.c.default_of == sa.bindparam("project"))


def default_id(tx: Tx, ctx: Context, project_id: str) -> str | None:
    found: str | None = tx.scalar(DEFAULT_OF, {"project": project_id})
    return found


def change(tx: Tx, ctx: Context, id: str, want: SecurityGroupChange, headers: dict[str, str | None]) -> Any:
    row = store.get(tx, ctx, id)
    check_revision(row, headers)
    values = wanted_columns(want, "name", "description", "stateful")
    name = values.get("name", row.name)
    if name != row.name and (row.default_of or name.lower() == DEFAULT):
        raise errors.Conflict("Updating default security group not allowed.", kind="SecurityGroupCannotUpdateDefault")
    if values.get("stateful", row.stateful) != row.stateful and in_use(tx, id):
        raise in_use_error(tx, ctx, id)
    row = store.update(tx, row, **values)
    changes.mark(tx, "SecurityGroup", [id])
    journal.record(tx, "security_group.update", row)
    return dress(tx, ctx, [row])[0]


def remove(tx: Tx, ctx: Context, id: str, headers: dict[str, str | None]) -> None:
    row = store.get(tx, ctx, id)
    check_revision(row, headers)
    if row.default_of and not ctx.creds.internal and "admin" not in ctx.creds.roles:
        raise errors.Conflict(
            "Insufficient rights for removing default security group.", kind="SecurityGroupCannotRemoveDefault"
        )
    if in_use(tx, id):
        raise in_use_error(tx, ctx, id)
    own = tx.changed(SECURITY_RULES.delete().where(SECURITY_RULES.c.group_id == id))
    quota.give(tx, row.project_id, security_group=1, security_group_rule=own)
    rules.forget_remote(tx, id)
    store.delete(tx, row)
    drop_tags(tx, row)
    changes.mark(tx, "SecurityGroup", [id])
    journal.record(tx, "security_group.delete", row)


def in_use(tx: Tx, id: str) -> bool:
    return tx.first(sa.select(PORT_GROUPS.c.port_id).where(PORT_GROUPS.c.group_id == id).limit(1)) is not None


def in_use_error(tx: Tx, ctx: Context, id: str) -> errors.Conflict:
    members = PORTS.c.id.in_(sa.select(PORT_GROUPS.c.port_id).where(PORT_GROUPS.c.group_id == id))
    held_by = ports.holders(tx, ctx, members)
    return errors.Conflict(f"Security Group {id} in use by ports: {held_by}.", kind="SecurityGroupInUse")


# ---- queries -------------------------------------------------------------------------------

store = Store(SECURITY_GROUPS, service="network", kind="security_group", label="Security group")


def refuse_unknown(tx: Tx, ctx: Context, ids: Sequence[str], project_id: str) -> list[str]:
    """These groups, each once; NotFound names the first that the port's project or the caller can't use."""
    wanted = list(dict.fromkeys(ids))
    if not wanted:
        return []
    rows = tx.all(sa.select(SECURITY_GROUPS.c.id, SECURITY_GROUPS.c.project_id).where(SECURITY_GROUPS.c.id.in_(wanted)))
    known = {
        row.id for row in rows
        if row.project_id == project_id or policy.permitted(ctx, policy.GET_SECURITY_GROUP.name, row._mapping)
    }
    for id in wanted:
        if id not in known:
            raise store.not_found(id)
    return wanted


def named(tx: Tx, ctx: Context, project_id: str, names: Sequence[str]) -> list[str]:
    """Ids of a project's groups by id or name. NotFound; Conflict when a name isn't unique."""
    table = SECURITY_GROUPS
    rows = tx.all(
        sa.select(table.c.id, table.c.name)
        .where(table.c.project_id == project_id, sa.or_(table.c.id.in_(names), table.c.name.in_(names)))
    )
    found = []
    for name in names:
        matches = [row.id for row in rows if row.id == name] or [row.id for row in rows if row.name == name]
        if not matches:
            raise errors.NotFound(
                f"Security group {name} not found for project {project_id}.", kind="security_group", id=name
            )
        if len(matches) > 1:
            raise errors.Conflict(
                f"Multiple security groups found matching '{name}'. Use an ID to be more specific.",
                kind="NoUniqueMatch",
            )
        found.append(matches[0])
    return list(dict.fromkeys(found))


def dress(tx: Tx, ctx: Context, rows: Sequence[Any]) -> list[Dressed]:
    found: dict[str, list[Any]] = {}
    for ids in chunks([row.id for row in rows]):
        statement = (
            sa.select(SECURITY_RULES).where(SECURITY_RULES.c.group_id.in_(ids))
            .order_by(SECURITY_RULES.c.created_at, SECURITY_RULES.c.id)
        )
        for each in tx.all(statement):
            row = rules.store.Row._make(each)
            found.setdefault(row.group_id, []).append(rules.dressed(row))
    return [Dressed(row, shared=False, rules=found.get(row.id, [])) for row in rows]


SECURITY_GROUP = Collection(
    "security_group", "security_groups", "security-groups", SecurityGroup, store, dress,
    special={"shared": lambda texts: sa.false() if texts[-1].lower() in ("true", "1") else sa.true()},
)
