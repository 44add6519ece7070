# SPDX-License-Identifier: Apache-2.0
"""The issuer's index: its resources, as identity's manifest takes them in."""

from __future__ import annotations

from skyhold.core.loops import Loop
from skyhold.identity.issuer import authorize, clients, discovery, granting, policy, signing

ROUTES = [clients.routes, discovery.routes, authorize.routes, granting.routes]
RULES = policy.RULES
LOOPS = [
    Loop("identity.oidc_keys", 3600.0, signing.run), Loop("identity.oidc_grants", 600.0, granting.forget),
]
ROTATIONS = [signing.rotate_used]
