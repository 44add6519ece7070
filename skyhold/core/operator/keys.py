# SPDX-License-Identifier: Apache-2.0
"""New keys while the cloud runs: services' own first, then the master key and what it sealed.

What is sealed with it the services say in their manifests (`rotations`, `reseals`). The former master keys
stay in the set, so a crash between two of these steps loses nothing.
"""

from __future__ import annotations

from typing import Any

from skyhold.core.context import Context
from skyhold.core.http.routes import Routes
from skyhold.core.operator import policy

routes = Routes()


@routes.post("/v1/rotate-keys", policy=policy.ROTATE, status=204)
async def rotate(ctx: Context) -> Any:
    """Make a new master key and new keys for tokens."""
    services = ctx.core.services.values()
    for each in [one for service in services for one in service.rotations]:
        await each(ctx)
    ctx.core.keyring.rotate()
    for each in [one for service in services for one in service.reseals]:
        await each(ctx)
