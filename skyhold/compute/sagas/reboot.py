# SPDX-License-Identifier: Apache-2.0
"""Rebooting a server, softly (the guest is asked) or hard (its process is made anew).

A hard reboot also mends: whatever the guest was, it runs afterwards, with its disks, ports and
metadata as they are wished now. Once it runs again the reboot has succeeded, even if the saga is told to unwind in
that very moment.
"""

from __future__ import annotations

from typing import ClassVar

from skyhold.compute import states
from skyhold.compute.drivers.base import GuestReboot
from skyhold.compute.sagas import outcomes
from skyhold.compute.sagas.boot import wiring
from skyhold.compute.servers import describe
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.saga.base import Outcome, Saga
from skyhold.core.saga.runner import Run
from skyhold.identity import facade as identity


class RebootKept(outcomes.HostKept, kw_only=True):
    hard: bool = False
    runs: bool = False


class Reboot(Saga):
    kind = "compute.reboot"
    steps: ClassVar[list[str]] = ["wire_ports", "reboot", "ensure"]
    deadline_s = 10 * 60
    Kept = RebootKept

    async def wire_ports(self, s: Run) -> Outcome:
        change = await s.read(wiring, s.subject)
        if s.kept.hard and change.upserts:
            return await outcomes.order(s, "net.apply", change, subject="")
        return None

    async def reboot(self, s: Run) -> Outcome:
        return await outcomes.order(s, "guest.reboot", GuestReboot(guest_id=s.subject, hard=s.kept.hard))

    async def ensure(self, s: Run) -> Outcome:
        token = await identity.mint(s.ctx, user_id=s.ctx.user_id, project_id=s.ctx.project_id)
        spec = await s.read(describe.guest, s.subject, token)
        outcome = await outcomes.order(s, "guest.ensure", spec)
        s.kept.runs = outcome is None
        return outcome

    def ended(self, tx: Tx, ctx: Context, s: Run) -> None:
        outcomes.settle(tx, ctx, s.subject, states.ACTIVE, "reboot", power=states.POWER_RUNNING, fault=None)
        outcomes.done(tx, ctx, s, "compute_reboot_instance", s.kept.host_id)

    def failed(self, tx: Tx, ctx: Context, s: Run) -> None:
        if s.kept.runs:
            return self.ended(tx, ctx, s)
        outcomes.give_up(tx, ctx, s.subject, "reboot")
        outcomes.not_done(tx, ctx, s, "compute_reboot_instance", s.kept.host_id)

    cancelled = failed
