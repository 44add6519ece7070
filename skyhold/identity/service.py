# SPDX-License-Identifier: Apache-2.0
"""Identity's manifest: its index."""

from __future__ import annotations

from skyhold.core.context import Context
from skyhold.core.loops import Loop
from skyhold.core.service import Service
from skyhold.identity import discovery, errors, policy
from skyhold.identity.auth import api as auth
from skyhold.identity.auth import revoking, sessions


async def forget_revocations(ctx: Context) -> None:
    await ctx.write(revoking.forget)


SERVICE = Service(
    name="identity",
    type="identity",
    prefix="/identity",
    endpoint="/v3",
    port=5000,
    dialect=errors.DIALECT,
    routes=[discovery.routes, auth.routes],
    rules=policy.RULES,
    loops=[Loop("identity.forget_revocations", 600.0, forget_revocations)],
    on_start=[sessions.prepare],
)
