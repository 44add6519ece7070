# SPDX-License-Identifier: Apache-2.0
"""How a step has a host do something, and how long it waits for a host that is away.

The call itself is core/bus.py's. A host that stays away makes the saga give up: the user gets the resource back as it
was, with the reason, instead of a state that passes and lasts for hours. One that was only chosen for something new
(`ask_chosen`) is given up sooner, for another may take its place.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from contextlib import suppress
from typing import Any

from skyhold.core.bus import Failed, HostUnreachable, Working
from skyhold.core.saga.base import Abort, Again, Kept, Outcome
from skyhold.core.saga.runner import Run

POLL_S = 0.2
AWAY_US = 120_000_000
"""Long enough for a machine that restarts its agent, short enough for somebody who waits."""


NO_ROOM = "NoRoom"
"""What drivers call it when a host can't now: its words were written for a list of hosts."""
RETRY_S, MOST_TRIES = 5.0, 5
"""A little longer each time."""
HEARD_S = 5.0
"""So long whoever unwinds waits for a word to be heard that may as well be lost."""
LOST_US = 30_000_000
"""So long a new thing waits for the host that was chosen for it."""


class AskKept(Kept, kw_only=True):
    """What a saga keeps that asks."""

    away_since: int = 0


class ChosenKept(Kept, kw_only=True):
    """What a saga keeps that chooses a host. Whoever chooses anew sets `waiting_since` to 0."""

    host_id: str = ""
    waiting_since: int = 0


class Cant(Abort):
    """The host answered that it can't; `kind` is its driver's exception."""

    def __init__(self, failed: Failed, of: str) -> None:
        super().__init__(failed.text if failed.kind != NO_ROOM else (
            f"The {of}'s host can't do this now: {failed.text.rstrip('.')}. Delete what nobody needs there if it lacks "
            "room, or try again later."
        ))
        self.kind = failed.kind


class Elsewhere(Exception):
    """The chosen host can't, or stays away: another might. The text says why, for users."""


async def ask(
    s: Run, host_id: str, verb: str, body: object, *, of: str, subject: str | None = None, pause_s: float = POLL_S
) -> Any:
    """What the host of the server or volume (`of` is the word for users) answers to a verb; `Again` while it is away
    or still at it. Raises Abort, as Cant when it says that it can't, else when it stays away."""
    try:
        answer = await s.call(host_id, verb, body, subject=subject)
    except HostUnreachable:
        s.kept.away_since = s.kept.away_since or s.ctx.now
        if s.ctx.now - s.kept.away_since > AWAY_US:
            raise Abort(f"The {of}'s host does not answer. Try again when it is back.") from None
        return Again(1.0)
    s.kept.away_since = 0
    if isinstance(answer, Failed):
        raise Cant(answer, of)
    return Again(pause_s) if isinstance(answer, Working) else answer


async def ask_chosen(s: Run, verb: str, body: object, *, final: str, subject: str | None = None) -> Any:
    """What the host that was chosen answers to a verb; `Again` while it is away or still at it. Raises Abort for a
    failure of the kind `final`, which no other host would spare, and Elsewhere for any other, or when it stays away."""
    try:
        answer = await s.call(s.kept.host_id, verb, body, subject=subject)
    except HostUnreachable:
        s.kept.waiting_since = s.kept.waiting_since or s.ctx.now
        if s.ctx.now - s.kept.waiting_since >= LOST_US:
            raise Elsewhere("its agent stopped answering") from None
        return Again(1.0)
    if isinstance(answer, Failed):
        raise (Abort if answer.kind == final else Elsewhere)(answer.text)
    return Again(POLL_S) if isinstance(answer, Working) else answer


async def tried_again(s: Run, order: Awaitable[Outcome], kind: str) -> Outcome:
    """The outcome of asking; `Again` after a failure of this kind, which may pass, until there were MOST_TRIES more.
    What is kept has `tries` for that, and `broke`: whoever asks again takes it back."""
    try:
        return await order
    except Cant as why:
        if why.kind != kind or s.kept.tries >= MOST_TRIES:
            raise
        s.kept.tries += 1
        s.kept.broke = True
        return Again(s.kept.tries * RETRY_S)


async def interrupt(s: Run, host_id: str, verb: str, body: object) -> None:
    """In an undo: end at the host what this saga has it do for its subject. Any newer word about the subject does, so
    `verb` is one that changes nothing. A host that is away is refused what it comes back with."""
    with suppress(HostUnreachable, TimeoutError):
        async with asyncio.timeout(HEARD_S):
            await s.call(host_id, verb, body)


def done(answer: Any) -> Outcome:
    """The outcome of a step that needs nothing of the answer but that it is done."""
    return answer if isinstance(answer, Again) else None
