# SPDX-License-Identifier: Apache-2.0
"""Bringing a new server to life: a host, its ports wired and its volumes made there, its guest running.

Choosing is servers/placing.py, the guest's description servers/describe.py. A host that can't
take the guest after all is left out and another is chosen; when none is left the server ends in
ERROR with every host's reason, and holds neither room nor ports, and no volumes but those that go with it.
"""

from __future__ import annotations

from typing import ClassVar

from skyhold.compute import states
from skyhold.compute.drivers.base import GuestStatus
from skyhold.compute.sagas import outcomes
from skyhold.compute.servers import describe, placing, volumes
from skyhold.compute.servers.store import SERVERS_STORE
from skyhold.core import errors
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.saga import asking
from skyhold.core.saga.base import Abort, Again, AnyKept, Outcome, Rewind, Saga
from skyhold.core.saga.runner import Run
from skyhold.identity import facade as identity
from skyhold.image import facade as image
from skyhold.network import facade as network


class BootKept(asking.ChosenKept, kw_only=True):
    action_id: int = 0
    excluded: list[str] = []
    to_make: list[volumes.Wish] = []
    """Volumes that are made with the server."""
    has_volumes: bool = False
    """Any, made or there before: most servers have none, and are asked nothing about them."""
    asks_trust: bool = True
    """Whether the server's user said whose signature its image must bear: most don't."""


class Boot(Saga):
    kind = "compute.boot"
    steps: ClassVar[list[str]] = ["choose_host", "wire_ports", "attach_volumes", "spawn"]
    Kept = BootKept

    def steps_of(self, kept: AnyKept) -> list[str]:
        assert isinstance(kept, BootKept)
        return self.steps if kept.to_make else [step for step in self.steps if step != "attach_volumes"]

    async def choose_host(self, s: Run) -> None:
        if s.kept.asks_trust:
            await check_image(s)
        s.kept.waiting_since = 0
        s.then(choose, s)

    async def undo_choose_host(self, s: Run) -> None:
        s.then(placing.unplace, s.subject)

    async def wire_ports(self, s: Run) -> Outcome:
        """The data plane first: a guest must find its network when it wakes."""
        change = await s.read(wiring, s.subject)
        if not change.upserts:
            return None
        return await self._patiently(s, "net.apply", change, subject="")

    async def attach_volumes(self, s: Run) -> None:
        """Those that exist were reserved with the server; those to be made are made where it will run."""
        s.then(provide, s)

    async def undo_attach_volumes(self, s: Run) -> None:
        s.then(take_back, s)

    async def spawn(self, s: Run) -> Outcome:
        token = await identity.mint(s.ctx, user_id=s.ctx.user_id, project_id=s.ctx.project_id)
        spec = await s.read(describe.guest, s.subject, token, s.kept.has_volumes)
        return await self._patiently(s, "guest.ensure", spec)

    async def undo_spawn(self, s: Run) -> Outcome:
        return await outcomes.remove_guest(s, s.kept.host_id)

    async def _patiently(self, s: Run, verb: str, body: object, subject: str | None = None) -> Outcome:
        """Call the chosen host; one that stays away or has no room makes us choose another."""
        try:
            answer = await asking.ask_chosen(s, verb, body, subject=subject, final="GuestFailed")
        except asking.Elsewhere as why:
            s.kept.excluded = [*s.kept.excluded, s.kept.host_id]
            s.error = str(why)
            return Rewind("choose_host")
        if isinstance(answer, GuestStatus):
            s.then(started, s, outcomes.power(answer))
        return asking.done(answer)

    def ended(self, tx: Tx, ctx: Context, s: Run) -> None:
        outcomes.done(tx, ctx, s, "compute__do_build_and_run_instance", s.kept.host_id)

    def failed(self, tx: Tx, ctx: Context, s: Run) -> None:
        network.release(tx, ctx, s.subject)
        volumes.free_staying(tx, ctx, s.subject)
        fault = outcomes.fault(s.error, tx.now)
        outcomes.settle(tx, ctx, s.subject, states.ERROR, "create", fault=fault, host_id=None)
        outcomes.not_done(tx, ctx, s, "compute__do_build_and_run_instance")

    def cancelled(self, tx: Tx, ctx: Context, s: Run) -> None:
        s.error = "The server was deleted while it was being built."
        outcomes.not_done(tx, ctx, s, "compute__do_build_and_run_instance")


async def check_image(s: Run) -> None:
    """An image that isn't signed as the server's user demands is never brought to a host."""
    server = await s.read(lambda tx, ctx: SERVERS_STORE.find(tx, s.subject))
    if server is None or not server.trusted_certs:
        return
    try:
        await image.check_trusted(s.ctx, server.image_id, server.trusted_certs)
    except errors.Invalid as refused:
        raise Abort(refused.message) from None


def choose(tx: Tx, ctx: Context, s: Run) -> Outcome:
    homes = volumes.homes(tx, ctx, s.subject, s.kept.to_make) if s.kept.has_volumes else []
    host_id = placing.place(tx, ctx, s.subject, s.kept.excluded, homes)
    if host_id is None:
        return Again(0.5)
    s.kept.host_id = host_id
    return None


def provide(tx: Tx, ctx: Context, s: Run) -> Outcome:
    return volumes.provide(tx, ctx, s.subject, s.kept.host_id, s.kept.to_make)


def take_back(tx: Tx, ctx: Context, s: Run) -> None:
    volumes.take_back(tx, ctx, s.subject, s.kept.to_make)


def wiring(tx: Tx, ctx: Context, server_id: str) -> object:
    return network.wiring(tx, ctx, network.card_ids(tx, ctx, server_id))


def started(tx: Tx, ctx: Context, s: Run, power: int) -> None:
    server = SERVERS_STORE.find(tx, s.subject, lock=True)
    if server is not None:
        launched_at = server.launched_at or tx.now
        outcomes.settled(tx, server, states.ACTIVE, "create", power=power, launched_at=launched_at, fault=None)
        if s.kept.has_volumes:
            volumes.complete(tx, ctx, s.subject, s.kept.host_id)
