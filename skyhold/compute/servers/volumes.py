# SPDX-License-Identifier: Apache-2.0
"""The volumes of servers: what a new one is to have, having them made, keeping them and letting them go.

What a wish means by itself is logic/block_devices.py, attaching to a server that is there volume_attachments.py.
Volumes that exist are reserved together with the server's row; those to be made are made by its boot, on its host.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import msgspec

from skyhold.compute.drivers.base import VolumeDisk
from skyhold.compute.logic import block_devices
from skyhold.compute.logic.block_devices import Device
from skyhold.compute.servers import shape
from skyhold.core import errors
from skyhold.core.context import Context
from skyhold.core.db.tx import Tx
from skyhold.core.saga.base import Abort, Again, Outcome
from skyhold.image import facade as image_facade
from skyhold.volume import facade as volume

BOOTABLE = ("raw", "qcow2")
GIB = 1024**3
MIN_RAM = re.compile("[0-9]{1,18}")
POLL_S = 0.2


class Wish(msgspec.Struct, kw_only=True):
    """One volume of a server that is being built. `volume_id` is empty until the volume was made; one that is
    `named` was there before."""

    source: str
    id: str | None = None
    size_gib: int | None = None
    volume_type: str | None = None
    boot_index: int | None = None
    device: str = ""
    delete_on_termination: bool = False
    tag: str | None = None
    volume_id: str = ""

    @property
    def named(self) -> bool:
        return self.source == "volume"


class Disks(msgspec.Struct, frozen=True, kw_only=True):
    """What a new server is made of: an image, or nothing and volumes. `properties` are the image's, or those that its
    root volume has of its image."""

    image_id: str
    properties: Mapping[str, Any]
    wishes: list[Wish]


# ---- before: what is wished ----------------------------------------------------------------------


def planned(tx: Tx, ctx: Context, want: shape.ServerCreate, flavor: dict[str, Any]) -> Disks:
    """Raises Invalid for what isn't there, isn't fit to boot from, or can't be meant."""
    image = active_image(tx, ctx, want.image) if want.image else None
    plan = block_devices.plan(
        asked(want), image_id=want.image or None,
        of_image=block_devices.of_image(image.properties) if image is not None else [], flavor=flavor,
    )
    refuse_other_bus(plan.volumes)
    properties: Mapping[str, Any] = image.properties if image is not None else {}
    if plan.root.destination == "local":
        check_bootable(image)
        check_fits(image, flavor)
    else:
        properties = root_properties(tx, ctx, want, plan.root, flavor)
    for device in plan.volumes:
        check_source(tx, ctx, device)
    local = plan.root.destination == "local"
    return Disks(
        image_id=plan.root.id or "" if local else "", properties=properties,
        wishes=wishes(plan.volumes, flavor, root=local, bus=properties.get("hw_disk_bus", "virtio")),
    )


def asked(want: shape.ServerCreate) -> list[Device]:
    """The request's list of disks, in whichever of its two forms."""
    if want.block_devices and want.elder_devices:
        raise errors.Invalid("Using different block_device_mapping syntaxes is not allowed in the same request.")
    if want.elder_devices:
        return block_devices.elder(want.elder_devices, want.image or None)
    return [device_of(each) for each in want.block_devices if not each.no_device]


def device_of(each: shape.BlockDevice) -> Device:
    return Device(
        source=each.source_type,  # type: ignore[arg-type]
        destination=each.destination_type or block_devices.default_destination(each.source_type),  # type: ignore[arg-type]
        boot_index=each.boot_index, id=each.uuid, size=each.volume_size,
        delete_on_termination=each.delete_on_termination, device=each.device_name, tag=each.tag,
        volume_type=each.volume_type, guest_format=each.guest_format, disk_bus=each.disk_bus,
        device_type=each.device_type,
    )


def refuse_other_bus(devices: Sequence[Device]) -> None:
    for device in devices:
        if device.disk_bus not in (None, "virtio"):
            raise block_devices.invalid(
                f"disk_bus {device.disk_bus} can't be chosen by disk: set the image's property hw_disk_bus."
            )


def active_image(tx: Tx, ctx: Context, image_id: str) -> image_facade.ImageView:
    try:
        image = image_facade.get(tx, ctx, image_id)
    except errors.NotFound:
        raise errors.Invalid(f"Can not find requested image {image_id}", reason="image_not_found") from None
    if image.status != "active":
        raise errors.Invalid(f"Image {image.id} is not active.", reason="image_not_active")
    return image


def check_bootable(image: image_facade.ImageView | None) -> None:
    if image is not None and image.disk_format not in BOOTABLE:
        raise errors.Invalid(
            f"Image {image.id} has format {image.disk_format}; servers boot from {' or '.join(BOOTABLE)}."
        )


def check_fits(image: Any, flavor: dict[str, Any]) -> None:
    check_memory(image.min_ram_mb, flavor)
    needed = needed_bytes(image)
    if flavor["disk_gb"] and flavor["disk_gb"] * GIB < needed:
        raise errors.Invalid(
            f"Flavor's disk is too small for requested image. Flavor disk is {flavor['disk_gb'] * GIB} bytes, "
            f"image is {needed} bytes."
        )


def check_memory(min_ram_mb: int, flavor: dict[str, Any]) -> None:
    if flavor["ram_mb"] < min_ram_mb:
        raise errors.Invalid(
            f"Flavor's memory is too small for requested image: {flavor['ram_mb']} MB, needs {min_ram_mb} MB."
        )


def needed_bytes(image: image_facade.ImageView) -> int:
    return max(image.min_disk_gb * GIB, image.virtual_size_bytes or image.size_bytes or 0)


def root_properties(
    tx: Tx, ctx: Context, want: shape.ServerCreate, root: Device, flavor: dict[str, Any]
) -> Mapping[str, Any]:
    """What is known of the system on a volume that is booted from, or will be."""
    if want.trusted_image_certificates:
        raise errors.Invalid("Certificates of images can't be trusted for a server that boots from a volume.")
    if root.source == "blank":
        raise block_devices.invalid("A blank disk can't be booted from.")
    if root.source == "image":
        if want.image and want.image != root.id:
            raise block_devices.invalid(
                f"The disk to boot from is of image {root.id}, but imageRef is {want.image}: name one of them."
            )
        image = active_image(tx, ctx, str(root.id))
        check_memory(image.min_ram_mb, flavor)
        return image.properties
    found = volume_of(tx, ctx, root)
    if not found.bootable:
        raise errors.Invalid(f"Block Device {root.id} is not bootable.", reason="not_bootable")
    said = found.image_metadata
    check_memory(int(said["min_ram"]) if MIN_RAM.fullmatch(said.get("min_ram", "")) else 0, flavor)
    return said


def volume_of(tx: Tx, ctx: Context, device: Device) -> volume.Volume:
    """The volume that is meant, or the one that a snapshot was made of."""
    if device.source == "volume":
        with unknown_is_invalid("volume", device):
            return volume.get(tx, ctx, str(device.id))
    with unknown_is_invalid("snapshot", device):
        snapshot = volume.get_snapshot(tx, ctx, str(device.id))
        return volume.many(tx, ctx, [snapshot.volume_id])[snapshot.volume_id]


class unknown_is_invalid:
    """What a disk is to be made of isn't there: the wish is wrong, not the path; 400, as Nova answers."""

    def __init__(self, kind: str, device: Device) -> None:
        self._text = f"failed to get {kind} {device.id}."

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, errors.NotFound):
            raise block_devices.invalid(self._text) from None


def check_source(tx: Tx, ctx: Context, device: Device) -> None:
    """Whether a volume can be made, or kept, of this."""
    if device.source != "volume":
        volume.check_wish(tx, ctx, volume_type=device.volume_type, from_image=device.source == "image")
    if device.source == "image":
        image = active_image(tx, ctx, str(device.id))
        check_bootable(image)
        if (device.size or 0) * GIB < (needed := needed_bytes(image)):
            raise errors.Invalid(
                f"Volume is smaller than the minimum size specified in image metadata. Volume size is "
                f"{(device.size or 0) * GIB} bytes, minimum size is {needed} bytes.", reason="too_small",
            )
    elif device.source == "snapshot":
        with unknown_is_invalid("snapshot", device):
            snapshot = volume.get_snapshot(tx, ctx, str(device.id))
        if device.size and device.size < snapshot.size_gib:
            raise block_devices.invalid(f"Snapshot {snapshot.id} needs a volume of {snapshot.size_gib} GiB at least.")
    elif device.source == "volume":
        volume_of(tx, ctx, device)


def wishes(devices: Sequence[Device], flavor: dict[str, Any], *, root: bool, bus: str) -> list[Wish]:
    """With the names they will have: whatever the user says, a guest counts its disks itself."""
    taken = block_devices.local_devices(flavor, root=root, bus=bus)
    found = []
    for device in devices:
        name = block_devices.next_device(taken, bus)
        taken.append(name)
        found.append(Wish(
            source=device.source, id=device.id, size_gib=device.size, volume_type=device.volume_type,
            boot_index=device.boot_index, device=name, delete_on_termination=device.delete_on_termination,
            tag=device.tag, volume_id=str(device.id) if device.source == "volume" else "",
        ))
    return found


# ---- with the server, and while it is built -------------------------------------------------------


def reserve_named(tx: Tx, ctx: Context, server_id: str, wished: Sequence[Wish]) -> None:
    """Volumes that exist are the server's from its first moment. Raises Invalid when one isn't available."""
    for wish in wished:
        if wish.named:
            reserve(tx, ctx, server_id, wish)


def reserve(tx: Tx, ctx: Context, server_id: str, wish: Wish) -> None:
    volume.reserve(
        tx, ctx, wish.volume_id, server_id, mountpoint=wish.device, boot_index=wish.boot_index,
        delete_on_termination=wish.delete_on_termination, tag=wish.tag,
    )


def homes(tx: Tx, ctx: Context, server_id: str, to_make: Sequence[Wish]) -> list[str]:
    """The hosts that hold what the server needs, its volumes and the snapshots that more are made of."""
    ids = [attachment.volume_id for attachment in volume.attachments_of(tx, ctx, [server_id]).get(server_id, ())]
    found = {disk.host_id for disk in volume.disk(tx, ctx, ids).values()}
    for wish in to_make:
        if wish.source == "snapshot" and (snapshot := volume.find_snapshot(tx, ctx, str(wish.id))) is not None:
            found.add(snapshot.host_id)
    return sorted(found)


def provide(tx: Tx, ctx: Context, server_id: str, host_id: str, to_make: list[Wish]) -> Outcome:
    """One commit of a boot: begins to make what isn't there, waits, and reserves it when it is. Fills in each
    `volume_id`. Raises Abort when a volume can't be made."""
    if any(not wish.volume_id for wish in to_make):
        return begin_making(tx, ctx, host_id, to_make)
    made = volume.many(tx, ctx, [wish.volume_id for wish in to_make])
    for wish in to_make:
        found = made.get(wish.volume_id)
        if found is None or found.state == "error":
            raise Abort(f"A volume of the server could not be made: {found.fault if found else 'it was deleted'}")
        if found.state == "creating":
            return Again(POLL_S)
    for wish in to_make:
        reserve(tx, ctx, server_id, wish)
    return None


def begin_making(tx: Tx, ctx: Context, host_id: str, to_make: list[Wish]) -> Outcome:
    for wish in to_make:
        if wish.source == "snapshot" and still_creating(tx, ctx, wish):
            return Again(POLL_S)
    ids = [
        volume.create(
            tx, ctx, size_gib=wish.size_gib, name="", volume_type=wish.volume_type, host_id=host_id,
            image_id=wish.id if wish.source == "image" else None,
            snapshot_id=wish.id if wish.source == "snapshot" else None,
        ).id
        for wish in to_make
    ]
    # Only now: had one been refused, none would have been made, and none must be remembered.
    for wish, id in zip(to_make, ids, strict=True):
        wish.volume_id = id
    return Again(POLL_S)


def still_creating(tx: Tx, ctx: Context, wish: Wish) -> bool:
    snapshot = volume.find_snapshot(tx, ctx, str(wish.id))
    if snapshot is None or snapshot.state == "error":
        raise Abort(f"Snapshot {wish.id} can't be made a volume of: {snapshot.fault if snapshot else 'it is gone'}")
    return snapshot.state == "creating"


def take_back(tx: Tx, ctx: Context, server_id: str, to_make: list[Wish]) -> None:
    """What a boot made goes with it; nobody has written to it yet."""
    made = {wish.volume_id for wish in to_make if wish.volume_id}
    for attachment in volume.attachments_of(tx, ctx, [server_id]).get(server_id, ()):
        if attachment.volume_id in made:
            volume.release(tx, ctx, attachment.id)
    for volume_id in sorted(made):
        drop(tx, ctx, volume_id)
    for wish in to_make:
        wish.volume_id = ""


def complete(tx: Tx, ctx: Context, server_id: str, host_id: str) -> None:
    """The guest runs with them: its volumes are in use."""
    for attachment in volume.attachments_of(tx, ctx, [server_id]).get(server_id, ()):
        volume.complete(tx, ctx, attachment.id, attachment.device, host_id)


# ---- afterwards -----------------------------------------------------------------------------------


def free_staying(tx: Tx, ctx: Context, server_id: str) -> None:
    """The server could not be built: volumes that outlive it are free again. Those that go with it stay reserved for it
    until then: by Nova's API reference they are deleted when the server is destroyed, and its owner may still say
    otherwise."""
    for attachment in volume.attachments_of(tx, ctx, [server_id]).get(server_id, ()):
        if not attachment.delete_on_termination:
            volume.release(tx, ctx, attachment.id)


def let_go(tx: Tx, ctx: Context, server_id: str) -> None:
    """The server is gone: its volumes are free again, or deleted where they were to go with it."""
    for attachment in volume.attachments_of(tx, ctx, [server_id]).get(server_id, ()):
        volume.release(tx, ctx, attachment.id)
        if attachment.delete_on_termination:
            drop(tx, ctx, attachment.volume_id)


def drop(tx: Tx, ctx: Context, volume_id: str) -> None:
    """A volume that can't be deleted, because snapshots were made of it, stays: a server's end must not fail by it."""
    with suppress(errors.Error), tx.nested():
        volume.delete(tx, ctx, volume_id)


def disks(tx: Tx, ctx: Context, server_id: str) -> list[VolumeDisk]:
    """As the server's host is told of them, in the order of their names."""
    attachments = volume.attachments_of(tx, ctx, [server_id]).get(server_id, [])
    found = volume.disk(tx, ctx, [attachment.volume_id for attachment in attachments])
    ordered = by_name(attachments)
    return [
        disk_of(found[each.volume_id], boot=each.boot_index == 0) for each in ordered if each.volume_id in found
    ]


def by_name(attachments: Sequence[volume.Attachment]) -> list[volume.Attachment]:
    """The root disk first: those of one server came in one moment, so their age says nothing."""
    return sorted(attachments, key=lambda each: (len(each.device or ""), each.device or ""))


def disk_of(disk: volume.Disk, *, boot: bool = False) -> VolumeDisk:
    return VolumeDisk(volume_id=disk.volume_id, format=disk.format, size_bytes=disk.size_bytes, boot=boot)  # type: ignore[arg-type]


def attached(tx: Tx, ctx: Context, server_ids: Sequence[str]) -> dict[str, tuple[tuple[str, bool], ...]]:
    """By server, as views.py shows them: the id of each volume, and whether it goes with the server."""
    found = volume.attachments_of(tx, ctx, server_ids) if volume.any_attached(tx, ctx) else {}
    return {
        server_id: tuple((each.volume_id, each.delete_on_termination) for each in by_name(attachments))
        for server_id, attachments in found.items()
    }
