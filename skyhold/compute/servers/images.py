# SPDX-License-Identifier: Apache-2.0
"""Beginning an image of a server; copying it is sagas/create_image.py.

The image is the image service's, made here in the same transaction as the saga that fills it, so
there is never one without the other.
"""

from __future__ import annotations

import math

from skyhold.compute import actions, states
from skyhold.compute.servers import ops, shape, volume_images
from skyhold.compute.servers.store import SERVERS_STORE
from skyhold.compute.servers.transitions import no_guest
from skyhold.core import journal
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.image import facade as image_facade

FROM = (states.ACTIVE, states.STOPPED, states.PAUSED, states.SUSPENDED)
INHERITED = ("hw_", "os_", "architecture", "img_config_drive")


def begin(tx: Tx, ctx: Context, server_id: str, want: shape.CreateImage) -> str:
    """The new image's id."""
    from skyhold.compute.sagas.create_image import CreateImage

    server = ops.ready(tx, ctx, server_id, "createImage", *FROM)
    if server.host_id is None:
        raise no_guest(server_id, "createImage")
    ops.check_metadata(tx, ctx, want.metadata)
    inherited = {key: value for key, value in server.properties.items() if key.startswith(INHERITED)}
    if not server.image_id:
        return volume_images.make(tx, ctx, server, want.name, inherited | want.metadata)
    image = image_facade.create_for_snapshot(
        tx, ctx, name=want.name, min_ram_mb=0, min_disk_gb=math.ceil(server.flavor["disk_gb"]),
        properties=inherited | want.metadata | {
            "image_type": "snapshot", "instance_uuid": server.id, "base_image_ref": server.image_id,
            "owner_id": server.project_id, "user_id": ctx.user_id, "image_location": "snapshot",
            "image_state": "available",
        },
    )
    action = actions.begin(tx, ctx, server, "createImage")
    server = SERVERS_STORE.update(tx, server, task=states.IMAGE_UPLOADING)
    CreateImage.start(
        tx, ctx, subject=server.id,
        kept=CreateImage.Kept(image_id=image.id, host_id=server.host_id, action_id=action),
    )
    journal.record(tx, "server.create_image.start", server)
    return image.id
