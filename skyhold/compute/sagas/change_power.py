# SPDX-License-Identifier: Apache-2.0
"""Start, stop, pause, unpause, suspend and resume: one saga, for they differ only in data.

The data is servers/transitions.py. A change that the host refuses leaves the server as it was,
with the reason in its action; nothing needs undoing. One that was made has succeeded, even if the saga is told to
unwind in that very moment.
"""

from __future__ import annotations

from typing import ClassVar

from skyhold.compute.drivers.base import GuestPower
from skyhold.compute.sagas import outcomes
from skyhold.compute.servers.transitions import CHANGES
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.saga.base import Again, Outcome, Saga
from skyhold.core.saga.runner import Run


class ChangePowerKept(outcomes.HostKept, kw_only=True):
    change: str = ""
    made: bool = False


class ChangePower(Saga):
    kind = "compute.change_power"
    steps: ClassVar[list[str]] = ["apply"]
    deadline_s = 10 * 60
    Kept = ChangePowerKept

    async def apply(self, s: Run) -> Outcome:
        change = CHANGES[s.kept.change]
        answer = await outcomes.ask(s, "guest.power", GuestPower(guest_id=s.subject, power=change.power))
        if isinstance(answer, Again):
            return answer
        s.then(applied, s, outcomes.power(answer))
        return None

    def ended(self, tx: Tx, ctx: Context, s: Run) -> None:
        outcomes.done(tx, ctx, s, f"compute_{s.kept.change}_instance", s.kept.host_id)

    def failed(self, tx: Tx, ctx: Context, s: Run) -> None:
        if s.kept.made:
            return self.ended(tx, ctx, s)
        outcomes.give_up(tx, ctx, s.subject, s.kept.change)
        outcomes.not_done(tx, ctx, s, f"compute_{s.kept.change}_instance", s.kept.host_id)

    cancelled = failed


def applied(tx: Tx, ctx: Context, s: Run, power: int) -> None:
    change = CHANGES[s.kept.change]
    outcomes.settle(tx, ctx, s.subject, change.state, change.action, power=power)
    s.kept.made = True
