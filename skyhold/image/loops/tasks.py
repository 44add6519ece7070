# SPDX-License-Identifier: Apache-2.0
"""Keeps true: tasks that ended are forgotten when they said they would be.

What a task is stands in tasks.py.
"""

from __future__ import annotations

from skyhold.core.context import Context
from skyhold.image import tasks

EVERY_S = 3600.0


async def run(ctx: Context) -> None:
    await ctx.write(tasks.expire)
