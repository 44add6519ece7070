# SPDX-License-Identifier: Apache-2.0
"""Network's manifest: its index."""

from __future__ import annotations

from skyhold.core.service import Service
from skyhold.network import (
    audit,
    errors,
    extensions,
    floating_ips,
    networks,
    policy,
    quotas,
    router_legs,
    routers,
    security_groups,
    security_rules,
    subnets,
    tags,
    versions,
)
from skyhold.network.drivers import base
from skyhold.network.loops import dataplane
from skyhold.network.ports import api as ports

SERVICE = Service(
    name="network",
    type="network",
    prefix="/network",
    port=9696,
    dialect=errors.DIALECT,
    routes=[
        versions.routes, networks.routes, subnets.routes, ports.routes, security_groups.routes,
        security_rules.routes, routers.routes, router_legs.routes, floating_ips.routes, tags.routes, quotas.routes,
        extensions.routes,
    ],
    rules=policy.RULES,
    verbs=base.VERBS,
    audits=[audit.run],
    loops=dataplane.LOOPS,
    reports=dataplane.REPORTS,
)
