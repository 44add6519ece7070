# SPDX-License-Identifier: Apache-2.0
"""Handing out a token for a proof, and the answer that carries it: for every address that gives tokens.

Which scope it gets is scoping.py, the printed form body.py. A token handed out is remembered, so that its
first use costs no more than the second.
"""

from __future__ import annotations

from skyhold.core.context import Context
from skyhold.core.http.routes import Reply
from skyhold.identity.auth import body, scoping
from skyhold.identity.auth.proof import Proof
from skyhold.identity.auth.sessions import Known, sessions
from skyhold.identity.catalogue import catalogue_of
from skyhold.identity.federation import service_providers

VARY = {"Vary": "X-Auth-Token"}


async def hand_out(ctx: Context, proof: Proof, wish: scoping.Wish = None) -> Known:
    """Raises Unauthorized when there is nothing for this user in that scope."""
    keeper = sessions(ctx.core)
    epoch = await keeper.epoch_of(ctx)
    if scoping.uses_up(wish):
        # The token is real even in a rehearsal, so what it uses up is too.
        valid = await Context(ctx.core, ctx.creds, request_id=ctx.request_id).write(scoping.issue, proof, wish)
    else:
        valid = await ctx.read(scoping.issue, proof, wish)
    return keeper.remember(epoch, keeper.seal(valid.token), valid)


async def answer(ctx: Context, known: Known, *, without_catalogue: bool) -> Reply:
    """The token in X-Subject-Token, and what it says in the body."""
    printed = await rendered(ctx, known, without_catalogue)
    headers = {"X-Subject-Token": known.creds.token, **VARY}
    return Reply(printed, headers=headers, content_type="application/json")


async def rendered(ctx: Context, known: Known, without_catalogue: bool) -> bytes:
    printed = known.bodies.get(without_catalogue)
    if printed is None:
        creds = known.creds
        found = None if without_catalogue else await catalogue_of(ctx, creds.project_id, creds.user_id, known.epoch)
        printed = known.bodies[without_catalogue] = body.printed(
            known.valid, found, None if without_catalogue else await service_providers.offered(ctx, known.epoch)
        )
    return printed
