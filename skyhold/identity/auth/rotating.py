# SPDX-License-Identifier: Apache-2.0
"""New keys for tokens and receipts, without logging anybody out.

The set of keys is core/keyring.py. The key that falls out of the set may only be one that signed no token
which is still good; until then a rotation is refused.
"""

from __future__ import annotations

import math

from skyhold.core import errors
from skyhold.core.context import Context
from skyhold.identity.auth import receipts
from skyhold.identity.auth.sessions import sessions

KEEP = 3


async def run(ctx: Context) -> None:
    """Raises Conflict, saying how long to wait."""
    wait_s = must_wait_s(ctx)
    if wait_s > 0:
        raise errors.Conflict(
            f"The oldest key for tokens still opens tokens that are good: rotate again in {wait_s} seconds.",
            reason="too_soon",
        )
    sessions(ctx.core).keys.rotate(KEEP)
    # Receipts live for minutes: whatever the wait for tokens is, it is long enough for them.
    receipts.keys(ctx).rotate(KEEP)


def must_wait_s(ctx: Context) -> int:
    """A key signed until its successor was made, and its tokens live on for their lifetime."""
    settings = ctx.core.settings
    directory = settings.fernet_keys_dir
    numbers = sorted(int(path.name) for path in directory.iterdir() if path.name.isdigit())
    if len(numbers) < KEEP:
        return 0
    succeeded_at_s = (directory / str(numbers[-KEEP + 1])).stat().st_mtime
    return max(0, math.ceil(succeeded_at_s + settings.identity.token_lifetime_s - ctx.now / 1e6))
