# SPDX-License-Identifier: Apache-2.0
"""Keeps true: only the living write blobs.

What an upload does is engine/contents.py; the bytes a dead one left behind are orphans.py's. Whoever writes says so
regularly in its blob's row; where there is only one process, everything found unfinished at its start is dead.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from skyhold.core import context
from skyhold.core.context import Context
from skyhold.object.engine import contents

if TYPE_CHECKING:
    from skyhold.core.app import Core

log = structlog.get_logger("object")

EVERY_S = 30.0


async def run(ctx: Context) -> None:
    await forget(ctx, ctx.now - int(contents.SILENT_S * 1e6))


async def at_start(core: Core) -> None:
    ctx = context.internal(core)
    await forget(ctx, ctx.now + 1 if core.db.name == "sqlite" else ctx.now - int(contents.SILENT_S * 1e6))


async def forget(ctx: Context, before_us: int) -> None:
    if dead := await ctx.write(contents.drop_silent, before_us):
        log.warning("uploads died", uploads=dead)
        ctx.core.loops.ring("object.orphans")
