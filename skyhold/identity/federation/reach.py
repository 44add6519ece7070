# SPDX-License-Identifier: Apache-2.0
"""Projects and domains that the caller can get a token for, at the addresses that federation first had.

The answers are those of auth/reach.py.
"""

from __future__ import annotations

from skyhold.core.context import Context
from skyhold.core.http.routes import Routes
from skyhold.core.shapes import Page, collection
from skyhold.identity.auth import reach
from skyhold.identity.federation import policy
from skyhold.identity.views import Domain, Project

routes = Routes()


@routes.get(
    "/v3/OS-FEDERATION/projects", policy=policy.LIST_PROJECTS_FOR_USER,
    reply=collection("projects", Project, links="links"),
)
async def projects(ctx: Context) -> Page:
    """Projects that the caller can get a token for."""
    return await ctx.read(reach.projects)


@routes.get(
    "/v3/OS-FEDERATION/domains", policy=policy.LIST_DOMAINS_FOR_USER,
    reply=collection("domains", Domain, links="links"),
)
async def domains(ctx: Context) -> Page:
    """Domains that the caller can get a token for."""
    return await ctx.read(reach.domains)
