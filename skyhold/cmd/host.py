# SPDX-License-Identifier: Apache-2.0
"""`skyhold host`: this machine's agent as a process, until it is told to end.

The machine itself is skyhold/host/machine.py. Ending it leaves guests and data plane running.
"""

from __future__ import annotations

import asyncio
import signal
import sys

from skyhold.cmd import collector
from skyhold.core import logs, tls
from skyhold.core.settings.whole import Settings


def run(settings: Settings) -> int:
    collector.pause()
    import uvloop

    from skyhold.cmd.serve import only_one
    from skyhold.network.drivers.base import EngineUnavailable

    settings.prepare()
    tls.trust(settings)
    logs.configure(settings.log.level, settings.log.format)
    lock = only_one(settings.run_dir / "host.lock", "host agent")
    try:
        with lock:
            uvloop.run(until_told(settings))
    except EngineUnavailable as error:
        print(error, file=sys.stderr)
        return 1
    return 0


async def until_told(settings: Settings) -> None:
    from skyhold.host.machine import Machine

    machine = Machine(settings)
    collector.settle()
    task = asyncio.create_task(machine.run())
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, task.cancel)
    try:
        await task
    except asyncio.CancelledError:
        return
