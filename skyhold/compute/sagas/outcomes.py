# SPDX-License-Identifier: Apache-2.0
"""How sagas ask a server's host, and write their end into the server: a state, a fault, an event.

Steps and undo are in each saga's own file. Everything but `ask` and `order` runs in the saga's last commit.
"""

from __future__ import annotations

from typing import Any

from skyhold.compute import actions, states
from skyhold.compute.drivers.base import GuestStatus
from skyhold.compute.servers.store import SERVERS_STORE
from skyhold.core import journal
from skyhold.core.bus import Failed, HostUnreachable, Working
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.saga.base import Abort, Again, Kept, Outcome
from skyhold.core.saga.runner import Run

AWAY_US = 120_000_000
"""Long enough for a machine that restarts its agent, short enough for somebody who waits."""


class HostKept(Kept, kw_only=True):
    """What every saga about a placed server keeps."""

    host_id: str = ""
    action_id: int = 0
    away_since: int = 0


async def ask(s: Run, verb: str, body: object, *, subject: str | None = None, pause_s: float = 0.2) -> Any:
    """What the server's host answers to a verb; `Again` while it is away or still at it.

    Raises Abort when the host says that it can't, or stays away: the user gets the server back as it was,
    with the reason, instead of a task that lasts for hours. What the host had begun is seen by power_sync
    when it is back.
    """
    try:
        answer = await s.call(s.kept.host_id, verb, body, subject=subject)
    except HostUnreachable:
        s.kept.away_since = s.kept.away_since or s.ctx.now
        if s.ctx.now - s.kept.away_since > AWAY_US:
            raise Abort("The server's host does not answer. Try again when it is back.") from None
        return Again(1.0)
    s.kept.away_since = 0
    if isinstance(answer, Failed):
        raise Abort(answer.text)
    return Again(pause_s) if isinstance(answer, Working) else answer


async def order(s: Run, verb: str, body: object, *, subject: str | None = None, pause_s: float = 0.2) -> Outcome:
    """As `ask`, for a step that needs nothing of the answer but that it is done."""
    answer = await ask(s, verb, body, subject=subject, pause_s=pause_s)
    return answer if isinstance(answer, Again) else None


def settle(tx: Tx, ctx: Context, server_id: str, state: str, verb: str, **values: Any) -> Any:
    """The task is done: the server is in `state`, and the journal says so."""
    server = SERVERS_STORE.find(tx, server_id, lock=True)
    if server is None:
        return None
    task = states.DELETING if server.task == states.DELETING else None
    server = SERVERS_STORE.move(tx, server, server.state, state, task=task, **values)
    journal.record(tx, f"server.{verb}.end", server)
    return server


def give_up(tx: Tx, ctx: Context, server_id: str, verb: str, **values: Any) -> Any:
    """The task failed: back to what the server was, the reason in the journal and the action."""
    server = SERVERS_STORE.find(tx, server_id, lock=True)
    if server is None:
        return None
    task = states.DELETING if server.task == states.DELETING else None
    server = SERVERS_STORE.update(tx, server, task=task, **values)
    journal.record(tx, f"server.{verb}.error", server)
    return server


def fault(error: str, now_us: int, code: int = 500) -> dict[str, Any]:
    """What a server in ERROR shows; the message is written for the server's owner."""
    return {"code": code, "message": error, "created": now_us}


def power(status: GuestStatus) -> int:
    return states.POWER_NUMBERS[status.power]


def done(tx: Tx, ctx: Context, s: Any, event: str, host_id: str | None = None) -> None:
    actions.event(tx, ctx, s.kept.action_id, event, host_id=host_id, started_at=s.row["created_at"])


def not_done(tx: Tx, ctx: Context, s: Any, event: str, host_id: str | None = None) -> None:
    actions.event(
        tx, ctx, s.kept.action_id, event, host_id=host_id, started_at=s.row["created_at"], result="Error",
        detail=s.error,
    )
    actions.fail(tx, ctx, s.kept.action_id, s.error)
