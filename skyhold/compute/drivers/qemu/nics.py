# SPDX-License-Identifier: Apache-2.0
"""Adds network interfaces to a guest and takes them away, running or not.

A guest that isn't running has its interfaces in its spec only. The places that interfaces and
volumes share while it runs are slots.py.
"""

from __future__ import annotations

import os
from contextlib import suppress

from skyhold.compute.drivers.base import GuestFailed, PortPlug
from skyhold.compute.drivers.qemu import slots
from skyhold.compute.drivers.qemu.boot import TapSource, close_tap, open_tap
from skyhold.compute.drivers.qemu.command import HOT, TOO_MANY, device_id, netdev_id, nic
from skyhold.compute.drivers.qemu.folder import with_port, without_port
from skyhold.compute.drivers.qemu.guest import Guest
from skyhold.compute.drivers.qemu.monitor import Monitor, Refused


async def plug(taps: TapSource, guest: Guest, port: PortPlug) -> None:
    """Raises GuestFailed when all places are taken or the guest is suspended."""
    _refuse_suspended(guest)
    if guest.alive:
        await _hot_plug(taps, guest, port)
    guest.describe(with_port(guest.wanted, port))


async def unplug(taps: TapSource, guest: Guest, port_id: str) -> None:
    """Raises GuestFailed when the guest doesn't let go of the device in half a minute."""
    _refuse_suspended(guest)
    if guest.alive:
        await _hot_unplug(taps, guest, port_id)
    guest.describe(without_port(guest.wanted, port_id))


async def match(taps: TapSource, guest: Guest, wanted: list[PortPlug]) -> None:
    """Makes a running guest's interfaces those of `wanted`."""
    present = await places(await guest.talk())
    for port_id in set(present) - {p.port_id for p in wanted}:
        await unplug(taps, guest, port_id)
    for port in wanted:
        if port.port_id not in present:
            await plug(taps, guest, port)


async def places(talk: Monitor) -> dict[str, int]:
    """Port id to the number of its root port, as QEMU has it now."""
    return _by_port(await slots.places(talk, (device_id(""),)))


def _by_port(found: dict[str, int]) -> dict[str, int]:
    """What is plugged in as a network interface."""
    prefix = device_id("")
    return {name.removeprefix(prefix): slot for name, slot in found.items() if name.startswith(prefix)}


async def _hot_plug(taps: TapSource, guest: Guest, port: PortPlug) -> None:
    talk = await guest.talk()
    all_taken = await slots.places(talk, HOT)
    taken = _by_port(all_taken)
    if port.port_id not in taken:
        slot = slots.free(all_taken)
        if slot is None:
            raise GuestFailed(TOO_MANY)
        guest.note_places({**taken, port.port_id: slot})
        await _add_netdev(taps, talk, port.port_id)
        try:
            await talk.run("device_add", nic(port, slot, guest.wanted))
        except GuestFailed:
            await _drop_netdev(taps, talk, port.port_id)
            raise
    guest.note_places(await places(talk))


async def _add_netdev(taps: TapSource, talk: Monitor, port_id: str) -> None:
    with suppress(Refused):
        # Left by an agent that ended before it could add the device.
        await talk.run("netdev_del", {"id": netdev_id(port_id)})
    fd = await open_tap(taps, port_id)
    try:
        await talk.give_fd(fd, netdev_id(port_id))
        await talk.run("netdev_add", {"type": "tap", "id": netdev_id(port_id), "fd": netdev_id(port_id)})
    except GuestFailed:
        await close_tap(taps, port_id)
        raise
    finally:
        os.close(fd)


async def _hot_unplug(taps: TapSource, guest: Guest, port_id: str) -> None:
    talk = await guest.talk()
    await slots.remove(talk, device_id(port_id), "The guest did not let go of the network interface; try again later.")
    await _drop_netdev(taps, talk, port_id)
    guest.note_places(await places(talk))


async def _drop_netdev(taps: TapSource, talk: Monitor, port_id: str) -> None:
    with suppress(Refused):
        await talk.run("netdev_del", {"id": netdev_id(port_id)})
    await close_tap(taps, port_id)


def _refuse_suspended(guest: Guest) -> None:
    if not guest.alive and guest.folder.suspended.exists():
        raise GuestFailed("The guest is suspended; resume it before changing its interfaces.")
