# SPDX-License-Identifier: Apache-2.0
"""What a service writes: a `Saga` with named steps, and the outcomes a step may have.

Running them is core/saga/runner.py. A step does its outside effect first, with no transaction
open, and hands what must be written to `s.then`: that runs in the one short commit that also
advances the saga, so a step is either known to be done or done again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import msgspec

if TYPE_CHECKING:
    from skyhold.core.context import Context
    from skyhold.core.db.tx import Tx
    from skyhold.core.saga.runner import Run

CANCEL = "cancel"
ABORT = "abort"
"""The signal of an operator: unwind, and end as failed. CANCEL is another saga's, which follows."""


class Again(msgspec.Struct, frozen=True):
    """Not yet: call this step again after `seconds`."""

    seconds: float


class Rewind(msgspec.Struct, frozen=True):
    """Undo back to `step` (included) and go on from there, in a new round."""

    step: str


class Abort(Exception):
    """This can't succeed: undo everything. The text is for the user."""


Outcome = Again | Rewind | None


class Kept(msgspec.Struct, kw_only=True):
    """Values a saga keeps between steps; a subclass only ever grows, with defaults."""


AnyKept = Kept
"""The base by a name that the class variable below doesn't hide."""


class Saga:
    """Subclass with `kind`, `steps` and a coroutine method for each step.

    `async def undo_<step>(self, s)` undoes one, may return Again, and must not fail.
    `ended`, `failed` and `cancelled` write the end into the resource, in the last commit.
    """

    kind: ClassVar[str]
    steps: ClassVar[list[str]]
    deadline_s: ClassVar[float] = 30 * 60
    Kept: ClassVar[type[Kept]] = Kept

    @classmethod
    def start(
        cls,
        tx: Tx,
        ctx: Context,
        *,
        subject: str,
        lock: str | None = None,
        kept: AnyKept | None = None,
        supersede: bool = False,
        parent_id: str | None = None,
    ) -> str:
        """Write the saga's row in the operation's own transaction; returns its id.

        `lock` defaults to the subject: while another live saga holds it this raises Conflict,
        unless `supersede`: then that one is told to unwind and this starts in its last commit.
        """
        from skyhold.core.saga import rows

        return rows.start(
            tx, ctx, cls, subject=subject, lock=lock or subject, kept=kept or cls.Kept(),
            supersede=supersede, parent_id=parent_id,
        )

    def steps_of(self, kept: AnyKept) -> list[str]:
        """The steps that a saga which keeps this will take: without those that it has nothing to do in, for each
        costs a commit."""
        return self.steps

    def ended(self, tx: Tx, ctx: Context, s: Run) -> None:
        """All steps are done."""

    def failed(self, tx: Tx, ctx: Context, s: Run) -> None:
        """Everything is undone after an Abort or the deadline; `s.error` says why."""

    def cancelled(self, tx: Tx, ctx: Context, s: Run) -> None:
        """Everything is undone because another saga superseded this one."""
