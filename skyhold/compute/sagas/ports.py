# SPDX-License-Identifier: Apache-2.0
"""Plugging a port into a running server and pulling it out again.

The port itself is the network service's; the API is servers/interfaces.py. Each saga locks the
port and not the server, so two ports may be attached at once.
"""

from __future__ import annotations

from contextlib import suppress
from typing import ClassVar

from skyhold.compute.drivers.base import GuestPlug, GuestUnplug
from skyhold.compute.sagas import outcomes
from skyhold.compute.servers import announce, describe
from skyhold.compute.servers.store import SERVERS_STORE
from skyhold.core import errors, journal
from skyhold.core.bus import Working
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.saga.base import Abort, Again, Outcome, Saga
from skyhold.core.saga.runner import Run
from skyhold.network import facade as network


class PortKept(outcomes.HostKept, kw_only=True):
    server_id: str = ""


class AttachPort(Saga):
    """The subject is the port."""

    kind = "compute.attach_port"
    steps: ClassVar[list[str]] = ["wire", "plug"]
    deadline_s = 5 * 60
    Kept = PortKept

    async def wire(self, s: Run) -> Outcome:
        change = await s.read(network.wiring, [s.subject])
        return await outcomes.order(s, "net.apply", change, subject="")

    async def plug(self, s: Run) -> Outcome:
        want = await plugging(s)
        if want is None:
            raise Abort(f"Port {s.subject} was deleted while it was being attached.")
        return await outcomes.order(s, "guest.plug", want, subject="")

    async def undo_plug(self, s: Run) -> Outcome:
        """Undo must not fail: a guest that is gone has nothing plugged."""
        if not s.ctx.core.bus.connected(s.kept.host_id):
            return None
        want = GuestUnplug(guest_id=s.kept.server_id, port_id=s.subject)
        answer = await s.call(s.kept.host_id, "guest.unplug", want, subject="")
        return Again(0.2) if isinstance(answer, Working) else None

    def ended(self, tx: Tx, ctx: Context, s: Run) -> None:
        tell(tx, ctx, s)
        outcomes.done(tx, ctx, s, "compute_attach_interface", s.kept.host_id)

    def failed(self, tx: Tx, ctx: Context, s: Run) -> None:
        let_go(tx, ctx, s)
        outcomes.not_done(tx, ctx, s, "compute_attach_interface", s.kept.host_id)

    cancelled = failed


class DetachPort(Saga):
    """The subject is the port."""

    kind = "compute.detach_port"
    steps: ClassVar[list[str]] = ["unplug"]
    deadline_s = 5 * 60
    Kept = PortKept

    async def unplug(self, s: Run) -> Outcome:
        return await unplug(s)

    async def undo_unplug(self, s: Run) -> Outcome:
        """The port stays the server's, so its guest has it again; the audit tells of one that can't be given it."""
        want = await plugging(s)
        if want is None or not s.ctx.core.bus.connected(s.kept.host_id):
            return None
        answer = await s.call(s.kept.host_id, "guest.plug", want, subject="")
        return Again(0.2) if isinstance(answer, Working) else None

    def ended(self, tx: Tx, ctx: Context, s: Run) -> None:
        let_go(tx, ctx, s)
        tell(tx, ctx, s)
        outcomes.done(tx, ctx, s, "compute_detach_interface", s.kept.host_id)

    def failed(self, tx: Tx, ctx: Context, s: Run) -> None:
        outcomes.not_done(tx, ctx, s, "compute_detach_interface", s.kept.host_id)


async def plugging(s: Run) -> GuestPlug | None:
    """What the host is told to plug in; None when the port is not the server's any more."""
    ports = (await s.read(network.views, [s.kept.server_id])).get(s.kept.server_id, [])
    port = next((port for port in ports if port.id == s.subject), None)
    return None if port is None else GuestPlug(guest_id=s.kept.server_id, port=describe.plug(port))


async def unplug(s: Run) -> Outcome:
    if not s.ctx.core.bus.connected(s.kept.host_id):
        return None
    want = GuestUnplug(guest_id=s.kept.server_id, port_id=s.subject)
    return await outcomes.order(s, "guest.unplug", want, subject="")


def let_go(tx: Tx, ctx: Context, s: Run) -> None:
    with suppress(errors.NotFound):
        # Gone with its server meanwhile: an end must not fail.
        network.release_port(tx, ctx, s.kept.server_id, s.subject)


def tell(tx: Tx, ctx: Context, s: Run) -> None:
    """The guest's network data changed with its ports."""
    server = SERVERS_STORE.find(tx, s.kept.server_id)
    if server is not None:
        announce.push_metadata(tx, ctx, server)
        journal.record(tx, f"server.{s.saga.kind.partition('.')[2]}.end", server)
