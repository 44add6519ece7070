# SPDX-License-Identifier: Apache-2.0
"""Network's manifest: its index."""

from __future__ import annotations

from skyhold.core.service import Service
from skyhold.network import errors, networks, policy, quotas, security_groups, security_rules, subnets, versions
from skyhold.network.drivers import base
from skyhold.network.ports import api as ports

SERVICE = Service(
    name="network",
    type="network",
    prefix="/network",
    port=9696,
    dialect=errors.DIALECT,
    routes=[
        versions.routes, networks.routes, subnets.routes, ports.routes, security_groups.routes,
        security_rules.routes, quotas.routes,
    ],
    rules=policy.RULES,
    verbs=base.VERBS,
)
