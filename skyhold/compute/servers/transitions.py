# SPDX-License-Identifier: Apache-2.0
"""Changes of a server's power as data, and the operations that begin them.

Carrying them out is sagas/change_power.py and sagas/reboot.py. The table is Nova's: from which
states each action may start, which task shows meanwhile, and what the server is afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass

from skyhold.compute import actions, states
from skyhold.compute.drivers.base import Power
from skyhold.compute.servers import ops
from skyhold.compute.servers.store import SERVERS_STORE
from skyhold.core import errors, journal
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx


@dataclass(frozen=True)
class Change:
    """`action` is the name in instance actions, `verb` the one in refusals."""

    action: str
    verb: str
    allowed: tuple[str, ...]
    task: str
    power: Power
    state: str


START = Change("start", "start", (states.STOPPED,), states.POWERING_ON, "running", states.ACTIVE)
STOP = Change("stop", "stop", (states.ACTIVE, states.ERROR), states.POWERING_OFF, "stopped", states.STOPPED)
PAUSE = Change("pause", "pause", (states.ACTIVE,), states.PAUSING, "paused", states.PAUSED)
UNPAUSE = Change("unpause", "unpause", (states.PAUSED,), states.UNPAUSING, "running", states.ACTIVE)
SUSPEND = Change("suspend", "suspend", (states.ACTIVE,), states.SUSPENDING, "suspended", states.SUSPENDED)
RESUME = Change("resume", "resume", (states.SUSPENDED,), states.RESUMING, "running", states.ACTIVE)

CHANGES = {change.action: change for change in (START, STOP, PAUSE, UNPAUSE, SUSPEND, RESUME)}
REBOOT_SOFT_FROM = (states.ACTIVE,)
REBOOT_HARD_FROM = (states.ACTIVE, states.STOPPED, states.PAUSED, states.SUSPENDED, states.ERROR)


def begin(tx: Tx, ctx: Context, server_id: str, change: Change) -> None:
    from skyhold.compute.sagas.change_power import ChangePower

    server = ops.ready(tx, ctx, server_id, change.verb, *change.allowed)
    if server.host_id is None:
        raise no_guest(server_id, change.verb)
    action = actions.begin(tx, ctx, server, change.action)
    server = SERVERS_STORE.update(tx, server, task=change.task)
    kept = ChangePower.Kept(change=change.action, host_id=server.host_id, action_id=action)
    ChangePower.start(tx, ctx, subject=server.id, kept=kept)
    journal.record(tx, f"server.{change.action}.start", server)


def begin_reboot(tx: Tx, ctx: Context, server_id: str, hard: bool) -> None:
    from skyhold.compute.sagas.reboot import Reboot

    server = ops.ready(tx, ctx, server_id, "reboot", *(REBOOT_HARD_FROM if hard else REBOOT_SOFT_FROM))
    if server.host_id is None:
        raise no_guest(server_id, "reboot")
    action = actions.begin(tx, ctx, server, "reboot")
    server = SERVERS_STORE.update(tx, server, task=states.REBOOTING_HARD if hard else states.REBOOTING)
    Reboot.start(
        tx, ctx, subject=server.id,
        kept=Reboot.Kept(hard=hard, host_id=server.host_id, action_id=action),
    )
    journal.record(tx, "server.reboot.start", server)


def no_guest(server_id: str, verb: str) -> errors.Conflict:
    """A server that never got a host, for want of room, can only be deleted."""
    return errors.Conflict(
        f"Cannot '{verb}' instance {server_id}: it was never placed on a host. Delete it and create another.",
        reason="no_host",
    )
