# SPDX-License-Identifier: Apache-2.0
"""Adds network interfaces to a guest and takes them away, running or not.

A guest that isn't running has its interfaces in its spec only. Which root ports are taken is asked
of QEMU itself each time, because an agent may have ended between plugging and writing it down.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress

from skyhold.compute.drivers.base import GuestFailed, PortPlug
from skyhold.compute.drivers.qemu.boot import TapSource, close_tap, open_tap
from skyhold.compute.drivers.qemu.command import PORT_SLOTS, device_id, netdev_id, nic
from skyhold.compute.drivers.qemu.folder import with_port, without_port
from skyhold.compute.drivers.qemu.guest import Guest
from skyhold.compute.drivers.qemu.monitor import Monitor, Refused, TookTooLong, poll

# The guest's own driver lets go of the device; one that is still booting misses the first request.
_ASK_AGAIN_S = 3.0
_LET_GO_S = 30.0


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
    found = {}
    for name in await _devices(talk):
        if name.startswith(device_id("")):
            bus = await talk.run("qom-get", {"path": f"/machine/peripheral/{name}", "property": "parent_bus"})
            found[name.removeprefix(device_id(""))] = int(str(bus).rsplit("/rp", 1)[1])
    return found


async def _hot_plug(taps: TapSource, guest: Guest, port: PortPlug) -> None:
    talk = await guest.talk()
    taken = await places(talk)
    if port.port_id not in taken:
        slot = next((n for n in range(PORT_SLOTS) if n not in taken.values()), None)
        if slot is None:
            raise GuestFailed(f"A guest can have at most {PORT_SLOTS} network interfaces.")
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
    clock = asyncio.get_running_loop().time
    deadline = clock() + _LET_GO_S
    while device_id(port_id) in await _devices(talk):
        if clock() > deadline:
            raise GuestFailed("The guest did not let go of the network interface; try again later.")
        with suppress(Refused):  # the request before this one may still be pending
            await talk.run("device_del", {"id": device_id(port_id)})
        await _gone_within(talk, port_id, _ASK_AGAIN_S)
    await _drop_netdev(taps, talk, port_id)
    guest.note_places(await places(talk))


async def _gone_within(talk: Monitor, port_id: str, timeout_s: float) -> None:
    with suppress(TookTooLong):
        await poll(lambda: _is_gone(talk, port_id), timeout_s)


async def _is_gone(talk: Monitor, port_id: str) -> bool:
    return device_id(port_id) not in await _devices(talk)


async def _drop_netdev(taps: TapSource, talk: Monitor, port_id: str) -> None:
    with suppress(Refused):
        await talk.run("netdev_del", {"id": netdev_id(port_id)})
    await close_tap(taps, port_id)


async def _devices(talk: Monitor) -> set[str]:
    listed = await talk.run("qom-list", {"path": "/machine/peripheral"})
    return {str(item["name"]) for item in listed} if isinstance(listed, list) else set()


def _refuse_suspended(guest: Guest) -> None:
    if not guest.alive and guest.folder.suspended.exists():
        raise GuestFailed("The guest is suspended; resume it before changing its interfaces.")
