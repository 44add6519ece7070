# SPDX-License-Identifier: Apache-2.0
"""Whoever writes a blob says so in its row again and again, so that no other process takes the blob for a dead one's.

What is written there is the service's own operation; its loops remove what was silent for too long.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import structlog

from skyhold.core.context import Context
from skyhold.core.db.tx import Tx

log = structlog.get_logger("blobs")

Beat = Callable[[Tx, Context, str], None]


@asynccontextmanager
async def beating(ctx: Context, beat: Beat, key: str, every_s: float) -> AsyncIterator[None]:
    """While inside, `beat(tx, ctx, key)` is written every so many seconds."""
    heart = asyncio.create_task(beat_on(ctx, beat, key, every_s))
    try:
        yield
    finally:
        heart.cancel()


async def beat_on(ctx: Context, beat: Beat, key: str, every_s: float) -> None:
    while True:
        await asyncio.sleep(every_s)
        try:
            await ctx.write(beat, key)
        except Exception:
            # The database may be away for a moment; the writing itself will tell if it stays away.
            log.exception("an upload could not say that it is alive", blob=key)
