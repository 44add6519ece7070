# SPDX-License-Identifier: Apache-2.0
"""HTTP of flavors, their extra specs and who may use them.

Wire forms are shape.py, decisions ops.py. Paths and statuses follow Nova's API reference.
"""

from __future__ import annotations

from typing import Any

from skyhold.compute import policy
from skyhold.compute.flavors import ops, shape, views
from skyhold.core.context import Context
from skyhold.core.http.routes import Routes
from skyhold.core.shapes import Page

routes = Routes()

FLAVORS = "/v2.1/flavors"
FLAVOR = FLAVORS + "/{flavor_id}"
SPECS = FLAVOR + "/os-extra_specs"
SPEC = SPECS + "/{spec_key}"


@routes.get(FLAVORS, policy=policy.FLAVORS, query=shape.FlavorQuery, reply=shape.BRIEFS)
async def index(ctx: Context, query: shape.FlavorQuery) -> Page:
    """List flavors."""
    return await ctx.read(views.briefs, query)


@routes.get(FLAVORS + "/detail", policy=policy.FLAVORS, query=shape.FlavorQuery, reply=shape.DETAILS)
async def detail(ctx: Context, query: shape.FlavorQuery) -> Page:
    """List flavors with details."""
    return await ctx.read(views.details, query)


@routes.post(FLAVORS, policy=policy.FLAVORS_CREATE, body=shape.CREATE, reply=shape.ONE)
async def create(ctx: Context, want: shape.FlavorCreate) -> shape.Flavor:
    """Create a flavor."""
    return views.full(ctx, await ctx.write(ops.create, want))


@routes.get(FLAVOR, policy=policy.FLAVORS, reply=shape.ONE)
async def show(ctx: Context, flavor_id: str) -> shape.Flavor:
    """Show a flavor."""
    return await ctx.read(views.show, flavor_id)


@routes.put(FLAVOR, since="2.55", policy=policy.FLAVORS_UPDATE, body=shape.UPDATE, reply=shape.ONE)
async def update(ctx: Context, flavor_id: str, want: shape.FlavorUpdate) -> shape.Flavor:
    """Update a flavor's description."""
    return views.full(ctx, await ctx.write(ops.describe, flavor_id, want.description))


@routes.delete(FLAVOR, policy=policy.FLAVORS_DELETE, status=202)
async def delete(ctx: Context, flavor_id: str) -> None:
    """Delete a flavor."""
    await ctx.write(ops.delete, flavor_id)


# ---- who may use it ------------------------------------------------------------------------


@routes.get(FLAVOR + "/os-flavor-access", policy=policy.FLAVOR_ACCESS_LIST)
async def access(ctx: Context, flavor_id: str) -> Any:
    """List the projects that may use a private flavor."""
    return {"flavor_access": await ctx.read(ops.access, flavor_id)}


@routes.action(
    FLAVOR + "/action", "addTenantAccess", policy=policy.FLAVOR_ACCESS_ADD, body=shape.Tenant, status=200
)
async def add_access(ctx: Context, flavor_id: str, want: shape.Tenant) -> Any:
    """Let a project use a private flavor."""
    return {"flavor_access": await ctx.write(ops.add_access, flavor_id, want.tenant)}


@routes.action(
    FLAVOR + "/action", "removeTenantAccess", policy=policy.FLAVOR_ACCESS_REMOVE, body=shape.Tenant, status=200
)
async def remove_access(ctx: Context, flavor_id: str, want: shape.Tenant) -> Any:
    """No longer let a project use a private flavor."""
    return {"flavor_access": await ctx.write(ops.remove_access, flavor_id, want.tenant)}


# ---- extra specs ---------------------------------------------------------------------------


@routes.get(SPECS, policy=policy.EXTRA_SPECS_INDEX)
async def list_specs(ctx: Context, flavor_id: str) -> Any:
    """List a flavor's extra specs."""
    return {"extra_specs": await ctx.read(ops.specs, flavor_id)}


@routes.post(SPECS, policy=policy.EXTRA_SPECS_CREATE, body=shape.ExtraSpecs)
async def create_specs(ctx: Context, flavor_id: str, want: shape.ExtraSpecs) -> Any:
    """Set extra specs of a flavor, keeping the others."""
    await ctx.write(ops.set_specs, flavor_id, want.extra_specs)
    return {"extra_specs": want.extra_specs}


@routes.get(SPEC, policy=policy.EXTRA_SPECS_SHOW)
async def show_spec(ctx: Context, flavor_id: str, key: str) -> Any:
    """Show one extra spec."""
    return {key: await ctx.read(ops.spec, flavor_id, key)}


@routes.put(SPEC, policy=policy.EXTRA_SPECS_UPDATE, body=dict[str, shape.SpecText])
async def update_spec(ctx: Context, flavor_id: str, key: str, want: dict[str, str]) -> Any:
    """Set one extra spec."""
    return await ctx.write(ops.set_spec, flavor_id, key, want)


@routes.delete(SPEC, policy=policy.EXTRA_SPECS_DELETE, status=200)
async def delete_spec(ctx: Context, flavor_id: str, key: str) -> None:
    """Delete one extra spec."""
    await ctx.write(ops.delete_spec, flavor_id, key)
