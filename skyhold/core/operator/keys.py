# SPDX-License-Identifier: Apache-2.0
"""New keys while the cloud runs: services' own first, then the master key and what it sealed.

What is sealed with it the services say in their manifests (`rotations`, `reseals`). The former master keys
stay in the set, so a crash between two of these steps loses nothing. It happens by itself when the keys are old.
"""

from __future__ import annotations

import contextlib
from typing import Any

import structlog

from skyhold.core import errors
from skyhold.core.context import Context
from skyhold.core.http.routes import Reply, Routes
from skyhold.core.operator import policy

log = structlog.get_logger("keys")

routes = Routes()

DAY_S = 86_400


@routes.post("/v1/rotate-keys", policy=policy.ROTATE, status=204)
async def rotate(ctx: Context) -> Any:
    """Make a new master key and new keys for tokens; says, if anything, where a secret stands that no key opens."""
    if ctx.dry_run:
        raise errors.Invalid("Keys are files, and making them can't be rehearsed: leave X-Dry-Run out.")
    unopened = await rotate_all(ctx)
    return Reply({"unopened": unopened}, status=200) if unopened else None


async def rotate_when_due(ctx: Context) -> None:
    """A loop's work. What can't be done yet without logging somebody out is tried again later."""
    days = ctx.core.settings.keys.rotation_days
    if days and ctx.core.keyring.newest_at_s + days * DAY_S <= ctx.now / 1e6:
        with contextlib.suppress(errors.Conflict):
            await rotate_all(ctx)
            log.info("keys were rotated", days=days)


async def rotate_all(ctx: Context) -> list[str]:
    """Where secrets stand that could not be opened and sealed anew. Raises Conflict, before anything was changed, when
    a key would go that is still needed."""
    services = ctx.core.services.values()
    for each in [one for service in services for one in service.rotations]:
        await each(ctx)
    ctx.core.keyring.rotate()
    unopened = [place for service in services for each in service.reseals for place in await each(ctx)]
    for place in unopened:
        log.error("a secret can't be opened with any key, and was not sealed anew", place=place)
    return unopened
