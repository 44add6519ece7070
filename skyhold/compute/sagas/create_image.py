# SPDX-License-Identifier: Apache-2.0
"""Copying a server's root disk into an image: the host makes one file of it and sends it.

The image was made with this saga (servers/images.py); if the copy fails it is taken away again. Once it is active it
stays, and the copy has succeeded, even if the saga is told to unwind in that very moment.
"""

from __future__ import annotations

from typing import ClassVar

from skyhold.compute.drivers.base import GuestSnapshot, ImageTarget, Nothing
from skyhold.compute.sagas import outcomes
from skyhold.compute.servers.store import SERVERS_STORE
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.saga import asking
from skyhold.core.saga.base import Abort, Again, Outcome, Saga
from skyhold.core.saga.runner import Run
from skyhold.identity import facade as identity
from skyhold.image import facade as image_facade


class CreateImageKept(outcomes.HostKept, kw_only=True):
    image_id: str = ""
    tries: int = 0
    broke: bool = False


class CreateImage(Saga):
    kind = "compute.create_image"
    steps: ClassVar[list[str]] = ["copy"]
    deadline_s = 6 * 3600
    Kept = CreateImageKept

    async def copy(self, s: Run) -> Outcome:
        image = await s.read(image_facade.find, s.kept.image_id)
        if image is None:
            raise Abort(f"Image {s.kept.image_id} was deleted while it was being made.")
        if image.status == "active":
            # A repetition after the answer was lost: the bytes are there.
            return None
        if s.kept.broke and image.status == "saving":
            # Whoever received it may have died, and is soon found to have: then the image waits for its bytes again.
            return Again(asking.RETRY_S)
        s.kept.broke = False
        token = await identity.mint(s.ctx, user_id=s.ctx.user_id, project_id=s.ctx.project_id)
        target = ImageTarget(
            image_id=image.id, url=image_facade.upload_url(s.ctx.core, image.id), token=token
        )
        wish = GuestSnapshot(guest_id=s.subject, target=target)
        return await asking.tried_again(s, outcomes.order(s, "guest.snapshot", wish, pause_s=0.5), "CantSend")

    async def undo_copy(self, s: Run) -> None:
        await asking.interrupt(s, s.kept.host_id, "guest.list", Nothing())
        s.then(image_facade.abandon, s.kept.image_id)

    def ended(self, tx: Tx, ctx: Context, s: Run) -> None:
        back_to_rest(tx, ctx, s.subject)
        outcomes.done(tx, ctx, s, "compute_snapshot_instance", s.kept.host_id)

    def failed(self, tx: Tx, ctx: Context, s: Run) -> None:
        if image_facade.is_made(tx, ctx, s.kept.image_id):
            return self.ended(tx, ctx, s)
        outcomes.give_up(tx, ctx, s.subject, "create_image")
        outcomes.not_done(tx, ctx, s, "compute_snapshot_instance", s.kept.host_id)

    cancelled = failed


def back_to_rest(tx: Tx, ctx: Context, server_id: str) -> None:
    server = SERVERS_STORE.find(tx, server_id, lock=True)
    if server is not None:
        outcomes.settle(tx, ctx, server_id, server.state, "create_image")
