# SPDX-License-Identifier: Apache-2.0
"""An image of a server that boots from a volume: no bytes, but snapshots of its volumes and a list of them.

Images of servers with a disk of their own are images.py. Snapshots and image are written in one transaction; the
copying goes on after it, and whoever boots from the image waits for it. The list is Nova's `block_device_mapping`.
"""

from __future__ import annotations

import json
from typing import Any

from skyhold.compute import actions
from skyhold.compute.servers import volumes
from skyhold.core import errors, journal
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.image import facade as image_facade
from skyhold.volume import facade as volume


def make(tx: Tx, ctx: Context, server: Any, name: str, properties: dict[str, str]) -> str:
    """The new image's id. Raises OverQuota, and Invalid when a volume is just being attached."""
    listed = [pictured(tx, ctx, each, name) for each in attachments(tx, ctx, server)]
    image = image_facade.create_empty(
        tx, ctx, name=name, min_ram_mb=0, min_disk_gb=0,
        properties=properties | {
            "block_device_mapping": json.dumps(listed, separators=(",", ":")), "bdm_v2": "True",
            "root_device_name": "/dev/vda",
        },
    )
    actions.begin(tx, ctx, server, "createImage")
    journal.record(tx, "server.create_image.end", server)
    return image.id


def attachments(tx: Tx, ctx: Context, server: Any) -> list[volume.Attachment]:
    found = volume.attachments_of(tx, ctx, [server.id]).get(server.id, [])
    if not any(each.boot_index == 0 for each in found):
        raise errors.Conflict(f"Instance {server.id} has lost the volume it boots from: there is nothing to copy.")
    return volumes.by_name(found)


def pictured(tx: Tx, ctx: Context, each: volume.Attachment, name: str) -> dict[str, Any]:
    """One disk of the list: its snapshot, and how the disk made of that is to be attached."""
    snapshot = volume.snapshot(tx, ctx, each.volume_id, f"snapshot for {name}"[:255], force=True)
    return {
        "source_type": "snapshot", "destination_type": "volume", "snapshot_id": snapshot.id,
        "volume_id": None, "image_id": None, "no_device": None, "guest_format": None, "device_type": "disk",
        "disk_bus": "virtio", "boot_index": each.boot_index, "device_name": each.device,
        "volume_size": snapshot.size_gib, "delete_on_termination": each.delete_on_termination, "tag": each.tag,
        "volume_type": None, "encrypted": None,
    }
