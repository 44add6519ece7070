# SPDX-License-Identifier: Apache-2.0
"""Federation's index: its resources, as identity's manifest takes them in."""

from __future__ import annotations

from skyhold.identity.federation import (
    mappings,
    pages,
    policy,
    protocols,
    providers,
    reach,
    service_providers,
    signing_in,
    websso,
)

ROUTES = [
    providers.routes, protocols.routes, mappings.routes, service_providers.routes, reach.routes,
    signing_in.routes, websso.routes, pages.routes,
]
RULES = policy.RULES
