# SPDX-License-Identifier: Apache-2.0
"""Volume's quota: how many volumes, snapshots and gigabytes a project may have.

Counting is core/quota.py; usage is also shown by limits.py. Limits are looked for in this order: the project's
own, those of the quota class `default` (the limits of project ""), the settings. Snapshots count as gigabytes too.
"""

from __future__ import annotations

from typing import Any

from skyhold.core import errors
from skyhold.core.app import Core
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.http.routes import Routes
from skyhold.core.quota import Quota
from skyhold.core.shapes import Absent, LooseBool, OpenShape, Shape, envelope, field
from skyhold.core.wire.kinds import DIGITS
from skyhold.identity import facade as identity
from skyhold.volume import policy

QUOTA = Quota(
    "volume", volumes=10, snapshots=10, gigabytes=1000, per_volume_gigabytes=-1, backups=10, backup_gigabytes=1000,
    groups=10,
)
COUNTED = ("volumes", "snapshots", "gigabytes")
"""What is summed up here. A bound on one volume isn't, and backups and groups are not there yet."""
EVERYBODY = ""
"""The project whose limits hold for all that have none of their own."""
MOST = 2**31 - 1


async def prepare(core: Core) -> None:
    """At start: the operator's settings become the defaults."""
    QUOTA.defaults.update(core.settings.volume.quotas)


# ---- shape ---------------------------------------------------------------------------------


class Limits(Shape):
    """Numbers or, with usage, `{in_use, limit, reserved}`."""

    id: str | Absent = field(optional=True)
    volumes: Any
    snapshots: Any
    gigabytes: Any
    per_volume_gigabytes: Any
    backups: Any
    backup_gigabytes: Any
    groups: Any


class Change(OpenShape):
    """New limits by resource; -1 is no limit. Cinder's old clients send `tenant_id` along."""

    tenant_id: str | Absent = field(optional=True)
    skip_validation: LooseBool | Absent = field(optional=True)


class QuotaQuery(Shape, extra="ignore"):
    usage: LooseBool = False


SET = envelope("quota_set", Limits)
CLASS_SET = envelope("quota_class_set", Limits)

# ---- routes --------------------------------------------------------------------------------

routes = Routes()
ONE = "/v3/os-quota-sets/{project_id}"
CLASS = "/v3/os-quota-class-sets/{class_name}"


@routes.get(ONE, policy=policy.QUOTAS_SHOW, query=QuotaQuery, reply=SET)
async def show(ctx: Context, project_id: str, query: QuotaQuery) -> Limits:
    """Show a project's quota, and what is used of it."""
    return await ctx.read(limits_of, project_id, query.usage)


@routes.get(ONE + "/defaults", policy=policy.QUOTAS_SHOW, reply=SET)
async def defaults(ctx: Context, project_id: str) -> Limits:
    """Show the quota of projects that have none of their own."""
    return await ctx.read(defaults_for, project_id)


@routes.put(ONE, policy=policy.QUOTAS_UPDATE, body=envelope("quota_set", Change), reply=SET)
async def update(ctx: Context, project_id: str, want: Change) -> Limits:
    """Change a project's quota."""
    return await ctx.write(change, project_id, want)


@routes.delete(ONE, policy=policy.QUOTAS_DELETE, status=200)
async def delete(ctx: Context, project_id: str) -> None:
    """Give a project the default quota."""
    await ctx.write(reset, project_id)


@routes.get(CLASS, policy=policy.QUOTA_CLASSES_SHOW, reply=CLASS_SET)
async def show_class(ctx: Context, class_name: str) -> Limits:
    """Show a quota class: `default` holds for all projects without limits of their own."""
    return await ctx.read(limits_of_class, class_name)


@routes.put(
    CLASS, policy=policy.QUOTA_CLASSES_UPDATE, body=envelope("quota_class_set", Change), reply=CLASS_SET
)
async def update_class(ctx: Context, class_name: str, want: Change) -> Limits:
    """Change the default quota."""
    return await ctx.write(change_class, class_name, want)


# ---- operations ----------------------------------------------------------------------------


def limits_of(tx: Tx, ctx: Context, project_id: str, usage: bool) -> Limits:
    ctx.demand(policy.QUOTAS_SHOW, {"project_id": project_id})
    require_project(tx, ctx, project_id)
    limits = QUOTA.limits(tx, project_id)
    if not usage:
        return Limits(id=project_id, **limits)
    used = QUOTA.usage(tx, project_id)
    return Limits(id=project_id, **{
        name: {"in_use": used[name], "limit": limit, "reserved": 0} for name, limit in limits.items()
    })


def defaults_for(tx: Tx, ctx: Context, project_id: str) -> Limits:
    ctx.demand(policy.QUOTAS_SHOW, {"project_id": project_id})
    require_project(tx, ctx, project_id)
    return Limits(id=project_id, **QUOTA.limits(tx, EVERYBODY))


def change(tx: Tx, ctx: Context, project_id: str, want: Change) -> Limits:
    require_project(tx, ctx, project_id)
    QUOTA.set_limits(tx, project_id, numbers(want))
    return shown(QUOTA.limits(tx, project_id))


def reset(tx: Tx, ctx: Context, project_id: str) -> None:
    QUOTA.clear_limits(tx, project_id)


def limits_of_class(tx: Tx, ctx: Context, class_name: str) -> Limits:
    return Limits(id=class_name, **QUOTA.limits(tx, EVERYBODY))


def change_class(tx: Tx, ctx: Context, class_name: str, want: Change) -> Limits:
    if class_name != "default":
        raise errors.Invalid("The only quota class is 'default'; others have no effect.", reason="no_such_class")
    QUOTA.set_limits(tx, EVERYBODY, numbers(want))
    return shown(QUOTA.limits(tx, EVERYBODY))


def shown(limits: dict[str, Any]) -> Limits:
    """Without the project, which an answer to a change doesn't name."""
    return Limits(**limits)


def numbers(want: Change) -> dict[str, int]:
    """Raises Invalid for what is no resource of ours, or no limit."""
    unknown = sorted(want.extra.keys() - QUOTA.defaults.keys())
    if unknown:
        raise errors.Invalid(
            f"Bad key(s) in quota set: {', '.join(unknown)[:200]}. There are {', '.join(sorted(QUOTA.defaults))}; "
            "quotas of single volume types are not kept.", reason="unknown_quota",
        )
    return {name: limit(name, value) for name, value in want.extra.items()}


def limit(name: str, value: Any) -> int:
    """A number from -1 on, or its digits as text."""
    if isinstance(value, str) and DIGITS.fullmatch(value):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not -1 <= value <= MOST:
        raise errors.Invalid(f"The limit of {name} must be a number from -1 (no limit) to {MOST}.")
    return value


def require_project(tx: Tx, ctx: Context, project_id: str) -> None:
    """Raises NotFound for a project that identity doesn't know."""
    if project_id != ctx.project_id and project_id not in identity.projects(tx, ctx, [project_id]):
        raise errors.NotFound(f"Project {project_id[:64]} could not be found.", reason="project_not_found")
