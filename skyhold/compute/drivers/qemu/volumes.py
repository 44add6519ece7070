# SPDX-License-Identifier: Apache-2.0
"""Attaches volumes to a guest and detaches them, running or not.

Making them is the volume service's driver, starting a guest with them boot.py. A running guest is given a volume's
file open: the process may neither look into the folder of volumes nor open a file there by itself, and QEMU's own
lock on the file keeps a second guest off it.
"""

from __future__ import annotations

import os
from contextlib import suppress

from skyhold.compute.drivers.base import GuestFailed, VolumeDisk, VolumeSource
from skyhold.compute.drivers.qemu import slots
from skyhold.compute.drivers.qemu.boot import open_volume
from skyhold.compute.drivers.qemu.command import (
    HOT,
    TOO_MANY,
    volume_device,
    volume_device_id,
    volume_node,
    volume_nodes,
)
from skyhold.compute.drivers.qemu.folder import with_volume, without_volume
from skyhold.compute.drivers.qemu.guest import Guest
from skyhold.compute.drivers.qemu.monitor import Monitor, Refused, TookTooLong, poll

REFUSAL = "The guest did not let go of the volume; unmount it there, then try again."
_RELEASE_S = 10.0


async def attach(files: VolumeSource, guest: Guest, volume: VolumeDisk) -> None:
    """Raises GuestFailed when all places are taken, the guest is suspended, or the volume isn't here."""
    _refuse_suspended(guest)
    if guest.alive:
        await _hot_attach(files, guest, volume)
    else:
        os.close(open_volume(files, volume))
    guest.describe(with_volume(guest.wanted, volume))


async def detach(guest: Guest, volume_id: str) -> None:
    """Raises GuestFailed when the guest doesn't let go of it in half a minute, or boots from it."""
    _refuse_suspended(guest)
    if any(volume.boot and volume.volume_id == volume_id for volume in guest.wanted.volumes):
        raise GuestFailed("The guest boots from this volume; it can't be detached.")
    if guest.alive:
        await _hot_detach(await guest.talk(), volume_id)
        guest.note_volume_places({id: slot for id, slot in guest.record.volume_slots.items() if id != volume_id})
    guest.describe(without_volume(guest.wanted, volume_id))


async def match(files: VolumeSource, guest: Guest, wanted: list[VolumeDisk]) -> None:
    """Makes a running guest's volumes those of `wanted`."""
    prefix = volume_device_id("")
    present = {name.removeprefix(prefix) for name in await slots.devices(await guest.talk()) if name.startswith(prefix)}
    for volume_id in present - {volume.volume_id for volume in wanted}:
        await detach(guest, volume_id)
    for volume in wanted:
        if volume.volume_id not in present:
            await attach(files, guest, volume)


async def _hot_attach(files: VolumeSource, guest: Guest, volume: VolumeDisk) -> None:
    talk = await guest.talk()
    if volume_device_id(volume.volume_id) in await slots.devices(talk):
        return
    before = {id: slot for id, slot in guest.record.volume_slots.items() if id != volume.volume_id}
    # Places on a SCSI bus are known only from our own notes.
    slot = slots.free(await slots.places(talk, HOT) | before, from_the_end=True)
    if slot is None:
        raise GuestFailed(TOO_MANY)
    # Noted first: whoever saves the guest's memory must know where everything sits.
    guest.note_volume_places({**before, volume.volume_id: slot})
    try:
        await _add_nodes(files, talk, volume)
        await talk.run("device_add", volume_device(volume, slot, guest.wanted))
    except GuestFailed:
        await _drop_nodes(talk, volume.volume_id)
        guest.note_volume_places(before)
        raise


async def _add_nodes(files: VolumeSource, talk: Monitor, volume: VolumeDisk) -> None:
    await _drop_nodes(talk, volume.volume_id)  # left by an agent that ended before it could add the device
    fd = open_volume(files, volume)
    try:
        fdset = await talk.add_fd(fd, volume_device_id(volume.volume_id))
    finally:
        os.close(fd)
    for node in volume_nodes(volume, fdset):
        await talk.run("blockdev-add", node)


async def _hot_detach(talk: Monitor, volume_id: str) -> None:
    await slots.remove(talk, volume_device_id(volume_id), REFUSAL)
    try:
        # The device lets go of the node a moment after it has left the guest.
        await poll(lambda: _are_dropped(talk, volume_id), _RELEASE_S)
    except TookTooLong as held:
        # Whoever gets the volume next must be its only writer.
        raise GuestFailed("QEMU still holds the volume; try again.") from held


async def _are_dropped(talk: Monitor, volume_id: str) -> bool:
    await _drop_nodes(talk, volume_id)
    nodes = await talk.run("query-named-block-nodes", {"flat": True})
    ours = (volume_node(volume_id), f"{volume_node(volume_id)}-file")
    return isinstance(nodes, list) and not any(node["node-name"] in ours for node in nodes)


async def _drop_nodes(talk: Monitor, volume_id: str) -> None:
    node = volume_node(volume_id)
    for name in (node, f"{node}-file"):
        with suppress(Refused):  # it isn't there
            await talk.run("blockdev-del", {"node-name": name})
    with suppress(Refused):
        await talk.drop_fd(volume_device_id(volume_id))


def _refuse_suspended(guest: Guest) -> None:
    if not guest.alive and guest.folder.suspended.exists():
        raise GuestFailed("The guest is suspended; resume it before changing its volumes.")
