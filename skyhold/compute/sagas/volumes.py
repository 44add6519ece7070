# SPDX-License-Identifier: Apache-2.0
"""Plugging a volume into a server's guest and pulling it out again.

The API is servers/volume_attachments.py. Each saga locks the volume and not the server, so two volumes may be attached
at once. A volume is free again only when its host has said that no guest writes to it any more.
"""

from __future__ import annotations

from typing import ClassVar

from skyhold.compute.drivers.base import GuestAttach, GuestDetach
from skyhold.compute.sagas import outcomes
from skyhold.compute.servers import volumes
from skyhold.compute.servers.store import SERVERS_STORE
from skyhold.core import journal
from skyhold.core.bus import Working
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.saga.base import Abort, Again, Outcome, Saga
from skyhold.core.saga.runner import Run
from skyhold.volume import facade as volume


class VolumeKept(outcomes.HostKept, kw_only=True):
    server_id: str = ""
    attachment_id: str = ""


class AttachVolume(Saga):
    """The subject is the volume."""

    kind = "compute.attach_volume"
    steps: ClassVar[list[str]] = ["plug"]
    deadline_s = 5 * 60
    Kept = VolumeKept

    async def plug(self, s: Run) -> Outcome:
        disk = (await s.read(volume.disk, [s.subject])).get(s.subject)
        if disk is None:
            raise Abort(f"Volume {s.subject} was deleted while it was being attached.")
        want = GuestAttach(guest_id=s.kept.server_id, volume=volumes.disk_of(disk))
        return await outcomes.order(s, "guest.attach", want, subject="")

    async def undo_plug(self, s: Run) -> Outcome:
        """What a guest keeps hold of, though it should not have it, power_sync asks for again."""
        if not s.ctx.core.bus.connected(s.kept.host_id):
            return None
        want = GuestDetach(guest_id=s.kept.server_id, volume_id=s.subject)
        answer = await s.call(s.kept.host_id, "guest.detach", want, subject="")
        return Again(0.2) if isinstance(answer, Working) else None

    def ended(self, tx: Tx, ctx: Context, s: Run) -> None:
        device = next(
            (each.device for each in volume.attachments_of(tx, ctx, [s.kept.server_id]).get(s.kept.server_id, ())
             if each.id == s.kept.attachment_id), None,
        )
        volume.complete(tx, ctx, s.kept.attachment_id, device, s.kept.host_id)
        tell(tx, s)
        outcomes.done(tx, ctx, s, "compute_attach_volume", s.kept.host_id)

    def failed(self, tx: Tx, ctx: Context, s: Run) -> None:
        volume.release(tx, ctx, s.kept.attachment_id)
        outcomes.not_done(tx, ctx, s, "compute_attach_volume", s.kept.host_id)

    cancelled = failed


class DetachVolume(Saga):
    """The subject is the volume."""

    kind = "compute.detach_volume"
    steps: ClassVar[list[str]] = ["unplug"]
    deadline_s = 5 * 60
    Kept = VolumeKept

    async def unplug(self, s: Run) -> Outcome:
        server = await s.read(lambda tx, ctx: SERVERS_STORE.find(tx, s.kept.server_id))
        if server is None:
            # Deleted meanwhile, and its guest with it.
            return None
        want = GuestDetach(guest_id=s.kept.server_id, volume_id=s.subject)
        return await outcomes.order(s, "guest.detach", want, subject="")

    async def undo_unplug(self, s: Run) -> Outcome:
        """The volume stays the server's, so its guest has it again; the audit tells of one that can't be given it."""
        server = await s.read(lambda tx, ctx: SERVERS_STORE.find(tx, s.kept.server_id))
        disk = (await s.read(volume.disk, [s.subject])).get(s.subject)
        if server is None or disk is None or not s.ctx.core.bus.connected(s.kept.host_id):
            return None
        want = GuestAttach(guest_id=s.kept.server_id, volume=volumes.disk_of(disk))
        answer = await s.call(s.kept.host_id, "guest.attach", want, subject="")
        return Again(0.2) if isinstance(answer, Working) else None

    def ended(self, tx: Tx, ctx: Context, s: Run) -> None:
        volume.release(tx, ctx, s.kept.attachment_id)
        tell(tx, s)
        outcomes.done(tx, ctx, s, "compute_detach_volume", s.kept.host_id)

    def failed(self, tx: Tx, ctx: Context, s: Run) -> None:
        outcomes.not_done(tx, ctx, s, "compute_detach_volume", s.kept.host_id)

    cancelled = failed


def tell(tx: Tx, s: Run) -> None:
    server = SERVERS_STORE.find(tx, s.kept.server_id)
    if server is not None:
        journal.record(tx, f"server.{s.saga.kind.partition('.')[2]}.end", server)
