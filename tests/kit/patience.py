# SPDX-License-Identifier: Apache-2.0
"""How long a test waits for what must come: a bound that only what never comes can pass.

Whoever waits looks for the event itself and goes on at once, so a long bound costs nothing where all is well. The one
thing to know first: a machine may stand still for many seconds, in the midst of anything; a bound near the usual time
measures the machine. Where a test is about time itself it sets the product's, or gives it a clock.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from typing import Any

PATIENCE_S = 60.0


async def until(holds: Callable[[], Any], what: str = "this") -> Any:
    """What the function, or the coroutine that it makes, says once it says something true."""
    try:
        async with asyncio.timeout(PATIENCE_S) as limit:
            while not (found := await said(holds)):
                await asyncio.sleep(0.005)
    except TimeoutError:
        if not limit.expired():
            raise
        raise AssertionError(f"waited {PATIENCE_S:g} s in vain for {what}") from None
    return found


async def said(holds: Callable[[], Any]) -> Any:
    answer = holds()
    return await answer if inspect.isawaitable(answer) else answer
