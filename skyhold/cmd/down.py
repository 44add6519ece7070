# SPDX-License-Identifier: Apache-2.0
"""`skyhold down`: stops the cloud's processes, its guests and its data plane.

Starting is up.py. Disks and the database stay, so that `up` finds everything as it was, with its
servers shut off; only `--destroy` removes the state.
"""

from __future__ import annotations

import asyncio
import shutil

from skyhold.cmd import processes
from skyhold.cmd.prepare import CLIENT_DIR
from skyhold.cmd.progress import Progress
from skyhold.core.settings.whole import Settings

GRACE_S = 10.0


def run(settings: Settings, *, keep_guests: bool, destroy: bool) -> int:
    say = Progress()
    stopped = [processes.stop(settings, name) for name in ("host", "serve")]
    say.done("The cloud is stopped" if any(stopped) else "No cloud was running here")
    if (not keep_guests or destroy) and settings.hosts_dir.exists():
        asyncio.run(retire(settings, say))
    if destroy:
        forget_clouds(settings, say)
        shutil.rmtree(settings.home, ignore_errors=True)
        if settings.home.exists():
            say.failed(f"{settings.home} could not be removed: something there is another user's, or mounted.")
            return 1
        say.done(f"Removed {settings.home}")
    return 0


def forget_clouds(settings: Settings, say: Progress) -> None:
    """The user's client files go with the cloud, if they are still as it wrote them."""
    for ours, name in (("clouds.yaml", "clouds.yaml"), ("openrc", "skyhold-openrc")):
        kept, own = settings.home / ours, CLIENT_DIR.expanduser() / name
        if kept.exists() and own.exists() and kept.read_bytes() == own.read_bytes():
            own.unlink()
            say.done(f"Removed {own}")


async def retire(settings: Settings, say: Progress) -> None:
    """Power guests off and take the data plane away."""
    from skyhold.compute.drivers.base import GuestPower
    from skyhold.host.machine import Machine

    if settings.host.hypervisor == "fake" and settings.host.network == "fake":
        return
    machine = Machine(settings)
    await machine.driver.start()
    guests = [guest for guest in (await machine.driver.list()).guests if guest.power in ("running", "paused")]
    wishes = [GuestPower(guest_id=guest.guest_id, power="stopped", graceful_s=GRACE_S) for guest in guests]
    if wishes:
        await asyncio.gather(*(machine.driver.power(wish) for wish in wishes), return_exceptions=True)
        say.done(f"Shut off {len(wishes)} guests")
    await machine.driver.stop()
    await machine.engine.destroy()
    say.done("Removed the data plane")
