# SPDX-License-Identifier: Apache-2.0
"""Copying a volume into an image: its host makes one file of it and sends it.

The image was made with this saga (volumes/uploads.py); if the copy fails it is taken away again. Once it is active it
stays, and the upload has succeeded, even if the saga is told to unwind in that very moment.
"""

from __future__ import annotations

from typing import ClassVar

from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.saga import asking as retrying
from skyhold.core.saga.asking import AskKept
from skyhold.core.saga.base import Abort, Again, Outcome, Saga
from skyhold.core.saga.runner import Run
from skyhold.identity import facade as identity
from skyhold.image import facade as image_facade
from skyhold.volume import states
from skyhold.volume.drivers.base import ImageTarget, Nothing, VolumeUpload
from skyhold.volume.sagas import asking
from skyhold.volume.sagas.create import settle
from skyhold.volume.sagas.delete import found


class UploadKept(AskKept, kw_only=True):
    image_id: str = ""
    tries: int = 0
    broke: bool = False


class UploadVolume(Saga):
    kind = "volume.upload"
    steps: ClassVar[list[str]] = ["send"]
    deadline_s = 6 * 3600
    Kept = UploadKept

    async def send(self, s: Run) -> Outcome:
        image = await s.read(image_facade.find, s.kept.image_id)
        if image is None:
            raise Abort(f"Image {s.kept.image_id} was deleted while it was being made.")
        if image.status == "active":
            # A repetition after the answer was lost: the bytes are there.
            return None
        if s.kept.broke and image.status == "saving":
            # Whoever received it may have died, and is soon found to have: then the image waits for its bytes again.
            return Again(retrying.RETRY_S)
        s.kept.broke = False
        volume = await s.read(found, s.subject)
        token = await identity.mint(s.ctx, user_id=s.ctx.user_id, project_id=s.ctx.project_id)
        target = ImageTarget(
            image_id=image.id, url=image_facade.upload_url(s.ctx.core, image.id), token=token,
            format=image.disk_format,
        )
        wish = VolumeUpload(volume_id=volume.id, target=target)
        return await retrying.tried_again(s, asking.order(s, volume.host_id, "volume.upload", wish), "CantSend")

    async def undo_send(self, s: Run) -> None:
        if (volume := await s.read(found, s.subject)) is not None and volume.host_id is not None:
            await retrying.interrupt(s, volume.host_id, "volume.list", Nothing())
        s.then(image_facade.abandon, s.kept.image_id)

    def ended(self, tx: Tx, ctx: Context, s: Run) -> None:
        settle(tx, s.subject, states.AVAILABLE, "volume.upload.end", fault=None)

    def failed(self, tx: Tx, ctx: Context, s: Run) -> None:
        if image_facade.is_made(tx, ctx, s.kept.image_id):
            return self.ended(tx, ctx, s)
        settle(tx, s.subject, states.AVAILABLE, "volume.upload.error", fault=s.error[:1024])
