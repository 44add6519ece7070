# SPDX-License-Identifier: Apache-2.0
"""Whether anybody listens: remembered for a moment, so that a cloud without a webhook needn't look at each commit.

Who looks is loops/deliver.py, and what a webhook is webhooks.py. The one thing to know first: the process that makes
or enables a webhook forgets at once that nobody listened, and tells the others; should they not hear it, what they
remember is over after half a second, and their loop looks a second later at the latest.
"""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from skyhold.core.app import Core

DELIVER = "events.deliver"
"""The loop that sends."""
SOMEBODY = "somebody listens"
"""Said to the other control processes."""
SILENCE_S = 0.5


class Listening:
    """What one process remembers. It takes two steps, for a webhook may be made while the database is asked."""

    def __init__(self) -> None:
        self._nobody_until = 0.0
        self._made = 0

    def nobody(self) -> bool:
        return time.monotonic() < self._nobody_until

    def before(self) -> int:
        """To be asked for before the database is, and given to `remember_nobody` after."""
        return self._made

    def remember_nobody(self, before: int) -> None:
        if before == self._made:
            self._nobody_until = time.monotonic() + SILENCE_S

    def somebody(self) -> None:
        self._made += 1
        self._nobody_until = 0.0


def listening(core: Core) -> Listening:
    """That of this process."""
    found: Listening = core.shelf.setdefault("events.listening", Listening())
    return found


def tell(core: Core) -> None:
    """A webhook was made or enabled, and that is committed."""
    listening(core).somebody()
    core.siblings.tell(SOMEBODY)
    core.loops.ring(DELIVER)


async def hear(core: Core) -> None:
    core.siblings.on(SOMEBODY, partial(heard, core))


def heard(core: Core) -> None:
    listening(core).somebody()
    core.loops.ring(DELIVER)
