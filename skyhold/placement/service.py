# SPDX-License-Identifier: Apache-2.0
"""Placement's manifest: its index."""

from __future__ import annotations

from skyhold.core.service import Service
from skyhold.placement import (
    aggregates,
    allocations,
    audit,
    errors,
    inventories,
    policy,
    providers,
    reshaper,
    resource_classes,
    root,
    traits,
    usages,
    versions,
)
from skyhold.placement.candidates import api as candidates

SERVICE = Service(
    name="placement",
    type="placement",
    prefix="/placement",
    port=8778,
    versions=versions.VERSIONS,
    dialect=errors.DIALECT,
    routes=[
        root.routes, providers.routes, inventories.routes, aggregates.routes, traits.routes,
        resource_classes.routes, allocations.routes, usages.routes, candidates.routes, reshaper.routes,
    ],
    audits=[audit.run],
    rules=policy.RULES,
)
