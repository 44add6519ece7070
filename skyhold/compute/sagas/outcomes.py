# SPDX-License-Identifier: Apache-2.0
"""How sagas ask a server's host, and write their end into the server: a state, a fault, an event.

Steps and undo are in each saga's own file. What isn't `async` here runs in a commit of the saga.
"""

from __future__ import annotations

from typing import Any

from skyhold.compute import actions, states
from skyhold.compute.drivers.base import GuestRef, GuestStatus
from skyhold.compute.servers.store import SERVERS_STORE
from skyhold.core import journal
from skyhold.core.bus import Failed, HostUnreachable, Working
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.saga import asking
from skyhold.core.saga.base import Again, Outcome
from skyhold.core.saga.runner import Run


class HostKept(asking.AskKept, kw_only=True):
    """What every saga about a placed server keeps."""

    host_id: str = ""
    action_id: int = 0


async def ask(s: Run, verb: str, body: object, *, subject: str | None = None, pause_s: float = asking.POLL_S) -> Any:
    """What the server's host answers to a verb, as core/saga/asking.py says. What a host that stays away had begun is
    seen by power_sync when it is back."""
    return await asking.ask(s, s.kept.host_id, verb, body, of="server", subject=subject, pause_s=pause_s)


async def order(
    s: Run, verb: str, body: object, *, subject: str | None = None, pause_s: float = asking.POLL_S
) -> Outcome:
    """As `ask`, for a step that needs nothing of the answer but that it is done."""
    return asking.done(await ask(s, verb, body, subject=subject, pause_s=pause_s))


async def remove_guest(s: Run, host_id: str | None) -> Outcome:
    """Have the guest gone from its host, before its volumes, ports and room are anybody else's (CVE-2023-2088).

    A host that is away removes it when it is back (loops/power_sync.py). Raises as long as the host can't: the step is
    tried again.
    """
    if host_id is None or not s.ctx.core.bus.connected(host_id):
        return None
    try:
        answer = await s.call(host_id, "guest.absent", GuestRef(guest_id=s.subject))
    except HostUnreachable:
        return None
    if isinstance(answer, Failed):
        raise RuntimeError(f"The guest could not be removed from its host: {answer.text}")
    return Again(asking.POLL_S) if isinstance(answer, Working) else None


def settle(tx: Tx, ctx: Context, server_id: str, state: str, verb: str, **values: Any) -> Any:
    """The task is done: the server is in `state`, and the journal says so."""
    server = SERVERS_STORE.find(tx, server_id, lock=True)
    return None if server is None else settled(tx, server, state, verb, **values)


def settled(tx: Tx, server: Any, state: str, verb: str, **values: Any) -> Any:
    """`settle` for a row that was looked up, and so locked, in this transaction."""
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
