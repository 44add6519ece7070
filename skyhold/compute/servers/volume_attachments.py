# SPDX-License-Identifier: Apache-2.0
"""A server's volumes: `/servers/{server_id}/os-volume_attachments`, listed, attached, detached, and changed.

The one row about a volume in a server is the volume service's; plugging the disk is sagas/volumes.py. Attaching
answers when the volume is reserved and has its name, as upstream; the volume's state says when it is in use.
"""

from __future__ import annotations

from typing import Any

from skyhold.compute import actions, policy
from skyhold.compute.logic import block_devices
from skyhold.compute.sagas.volumes import AttachVolume, DetachVolume
from skyhold.compute.servers import ops, volumes
from skyhold.compute.servers.store import SERVERS_STORE
from skyhold.core import errors, journal
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.http.routes import Routes
from skyhold.core.shapes import ABSENT, Absent, LooseBool, Shape, collection, envelope, field
from skyhold.volume import facade as volume

ATTACHMENTS = "/v2.1/servers/{server_id}/os-volume_attachments"
ATTACHMENT = ATTACHMENTS + "/{volume_id}"
DEVICE = r"^/dev/x?[a-z]?d?[a-z]+[0-9]*$"
TAG = r"^[^,/]*$"
MOST = 26
"""Volumes of one server."""

# ---- shape ---------------------------------------------------------------------------------


class VolumeAttach(Shape):
    """`device` is read and not heeded: a guest counts its disks itself, and upstream's driver ignores it too."""

    volume_id: str = field("volumeId", format="uuid")
    device: str | None = field(default=None, max=255, pattern=DEVICE)
    tag: str | None = field(since="2.49", default=None, min=1, max=60, pattern=TAG)
    delete_on_termination: LooseBool = field(since="2.79", default=False)


class VolumeUpdate(Shape):
    """What may stand beside `delete_on_termination` is what show printed, unchanged."""

    volume_id: str = field("volumeId", format="uuid")
    delete_on_termination: LooseBool | Absent = field(since="2.85", default=ABSENT)
    device: str | Absent | None = field(since="2.85", default=ABSENT, max=255, pattern=DEVICE)
    tag: str | Absent | None = field(since="2.85", default=ABSENT, min=1, max=60, pattern=TAG)
    server_id: str | Absent = field("serverId", since="2.85", default=ABSENT, format="uuid")
    id: str | Absent = field(since="2.85", default=ABSENT, format="uuid")


class VolumeAttachment(Shape):
    id: str = field(until="2.88")
    volume_id: str = field("volumeId")
    server_id: str = field("serverId")
    device: str | None
    tag: str | None = field(since="2.70")
    delete_on_termination: bool = field(since="2.79")
    attachment_id: str = field(since="2.89")
    bdm_uuid: str = field(since="2.89")


ONE = envelope("volumeAttachment", VolumeAttachment)

# ---- routes --------------------------------------------------------------------------------

routes = Routes()


@routes.get(ATTACHMENTS, policy=policy.VOLUMES_LIST, reply=collection("volumeAttachments", VolumeAttachment))
async def index(ctx: Context, server_id: str) -> list[VolumeAttachment]:
    """List a server's volumes."""
    return await ctx.read(list_of, server_id)


@routes.get(ATTACHMENT, policy=policy.VOLUMES_SHOW, reply=ONE)
async def show(ctx: Context, server_id: str, volume_id: str) -> VolumeAttachment:
    """Show one volume of a server."""
    return await ctx.read(one_of, server_id, volume_id)


@routes.post(ATTACHMENTS, policy=policy.VOLUMES_CREATE, body=envelope("volumeAttachment", VolumeAttach), reply=ONE)
async def attach(ctx: Context, server_id: str, want: VolumeAttach) -> VolumeAttachment:
    """Attach a volume."""
    return await ctx.write(begin_attach, server_id, want)


@routes.put(ATTACHMENT, policy=policy.VOLUMES_UPDATE, body=envelope("volumeAttachment", VolumeUpdate), status=202)
async def update(ctx: Context, server_id: str, volume_id: str, want: VolumeUpdate) -> None:
    """Say whether an attached volume is deleted with its server."""
    await ctx.write(change, server_id, volume_id, want)


@routes.delete(ATTACHMENT, policy=policy.VOLUMES_DELETE, status=202)
async def detach(ctx: Context, server_id: str, volume_id: str) -> None:
    """Detach a volume."""
    await ctx.write(begin_detach, server_id, volume_id)


# ---- operations ----------------------------------------------------------------------------


def begin_attach(tx: Tx, ctx: Context, server_id: str, want: VolumeAttach) -> VolumeAttachment:
    """Raises NotFound, Invalid for a volume that isn't free or lies elsewhere, Conflict in a wrong state."""
    server = ops.placed(tx, ctx, server_id, "attach_volume")
    found = volume.get(tx, ctx, want.volume_id)
    held = volume.attachments_of(tx, ctx, [server.id]).get(server.id, [])
    if len(held) >= MOST:
        raise errors.Forbidden(f"Server {server.id} has {MOST} volumes already, and can't have more.")
    refuse_elsewhere(found, server)
    bus = server.properties.get("hw_disk_bus", "virtio")
    taken = block_devices.local_devices(server.flavor, root=bool(server.image_id), bus=bus)
    attachment = volume.reserve(
        tx, ctx, found.id, server.id, delete_on_termination=want.delete_on_termination,
        mountpoint=block_devices.next_device([*taken, *(each.device or "" for each in held)], bus),
        tag=want.tag,
    )
    action = actions.begin(tx, ctx, server, "attach_volume")
    kept = AttachVolume.Kept(
        server_id=server.id, host_id=server.host_id, action_id=action, attachment_id=attachment.id
    )
    AttachVolume.start(tx, ctx, subject=found.id, kept=kept)
    journal.record(tx, "server.volume_attach.start", server)
    return view(attachment)


def refuse_elsewhere(found: volume.Volume, server: Any) -> None:
    if found.state == "available" and found.host_id != server.host_id:
        raise errors.Invalid(
            f"Invalid volume: Volume {found.id} lies on another host than server {server.id}, and volumes are attached "
            "where they lie. Upload it to an image, make a new volume of that, or make the server anew from it.",
            reason="other_host",
        )


def begin_detach(tx: Tx, ctx: Context, server_id: str, volume_id: str) -> None:
    server = ops.placed(tx, ctx, server_id, "detach_volume")
    attachment = attachment_of(tx, ctx, server, volume_id)
    if attachment.boot_index == 0:
        raise errors.Invalid("Cannot detach a root device volume", reason="root_volume")
    action = actions.begin(tx, ctx, server, "detach_volume")
    kept = DetachVolume.Kept(
        server_id=server.id, host_id=server.host_id, action_id=action, attachment_id=attachment.id
    )
    DetachVolume.start(tx, ctx, subject=volume_id, kept=kept)
    journal.record(tx, "server.volume_detach.start", server)


def change(tx: Tx, ctx: Context, server_id: str, volume_id: str, want: VolumeUpdate) -> None:
    """Since 2.85 whether the volume goes with the server; another volume in its place is refused."""
    server = SERVERS_STORE.get(tx, ctx, server_id)
    attachment = attachment_of(tx, ctx, server, volume_id)
    if want.volume_id != volume_id:
        refuse_swap(ctx, server)
    fixed = {"device": attachment.device, "tag": attachment.tag, "server_id": server.id, "id": volume_id}
    for name, value in fixed.items():
        if getattr(want, name) not in (ABSENT, value):
            raise errors.Invalid(f"The {name} of an attached volume can't be changed.")
    if want.delete_on_termination is ABSENT:
        raise errors.Invalid("Nothing to change: since 2.85 'delete_on_termination' can be set.")
    ops.refuse_locked(ctx, server, "change")
    volume.set_delete_on_termination(tx, ctx, attachment.id, bool(want.delete_on_termination))
    journal.record(tx, "server.volume_attachment.update", server)


def refuse_swap(ctx: Context, server: Any) -> None:
    ctx.demand(policy.VOLUMES_SWAP, server._asdict())
    raise errors.Invalid(
        "This cloud doesn't move a server from one volume to another yet: detach the one and attach the other.",
        reason="not_implemented",
    )


# ---- queries -------------------------------------------------------------------------------


def list_of(tx: Tx, ctx: Context, server_id: str) -> list[VolumeAttachment]:
    server = SERVERS_STORE.get(tx, ctx, server_id)
    return [view(each) for each in volumes.by_name(volume.attachments_of(tx, ctx, [server.id]).get(server.id, []))]


def one_of(tx: Tx, ctx: Context, server_id: str, volume_id: str) -> VolumeAttachment:
    return view(attachment_of(tx, ctx, SERVERS_STORE.get(tx, ctx, server_id), volume_id))


def attachment_of(tx: Tx, ctx: Context, server: Any, volume_id: str) -> volume.Attachment:
    for each in volume.attachments_of(tx, ctx, [server.id]).get(server.id, ()):
        if each.volume_id == volume_id:
            return each
    raise errors.NotFound(f"Instance {server.id} is not attached to volume {volume_id[:100]}")


def view(each: volume.Attachment) -> VolumeAttachment:
    return VolumeAttachment(
        id=each.volume_id, volume_id=each.volume_id, server_id=each.server_id, device=each.device, tag=each.tag,
        delete_on_termination=each.delete_on_termination, attachment_id=each.id, bdm_uuid=each.id,
    )
