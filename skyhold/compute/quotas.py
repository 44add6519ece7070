# SPDX-License-Identifier: Apache-2.0
"""Compute's quota: what a project may have of servers, cores, memory and the like.

Counting is core/quota.py; usage is also shown by limits.py. Limits are looked for in this order:
the project's own, those of the quota class `default` (the limits of project ""), the settings.
"""

from __future__ import annotations

from typing import Any

from skyhold.compute import policy
from skyhold.compute.projects import permit, require_project
from skyhold.core import errors
from skyhold.core.app import Core
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.http.routes import Routes
from skyhold.core.quota import UNLIMITED, Quota
from skyhold.core.shapes import ABSENT, Absent, LooseBool, LooseInt, Shape, envelope, field

QUOTA = Quota(
    "compute", instances=10, cores=20, ram=51200, key_pairs=100, metadata_items=128, server_groups=10,
    server_group_members=10, injected_files=5, injected_file_content_bytes=10240,
    injected_file_path_bytes=255,
)
"""`ram` in MiB. Key pairs are counted per user: their "project" is the user's id."""

EVERYBODY = ""
"""The project whose limits hold for all that have none of their own."""
PER_USER = ("key_pairs", "metadata_items", "server_group_members")
"""Limits that are not summed up over a project: their usage in it is always shown as 0."""
MOST = 2**31 - 1


async def prepare(core: Core) -> None:
    """At start: the operator's settings become the defaults."""
    QUOTA.defaults.update(core.settings.compute.quotas)


# ---- shape ---------------------------------------------------------------------------------


class Limits(Shape):
    """Numbers or, in details, `{in_use, limit, reserved}`. What networks have was compute's until 2.35."""

    id: str | Absent = field(optional=True)
    cores: Any = field()
    instances: Any = field()
    key_pairs: Any = field()
    metadata_items: Any = field()
    ram: Any = field()
    server_groups: Any = field()
    server_group_members: Any = field()
    injected_files: Any = field(until="2.56")
    injected_file_content_bytes: Any = field(until="2.56")
    injected_file_path_bytes: Any = field(until="2.56")
    fixed_ips: Any = field(until="2.35")
    floating_ips: Any = field(until="2.35")
    security_groups: Any = field(until="2.35")
    security_group_rules: Any = field(until="2.35")


class ClassLimits(Limits):
    server_groups: Any = field(since="2.50")
    server_group_members: Any = field(since="2.50")
    fixed_ips: Any = field(until="2.49")
    floating_ips: Any = field(until="2.49")
    security_groups: Any = field(until="2.49")
    security_group_rules: Any = field(until="2.49")


class ClassChange(Shape):
    """New limits; -1 is no limit. Those of the network are accepted from old clients and not kept:
    they are the network service's."""

    cores: LooseInt | Absent = field(optional=True, min=-1, max=MOST)
    instances: LooseInt | Absent = field(optional=True, min=-1, max=MOST)
    key_pairs: LooseInt | Absent = field(optional=True, min=-1, max=MOST)
    metadata_items: LooseInt | Absent = field(optional=True, min=-1, max=MOST)
    ram: LooseInt | Absent = field(optional=True, min=-1, max=MOST)
    server_groups: LooseInt | Absent = field(optional=True, min=-1, max=MOST)
    server_group_members: LooseInt | Absent = field(optional=True, min=-1, max=MOST)
    injected_files: LooseInt | Absent = field(optional=True, min=-1, max=MOST, until="2.56")
    injected_file_content_bytes: LooseInt | Absent = field(optional=True, min=-1, max=MOST, until="2.56")
    injected_file_path_bytes: LooseInt | Absent = field(optional=True, min=-1, max=MOST, until="2.56")
    fixed_ips: LooseInt | Absent = field(optional=True, min=-1, max=MOST, until="2.35")
    floating_ips: LooseInt | Absent = field(optional=True, min=-1, max=MOST, until="2.35")
    security_groups: LooseInt | Absent = field(optional=True, min=-1, max=MOST, until="2.35")
    security_group_rules: LooseInt | Absent = field(optional=True, min=-1, max=MOST, until="2.35")
    networks: LooseInt | Absent = field(optional=True, min=-1, max=MOST, until="2.35")


class Change(ClassChange):
    tenant_id: str | Absent = field(optional=True)
    force: LooseBool = False


class QuotaQuery(Shape, extra="ignore"):
    user_id: str | None = None


SET = envelope("quota_set", Limits)
CLASS_SET = envelope("quota_class_set", ClassLimits)
NETWORKS_OWN = dict.fromkeys(("fixed_ips", "floating_ips", "security_groups", "security_group_rules"), UNLIMITED)

# ---- routes --------------------------------------------------------------------------------

routes = Routes()
ONE = "/v2.1/os-quota-sets/{project_id}"
CLASS = "/v2.1/os-quota-class-sets/{class_name}"


@routes.get(ONE, policy=policy.QUOTAS_SHOW, query=QuotaQuery, reply=SET)
async def show(ctx: Context, project_id: str, query: QuotaQuery) -> Limits:
    """Show a project's quota."""
    return await ctx.read(limits_of, project_id)


@routes.get(ONE + "/detail", policy=policy.QUOTAS_DETAIL, query=QuotaQuery, reply=SET)
async def detail(ctx: Context, project_id: str, query: QuotaQuery) -> Limits:
    """Show a project's quota and what is used of it."""
    return await ctx.read(usage_of, project_id)


@routes.get(ONE + "/defaults", policy=policy.QUOTAS_DEFAULTS, reply=SET)
async def defaults(ctx: Context, project_id: str) -> Limits:
    """Show the quota of projects that have none of their own."""
    return await ctx.read(defaults_for, project_id)


@routes.put(
    ONE, policy=policy.QUOTAS_UPDATE, query=QuotaQuery, body=envelope("quota_set", Change), reply=SET
)
async def update(ctx: Context, project_id: str, want: Change, query: QuotaQuery) -> Limits:
    """Change a project's quota."""
    refuse_user(query)
    return await ctx.write(change, project_id, want)


@routes.delete(ONE, policy=policy.QUOTAS_DELETE, query=QuotaQuery, status=202)
async def delete(ctx: Context, project_id: str, query: QuotaQuery) -> None:
    """Give a project the default quota."""
    refuse_user(query)
    await ctx.write(reset, project_id)


@routes.get(CLASS, policy=policy.QUOTA_CLASSES_SHOW, reply=CLASS_SET)
async def show_class(ctx: Context, class_name: str) -> ClassLimits:
    """Show a quota class: `default` holds for all projects without limits of their own."""
    return await ctx.read(limits_of_class, class_name)


@routes.put(
    CLASS, policy=policy.QUOTA_CLASSES_UPDATE, body=envelope("quota_class_set", ClassChange), reply=CLASS_SET
)
async def update_class(ctx: Context, class_name: str, want: ClassChange) -> ClassLimits:
    """Change the default quota."""
    return await ctx.write(change_class, class_name, want)


# ---- operations ----------------------------------------------------------------------------


def limits_of(tx: Tx, ctx: Context, project_id: str) -> Limits:
    permit(ctx, policy.QUOTAS_SHOW, project_id)
    require_project(tx, ctx, project_id)
    return Limits(id=project_id, **everything(tx, project_id))


def everything(tx: Tx, project_id: str) -> dict[str, Any]:
    """The limits by their names on the wire, the network's own among them."""
    return {**QUOTA.limits(tx, project_id), **NETWORKS_OWN}


def usage_of(tx: Tx, ctx: Context, project_id: str) -> Limits:
    permit(ctx, policy.QUOTAS_DETAIL, project_id)
    require_project(tx, ctx, project_id)
    limits, used = everything(tx, project_id), QUOTA.usage(tx, project_id)
    return Limits(id=project_id, **{
        name: {"in_use": 0 if name in PER_USER else used.get(name, 0), "limit": limit, "reserved": 0}
        for name, limit in limits.items()
    })


def defaults_for(tx: Tx, ctx: Context, project_id: str) -> Limits:
    require_project(tx, ctx, project_id)
    return Limits(id=project_id, **everything(tx, EVERYBODY))


def change(tx: Tx, ctx: Context, project_id: str, want: Change) -> Limits:
    """Raises Invalid for a limit below what is used, unless forced."""
    require_project(tx, ctx, project_id)
    wanted = numbers(want)
    if not want.force:
        refuse_less_than_used(wanted, QUOTA.usage(tx, project_id))
    QUOTA.set_limits(tx, project_id, wanted)
    return Limits(**everything(tx, project_id))


def reset(tx: Tx, ctx: Context, project_id: str) -> None:
    QUOTA.clear_limits(tx, project_id)


def limits_of_class(tx: Tx, ctx: Context, class_name: str) -> ClassLimits:
    return ClassLimits(id=class_name, **everything(tx, EVERYBODY))


def change_class(tx: Tx, ctx: Context, class_name: str, want: ClassChange) -> ClassLimits:
    if class_name != "default":
        raise errors.Invalid("The only quota class is 'default'; others have no effect.", reason="no_such_class")
    QUOTA.set_limits(tx, EVERYBODY, numbers(want))
    return ClassLimits(**everything(tx, EVERYBODY))


def numbers(want: ClassChange) -> dict[str, int]:
    """The limits that were named and are compute's."""
    named = {name: getattr(want, name) for name in QUOTA.defaults}
    return {name: value for name, value in named.items() if value is not ABSENT}


def refuse_less_than_used(wanted: dict[str, int], used: dict[str, int]) -> None:
    for name, limit in wanted.items():
        if 0 <= limit < used[name] and name not in PER_USER:
            raise errors.Invalid(
                f"Quota limit {limit} for {name} must be greater than or equal to already used and reserved "
                f"{used[name]}.", reason="quota_in_use",
            )


def refuse_user(query: QuotaQuery) -> None:
    if query.user_id:
        raise errors.Invalid("Quotas are a project's here: a user in it has no quota of their own.")
