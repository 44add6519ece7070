# SPDX-License-Identifier: Apache-2.0
"""Identity's manifest: its index."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from skyhold.core.context import Context
from skyhold.core.http.routes import Routes
from skyhold.core.loops import Loop
from skyhold.core.service import Service
from skyhold.identity import (
    access_rules,
    app_credentials,
    discovery,
    domain_config,
    domains,
    endpoint_groups,
    endpoint_policies,
    endpoints,
    errors,
    groups,
    implied_roles,
    limits,
    password_rules,
    policies,
    policy,
    project_endpoints,
    regions,
    registered_limits,
    roles,
    services,
    users,
)
from skyhold.identity.assignments import api as assignments
from skyhold.identity.auth import api as auth
from skyhold.identity.auth import events, external, revoking, rotating, sessions
from skyhold.identity.delegation import resources as delegation
from skyhold.identity.delegation import sealing
from skyhold.identity.directories import freshness
from skyhold.identity.federation import agreements
from skyhold.identity.federation import resources as federation
from skyhold.identity.issuer import resources as issuer
from skyhold.identity.loops import inactivity, leftovers
from skyhold.identity.projects import api as projects


async def forget_revocations(ctx: Context) -> None:
    await ctx.write(revoking.forget)


def with_heads(resources: Sequence[Routes]) -> list[Routes]:
    """Keystone answers HEAD wherever it answers GET."""
    heads = Routes()
    for routes in resources:
        have = {route.path for route in routes.all if route.method == "HEAD"}
        heads.all += [
            replace(r, method="HEAD") for r in routes.all if r.method == "GET" and r.path not in have
        ]
    return [*resources, heads]


SERVICE = Service(
    name="identity",
    type="identity",
    prefix="/identity",
    endpoint="/v3",
    port=5000,
    dialect=errors.DIALECT,
    routes=with_heads([
        discovery.routes, auth.routes, events.routes, domains.routes, projects.routes, users.routes, groups.routes,
        roles.routes, implied_roles.routes, assignments.routes, regions.routes, services.routes,
        endpoints.routes, app_credentials.routes, access_rules.routes,
        *delegation.ROUTES, *federation.ROUTES, *issuer.ROUTES,
        registered_limits.routes, limits.routes, policies.routes, endpoint_policies.routes,
        endpoint_groups.routes, project_endpoints.routes, domain_config.routes,
    ]),
    rules=[*policy.RULES, *delegation.RULES, *federation.RULES, *issuer.RULES],
    loops=[
        Loop("identity.forget_revocations", 600.0, forget_revocations),
        Loop("identity.inactivity", 3600.0, inactivity.run), leftovers.LOOP, *issuer.LOOPS, *federation.LOOPS,
        Loop("identity.directories", 60.0, freshness.run),
    ],
    rotations=[*issuer.ROTATIONS, rotating.run],
    reseals=[sealing.run],
    on_start=[password_rules.check_pattern, external.check_proxies, sessions.prepare, agreements.prepare],
)
