# SPDX-License-Identifier: Apache-2.0
"""Security group rules: single allowances, which are created and deleted but never changed.

What a rule may say is logic/security.py; the groups are security_groups.py. A key on what a rule
allows makes a second rule that says the same impossible.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from skyhold.core import errors, journal
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.http.routes import Reply, Routes
from skyhold.core.shapes import Absent, Shape, bulk, collection, envelope, field
from skyhold.core.store import Store
from skyhold.network import changes, policy
from skyhold.network.answers import Collection, Common, Dressed, Query
from skyhold.network.logic import security as logic
from skyhold.network.quotas import quota
from skyhold.network.tables import SECURITY_GROUPS, SECURITY_RULES
from skyhold.network.writing import owner

# ---- shape ---------------------------------------------------------------------------------


class SecurityRuleCreate(Shape):
    group_id: str = field("security_group_id", max=64)
    direction: str = field(enum=("ingress", "egress"))
    ethertype: str | None = field(default="IPv4", max=40)
    protocol: str | int | None = field(default=None)
    port_min: str | int | None = field("port_range_min", default=None)
    port_max: str | int | None = field("port_range_max", default=None)
    remote_cidr: str | None = field("remote_ip_prefix", default=None, max=64)
    remote_group_id: str | None = field(default=None, max=64)
    remote_address_group_id: None = field(default=None)
    description: str | None = field(default="", max=255)
    project_id: str | Absent = field(optional=True, max=255)
    tenant_id: str | Absent = field(optional=True, max=255)


class SecurityRule(Common):
    group_id: str = field("security_group_id")
    direction: str
    ethertype: str
    protocol: str | None
    port_min: int | None = field("port_range_min")
    port_max: int | None = field("port_range_max")
    remote_cidr: str | None = field("remote_ip_prefix")
    normalized_cidr: str | None
    remote_group_id: str | None
    remote_address_group_id: str | None
    description: str


# ---- routes --------------------------------------------------------------------------------

routes = Routes()


@routes.get("/v2.0/security-group-rules", policy=policy.GET_SECURITY_GROUP_RULE, query=Query,
            reply=collection("security_group_rules", SecurityRule, links="security_group_rules_links"))
async def index(ctx: Context, query: Query) -> Reply:
    """List rules of all groups."""
    return await SECURITY_RULE.index(ctx, query)


@routes.post("/v2.0/security-group-rules", policy=policy.CREATE_SECURITY_GROUP_RULE,
             body=bulk("security_group_rule", "security_group_rules", SecurityRuleCreate),
             reply=bulk("security_group_rule", "security_group_rules", SecurityRule), status=201)
async def create(ctx: Context, want: SecurityRuleCreate | list[SecurityRuleCreate]) -> Reply:
    """Add a rule, or several at once."""
    return SECURITY_RULE.made(ctx, await ctx.write(insert_all, want))


@routes.get("/v2.0/security-group-rules/{rule_id}", policy=policy.GET_SECURITY_GROUP_RULE, query=Query,
            reply=envelope("security_group_rule", SecurityRule))
async def show(ctx: Context, id: str, query: Query) -> Reply:
    """Show a rule."""
    return SECURITY_RULE.show(ctx, await ctx.read(SECURITY_RULE.get, id), query)


@routes.delete("/v2.0/security-group-rules/{rule_id}", policy=policy.DELETE_SECURITY_GROUP_RULE)
async def delete(ctx: Context, id: str) -> None:
    """Remove a rule; flows that only it allowed are cut."""
    await ctx.write(remove, id)


# ---- operations ----------------------------------------------------------------------------


def insert_all(tx: Tx, ctx: Context, wants: SecurityRuleCreate | list[SecurityRuleCreate]) -> Any:
    if isinstance(wants, list):
        return [dressed(insert(tx, ctx, want)) for want in wants]
    return dressed(insert(tx, ctx, wants))


def insert(tx: Tx, ctx: Context, want: SecurityRuleCreate) -> Any:
    """Raises Invalid, NotFound for either group, Conflict for a rule that is there, OverQuota. A rule is its group's
    project's, whichever the caller names."""
    owner(ctx, want)
    text = logic.read_rule(
        want.direction, want.ethertype or "IPv4", want.protocol, want.port_min, want.port_max, want.remote_cidr,
        want.remote_group_id,
    )
    group = visible_group(tx, ctx, want.group_id)
    policy.require(ctx, policy.CREATE_SECURITY_GROUP_RULE.name, group._mapping)
    if text.remote_group_id and text.remote_group_id != group.id:
        visible_group(tx, ctx, text.remote_group_id)
    quota.take(tx, group.project_id, security_group_rule=1)
    row = add(tx, ctx, group, text, want.description or "")
    touch_group(tx, group.id)
    changes.mark(tx, "SecurityGroup", [group.id])
    journal.record(tx, "security_group_rule.create", row)
    return row


def add(tx: Tx, ctx: Context, group: Any, text: logic.RuleText, description: str = "") -> Any:
    row = store.add(
        tx, id=ctx.new_id(), project_id=group.project_id, group_id=group.id, description=description,
        direction=text.direction, ethertype=text.ethertype, protocol=text.protocol, port_min=text.port_min,
        port_max=text.port_max, remote_cidr=text.remote_cidr, normalized_cidr=text.normalized_cidr,
        remote_group_id=text.remote_group_id, sameness=text.sameness, revision=1,
    )
    if row is not None:
        return row
    same = tx.scalar(sa.select(SECURITY_RULES.c.id).where(
        SECURITY_RULES.c.group_id == group.id, SECURITY_RULES.c.sameness == text.sameness
    ))
    raise errors.Conflict(f"Security group rule already exists. Rule id is {same}.", kind="SecurityGroupRuleExists")


def visible_group(tx: Tx, ctx: Context, id: str) -> Any:
    table = SECURITY_GROUPS
    statement = sa.select(table.c.id, table.c.project_id).where(table.c.id == id)
    # It gets a rule, which counts as a change of the group's own; it must not be removed meanwhile.
    row = tx.first(statement.with_for_update() if tx.writing else statement)
    if row is None or not policy.permitted(ctx, policy.GET_SECURITY_GROUP.name, row._mapping):
        raise errors.NotFound(f"Security group {id} does not exist", kind="security_group", id=id)
    return row


def remove(tx: Tx, ctx: Context, id: str) -> None:
    row = store.get(tx, ctx, id)
    store.delete(tx, row)
    quota.give(tx, row.project_id, security_group_rule=1)
    touch_group(tx, row.group_id)
    changes.mark(tx, "SecurityGroup", [row.group_id])
    journal.record(tx, "security_group_rule.delete", row)


def forget_remote(tx: Tx, group_id: str) -> None:
    """Rules of other groups that let in the members of a group which goes."""
    where = SECURITY_RULES.c.remote_group_id == group_id
    found = sa.select(SECURITY_RULES.c.group_id, SECURITY_RULES.c.project_id).where(where).order_by(SECURITY_RULES.c.id)
    # Locked: one that another deletes at this moment is given back by that one.
    rows = tx.all(found.with_for_update())
    if rows:
        tx.execute(SECURITY_RULES.delete().where(where))
        for row in rows:
            quota.give(tx, row.project_id, security_group_rule=1)
        changes.mark(tx, "SecurityGroup", [row.group_id for row in rows])


def touch_group(tx: Tx, group_id: str) -> None:
    """A group's revision counts the changes of its rules."""
    table = SECURITY_GROUPS
    tx.execute(
        table.update().where(table.c.id == group_id).values(revision=table.c.revision + 1, updated_at=tx.now)
    )


# ---- queries -------------------------------------------------------------------------------

store = Store(SECURITY_RULES, service="network", kind="security_group_rule", label="Security group rule")


def dress(tx: Tx, ctx: Context, rows: Sequence[Any]) -> list[Dressed]:
    return [dressed(row) for row in rows]


def dressed(row: Any) -> Dressed:
    return Dressed(row, remote_address_group_id=None)


SECURITY_RULE = Collection(
    "security_group_rule", "security_group_rules", "security-group-rules", SecurityRule, store, dress, tagged=False,
)
