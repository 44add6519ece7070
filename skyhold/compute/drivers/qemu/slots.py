# SPDX-License-Identifier: Apache-2.0
"""The places of a running guest where devices come and go: sixteen PCIe root ports, each for one.

What sits there is nics.py's and volumes.py's; how a guest is started with them is command.py's. Which are taken is
asked of QEMU itself each time, because an agent may have ended between plugging and writing it down.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

from skyhold.compute.drivers.base import GuestFailed
from skyhold.compute.drivers.qemu.command import PORT_SLOTS
from skyhold.compute.drivers.qemu.monitor import Monitor, Refused, TookTooLong, poll

# The guest's own driver lets go of the device; one that is still booting misses the first request.
_ASK_AGAIN_S = 3.0
_LET_GO_S = 30.0


async def devices(talk: Monitor) -> set[str]:
    """Names of all devices that have one."""
    listed = await talk.run("qom-list", {"path": "/machine/peripheral"})
    return {str(item["name"]) for item in listed} if isinstance(listed, list) else set()


async def places(talk: Monitor, prefixes: tuple[str, ...]) -> dict[str, int]:
    """Device name to the number of its root port, of those that start so; others sit elsewhere."""
    found = {}
    for name in await devices(talk):
        if name.startswith(prefixes):
            bus = await talk.run("qom-get", {"path": f"/machine/peripheral/{name}", "property": "parent_bus"})
            port = str(bus).rsplit("/rp", 1)
            if len(port) == 2 and port[1].isdigit():
                found[name] = int(port[1])
    return found


def free(taken: dict[str, int], *, from_the_end: bool = False) -> int | None:
    """A root port that nobody has. Interfaces are counted from one end and volumes from the other, so that
    what is plugged later is also found later by the guest."""
    order = range(PORT_SLOTS - 1, -1, -1) if from_the_end else range(PORT_SLOTS)
    return next((n for n in order if n not in taken.values()), None)


async def remove(talk: Monitor, device: str, refusal: str) -> None:
    """Raises GuestFailed(refusal) when the guest doesn't let go of the device in half a minute."""
    clock = asyncio.get_running_loop().time
    deadline = clock() + _LET_GO_S
    while device in await devices(talk):
        if clock() > deadline:
            raise GuestFailed(refusal)
        with suppress(Refused):  # the request before this one may still be pending
            await talk.run("device_del", {"id": device})
        with suppress(TookTooLong):
            await poll(lambda: _is_gone(talk, device), _ASK_AGAIN_S)


async def _is_gone(talk: Monitor, device: str) -> bool:
    return device not in await devices(talk)
