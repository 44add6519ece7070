# SPDX-License-Identifier: Apache-2.0
"""Quotas: how many of each resource a project may have, in Neutron's words.

Counting is core/quota.py: each create takes from `quota` in its own transaction. A project may
read its own limits; changing them is for administrators.
"""

from __future__ import annotations

from typing import Any

from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.http.routes import Routes
from skyhold.core.quota import Quota
from skyhold.core.shapes import Absent, LooseInt, Shape, envelope, field
from skyhold.network import policy

quota = Quota(
    "network", network=100, subnet=100, port=500, router=10, floatingip=50, security_group=10,
    security_group_rule=100,
)


class QuotaChange(Shape, extra="ignore"):
    network: LooseInt | Absent = field(optional=True, min=-1)
    subnet: LooseInt | Absent = field(optional=True, min=-1)
    port: LooseInt | Absent = field(optional=True, min=-1)
    router: LooseInt | Absent = field(optional=True, min=-1)
    floatingip: LooseInt | Absent = field(optional=True, min=-1)
    security_group: LooseInt | Absent = field(optional=True, min=-1)
    security_group_rule: LooseInt | Absent = field(optional=True, min=-1)


routes = Routes()


@routes.get("/v2.0/quotas", policy=policy.UPDATE_QUOTA)
async def index(ctx: Context) -> Any:
    """List quotas that differ from the defaults."""
    return {"quotas": await ctx.read(changed_limits)}


@routes.get("/v2.0/quotas/{project_id}", policy=policy.GET_QUOTA)
async def show(ctx: Context, project_id: str) -> Any:
    """Show a project's quota; `tenant` and `project` name one's own."""
    if project_id in ("tenant", "project"):
        return {"tenant": {"tenant_id": ctx.project_id, "project_id": ctx.project_id}}
    return {"quota": await ctx.read(limits, project_id)}


@routes.get("/v2.0/quotas/{project_id}/default", policy=policy.GET_QUOTA)
async def default(ctx: Context, project_id: str) -> Any:
    """Show the quota of a project nobody set."""
    policy.require(ctx, policy.GET_QUOTA.name, {"project_id": project_id})
    return {"quota": dict(quota.defaults)}


@routes.get("/v2.0/quotas/{project_id}/details", policy=policy.GET_QUOTA)
async def details(ctx: Context, project_id: str) -> Any:
    """Show limit and usage."""
    return {"quota": await ctx.read(with_usage, project_id)}


@routes.get("/v2.0/quotas/{project_id}/details.json", policy=policy.GET_QUOTA)
async def details_json(ctx: Context, project_id: str) -> Any:
    """Show limit and usage, under the path older clients use."""
    return {"quota": await ctx.read(with_usage, project_id)}


@routes.put("/v2.0/quotas/{project_id}", policy=policy.UPDATE_QUOTA, body=envelope("quota", QuotaChange))
async def update(ctx: Context, project_id: str, want: QuotaChange) -> Any:
    """Set limits; -1 is none."""
    return {"quota": await ctx.write(set_limits, project_id, want)}


@routes.delete("/v2.0/quotas/{project_id}", policy=policy.DELETE_QUOTA)
async def delete(ctx: Context, project_id: str) -> None:
    """Go back to the defaults."""
    await ctx.write(clear_limits, project_id)


# ---- operations ----------------------------------------------------------------------------


def limits(tx: Tx, ctx: Context, project_id: str) -> dict[str, int]:
    policy.require(ctx, policy.GET_QUOTA.name, {"project_id": project_id})
    return quota.limits(tx, project_id)


def with_usage(tx: Tx, ctx: Context, project_id: str) -> dict[str, Any]:
    found, used = limits(tx, ctx, project_id), quota.usage(tx, project_id)
    return {name: {"limit": found[name], "used": used[name], "reserved": 0} for name in found}


def set_limits(tx: Tx, ctx: Context, project_id: str, want: QuotaChange) -> dict[str, int]:
    policy.require(ctx, policy.UPDATE_QUOTA.name, {"project_id": project_id})
    asked = {name: getattr(want, name) for name in quota.defaults}
    quota.set_limits(tx, project_id, {name: value for name, value in asked.items() if isinstance(value, int)})
    return quota.limits(tx, project_id)


def clear_limits(tx: Tx, ctx: Context, project_id: str) -> None:
    policy.require(ctx, policy.DELETE_QUOTA.name, {"project_id": project_id})
    quota.clear_limits(tx, project_id)


def changed_limits(tx: Tx, ctx: Context) -> list[dict[str, Any]]:
    return [
        {**limits, "project_id": project, "tenant_id": project} for project, limits in quota.own_limits(tx).items()
    ]
