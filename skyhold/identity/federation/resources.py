# SPDX-License-Identifier: Apache-2.0
"""Federation's index: its resources, as identity's manifest takes them in."""

from __future__ import annotations

from skyhold.core.loops import Loop
from skyhold.identity.federation import (
    arrivals,
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
from skyhold.identity.federation.saml import assertions

ROUTES = [
    providers.routes, protocols.routes, mappings.routes, service_providers.routes, reach.routes,
    signing_in.routes, websso.routes, pages.routes, assertions.routes,
]
RULES = policy.RULES
LOOPS = [Loop("identity.saml_assertions", 600.0, arrivals.forget)]
