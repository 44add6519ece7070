# SPDX-License-Identifier: Apache-2.0
"""Making a new volume: a host with room, then its bytes there, blank or of a source.

Choosing is pools.py, what the host is told describing.py. A host that can't hold it after all is left out and another
is chosen; when none is left the volume ends in error with every host's reason.
"""

from __future__ import annotations

from typing import Any, ClassVar

from skyhold.core import journal
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.saga.asking import ChosenKept, Elsewhere, ask_chosen, done
from skyhold.core.saga.base import Abort, Outcome, Rewind, Saga
from skyhold.core.saga.runner import Run
from skyhold.identity import facade as identity
from skyhold.volume import describing, pools, states
from skyhold.volume.sagas import asking
from skyhold.volume.volumes.store import VOLUMES_STORE


class CreateKept(ChosenKept, kw_only=True):
    only: str = ""
    """The one host that will do, where the source or the server is."""
    refused: dict[str, str] = {}
    """Reasons of hosts that could not hold it, by id."""


class CreateVolume(Saga):
    kind = "volume.create"
    steps: ClassVar[list[str]] = ["choose_host", "make"]
    deadline_s = 6 * 3600
    Kept = CreateKept

    async def choose_host(self, s: Run) -> None:
        s.kept.waiting_since = 0
        s.then(choose, s)

    async def undo_choose_host(self, s: Run) -> None:
        s.then(leave, s)

    async def make(self, s: Run) -> Outcome:
        token = await identity.mint(s.ctx, user_id=s.ctx.user_id, project_id=s.ctx.project_id)
        spec = await s.read(describing.new_volume, s.subject, token)
        try:
            return done(await ask_chosen(s, "volume.ensure", spec, final="VolumeFailed"))
        except Elsewhere as why:
            s.kept.refused = {**s.kept.refused, s.kept.host_id: str(why)}
            return Rewind("choose_host")

    async def undo_make(self, s: Run) -> Outcome:
        return await asking.remove(s, s.kept.host_id, "volume", s.subject)

    def ended(self, tx: Tx, ctx: Context, s: Run) -> None:
        settle(tx, s.subject, states.AVAILABLE, "volume.create.end", fault=None)

    def failed(self, tx: Tx, ctx: Context, s: Run) -> None:
        settle(tx, s.subject, states.ERROR, "volume.create.error", fault=s.error[:1024])


def choose(tx: Tx, ctx: Context, s: Run) -> None:
    volume = VOLUMES_STORE.expect(tx, s.subject, lock=True)
    host_id, sentence = pools.choose(
        tx, ctx, volume.size_gib, only=s.kept.only or None, without=list(s.kept.refused), reasons=s.kept.refused
    )
    if host_id is None:
        raise Abort(sentence)
    s.kept.host_id = host_id
    VOLUMES_STORE.update(tx, volume, host_id=host_id)


def leave(tx: Tx, ctx: Context, s: Run) -> None:
    s.kept.host_id = ""
    volume = VOLUMES_STORE.find(tx, s.subject, lock=True)
    if volume is not None and volume.host_id is not None:
        VOLUMES_STORE.update(tx, volume, host_id=None)


def settle(tx: Tx, volume_id: str, state: str, action: str, **values: Any) -> Any:
    """The work on a volume is over: the state it rests in, in the row and in the journal."""
    volume = VOLUMES_STORE.find(tx, volume_id, lock=True)
    if volume is None or volume.state == states.DELETING:
        return None
    volume = VOLUMES_STORE.move(tx, volume, volume.state, state, **values)
    journal.record(tx, action, volume)
    return volume
