# SPDX-License-Identifier: Apache-2.0
"""Brings a guest from whatever power it has to the one that is wished.

Starting and ending the process is boot.py. Every function is called with the guest's turn, may be
repeated after any interruption, and notes what it changed as soon as it changed it.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress

from skyhold.compute.drivers.base import GuestFailed, Power
from skyhold.compute.drivers.qemu import disks
from skyhold.compute.drivers.qemu.boot import Starter
from skyhold.compute.drivers.qemu.guest import Guest
from skyhold.compute.drivers.qemu.monitor import Monitor, poll

# A guest that is still booting ignores the power button: it is pressed again.
_PRESS_AGAIN_S = 5.0
_SAVE_S = 600.0
_FULL_SPEED = 1 << 40


async def bring(starter: Starter, guest: Guest, power: Power, graceful_s: float) -> None:
    """Raises GuestFailed when the way from here to there makes no sense, NoRoom when it can't start."""
    now = await settle(starter, guest)
    if now == power:
        return
    if power == "running":
        await _run(starter, guest, now)
    elif power == "stopped":
        await stop(starter, guest, graceful_s)
    elif power == "paused":
        await _pause(starter, guest, now)
    else:
        await _suspend(starter, guest, now)


async def settle(starter: Starter, guest: Guest) -> str:
    """What is, after clearing away the remains of a process that ended or a guest that shut down."""
    now = await guest.look()
    if now == "shutdown":
        await starter.bury(guest)
        now = "stopped"
    elif guest.alive and guest.folder.suspended.exists():
        now = await _finish_suspending(starter, guest, now)
    elif now == "crashed" or not guest.alive:
        await starter.bury(guest, kill=True)
    guest.note(now)
    return now


async def _finish_suspending(starter: Starter, guest: Guest, now: str) -> str:
    """An agent ended between saving the state and ending the process, or before letting it go on.

    Memory saved must never meet a disk that was written to since.
    """
    if now == "running":
        guest.folder.suspended.unlink()
        return now
    await starter.bury(guest)
    return "suspended"


async def stop(starter: Starter, guest: Guest, graceful_s: float) -> None:
    """Asks by ACPI while there is time, then cuts. A saved state is thrown away."""
    if guest.alive and await guest.look() == "running":
        await ask_to_shut_down(guest, graceful_s)
    await starter.bury(guest)
    guest.folder.suspended.unlink(missing_ok=True)
    guest.note("stopped")


async def reboot(starter: Starter, guest: Guest, *, hard: bool, graceful_s: float) -> None:
    now = await settle(starter, guest)
    if hard or now != "running":
        await starter.bury(guest)
        guest.folder.suspended.unlink(missing_ok=True)
        await starter.start(guest)
    elif await ask_to_shut_down(guest, graceful_s):
        await starter.bury(guest)
        await starter.start(guest)
    else:
        await (await guest.talk()).run("system_reset")


async def ask_to_shut_down(guest: Guest, graceful_s: float) -> bool:
    """Whether the guest switched itself off in time."""
    clock = asyncio.get_running_loop().time
    deadline = clock() + graceful_s
    while (left := deadline - clock()) > 0:
        await (await guest.talk()).run("system_powerdown")
        if await _is_off_within(guest, min(left, _PRESS_AGAIN_S)):
            return True
    return False


async def _is_off_within(guest: Guest, timeout_s: float) -> bool:
    clock = asyncio.get_running_loop().time
    deadline = clock() + timeout_s
    while guest.alive and await guest.look() != "shutdown":
        guest.stirred.clear()
        left = deadline - clock()
        if left <= 0:
            return False
        with suppress(TimeoutError):
            async with asyncio.timeout(min(left, 1.0)):
                await guest.stirred.wait()
    return True


async def _run(starter: Starter, guest: Guest, now: str) -> None:
    if now == "paused":
        await (await guest.talk()).run("cont")
        guest.note("running")
    elif now == "suspended":
        await starter.resume(guest)
    else:
        await starter.start(guest)


async def _pause(starter: Starter, guest: Guest, now: str) -> None:
    if now == "suspended":
        raise GuestFailed("The guest is suspended; resume it before pausing it.")
    if now != "running":
        await starter.start(guest)
    await (await guest.talk()).run("stop")
    guest.note("paused")


async def _suspend(starter: Starter, guest: Guest, now: str) -> None:
    if now not in ("running", "paused"):
        raise GuestFailed("Only a running guest can be suspended.")
    disks.check_space(guest.folder.path, guest.wanted.ram_mb << 20)
    talk = await guest.talk()
    fresh = guest.folder.suspended.with_suffix(".new")
    try:
        await talk.run("stop")
        await _save_state(talk, str(fresh))
        fresh.rename(guest.folder.suspended)
    except BaseException:
        fresh.unlink(missing_ok=True)
        with suppress(GuestFailed):
            await _give_up_saving(talk, go_on=now == "running")
        raise
    await starter.bury(guest)
    guest.note("suspended")


async def _save_state(talk: Monitor, path: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        await talk.give_fd(fd, "state")
    finally:
        os.close(fd)
    await talk.run("migrate-set-parameters", {"max-bandwidth": _FULL_SPEED})
    await talk.run("migrate", {"uri": "fd:state"})
    await poll(lambda: _is_over(talk), _SAVE_S)
    if await _migration(talk) != "completed":
        raise GuestFailed("The guest's memory could not be saved; it was not suspended.")


async def _is_over(talk: Monitor) -> bool:
    return await _migration(talk) in ("completed", "failed", "cancelled")


async def _migration(talk: Monitor) -> str:
    answer = await talk.run("query-migrate")
    return str(answer.get("status", "none")) if isinstance(answer, dict) else "none"


async def _give_up_saving(talk: Monitor, *, go_on: bool) -> None:
    await talk.run("migrate_cancel")
    if go_on:
        await talk.run("cont")
